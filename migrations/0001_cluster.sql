-- The cluster: which processes run, whether they live, and who owns what.
--
-- Whoever changes a node's state or a shard's owner locks the one row of cluster_map first, so that
-- racing changes queue up and none deadlocks.

-- The shard of an id is its low eight bits: derived, never stored.
CREATE FUNCTION shard_of(p_id uuid) RETURNS smallint
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN get_byte(uuid_send(p_id), 15)::smallint;

-- One row per process start: an incarnation. A name stays the same over restarts.
CREATE TABLE node (
    node_id    uuid PRIMARY KEY,
    name       text NOT NULL CHECK (name <> ''),
    state      text NOT NULL CHECK (state IN ('joining', 'active', 'draining', 'dead', 'left')),
    roles      text[] NOT NULL CHECK (roles <@ ARRAY['edge', 'sessions', 'products', 'orders']),
    api_addr   text NOT NULL,
    link_addr  text NOT NULL,
    proto      integer NOT NULL,
    lock_key   bigint NOT NULL,
    started_at timestamptz NOT NULL
) WITH (fillfactor = 50);

-- A table of its own, so that beating never waits for a commit that shares a lock on the node's row.
CREATE TABLE heartbeat (
    node_id uuid PRIMARY KEY REFERENCES node ON DELETE CASCADE,
    seq     bigint NOT NULL CHECK (seq >= 0)
) WITH (fillfactor = 50);

CREATE TABLE shard (
    service  text COLLATE "C" NOT NULL CHECK (service IN ('sessions', 'products', 'orders')),
    shard_id smallint NOT NULL CHECK (shard_id BETWEEN 0 AND 255),
    owner    uuid REFERENCES node,
    epoch    bigint NOT NULL CHECK (epoch >= 0),
    PRIMARY KEY (service, shard_id),
    CHECK ((owner IS NULL) = (epoch = 0))
) WITH (fillfactor = 50);

INSERT INTO shard (service, shard_id, owner, epoch)
SELECT service, shard_id, NULL, 0
FROM unnest(ARRAY['sessions', 'products', 'orders']) AS services (service),
     generate_series(0, 255) AS shards (shard_id);

-- Counts changes of a node's state or a shard's owner.
CREATE TABLE cluster_map (
    one     boolean PRIMARY KEY CHECK (one),
    version bigint NOT NULL CHECK (version >= 1)
) WITH (fillfactor = 50);

INSERT INTO cluster_map (one, version) VALUES (true, 1);

-- The last batch that a lane committed: how a batch that is sent again is known.
CREATE TABLE lane (
    node_id    uuid NOT NULL REFERENCES node ON DELETE CASCADE,
    lane       smallint NOT NULL CHECK (lane >= 0),
    last_batch uuid NOT NULL,
    PRIMARY KEY (node_id, lane)
) WITH (fillfactor = 50);
