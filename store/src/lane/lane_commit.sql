-- Commits a lane's batch; migrations/0020_rounds.sql has the function.
SELECT lane_commit_rounds(
    p_batch => $1, p_node => $2, p_lane => $3,

    p_lease_service => $4, p_lease_shard => $5, p_lease_epoch => $6,

    p_stock_product => $7, p_stock_expected => $8, p_stock_on_hand => $9, p_stock_reserved => $10,
    p_stock_version => $11,

    p_movement_product => $12, p_movement_version => $13, p_movement_id => $14, p_movement_kind => $15,
    p_movement_delta_on_hand => $16, p_movement_delta_reserved => $17, p_movement_on_hand => $18,
    p_movement_reserved => $19, p_movement_order => $20, p_movement_reason => $21, p_movement_note => $22,
    p_movement_actor => $23, p_movement_at => $24,

    p_reservation_order => $25, p_reservation_product => $26, p_reservation_seller => $27,
    p_reservation_quantity => $28, p_reservation_round => $29, p_reservation_shipped => $30,
    p_reservation_released => $31, p_reservation_is_new => $32, p_reservation_round_before => $33,
    p_reservation_shipped_before => $34, p_reservation_released_before => $35,

    p_order_id => $36, p_order_expected => $37, p_order_expected_version => $38, p_order_customer => $39,
    p_order_key => $40, p_order_fingerprint => $41, p_order_state => $42, p_order_lines => $43,
    p_order_total_minor => $44, p_order_currency => $45, p_order_shipping_address => $46,
    p_order_note => $47, p_order_payment => $48, p_order_refusal => $49, p_order_expires_at => $50,
    p_order_place_deadline => $51, p_order_unsettled => $52, p_order_round => $53, p_order_created_at => $54,
    p_order_updated_at => $55, p_order_version => $56,

    p_event_aggregate => $57, p_event_subject => $58, p_event_sequence => $59, p_event_kind => $60,
    p_event_id => $61, p_event_at => $62, p_event_actor => $63, p_event_data => $64, p_event_epoch => $65,
    p_event_trace => $66,

    p_operation_principal => $67, p_operation_route => $68, p_operation_key => $69,
    p_operation_fingerprint => $70, p_operation_outcome => $71, p_operation_at => $72
) AS "outcome!"
