-- Reservations have followed their order: to the unit once it is settled, and never further than it
-- has gone: neither in the round that it asks for, nor into a later one.
SELECT
    (SELECT count(*) FROM reservation) || ' reservations, '
        || (SELECT count(*) FROM orders WHERE unsettled) || ' orders unsettled' AS "figure!",
    count(*) AS "breaches!"
FROM (
    SELECT order_id, unsettled, round, line.product_id, line.fulfilled AS shipped,
           CASE WHEN state IN ('cancelled', 'expired') THEN line.quantity - line.fulfilled ELSE 0 END
               AS released
    FROM orders,
         jsonb_to_recordset(lines) AS line (product_id uuid, quantity integer, fulfilled integer)
    WHERE state NOT IN ('placing', 'refused')
) AS target
JOIN reservation USING (order_id, product_id)
WHERE reservation.round > target.round
   OR reservation.shipped > target.shipped
   OR reservation.round = target.round AND reservation.released > target.released
   OR NOT target.unsettled
      AND (reservation.round, reservation.shipped, reservation.released)
          <> (target.round, target.shipped, target.released)
