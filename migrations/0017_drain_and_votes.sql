-- Draining by an operator's hand, and deaths by the vote of a majority.

-- Tells the node of this name to take on nothing more and to hand over what it has: once it has joined,
-- and as often as one likes. Returns whether there is such a node. The update waits for its commits in
-- flight.
CREATE FUNCTION node_drain(p_name text) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM cluster_map FOR UPDATE;
    UPDATE node SET state = 'draining' WHERE name = p_name AND state = 'active';
    IF FOUND THEN
        UPDATE cluster_map SET version = version + 1;
        RETURN true;
    END IF;
    RETURN EXISTS (SELECT 1 FROM node WHERE name = p_name AND state = 'draining');
END $$;

-- Who cannot reach whom, and when that was last said.
CREATE TABLE suspicion (
    suspect  uuid NOT NULL REFERENCES node ON DELETE CASCADE,
    observer uuid NOT NULL REFERENCES node ON DELETE CASCADE,
    at       timestamptz NOT NULL,
    PRIMARY KEY (suspect, observer),
    CHECK (suspect <> observer)
) WITH (fillfactor = 50);

-- For ON DELETE CASCADE.
CREATE INDEX suspicion_observer ON suspicion (observer);

-- Says that one incarnation cannot reach another. Declares this one dead if more than half of all that
-- serve, itself included, have said so within the window: never with two nodes, each of which may be
-- the one that is cut off. Waits, like every declaration, for its commit in flight.
CREATE FUNCTION node_suspect(p_observer uuid, p_suspect uuid, p_window interval)
RETURNS TABLE (votes bigint, needed bigint, is_dead boolean)
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM cluster_map FOR UPDATE;
    PERFORM 1 FROM node WHERE node_id = p_observer AND state IN ('active', 'draining') FOR SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'node % is superseded', p_observer USING ERRCODE = 'HF001';
    END IF;
    votes := 0;
    is_dead := NOT EXISTS (
        SELECT 1 FROM node WHERE node_id = p_suspect AND state IN ('active', 'draining'));
    SELECT count(*) / 2 + 1 INTO needed FROM node WHERE state IN ('active', 'draining');
    IF is_dead THEN
        RETURN NEXT;
        RETURN;
    END IF;
    INSERT INTO suspicion (suspect, observer, at) VALUES (p_suspect, p_observer, clock_timestamp())
    ON CONFLICT (suspect, observer) DO UPDATE SET at = excluded.at;
    SELECT count(*) INTO votes
    FROM suspicion JOIN node ON node.node_id = suspicion.observer
    WHERE suspicion.suspect = p_suspect AND suspicion.at > clock_timestamp() - p_window
      AND node.state IN ('active', 'draining');
    IF votes >= needed THEN
        UPDATE node SET state = 'dead' WHERE node_id = p_suspect;
        UPDATE cluster_map SET version = version + 1;
        PERFORM node_sessions_end(p_suspect);
        is_dead := true;
    END IF;
    RETURN NEXT;
END $$;
