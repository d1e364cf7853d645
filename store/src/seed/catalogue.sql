-- The seller, the customers, and what is for sale. Numbers are the last digits of ids.
INSERT INTO app_user (user_id, email, display_name, role, email_verified, disabled, password_hash, created_at, version)
SELECT ('0000000000007000' || CASE n WHEN 0 THEN '9000' ELSE 'a000' END || lpad(to_hex(n), 12, '0'))::uuid,
       'seed-' || n || '@example.com', 'Seed ' || n, CASE n WHEN 0 THEN 'seller' ELSE 'customer' END,
       -- The hash of nothing that anybody knows.
       true, false, '$argon2id$v=19$m=19456,t=2,p=1$' || rtrim(encode(uuid_send(gen_random_uuid()), 'base64'), '=')
           || '$' || rtrim(encode(sha256(uuid_send(gen_random_uuid())), 'base64'), '='),
       now() - interval '1 year', 1
FROM generate_series(0, :customers::bigint) AS n;

INSERT INTO event (aggregate, subject, sequence, kind, event_id, at, actor_id, data, node, epoch)
SELECT 'user', user_id, 1, 'user.registered', gen_random_uuid(), created_at, user_id,
       jsonb_build_object('email', email, 'display_name', display_name), 'seed', 0
FROM app_user WHERE email LIKE 'seed-%@example.com';

INSERT INTO product (product_id, seller_id, sku, name, description, price_minor, currency, status, attributes,
    created_at, updated_at, version)
SELECT ('00000000000070008000' || lpad(to_hex(n), 12, '0'))::uuid, '00000000-0000-7000-9000-000000000000',
       'seed-' || n, 'Seed ' || n, 'A product of which there is enough.', 1999, 'EUR', 'active', '{}',
       now() - interval '1 year', now() - interval '1 year', 1
FROM generate_series(0, :products::bigint - 1) AS n;

INSERT INTO event (aggregate, subject, sequence, kind, event_id, at, actor_id, data, node, epoch)
SELECT 'product', product_id, 1, 'product.created', gen_random_uuid(), created_at, seller_id,
       jsonb_build_object('product', jsonb_build_object('id', product_id, 'sku', sku, 'name', name, 'description',
           description, 'price', jsonb_build_object('amount', price_minor, 'currency', currency), 'status', status,
           'attributes', attributes, 'seller_id', seller_id, 'low_stock_threshold', NULL, 'created_at', created_at,
           'updated_at', updated_at, 'version', version)), 'seed', 0
FROM product WHERE sku LIKE 'seed-%';

INSERT INTO stock (product_id, initial, on_hand, reserved, version)
SELECT product_id, 1000000000, 1000000000, 0, 1 FROM product WHERE sku LIKE 'seed-%';

INSERT INTO stock_movement (product_id, version, movement_id, kind, delta_on_hand, delta_reserved, on_hand, reserved,
    actor_id, at)
SELECT product_id, 1, gen_random_uuid(), 'initial', 1000000000, 0, 1000000000, 0, seller_id, created_at
FROM product WHERE sku LIKE 'seed-%';
