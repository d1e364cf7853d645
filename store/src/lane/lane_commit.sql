-- Commits a lane's batch; migrations/0024_lane_rows.sql has the function.
SELECT lane_commit_rows(
    p_batch => $1, p_node => $2, p_lane => $3,
    p_lease_service => $4, p_lease_shard => $5, p_lease_epoch => $6,
    p_stock => $7, p_movements => $8, p_reservations => $9, p_orders => $10, p_events => $11,
    p_operations => $12
) AS "outcome!"
