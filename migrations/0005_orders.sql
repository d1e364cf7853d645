-- Orders. The row holds the customer's key and all that is needed to answer for the order again.

CREATE TABLE orders (
    order_id         uuid PRIMARY KEY,
    customer_id      uuid NOT NULL,
    operation_key    text COLLATE "C" NOT NULL CHECK (char_length(operation_key) BETWEEN 8 AND 255),
    fingerprint      bytea NOT NULL CHECK (octet_length(fingerprint) = 32),
    state            text NOT NULL CHECK (state IN (
                         'placing', 'refused', 'pending_payment', 'confirmed', 'partially_fulfilled',
                         'fulfilled', 'partially_returned', 'returned', 'cancelled', 'expired')),
    lines            jsonb NOT NULL CHECK (jsonb_typeof(lines) = 'array'),
    total_minor      bigint NOT NULL CHECK (total_minor >= 0),
    currency         text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    shipping_address jsonb,
    note             text,
    payment          jsonb,
    refusal          jsonb,
    expires_at       timestamptz,
    place_deadline   timestamptz,
    unsettled        boolean NOT NULL,
    created_at       timestamptz NOT NULL,
    updated_at       timestamptz NOT NULL,
    version          bigint NOT NULL CHECK (version >= 0),
    -- One key makes at most one order, ever: these rows are never purged.
    CONSTRAINT orders_customer_key UNIQUE (customer_id, operation_key),
    CONSTRAINT placing_has_a_deadline CHECK ((state = 'placing') = (place_deadline IS NOT NULL)),
    CONSTRAINT refused_says_why CHECK ((state = 'refused') = (refusal IS NOT NULL)),
    CONSTRAINT placed_has_lines CHECK (
        state IN ('placing', 'refused') OR version >= 1 AND jsonb_array_length(lines) BETWEEN 1 AND 100),
    CONSTRAINT pending_payment_has_a_deadline CHECK (state <> 'pending_payment' OR expires_at IS NOT NULL),
    CONSTRAINT no_more_is_refunded_than_was_captured CHECK (
        payment IS NULL
        OR (payment ->> 'refunded')::bigint BETWEEN 0 AND (payment ->> 'captured')::bigint)
) WITH (fillfactor = 85);

CREATE INDEX orders_of_customer ON orders (customer_id, order_id)
    WHERE state NOT IN ('placing', 'refused');

-- What is left to do, by shard: a new owner resumes it, a sweeper proposes it.
CREATE INDEX orders_placing ON orders (shard_of(order_id), place_deadline) WHERE state = 'placing';
CREATE INDEX orders_unsettled ON orders (shard_of(order_id)) WHERE unsettled;
CREATE INDEX orders_expiring ON orders (shard_of(order_id), expires_at) WHERE state = 'pending_payment';
