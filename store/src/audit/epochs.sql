-- Nothing was committed under an epoch that had been superseded: along an aggregate's versions the
-- epoch only grows, and never beyond the one that its shard is at.
SELECT
    (SELECT max(epoch) FROM shard) || ' is the highest epoch' AS "figure!",
    count(*) AS "breaches!"
FROM (
    SELECT aggregate, subject, epoch,
           max(epoch) OVER (PARTITION BY aggregate, subject ORDER BY sequence) AS highest_so_far
    FROM event
) AS told
JOIN shard
    ON shard.shard_id = shard_of(told.subject)
   AND shard.service = CASE told.aggregate
           WHEN 'user' THEN 'sessions' WHEN 'order' THEN 'orders' ELSE 'products' END
WHERE told.epoch < told.highest_so_far OR told.epoch > shard.epoch
