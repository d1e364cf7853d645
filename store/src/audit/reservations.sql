-- A reservation is what the ledger says of its order and product: reserved once, shipped and released
-- as often as it counts. One that was barred before it was made has given everything back, and the
-- ledger knows nothing of it. In later rounds the ledger has reserved once more for each at most, and
-- what it has not had back or shipped is held.
SELECT
    (SELECT count(*) FROM reservation) || ' reservations' AS "figure!",
    count(*) AS "breaches!"
FROM reservation
FULL JOIN (
    SELECT order_id, product_id,
           sum(delta_reserved) FILTER (WHERE kind = 'reserve') AS quantity,
           coalesce(-sum(delta_reserved) FILTER (WHERE kind = 'ship'), 0) AS shipped,
           coalesce(-sum(delta_reserved) FILTER (WHERE kind = 'release'), 0) AS released
    FROM stock_movement WHERE order_id IS NOT NULL GROUP BY order_id, product_id
) AS ledger USING (order_id, product_id)
WHERE CASE WHEN reservation.round > 0 THEN
    (reservation.quantity::numeric - reservation.released, reservation.shipped::numeric)
        IS DISTINCT FROM (ledger.quantity - ledger.released, ledger.shipped)
    OR ledger.quantity > reservation.quantity::numeric * (reservation.round + 1)
ELSE
    (reservation.quantity::numeric, reservation.shipped::numeric, reservation.released::numeric)
        IS DISTINCT FROM (ledger.quantity, ledger.shipped, ledger.released)
    AND NOT (ledger.quantity IS NULL AND reservation.shipped = 0
             AND reservation.released = reservation.quantity)
END
