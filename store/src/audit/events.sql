-- Every version of an order and of a product's catalogue part has its event, without a gap and up to
-- the version that stands; a user's and a stock's events are of versions that were.
SELECT
    (SELECT count(*) FROM event) || ' events' AS "figure!",
    count(*) AS "breaches!"
FROM (
    SELECT aggregate, subject, count(DISTINCT sequence) AS versions, max(sequence) AS last
    FROM event GROUP BY aggregate, subject
) AS told
FULL JOIN (
    SELECT 'order' AS aggregate, order_id AS subject, version, true AS is_dense
    FROM orders WHERE state NOT IN ('placing', 'refused')
    UNION ALL
    SELECT 'product', product_id, version, true FROM product
    UNION ALL
    SELECT 'stock', product_id, version, false FROM stock
    UNION ALL
    SELECT 'user', user_id, version, false FROM app_user
) AS standing USING (aggregate, subject)
WHERE version IS NULL
   OR last > version
   OR is_dense AND (last IS DISTINCT FROM version OR versions <> version)
