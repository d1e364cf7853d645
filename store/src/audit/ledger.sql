-- Every entry of a ledger is the next version, and states what its change made of the one before.
SELECT
    (SELECT count(*) FROM stock_movement) || ' movements' AS "figure!",
    count(*) AS "breaches!"
FROM (
    SELECT version, on_hand, reserved, delta_on_hand, delta_reserved,
           lag(version, 1, 0::bigint) OVER ledger AS version_before,
           lag(on_hand, 1, 0) OVER ledger AS on_hand_before,
           lag(reserved, 1, 0) OVER ledger AS reserved_before
    FROM stock_movement
    WINDOW ledger AS (PARTITION BY product_id ORDER BY version)
) AS entry
WHERE version <> version_before + 1
   OR on_hand <> on_hand_before + delta_on_hand
   OR reserved <> reserved_before + delta_reserved
