-- Commits a lane's batch: taking for granted that nothing is in its way (migrations/0026_lane_expected.sql), or
-- telling what is (migrations/0024_lane_rows.sql).
SELECT CASE
    WHEN $13 THEN lane_commit_rows(
        p_batch => $1, p_node => $2, p_lane => $3,
        p_lease_service => $4, p_lease_shard => $5, p_lease_epoch => $6,
        p_stock => $7, p_movements => $8, p_reservations => $9, p_orders => $10, p_events => $11,
        p_operations => $12)
    ELSE lane_commit_expected(
        p_batch => $1, p_node => $2, p_lane => $3,
        p_lease_service => $4, p_lease_shard => $5, p_lease_epoch => $6,
        p_stock => $7, p_movements => $8, p_reservations => $9, p_orders => $10, p_events => $11,
        p_operations => $12)
END AS "outcome!"
