-- An order that was placed lives in the shard of its lowest product.
SELECT
    (SELECT count(*) FROM orders WHERE state NOT IN ('placing', 'refused')) || ' placed orders' AS "figure!",
    count(*) AS "breaches!"
FROM orders
WHERE state NOT IN ('placing', 'refused')
  AND shard_of(order_id) IS DISTINCT FROM (
      SELECT shard_of(product_id) FROM jsonb_to_recordset(lines) AS line (product_id uuid)
      ORDER BY product_id LIMIT 1)
