-- Nothing was committed under an epoch that had been superseded. Along an aggregate's versions the epoch
-- only grows, and never beyond the one that its shard is at. It grows along the transactions that wrote
-- a shard's events, too: one under an epoch has ended before the next epoch begins, and all of that one
-- begin after it. The first administrator is made under no epoch.
SELECT
    (SELECT max(epoch) FROM shard) || ' is the highest epoch' AS "figure!",
    count(*) AS "breaches!"
FROM (
    SELECT aggregate, subject, epoch, node,
           max(epoch) OVER (PARTITION BY aggregate, subject ORDER BY sequence) AS highest_so_far,
           max(epoch) OVER (PARTITION BY service, shard_of(subject) ORDER BY xid
                            GROUPS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS highest_before,
           service
    FROM event
    CROSS JOIN LATERAL (
        SELECT CASE aggregate WHEN 'user' THEN 'sessions' WHEN 'order' THEN 'orders' ELSE 'products' END
    ) AS of_aggregate (service)
) AS told
JOIN shard ON shard.shard_id = shard_of(told.subject) AND shard.service = told.service
WHERE told.epoch < told.highest_so_far OR told.epoch > shard.epoch
   OR told.epoch < told.highest_before AND told.node <> 'bootstrap'
