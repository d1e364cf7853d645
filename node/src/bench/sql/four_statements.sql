-- One order as a transaction of four statements, as most services write it: take the units, then tell of it.
BEGIN;
UPDATE stock SET reserved = reserved + 1, version = version + 1
WHERE product_id = ('00000000-0000-7000-8000-' || lpad(to_hex(:product::bigint), 12, '0'))::uuid
  AND on_hand - reserved >= 1
RETURNING product_id, version, on_hand, reserved,
    ('00000000-0000-7000-a000-' || lpad(to_hex(:client_id::bigint), 12, '0'))::uuid AS customer_id,
    (SELECT (substr(at, 1, 8) || '-' || substr(at, 9, 4) || substr(gen_random_uuid()::text, 14))::uuid
     FROM lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0') AS at) AS order_id
\gset
INSERT INTO orders (order_id, customer_id, operation_key, fingerprint, state, lines, total_minor, currency,
    expires_at, unsettled, created_at, updated_at, version)
VALUES (:order_id::uuid, :customer_id::uuid, :order_id::uuid::text, sha256(:order_id::uuid::text::bytea), 'pending_payment',
    jsonb_build_array(jsonb_build_object('product_id', :product_id::uuid::text, 'sku', 'bench-0', 'name', 'Benchmark 0',
        'seller_id', :product_id::uuid::text, 'quantity', 1, 'unit_price', '{"amount": 1999, "currency": "EUR"}'::jsonb,
        'line_total', '{"amount": 1999, "currency": "EUR"}'::jsonb, 'fulfilled', 0, 'returned', 0)),
    1999, 'EUR', now() + interval '1 day', false, now(), now(), 1);
WITH moved AS (
    INSERT INTO stock_movement (product_id, version, movement_id, kind, delta_on_hand, delta_reserved, on_hand,
        reserved, order_id, actor_id, at)
    VALUES (:product_id::uuid, :version::bigint, :order_id::uuid, 'reserve', 0, 1, :on_hand::integer, :reserved::integer, :order_id::uuid, :customer_id::uuid, now())
)
INSERT INTO reservation (order_id, product_id, seller_id, quantity, shipped, released)
VALUES (:order_id::uuid, :product_id::uuid, :product_id::uuid, 1, 0, 0);
INSERT INTO event (aggregate, subject, sequence, kind, event_id, at, actor_id, data, node, epoch)
VALUES ('order', :order_id::uuid, 1, 'order.placed', gen_random_uuid(), now(), :customer_id::uuid,
    jsonb_build_object('order', jsonb_build_object('id', :order_id::uuid::text, 'customer_id', :customer_id::uuid::text,
        'total', '{"amount": 1999, "currency": "EUR"}'::jsonb, 'status', 'pending_payment', 'payment', NULL,
        'lines', jsonb_build_array(jsonb_build_object('product_id', :product_id::uuid::text, 'sku', 'bench-0',
            'name', 'Benchmark 0', 'seller_id', :product_id::uuid::text, 'quantity', 1,
            'unit_price', '{"amount": 1999, "currency": "EUR"}'::jsonb,
            'line_total', '{"amount": 1999, "currency": "EUR"}'::jsonb, 'fulfilled', 0, 'returned', 0)),
        'note', NULL, 'shipping_address', NULL, 'created_at', now(), 'updated_at', now(), 'expires_at', now(),
        'version', 1)), 'sql', 0);
COMMIT;
