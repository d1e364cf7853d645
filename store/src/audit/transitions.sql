-- A placed order came to its status along the state machine, as its events tell: placed first and
-- once, confirmed before shipped, ended once at most, and confirmed after that only if it was paid late.
SELECT
    (SELECT count(*) FROM event WHERE aggregate = 'order') || ' events of orders' AS "figure!",
    count(*) AS "breaches!"
FROM orders
LEFT JOIN (
    SELECT subject AS order_id,
           count(*) FILTER (WHERE kind = 'order.placed') AS placed,
           min(sequence) FILTER (WHERE kind = 'order.placed') AS placed_at,
           count(*) FILTER (WHERE kind = 'order.confirmed') AS confirmed,
           min(sequence) FILTER (WHERE kind = 'order.confirmed') AS confirmed_at,
           min(sequence) FILTER (WHERE kind = 'order.fulfilled') AS shipped_at,
           count(*) FILTER (WHERE kind = 'order.cancelled') AS cancelled,
           count(*) FILTER (WHERE kind = 'order.expired') AS expired,
           min(sequence) FILTER (WHERE kind = 'order.expired') AS expired_at
    FROM event WHERE aggregate = 'order' GROUP BY subject
) AS history USING (order_id)
WHERE CASE
    WHEN state IN ('placing', 'refused') THEN history.order_id IS NOT NULL
    ELSE history.order_id IS NULL
         OR placed <> 1 OR placed_at <> 1
         OR confirmed > 1
         OR confirmed = 0 AND state NOT IN ('pending_payment', 'cancelled', 'expired')
         OR confirmed = 1 AND state IN ('pending_payment', 'expired')
         OR shipped_at IS NOT NULL AND coalesce(confirmed_at >= shipped_at, true)
         OR (shipped_at IS NOT NULL) <> (state IN ('partially_fulfilled', 'fulfilled',
                                                   'partially_returned', 'returned'))
         OR cancelled <> CASE state WHEN 'cancelled' THEN 1 ELSE 0 END
         OR expired <> CASE WHEN state = 'expired' OR round > 0 THEN 1 ELSE 0 END
         OR confirmed_at <= expired_at
END
