-- Commits a lane's batch; migrations/0012_lane_commit.sql has the function.
SELECT lane_commit(
    p_batch => $1, p_node => $2, p_lane => $3,

    p_lease_service => $4, p_lease_shard => $5, p_lease_epoch => $6,

    p_stock_product => $7, p_stock_expected => $8, p_stock_on_hand => $9, p_stock_reserved => $10,
    p_stock_version => $11,

    p_movement_product => $12, p_movement_version => $13, p_movement_id => $14, p_movement_kind => $15,
    p_movement_delta_on_hand => $16, p_movement_delta_reserved => $17, p_movement_on_hand => $18,
    p_movement_reserved => $19, p_movement_order => $20, p_movement_reason => $21, p_movement_note => $22,
    p_movement_actor => $23, p_movement_at => $24,

    p_reservation_order => $25, p_reservation_product => $26, p_reservation_seller => $27,
    p_reservation_quantity => $28, p_reservation_shipped => $29, p_reservation_released => $30,
    p_reservation_is_new => $31, p_reservation_shipped_before => $32, p_reservation_released_before => $33,

    p_order_id => $34, p_order_expected => $35, p_order_expected_version => $36, p_order_customer => $37,
    p_order_key => $38, p_order_fingerprint => $39, p_order_state => $40, p_order_lines => $41,
    p_order_total_minor => $42, p_order_currency => $43, p_order_shipping_address => $44,
    p_order_note => $45, p_order_payment => $46, p_order_refusal => $47, p_order_expires_at => $48,
    p_order_place_deadline => $49, p_order_unsettled => $50, p_order_created_at => $51,
    p_order_updated_at => $52, p_order_version => $53,

    p_event_aggregate => $54, p_event_subject => $55, p_event_sequence => $56, p_event_kind => $57,
    p_event_id => $58, p_event_at => $59, p_event_actor => $60, p_event_data => $61, p_event_epoch => $62,
    p_event_trace => $63,

    p_operation_principal => $64, p_operation_route => $65, p_operation_key => $66,
    p_operation_fingerprint => $67, p_operation_outcome => $68, p_operation_at => $69
) AS "outcome!"
