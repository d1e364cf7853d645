-- As little as an order can be: itself, its lines, and the news of it.
CREATE TABLE stock (
    product_id uuid PRIMARY KEY,
    units      bigint NOT NULL CHECK (units >= 0)
) WITH (fillfactor = 50);
CREATE TABLE placed (
    order_id    uuid PRIMARY KEY,
    total_minor bigint NOT NULL,
    at          timestamptz NOT NULL
);
CREATE TABLE line (
    order_id   uuid NOT NULL,
    product_id uuid NOT NULL,
    quantity   integer NOT NULL CHECK (quantity > 0),
    PRIMARY KEY (order_id, product_id)
);
CREATE TABLE news (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    order_id uuid NOT NULL,
    data     jsonb NOT NULL
);
