-- No more is promised than there is, now and at every entry of the ledger.
SELECT
    (SELECT count(*) FROM stock) || ' products' AS "figure!",
    (SELECT count(*) FROM stock WHERE NOT (0 <= reserved AND reserved <= on_hand))
    + (SELECT count(*) FROM stock_movement WHERE NOT (0 <= reserved AND reserved <= on_hand))
        AS "breaches!"
