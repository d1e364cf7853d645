-- What has no foreign key has its counterpart all the same: a product its stock, a reservation its
-- order and its product's seller, an order its customer, a product its seller.
SELECT
    (SELECT count(*) FROM product) || ' products, ' || (SELECT count(*) FROM orders) || ' orders'
        AS "figure!",
    (SELECT count(*) FROM product WHERE NOT EXISTS (
        SELECT 1 FROM stock WHERE stock.product_id = product.product_id))
    + (SELECT count(*) FROM product WHERE NOT EXISTS (
        SELECT 1 FROM app_user WHERE user_id = seller_id))
    + (SELECT count(*) FROM stock_movement WHERE NOT EXISTS (
        SELECT 1 FROM stock WHERE stock.product_id = stock_movement.product_id))
    + (SELECT count(*) FROM reservation WHERE NOT EXISTS (
        SELECT 1 FROM orders WHERE orders.order_id = reservation.order_id))
    + (SELECT count(*) FROM reservation WHERE NOT EXISTS (
        SELECT 1 FROM product
        WHERE product.product_id = reservation.product_id AND product.seller_id = reservation.seller_id))
    + (SELECT count(*) FROM orders WHERE NOT EXISTS (
        SELECT 1 FROM app_user WHERE user_id = customer_id))
        AS "breaches!"
