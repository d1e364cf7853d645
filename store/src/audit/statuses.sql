-- An order's status says what its lines and its payment say, and its lines add up to its total.
SELECT
    (SELECT count(*) FROM orders WHERE state NOT IN ('placing', 'refused')) || ' placed orders' AS "figure!",
    count(*) AS "breaches!"
FROM orders
CROSS JOIN LATERAL (
    SELECT sum(quantity) AS ordered, sum(fulfilled) AS fulfilled,
           sum((line_total ->> 'amount')::bigint) AS total,
           bool_and((line_total ->> 'amount')::bigint = (unit_price ->> 'amount')::bigint * quantity
                    AND line_total ->> 'currency' = orders.currency
                    AND fulfilled BETWEEN 0 AND quantity) AS is_sound
    FROM jsonb_to_recordset(lines)
        AS line (quantity integer, fulfilled integer, unit_price jsonb, line_total jsonb)
) AS line
WHERE state NOT IN ('placing', 'refused')
  AND (NOT is_sound
       OR total IS DISTINCT FROM total_minor
       OR (fulfilled = 0) <> (state IN ('pending_payment', 'confirmed', 'cancelled', 'expired'))
       OR (fulfilled = ordered) <> (state IN ('fulfilled', 'partially_returned', 'returned'))
       OR (payment IS NULL) <> (state = 'pending_payment'
                                OR state = 'expired' AND round = 0
                                OR state = 'cancelled' AND payment IS NULL)
       OR state = 'expired' AND payment ->> 'status' = 'captured' AND NOT unsettled
       OR state = 'cancelled' AND payment ->> 'captured' IS DISTINCT FROM payment ->> 'refunded')
