-- One order as one statement: the rows that Holdfast writes for it.
WITH new AS MATERIALIZED (
    SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(:product::bigint), 12, '0'))::uuid AS product_id,
           (substr(at, 1, 8) || '-' || substr(at, 9, 4) || substr(gen_random_uuid()::text, 14))::uuid AS order_id,
           ('00000000-0000-7000-a000-' || lpad(to_hex(:client_id::bigint), 12, '0'))::uuid AS customer_id
    FROM lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0') AS at
), sold AS (
    UPDATE stock SET reserved = reserved + 1, version = version + 1
    FROM new WHERE stock.product_id = new.product_id AND on_hand - reserved >= 1
    RETURNING stock.version, stock.on_hand, stock.reserved
), made AS (
    INSERT INTO orders (order_id, customer_id, operation_key, fingerprint, state, lines, total_minor, currency,
        expires_at, unsettled, created_at, updated_at, version)
    SELECT order_id, customer_id, order_id::text, sha256(order_id::text::bytea), 'pending_payment',
        jsonb_build_array(jsonb_build_object('product_id', product_id, 'sku', 'bench-0', 'name', 'Benchmark 0',
            'seller_id', product_id, 'quantity', 1, 'unit_price', '{"amount": 1999, "currency": "EUR"}'::jsonb,
            'line_total', '{"amount": 1999, "currency": "EUR"}'::jsonb, 'fulfilled', 0, 'returned', 0)),
        1999, 'EUR', now() + interval '1 day', false, now(), now(), 1
    FROM new, sold
    RETURNING lines
), reserved AS (
    INSERT INTO reservation (order_id, product_id, seller_id, quantity, shipped, released)
    SELECT order_id, product_id, product_id, 1, 0, 0 FROM new, sold
), moved AS (
    INSERT INTO stock_movement (product_id, version, movement_id, kind, delta_on_hand, delta_reserved, on_hand,
        reserved, order_id, actor_id, at)
    SELECT product_id, version, order_id, 'reserve', 0, 1, on_hand, reserved, order_id, customer_id, now()
    FROM new, sold
)
INSERT INTO event (aggregate, subject, sequence, kind, event_id, at, actor_id, data, node, epoch)
SELECT 'order', order_id, 1, 'order.placed', gen_random_uuid(), now(), customer_id,
    jsonb_build_object('order', jsonb_build_object('id', order_id, 'customer_id', customer_id, 'lines', lines,
        'total', '{"amount": 1999, "currency": "EUR"}'::jsonb, 'status', 'pending_payment', 'payment', NULL,
        'note', NULL, 'shipping_address', NULL, 'created_at', now(), 'updated_at', now(), 'expires_at', now(),
        'version', 1)), 'sql', 0
FROM new, made;
