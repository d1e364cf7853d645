-- Every event and every shard's position is of a transaction that this server has come to: what is
-- committed now comes behind it in the feed.
SELECT
    (SELECT count(*) FROM event) || ' events' AS "figure!",
    (SELECT count(*) FROM event WHERE xid >= pg_snapshot_xmax(pg_current_snapshot()))
        + (SELECT count(*) FROM relay_position WHERE xid >= pg_snapshot_xmax(pg_current_snapshot())) AS "breaches!"
