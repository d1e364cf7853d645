-- The fence, and what all fenced writes share.
--
-- HF001 fenced       the node is superseded, or does not hold a shard at that epoch
-- HF002 version      rows are not as expected; DETAIL lists them as JSON
-- HF003 duplicate    keys were used before; DETAIL lists them as JSON
-- HF004 exists       the operation was recorded before
-- HF005 not found    what the write is about does not exist

-- Stops every write of a node that is superseded, and holds off whoever would supersede it until the
-- calling transaction has ended. Returns the node's name.
--
-- The shards' rows are read without locks: to take a shard from a node that lives, or to declare the
-- node dead, one must first update or lock the node's row, which waits for the share taken here.
CREATE FUNCTION fence(p_node uuid, p_services text[], p_shards smallint[], p_epochs bigint[]) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    v_name text;
    v_lost text;
BEGIN
    SELECT name INTO v_name FROM node
    WHERE node_id = p_node AND state IN ('active', 'draining') FOR SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'node % is superseded', p_node USING ERRCODE = 'HF001';
    END IF;
    SELECT format('%s/%s at epoch %s', lease.service, lease.shard_id, lease.epoch) INTO v_lost
    FROM unnest(p_services, p_shards, p_epochs) AS lease (service, shard_id, epoch)
    WHERE NOT EXISTS (
        SELECT 1 FROM shard
        WHERE shard.service = lease.service AND shard.shard_id = lease.shard_id
          AND shard.owner = p_node AND shard.epoch = lease.epoch)
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'node % does not hold %', p_node, v_lost USING ERRCODE = 'HF001';
    END IF;
    RETURN v_name;
END $$;

-- The fence for a write about one thing, whose shard is that of its id.
CREATE FUNCTION fence_one(p_node uuid, p_service text, p_id uuid, p_epoch bigint) RETURNS text
LANGUAGE sql AS $$
    SELECT fence(p_node, ARRAY[p_service], ARRAY[shard_of(p_id)], ARRAY[p_epoch])
$$;

CREATE FUNCTION raise_stale(p_stale jsonb) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows are not as expected' USING ERRCODE = 'HF002', DETAIL = p_stale::text;
END $$;

-- Records an operation, if there is one, or finds that it was recorded before.
CREATE FUNCTION operation_record(p_operation jsonb) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF p_operation IS NULL THEN
        RETURN;
    END IF;
    INSERT INTO operation (principal, route, key, fingerprint, outcome, at)
    SELECT principal, route, key, decode(fingerprint, 'hex'), outcome::jsonb, at
    FROM jsonb_to_record(p_operation)
        AS (principal uuid, route text, key text, fingerprint text, outcome text, at timestamptz)
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the operation was recorded before' USING ERRCODE = 'HF004';
    END IF;
END $$;

-- Records the events of a write about one thing.
CREATE FUNCTION events_record(p_node_name text, p_epoch bigint, p_events jsonb) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO event (aggregate, subject, sequence, kind, event_id, at, actor_id, data, node, epoch, trace_id)
    SELECT aggregate, subject, sequence, kind, event_id, at, actor_id, data, p_node_name, p_epoch, trace_id
    FROM jsonb_to_recordset(p_events) AS (
        aggregate text, subject uuid, sequence bigint, kind text, event_id uuid, at timestamptz,
        actor_id uuid, data jsonb, trace_id text)
$$;
