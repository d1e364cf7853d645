-- What the feed needs on another server, and since when a task waits.

-- Tells whether an event or a shard's position is of a transaction that this server has not come to: a
-- logical dump was restored into a server whose transactions count from the beginning. What is committed
-- there would be taken for told.
CREATE FUNCTION event_feed_is_ahead() RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT coalesce((SELECT xid FROM event ORDER BY xid DESC LIMIT 1) >= pg_snapshot_xmax(pg_current_snapshot()), false)
        OR EXISTS (SELECT FROM relay_position WHERE xid >= pg_snapshot_xmax(pg_current_snapshot()))
$$;

-- Puts a feed that is ahead behind this server's transactions; returns how many events that moved. Each
-- shard's events stay told or untold, and each aggregate's in their order. Those that were told are
-- spread over the numbers that there are: a page of the feed sorts all events of a number.
CREATE FUNCTION event_feed_rebase() RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    v_first numeric;
    v_span numeric;
    -- Told events come first, then the shards' positions, then those that are untold.
    v_told numeric := pg_snapshot_xmin(pg_current_snapshot())::text::numeric - 3;
    v_count bigint;
BEGIN
    LOCK TABLE event, relay_position IN SHARE ROW EXCLUSIVE MODE;
    IF NOT event_feed_is_ahead() THEN
        RETURN 0;
    END IF;
    SELECT min(xid)::text::numeric, max(xid)::text::numeric - min(xid)::text::numeric + 1
    INTO v_first, v_span FROM event;
    UPDATE event AS e
    SET xid = CASE
        WHEN (e.xid, e.aggregate, e.subject, e.sequence, e.kind)
            <= (r.xid, r.aggregate, r.subject, r.sequence, r.kind)
        THEN floor((e.xid::text::numeric - v_first) * v_told / v_span)::text::xid8
        ELSE (v_told + 1)::text::xid8
    END
    FROM relay_position AS r
    WHERE feed_slot(e.aggregate, e.subject) = r.shard_id
        + CASE r.service WHEN 'sessions' THEN 0 WHEN 'products' THEN 256 ELSE 512 END;
    GET DIAGNOSTICS v_count = ROW_COUNT;
    UPDATE relay_position
    SET xid = v_told::text::xid8, aggregate = '', subject = '00000000-0000-0000-0000-000000000000',
        sequence = 0, kind = '';
    RETURN v_count;
END $$;

-- When a task was made, or made again of a dead letter.
ALTER TABLE consumer_task ADD COLUMN made_at timestamptz NOT NULL DEFAULT now();
