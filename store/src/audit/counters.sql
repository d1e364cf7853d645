-- on_hand = initial + adjustments + restocks - shipped, and reserved likewise: the counters are the
-- sums of the ledger, which begins with the initial stock and ends at the counters' version.
SELECT
    (SELECT count(*) FROM stock) || ' products, ' || (SELECT count(*) FROM stock_movement) || ' movements'
        AS "figure!",
    count(*) AS "breaches!"
FROM stock
LEFT JOIN (
    SELECT product_id, sum(delta_on_hand) AS on_hand, sum(delta_reserved) AS reserved,
           max(version) AS version, sum(delta_on_hand) FILTER (WHERE kind = 'initial') AS initial
    FROM stock_movement GROUP BY product_id
) AS ledger USING (product_id)
WHERE (ledger.initial, ledger.on_hand, ledger.reserved, ledger.version)
      IS DISTINCT FROM (stock.initial::numeric, stock.on_hand::numeric, stock.reserved::numeric, stock.version)
