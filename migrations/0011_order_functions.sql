-- Moves of an order that has been placed; the shard is that of the order's id.

CREATE FUNCTION order_save(
    p_node uuid, p_epoch bigint, p_operation jsonb, p_order uuid, p_expected_version bigint, p_state text,
    p_lines jsonb, p_shipping_address jsonb, p_note text, p_payment jsonb, p_expires_at timestamptz,
    p_updated_at timestamptz, p_version bigint, p_unsettled boolean, p_events jsonb
) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_node text := fence_one(p_node, 'orders', p_order, p_epoch);
    v_version bigint;
BEGIN
    PERFORM operation_record(p_operation);
    UPDATE orders
    SET state = p_state, lines = p_lines, shipping_address = p_shipping_address, note = p_note,
        payment = p_payment, expires_at = p_expires_at, updated_at = p_updated_at, version = p_version,
        unsettled = unsettled OR p_unsettled
    WHERE order_id = p_order AND version = p_expected_version AND state NOT IN ('placing', 'refused');
    IF NOT FOUND THEN
        SELECT version INTO v_version FROM orders WHERE order_id = p_order;
        PERFORM raise_stale(jsonb_build_array(
            jsonb_build_object('what', 'order', 'order_id', p_order, 'version', v_version)));
    END IF;
    PERFORM events_record(v_node, p_epoch, p_events);
END $$;

-- Notes that an order's reservations have followed it, unless it has moved on meanwhile.
CREATE FUNCTION order_settled(p_node uuid, p_epoch bigint, p_order uuid, p_version bigint) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM fence_one(p_node, 'orders', p_order, p_epoch);
    UPDATE orders SET unsettled = false WHERE order_id = p_order AND version = p_version;
    RETURN FOUND;
END $$;
