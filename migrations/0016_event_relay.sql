-- A shard's part of the feed, found by one number.
--
-- The index by the bare shard mixed three services: an owner of orders alone read past the stock and the
-- accounts of its shards, and a shard of accounts, where little happens, was looked for among all orders.

-- Whose owner writes an event's subject, and tells of it: the shard of its id, plus 256 for products and
-- 512 for orders. Not STRICT, so that the planner puts its body in its place: every event pays for it.
CREATE FUNCTION feed_slot(p_aggregate text, p_subject uuid) RETURNS smallint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (CASE p_aggregate WHEN 'user' THEN 0 WHEN 'order' THEN 512 ELSE 256 END
        + shard_of(p_subject))::smallint;

DROP INDEX event_feed_of_shard;
CREATE INDEX event_feed_of_slot ON event (feed_slot(aggregate, subject), xid);

-- No release has asked for it.
DROP FUNCTION service_of(text);

-- How far the shop's own consumers have read a stream that others keep: all up to `sequence` was taken in.
-- A stream that was made anew under its name is another `incarnation`, and counts from the beginning.
CREATE TABLE stream_position (
    stream      text COLLATE "C" PRIMARY KEY,
    incarnation text COLLATE "C" NOT NULL,
    sequence    bigint NOT NULL CHECK (sequence >= 0)
);

-- Tells up to where a stream was read, whose last message is `p_last` now. A stream that has lost its end
-- gives the numbers of what it lost to other messages, which have yet to be read.
CREATE FUNCTION stream_position_begin(p_stream text, p_incarnation text, p_last bigint) RETURNS bigint
LANGUAGE sql AS $$
    INSERT INTO stream_position AS known (stream, incarnation, sequence)
    VALUES (p_stream, p_incarnation, 0)
    ON CONFLICT (stream) DO UPDATE
    SET incarnation = p_incarnation,
        sequence = CASE WHEN known.incarnation = p_incarnation THEN least(known.sequence, p_last) ELSE 0 END
    RETURNING sequence
$$;

-- Moves a position forward. Not fenced: what was read was taken in, whoever did it.
CREATE FUNCTION stream_position_advance(p_stream text, p_incarnation text, p_sequence bigint) RETURNS void
LANGUAGE sql AS $$
    UPDATE stream_position SET sequence = p_sequence
    WHERE stream = p_stream AND incarnation = p_incarnation AND sequence < p_sequence
$$;
