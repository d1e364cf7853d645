-- Writes about the catalogue; the shard is that of the product's id.

CREATE FUNCTION product_create(
    p_node uuid, p_epoch bigint, p_operation jsonb, p_product uuid, p_seller uuid, p_sku text, p_name text,
    p_description text, p_price_minor bigint, p_currency text, p_status text, p_attributes jsonb,
    p_low_stock_threshold bigint, p_created_at timestamptz, p_movement uuid, p_on_hand bigint,
    p_reason text, p_note text, p_actor uuid, p_events jsonb
) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_node text := fence_one(p_node, 'products', p_product, p_epoch);
BEGIN
    PERFORM operation_record(p_operation);
    INSERT INTO product
        (product_id, seller_id, sku, name, description, price_minor, currency, status, attributes,
         low_stock_threshold, created_at, updated_at, version)
    VALUES
        (p_product, p_seller, p_sku, p_name, p_description, p_price_minor, p_currency, p_status,
         p_attributes, p_low_stock_threshold, p_created_at, p_created_at, 1);
    INSERT INTO stock (product_id, initial, on_hand, reserved, version)
    VALUES (p_product, p_on_hand, p_on_hand, 0, 1);
    INSERT INTO stock_movement
        (product_id, version, movement_id, kind, delta_on_hand, delta_reserved, on_hand, reserved, reason,
         note, actor_id, at)
    VALUES
        (p_product, 1, p_movement, 'initial', p_on_hand, 0, p_on_hand, 0, p_reason, p_note, p_actor,
         p_created_at);
    PERFORM events_record(v_node, p_epoch, p_events);
END $$;

CREATE FUNCTION product_save(
    p_node uuid, p_epoch bigint, p_operation jsonb, p_product uuid, p_sku text, p_name text,
    p_description text, p_price_minor bigint, p_currency text, p_status text, p_attributes jsonb,
    p_low_stock_threshold bigint, p_updated_at timestamptz, p_version bigint, p_events jsonb
) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_node text := fence_one(p_node, 'products', p_product, p_epoch);
    v_version bigint;
BEGIN
    PERFORM operation_record(p_operation);
    UPDATE product
    SET sku = p_sku, name = p_name, description = p_description, price_minor = p_price_minor,
        currency = p_currency, status = p_status, attributes = p_attributes,
        low_stock_threshold = p_low_stock_threshold, updated_at = p_updated_at, version = p_version
    WHERE product_id = p_product AND version = p_version - 1;
    IF NOT FOUND THEN
        SELECT version INTO v_version FROM product WHERE product_id = p_product;
        PERFORM raise_stale(jsonb_build_array(
            jsonb_build_object('what', 'product', 'product_id', p_product, 'version', v_version)));
    END IF;
    PERFORM events_record(v_node, p_epoch, p_events);
END $$;
