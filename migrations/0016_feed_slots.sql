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
