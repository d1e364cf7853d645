-- Membership, and shards that change hands.

-- Ends the database sessions of an incarnation, which carry its id as their application name.
CREATE FUNCTION node_sessions_end(p_node uuid) RETURNS void
LANGUAGE sql AS $$
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE application_name = 'holdfast-' || p_node AND pid <> pg_backend_pid()
$$;

-- Announces an incarnation; older ones of the same name are over, and forgotten once they own nothing.
CREATE FUNCTION node_join(
    p_node uuid, p_name text, p_roles text[], p_api_addr text, p_link_addr text, p_proto integer,
    p_lock_key bigint, p_started_at timestamptz
) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_older uuid;
BEGIN
    UPDATE cluster_map SET version = version + 1;
    FOR v_older IN
        UPDATE node SET state = 'dead'
        WHERE name = p_name AND state NOT IN ('dead', 'left') RETURNING node_id
    LOOP
        PERFORM node_sessions_end(v_older);
    END LOOP;
    DELETE FROM node
    WHERE name = p_name AND NOT EXISTS (SELECT 1 FROM shard WHERE shard.owner = node.node_id);
    INSERT INTO node (node_id, name, state, roles, api_addr, link_addr, proto, lock_key, started_at)
    VALUES (p_node, p_name, 'joining', p_roles, p_api_addr, p_link_addr, p_proto, p_lock_key, p_started_at);
    INSERT INTO heartbeat (node_id, seq) VALUES (p_node, 0);
END $$;

-- Moves an incarnation from one of the states p_from to p_to; being there already is as good.
-- The update waits for the node's commits in flight.
CREATE FUNCTION node_move(p_node uuid, p_from text[], p_to text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM cluster_map FOR UPDATE;
    UPDATE node SET state = p_to WHERE node_id = p_node AND state = ANY (p_from);
    IF FOUND THEN
        UPDATE cluster_map SET version = version + 1;
        RETURN;
    END IF;
    PERFORM 1 FROM node WHERE node_id = p_node AND state = p_to;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'node % cannot become %', p_node, p_to USING ERRCODE = 'HF001';
    END IF;
END $$;

-- Declares an incarnation dead if its heartbeat still stands where the caller saw it. Waits for its
-- commit in flight and stops every later one.
CREATE FUNCTION node_declare_dead(p_victim uuid, p_observed_seq bigint) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM cluster_map FOR UPDATE;
    PERFORM 1 FROM heartbeat WHERE node_id = p_victim AND seq = p_observed_seq FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE node SET state = 'dead' WHERE node_id = p_victim AND state IN ('joining', 'active', 'draining');
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE cluster_map SET version = version + 1;
    PERFORM node_sessions_end(p_victim);
    RETURN true;
END $$;

-- Takes those of the wanted shards that nobody living owns.
CREATE FUNCTION shards_claim(p_node uuid, p_services text[], p_shards smallint[])
RETURNS TABLE (claimed_service text, claimed_shard smallint, claimed_epoch bigint)
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM cluster_map FOR UPDATE;
    PERFORM 1 FROM node WHERE node_id = p_node AND state = 'active' FOR SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'node % is not active', p_node USING ERRCODE = 'HF001';
    END IF;
    RETURN QUERY
        UPDATE shard SET owner = p_node, epoch = shard.epoch + 1
        FROM unnest(p_services, p_shards) AS wanted (service, shard_id)
        WHERE shard.service = wanted.service AND shard.shard_id = wanted.shard_id
          AND (shard.owner IS NULL
               OR EXISTS (SELECT 1 FROM node
                          WHERE node.node_id = shard.owner AND node.state IN ('dead', 'left')))
        RETURNING shard.service, shard.shard_id, shard.epoch;
    IF FOUND THEN
        UPDATE cluster_map SET version = version + 1;
    END IF;
END $$;

-- Gives shards away. Locking the giver's row waits for its commits in flight, and those that come
-- later read the shards anew: none is committed under an epoch that has passed.
CREATE FUNCTION shards_hand_over(
    p_node uuid, p_services text[], p_shards smallint[], p_epochs bigint[], p_to uuid
) RETURNS TABLE (moved_service text, moved_shard smallint, moved_epoch bigint)
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM cluster_map FOR UPDATE;
    PERFORM 1 FROM node WHERE node_id = p_node AND state IN ('active', 'draining') FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'node % is superseded', p_node USING ERRCODE = 'HF001';
    END IF;
    PERFORM 1 FROM node WHERE node_id = p_to AND node_id <> p_node AND state = 'active' FOR SHARE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    RETURN QUERY
        UPDATE shard SET owner = p_to, epoch = shard.epoch + 1
        FROM unnest(p_services, p_shards, p_epochs) AS lease (service, shard_id, epoch)
        WHERE shard.service = lease.service AND shard.shard_id = lease.shard_id
          AND shard.owner = p_node AND shard.epoch = lease.epoch
        RETURNING shard.service, shard.shard_id, shard.epoch;
    IF FOUND THEN
        UPDATE cluster_map SET version = version + 1;
    END IF;
END $$;
