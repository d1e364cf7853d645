-- What a product's counter says is reserved is what its reservations hold.
SELECT
    (SELECT count(*) FROM reservation) || ' reservations' AS "figure!",
    count(*) AS "breaches!"
FROM stock
FULL JOIN (
    SELECT product_id, sum(quantity - shipped - released) AS held FROM reservation GROUP BY product_id
) AS promised USING (product_id)
WHERE coalesce(stock.reserved, -1) <> coalesce(promised.held, 0)
