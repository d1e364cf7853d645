-- Consumers take in and end many events at the price of a few.
--
-- Taking events in waits for the disk: whoever told them goes on from memory and does not tell them
-- again. What rests on it does not wait. A task that a crash of the server brings back is done again,
-- and its mail sent under the same Message-ID; a position that it takes back is told from again.

-- As before, but with one statement for all events instead of some for each.
CREATE OR REPLACE FUNCTION consumer_accept_all(p_batch jsonb) RETURNS boolean[]
LANGUAGE plpgsql AS $$
DECLARE
    v_now timestamptz := clock_timestamp();
    v_news text[];
    v_one record;
BEGIN
    -- In the order of the ids, so that two nodes that are told the same never wait for each other's rows.
    WITH news AS (
        INSERT INTO inbox (consumer, event_id, at)
        SELECT one.consumer, one.event_id, v_now
        FROM jsonb_to_recordset(p_batch) AS one (consumer text, event_id uuid)
        ORDER BY one.event_id, one.consumer
        ON CONFLICT DO NOTHING
        RETURNING consumer, event_id)
    SELECT coalesce(array_agg(news.event_id || '/' || news.consumer), '{}') INTO v_news FROM news;

    INSERT INTO consumer_task (consumer, event_id, subject, sequence, event, attempts, due_at)
    SELECT one.consumer, one.event_id, one.subject, one.sequence, one.event, 0, v_now
    FROM jsonb_to_recordset(p_batch) AS one (consumer text, event_id uuid, subject uuid, sequence bigint,
        event jsonb, has_task boolean, refusal text)
    WHERE one.has_task AND one.refusal IS NULL AND one.event_id || '/' || one.consumer = ANY (v_news)
    ORDER BY one.event_id, one.consumer
    ON CONFLICT DO NOTHING;

    -- What is rare is done one by one.
    FOR v_one IN
        SELECT one.*
        FROM jsonb_to_recordset(p_batch) AS one (consumer text, event_id uuid, subject uuid,
            sequence bigint, event jsonb, alert jsonb, refusal text)
        WHERE (one.alert IS NOT NULL OR one.refusal IS NOT NULL)
          AND one.event_id || '/' || one.consumer = ANY (v_news)
        ORDER BY one.event_id, one.consumer
    LOOP
        IF v_one.alert IS NOT NULL THEN
            PERFORM stock_alert_record(v_one.event_id, alert.product_id, alert.kind, alert.on_hand,
                alert.available, alert.at)
            FROM jsonb_to_record(v_one.alert) AS alert (product_id uuid, kind text, on_hand bigint,
                available bigint, at timestamptz);
        END IF;
        IF v_one.refusal IS NOT NULL THEN
            INSERT INTO dead_letter (consumer, event_id, subject, sequence, event, error, attempts,
                first_failed_at, last_failed_at)
            VALUES (v_one.consumer, v_one.event_id, v_one.subject, v_one.sequence, v_one.event,
                left(v_one.refusal, 1000), 1, v_now, v_now)
            ON CONFLICT DO NOTHING;
        END IF;
    END LOOP;

    RETURN ARRAY(
        SELECT item.value ->> 'event_id' || '/' || (item.value ->> 'consumer') = ANY (v_news)
        FROM jsonb_array_elements(p_batch) WITH ORDINALITY AS item (value, n)
        ORDER BY item.n);
END $$;

-- Nobody takes events in one by one any more.
DROP FUNCTION consumer_accept(text, uuid, uuid, bigint, jsonb, jsonb, boolean, text);

-- As before; a table whose rows come and go is never worth reading whole, whatever its statistics say.
CREATE OR REPLACE FUNCTION consumer_tasks_take(p_node uuid, p_consumers text[], p_hold_ms bigint, p_limit bigint)
RETURNS TABLE (consumer text, event_id uuid, event text, attempts integer)
LANGUAGE plpgsql
SET enable_seqscan = off
AS $$
#variable_conflict use_column
DECLARE
    v_now timestamptz := clock_timestamp();
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    PERFORM fence(p_node, ARRAY[]::text[], ARRAY[]::smallint[], ARRAY[]::bigint[]);
    UPDATE consumer_task SET taken_by = NULL, due_at = v_now
    WHERE taken_by IS NOT NULL
      AND NOT EXISTS (
          SELECT 1 FROM node WHERE node_id = taken_by AND state IN ('active', 'draining'));
    RETURN QUERY
    UPDATE consumer_task AS task
    SET taken_by = p_node, attempts = task.attempts + 1,
        due_at = v_now + p_hold_ms * interval '1 millisecond'
    WHERE task.ctid = ANY (ARRAY(
        SELECT due.ctid FROM consumer_task AS due
        WHERE due.due_at <= v_now AND due.consumer = ANY (p_consumers)
          AND NOT EXISTS (
              SELECT 1 FROM consumer_task AS earlier
              WHERE earlier.subject = due.subject AND earlier.consumer = due.consumer
                AND earlier.sequence < due.sequence)
        ORDER BY due.due_at LIMIT p_limit FOR UPDATE SKIP LOCKED))
    RETURNING task.consumer, task.event_id, task.event::text, task.attempts;
END $$;

-- Ends a task that was done.
CREATE OR REPLACE FUNCTION consumer_task_done(p_consumer text, p_event_id uuid) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    DELETE FROM consumer_task WHERE consumer = p_consumer AND event_id = p_event_id;
END $$;

-- As before, without waiting for the disk: a position that a crash takes back is told from again.
CREATE OR REPLACE FUNCTION relay_advance(
    p_node uuid, p_service text[], p_shard smallint[], p_epoch bigint[],
    p_xid xid8[], p_aggregate text[], p_subject uuid[], p_sequence bigint[], p_kind text[]
) RETURNS TABLE (advanced_service text, advanced_shard smallint)
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
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
