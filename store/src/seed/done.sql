-- The k-th of a product's orders left it at version 2k + 3.
UPDATE stock SET on_hand = initial - sold, version = 1 + 2 * sold
FROM (
    SELECT ('00000000000070008000' || lpad(to_hex(n), 12, '0'))::uuid AS product_id,
           CASE WHEN n < :orders THEN (:orders - 1 - n) / :products + 1 ELSE 0 END AS sold
    FROM generate_series(0::bigint, :products::bigint - 1) AS n
) AS sales
WHERE stock.product_id = sales.product_id;

-- Nobody is to be written to about a year that was made up. This transaction writes no event: any place in it
-- is behind all that there are.
UPDATE relay_position
SET xid = pg_current_xact_id(), aggregate = 'user', subject = 'ffffffff-ffff-ffff-ffff-ffffffffffff',
    sequence = 9223372036854775807, kind = 'user.registered';

ANALYZE;
