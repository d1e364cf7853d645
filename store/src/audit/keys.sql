-- One key of a customer makes at most one order.
SELECT
    (SELECT count(*) FROM orders) || ' orders' AS "figure!",
    count(*) AS "breaches!"
FROM (SELECT 1 FROM orders GROUP BY customer_id, operation_key HAVING count(*) > 1) AS shared
