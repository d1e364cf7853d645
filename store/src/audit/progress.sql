-- Reservations have followed their order: to the unit once it is settled, and never further than it
-- has gone.
SELECT
    (SELECT count(*) FROM reservation) || ' reservations, '
        || (SELECT count(*) FROM orders WHERE unsettled) || ' orders unsettled' AS "figure!",
    count(*) AS "breaches!"
FROM (
    SELECT order_id, unsettled, line.product_id, line.fulfilled AS shipped,
           CASE WHEN state IN ('cancelled', 'expired') THEN line.quantity - line.fulfilled ELSE 0 END
               AS released
    FROM orders,
         jsonb_to_recordset(lines) AS line (product_id uuid, quantity integer, fulfilled integer)
    WHERE state NOT IN ('placing', 'refused')
) AS target
JOIN reservation USING (order_id, product_id)
WHERE reservation.shipped > target.shipped
   OR reservation.released > target.released
   OR NOT target.unsettled
      AND (reservation.shipped, reservation.released) <> (target.shipped, target.released)
