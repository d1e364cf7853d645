-- All lines of a placed order are reserved, each as ordered, and nothing else is; what was refused
-- holds nothing once it is settled.
SELECT
    (SELECT count(*) FROM orders WHERE state NOT IN ('placing', 'refused')) || ' placed orders' AS "figure!",
    (SELECT count(*)
     FROM (
         SELECT order_id, line.product_id, line.seller_id, line.quantity
         FROM orders,
              jsonb_to_recordset(lines) AS line (product_id uuid, seller_id uuid, quantity integer)
         WHERE state NOT IN ('placing', 'refused')
     ) AS ordered
     FULL JOIN (
         SELECT order_id, product_id, reservation.seller_id, reservation.quantity
         FROM reservation JOIN orders USING (order_id)
         WHERE state NOT IN ('placing', 'refused')
     ) AS reserved USING (order_id, product_id)
     WHERE (ordered.seller_id, ordered.quantity) IS DISTINCT FROM (reserved.seller_id, reserved.quantity))
    + (SELECT count(*) FROM orders
       WHERE state = 'refused' AND NOT unsettled AND EXISTS (
           SELECT 1 FROM reservation
           WHERE reservation.order_id = orders.order_id AND shipped + released < quantity))
        AS "breaches!"
