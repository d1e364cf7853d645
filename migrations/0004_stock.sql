-- Stock: the counters, the ledger that explains them, and what is promised to orders.
--
-- Rows that every sale writes carry no foreign keys, whose checks would cost more than the rows; the
-- audit looks for orphans instead.

CREATE TABLE stock (
    product_id uuid PRIMARY KEY REFERENCES product,
    initial    integer NOT NULL CHECK (initial >= 0),
    on_hand    integer NOT NULL CHECK (on_hand <= 1000000000),
    reserved   integer NOT NULL,
    version    bigint NOT NULL CHECK (version >= 1),
    CONSTRAINT stock_is_not_oversold CHECK (0 <= reserved AND reserved <= on_hand)
) WITH (fillfactor = 50); -- and no other index: every update stays in its page (HOT)

CREATE TABLE stock_movement (
    product_id     uuid NOT NULL,
    version        bigint NOT NULL CHECK (version >= 1),
    movement_id    uuid NOT NULL,
    kind           text NOT NULL,
    delta_on_hand  bigint NOT NULL,
    delta_reserved bigint NOT NULL,
    on_hand        integer NOT NULL,
    reserved       integer NOT NULL,
    order_id       uuid,
    reason         text,
    note           text,
    actor_id       uuid NOT NULL,
    at             timestamptz NOT NULL,
    PRIMARY KEY (product_id, version),
    CONSTRAINT movement_is_not_oversold CHECK (0 <= reserved AND reserved <= on_hand),
    CONSTRAINT movement_is_of_its_kind CHECK (
        CASE kind
            WHEN 'initial'    THEN version = 1 AND delta_on_hand >= 0 AND delta_reserved = 0
            WHEN 'adjustment' THEN version > 1 AND delta_reserved = 0
            WHEN 'reserve'    THEN version > 1 AND delta_on_hand = 0 AND delta_reserved > 0
            WHEN 'release'    THEN version > 1 AND delta_on_hand = 0 AND delta_reserved < 0
            WHEN 'ship'       THEN version > 1 AND delta_on_hand < 0 AND delta_reserved = delta_on_hand
            ELSE false
        END),
    CONSTRAINT movement_of_order_names_it CHECK (
        (order_id IS NOT NULL) = (kind IN ('reserve', 'release', 'ship')))
);

CREATE TABLE reservation (
    order_id   uuid NOT NULL,
    product_id uuid NOT NULL,
    seller_id  uuid NOT NULL,
    quantity   integer NOT NULL CHECK (quantity BETWEEN 1 AND 10000),
    shipped    integer NOT NULL CHECK (shipped >= 0),
    released   integer NOT NULL CHECK (released >= 0),
    PRIMARY KEY (order_id, product_id),
    CONSTRAINT reservation_is_not_overdrawn CHECK (shipped + released <= quantity)
) WITH (fillfactor = 80);
CREATE INDEX reservation_of_seller ON reservation (seller_id, order_id);
