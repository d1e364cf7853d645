-- A group of orders as one statement: a chain of changes, which the shop's own functions avoid, is the fastest way
-- that was found, and a bound has to be fast and nothing else.
WITH sold AS (
    UPDATE stock SET units = stock.units - wanted.units
    FROM unnest($1::uuid[], $2::bigint[]) AS wanted (product_id, units)
    WHERE stock.product_id = wanted.product_id
), made AS (
    INSERT INTO placed (order_id, total_minor, at)
    SELECT order_id, total_minor, now() FROM unnest($3::uuid[], $4::bigint[]) AS made (order_id, total_minor)
    RETURNING order_id, total_minor
), told AS (
    INSERT INTO news (order_id, data)
    SELECT order_id, jsonb_build_object('order_id', order_id, 'total', total_minor) FROM made
)
INSERT INTO line (order_id, product_id, quantity)
SELECT * FROM unnest($5::uuid[], $6::uuid[], $7::integer[])
