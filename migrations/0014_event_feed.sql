-- Events as a feed, and how far each shard's owner has told it to others.
--
-- The feed is in the order of transaction ids, and is read up to the oldest one that still runs: what
-- is below that is there or will never be, so that a commit that took long is not missed. It is also in
-- the order of each aggregate's versions: whoever writes a version states the one before, which it can
-- know only from a commit that had ended before its own transaction began.

-- Events of before this migration get its own transaction id: they come first, by their keys.
ALTER TABLE event ADD COLUMN xid xid8 NOT NULL DEFAULT pg_current_xact_id();

-- The service whose owners write an aggregate, and tell of it.
CREATE FUNCTION service_of(p_aggregate text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN CASE p_aggregate WHEN 'user' THEN 'sessions' WHEN 'order' THEN 'orders' ELSE 'products' END;

-- The whole feed, and a shard's part of it. Narrow: every order pays for them. What one transaction
-- wrote is sorted when it is read; a batch of the lane is a few hundred rows.
CREATE INDEX event_feed ON event (xid);
CREATE INDEX event_feed_of_shard ON event (shard_of(subject), xid);

-- The last event of a shard that was told, by its place in the feed; all before it were told, too.
-- Told by whom: the epoch, for those who look into it.
CREATE TABLE relay_position (
    service   text COLLATE "C" NOT NULL,
    shard_id  smallint NOT NULL,
    xid       xid8 NOT NULL,
    aggregate text COLLATE "C" NOT NULL,
    subject   uuid NOT NULL,
    sequence  bigint NOT NULL,
    kind      text COLLATE "C" NOT NULL,
    epoch     bigint NOT NULL CHECK (epoch >= 0),
    PRIMARY KEY (service, shard_id),
    FOREIGN KEY (service, shard_id) REFERENCES shard
) WITH (fillfactor = 50);

INSERT INTO relay_position (service, shard_id, xid, aggregate, subject, sequence, kind, epoch)
SELECT service, shard_id, '0', '', '00000000-0000-0000-0000-000000000000', 0, '', 0 FROM shard;

-- Moves positions forward, of those shards that the node still holds, and returns these. A node that
-- is superseded moves none. It holds the node's row shared, as every fenced write does: a shard cannot
-- change hands meanwhile.
CREATE FUNCTION relay_advance(
    p_node uuid, p_service text[], p_shard smallint[], p_epoch bigint[],
    p_xid xid8[], p_aggregate text[], p_subject uuid[], p_sequence bigint[], p_kind text[]
) RETURNS TABLE (advanced_service text, advanced_shard smallint)
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM fence(p_node, '{}', '{}', '{}');
    RETURN QUERY
        UPDATE relay_position AS r
        SET xid = w.xid, aggregate = w.aggregate, subject = w.subject, sequence = w.sequence,
            kind = w.kind, epoch = w.epoch
        FROM unnest(p_service, p_shard, p_epoch, p_xid, p_aggregate, p_subject, p_sequence, p_kind)
            AS w (service, shard_id, epoch, xid, aggregate, subject, sequence, kind)
        JOIN shard AS s ON s.service = w.service AND s.shard_id = w.shard_id
        WHERE s.owner = p_node AND s.epoch = w.epoch
          AND r.service = w.service AND r.shard_id = w.shard_id
          AND (r.xid, r.aggregate, r.subject, r.sequence, r.kind)
              < (w.xid, w.aggregate, w.subject, w.sequence, w.kind)
        RETURNING r.service, r.shard_id;
END $$;
