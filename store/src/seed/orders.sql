-- Orders :first up to :end, each of one unit, paid and shipped. The k-th order of a product takes its versions
-- 2k + 2 and 2k + 3.
CREATE TEMPORARY TABLE made ON COMMIT DROP AS
SELECT n, at, turn, product_id, customer_id, order_id, '00000000-0000-7000-9000-000000000000'::uuid AS seller_id,
       jsonb_build_object('id', payment_id, 'order_id', order_id, 'provider', 'test', 'status', 'captured',
           'amount', money, 'captured', 1999, 'refunded', 0, 'created_at', at) AS payment,
       jsonb_build_object('product_id', product_id, 'sku', 'seed-' || number, 'name', 'Seed ' || number,
           'seller_id', '00000000-0000-7000-9000-000000000000', 'quantity', 1, 'unit_price', money,
           'line_total', money, 'returned', 0) AS line
FROM (
    SELECT n, n % :products AS number, n / :products AS turn, '{"amount": 1999, "currency": "EUR"}'::jsonb AS money,
           now() - interval '1 year' * ((:orders - n) / :orders::double precision) AS at,
           ('00000000000070008000' || lpad(to_hex(n % :products), 12, '0'))::uuid AS product_id,
           ('0000000000007000a000' || lpad(to_hex(1 + n % :customers), 12, '0'))::uuid AS customer_id,
           gen_random_uuid() AS payment_id
    FROM generate_series(:first::bigint, :end::bigint - 1) AS n
) AS drawn
CROSS JOIN LATERAL (
    -- The time, the number, and the last two digits of the product: an order is of its product's shard.
    SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7' || lpad(to_hex(n & 4095), 3, '0')
            || 'a' || lpad(to_hex(n >> 12), 13, '0') || lpad(to_hex(number & 255), 2, '0'))::uuid AS order_id
) AS named;

INSERT INTO orders (order_id, customer_id, operation_key, fingerprint, state, lines, total_minor, currency, payment,
    unsettled, created_at, updated_at, version)
SELECT order_id, customer_id, 'seed-' || lpad(n::text, 12, '0'), sha256(n::text::bytea), 'fulfilled',
       jsonb_build_array(line || '{"fulfilled": 1}'), 1999, 'EUR', payment, false, at, at + interval '2 hours', 4
FROM made ORDER BY n;

INSERT INTO reservation (order_id, product_id, seller_id, quantity, shipped, released)
SELECT order_id, product_id, seller_id, 1, 1, 0 FROM made ORDER BY n;

INSERT INTO stock_movement (product_id, version, movement_id, kind, delta_on_hand, delta_reserved, on_hand, reserved,
    order_id, actor_id, at)
SELECT product_id, 2 * turn + 2, gen_random_uuid(), 'reserve', 0, 1, 1000000000 - turn, 1, order_id, customer_id, at
FROM made
UNION ALL
SELECT product_id, 2 * turn + 3, gen_random_uuid(), 'ship', -1, -1, 999999999 - turn, 0, order_id, seller_id,
       at + interval '2 hours'
FROM made;

INSERT INTO event (aggregate, subject, sequence, kind, event_id, at, actor_id, data, node, epoch)
SELECT 'order', order_id, sequence, kind, gen_random_uuid(), at + after, actor_id, data, 'seed', 0
FROM made
CROSS JOIN LATERAL (VALUES
    (1, 'order.placed', interval '0', customer_id, jsonb_build_object('order', jsonb_build_object(
        'id', order_id, 'customer_id', customer_id, 'lines', jsonb_build_array(line || '{"fulfilled": 0}'),
        'total', '{"amount": 1999, "currency": "EUR"}'::jsonb, 'status', 'pending_payment', 'payment', NULL,
        'note', NULL, 'shipping_address', NULL, 'created_at', at, 'updated_at', at,
        'expires_at', at + interval '15 minutes', 'version', 1))),
    (2, 'payment.captured', interval '1 minute', customer_id, jsonb_build_object('payment', payment)),
    (3, 'order.confirmed', interval '1 minute', customer_id, jsonb_build_object('payment', payment)),
    (4, 'order.fulfilled', interval '2 hours', seller_id, jsonb_build_object('fulfilment', jsonb_build_object(
        'id', gen_random_uuid(), 'order_id', order_id, 'carrier', NULL, 'tracking', NULL,
        'lines', jsonb_build_array(jsonb_build_object('product_id', product_id, 'quantity', 1)),
        'created_at', at + interval '2 hours')))
) AS told (sequence, kind, after, actor_id, data)
ORDER BY n, sequence;
