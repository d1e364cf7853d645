-- What happened, and what was asked.
--
-- Names that machines compare have the collation "C": bytes, whatever the database's language is.

-- The timeline of every aggregate, and the outbox from which it is told. `sequence` is the version
-- that the change made; one change of stock may have several kinds of news.
CREATE TABLE event (
    aggregate text COLLATE "C" NOT NULL CHECK (aggregate IN ('user', 'product', 'stock', 'order')),
    subject   uuid NOT NULL,
    sequence  bigint NOT NULL CHECK (sequence >= 1),
    kind      text COLLATE "C" NOT NULL,
    event_id  uuid NOT NULL,
    at        timestamptz NOT NULL,
    actor_id  uuid,
    data      jsonb NOT NULL CHECK (jsonb_typeof(data) = 'object'),
    node      text NOT NULL,
    epoch     bigint NOT NULL CHECK (epoch >= 0),
    trace_id  text,
    PRIMARY KEY (aggregate, subject, sequence, kind)
);

-- What was answered to a request, under its idempotency key. Placing an order is not among these:
-- its key stands in the order's row.
CREATE TABLE operation (
    principal   uuid NOT NULL,
    route       text COLLATE "C" NOT NULL,
    key         text COLLATE "C" NOT NULL CHECK (char_length(key) BETWEEN 8 AND 255),
    fingerprint bytea NOT NULL CHECK (octet_length(fingerprint) = 32),
    outcome     jsonb NOT NULL,
    at          timestamptz NOT NULL,
    PRIMARY KEY (principal, route, key)
);
CREATE INDEX operation_age ON operation (at);
