-- Consumers of events: what they have taken in, what they have yet to do, and what they could not do.
--
-- None of this is fenced but the taking of tasks. Taking an event in is an insertion under the event's
-- own id, and whoever is told of it again, an owner that was superseded among them, finds it there. A
-- task is ended by whoever did it: that it was done is true whoever says so. And an attempt that failed
-- is noted only for the attempt that was being made.

-- The events that a consumer knows. Kept for a week: see inbox_purge.
CREATE TABLE inbox (
    consumer text COLLATE "C" NOT NULL,
    event_id uuid NOT NULL,
    at       timestamptz NOT NULL,
    PRIMARY KEY (event_id, consumer)
);
CREATE INDEX inbox_age ON inbox (at);

-- What a consumer has yet to do outside of the database. A task that is `taken_by` a node is due again
-- when that node has had its time, or at once when it is no member any more.
CREATE TABLE consumer_task (
    consumer        text COLLATE "C" NOT NULL,
    event_id        uuid NOT NULL,
    subject         uuid NOT NULL,
    sequence        bigint NOT NULL,
    event           jsonb NOT NULL CHECK (jsonb_typeof(event) = 'object'),
    attempts        integer NOT NULL CHECK (attempts >= 0),
    due_at          timestamptz NOT NULL,
    taken_by        uuid,
    error           text,
    first_failed_at timestamptz,
    last_failed_at  timestamptz,
    PRIMARY KEY (event_id, consumer),
    CONSTRAINT a_failure_has_its_times CHECK (
        (error IS NULL) = (first_failed_at IS NULL) AND (error IS NULL) = (last_failed_at IS NULL))
) WITH (fillfactor = 70);
CREATE INDEX consumer_task_due ON consumer_task (due_at);
CREATE INDEX consumer_task_of_subject ON consumer_task (subject, consumer, sequence);
CREATE INDEX consumer_task_taken ON consumer_task (taken_by) WHERE taken_by IS NOT NULL;

-- Events with which a consumer could do nothing. They stay until an operator has decided.
CREATE TABLE dead_letter (
    consumer        text COLLATE "C" NOT NULL,
    event_id        uuid NOT NULL,
    subject         uuid NOT NULL,
    sequence        bigint NOT NULL,
    event           jsonb NOT NULL CHECK (jsonb_typeof(event) = 'object'),
    error           text NOT NULL,
    attempts        integer NOT NULL CHECK (attempts >= 0),
    first_failed_at timestamptz NOT NULL,
    last_failed_at  timestamptz NOT NULL CHECK (last_failed_at >= first_failed_at),
    PRIMARY KEY (event_id, consumer)
);

-- Products that were running out, or had run out. Kept for ninety days.
CREATE TABLE stock_alert (
    event_id   uuid PRIMARY KEY,
    product_id uuid NOT NULL,
    kind       text COLLATE "C" NOT NULL CHECK (kind IN ('stock.low', 'stock.depleted')),
    on_hand    bigint NOT NULL CHECK (on_hand >= 0),
    available  bigint NOT NULL CHECK (available BETWEEN 0 AND on_hand),
    at         timestamptz NOT NULL
);
CREATE INDEX stock_alert_of_product ON stock_alert (product_id, event_id);
CREATE INDEX stock_alert_age ON stock_alert (at);

CREATE FUNCTION stock_alert_record(p_event uuid, p_product uuid, p_kind text, p_on_hand bigint,
    p_available bigint, p_at timestamptz) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO stock_alert (event_id, product_id, kind, on_hand, available, at)
    VALUES (p_event, p_product, p_kind, p_on_hand, p_available, p_at)
    ON CONFLICT DO NOTHING
$$;

-- Takes an event into a consumer's inbox, with all that it leads to: an alert if there is one in
-- `p_alert`, and then a task, a dead letter if `p_refusal` says why it leads to nothing, or no more.
-- Returns whether the event was news.
CREATE FUNCTION consumer_accept(p_consumer text, p_event_id uuid, p_subject uuid, p_sequence bigint,
    p_event jsonb, p_alert jsonb, p_has_task boolean, p_refusal text) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    v_now timestamptz := clock_timestamp();
BEGIN
    INSERT INTO inbox (consumer, event_id, at) VALUES (p_consumer, p_event_id, v_now)
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    IF p_alert IS NOT NULL THEN
        PERFORM stock_alert_record(p_event_id, alert.product_id, alert.kind, alert.on_hand,
            alert.available, alert.at)
        FROM jsonb_to_record(p_alert) AS alert (product_id uuid, kind text, on_hand bigint,
            available bigint, at timestamptz);
    END IF;
    IF p_refusal IS NOT NULL THEN
        INSERT INTO dead_letter (consumer, event_id, subject, sequence, event, error, attempts,
            first_failed_at, last_failed_at)
        VALUES (p_consumer, p_event_id, p_subject, p_sequence, p_event, left(p_refusal, 1000), 1,
            v_now, v_now)
        ON CONFLICT DO NOTHING;
    ELSIF p_has_task THEN
        INSERT INTO consumer_task (consumer, event_id, subject, sequence, event, attempts, due_at)
        VALUES (p_consumer, p_event_id, p_subject, p_sequence, p_event, 0, v_now)
        ON CONFLICT DO NOTHING;
    END IF;
    RETURN true;
END $$;

-- Takes events in together, all or none. Returns which of them were news, in the order of the batch. Goes
-- through them in the order of their ids, so that two nodes that are told the same never wait for each
-- other's rows.
CREATE FUNCTION consumer_accept_all(p_batch jsonb) RETURNS boolean[]
LANGUAGE plpgsql AS $$
DECLARE
    v_news boolean[] := array_fill(false, ARRAY[jsonb_array_length(p_batch)]);
    v_one record;
BEGIN
    FOR v_one IN
        SELECT item.n, one.*
        FROM jsonb_array_elements(p_batch) WITH ORDINALITY AS item (value, n),
            jsonb_to_record(item.value) AS one (consumer text, event_id uuid, subject uuid,
                sequence bigint, event jsonb, alert jsonb, has_task boolean, refusal text)
        ORDER BY one.event_id, one.consumer
    LOOP
        v_news[v_one.n] := consumer_accept(v_one.consumer, v_one.event_id, v_one.subject,
            v_one.sequence, v_one.event, v_one.alert, v_one.has_task, v_one.refusal);
    END LOOP;
    RETURN v_news;
END $$;

-- Takes tasks that are due, of these consumers, for an active node and for `p_hold_ms`. Of what
-- happened to one thing, only the first is ever taken: the rest waits until that is done or dead.
CREATE FUNCTION consumer_tasks_take(p_node uuid, p_consumers text[], p_hold_ms bigint, p_limit bigint)
RETURNS TABLE (consumer text, event_id uuid, event text, attempts integer)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_now timestamptz := clock_timestamp();
BEGIN
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
CREATE FUNCTION consumer_task_done(p_consumer text, p_event_id uuid) RETURNS void
LANGUAGE sql AS $$
    DELETE FROM consumer_task WHERE consumer = p_consumer AND event_id = p_event_id
$$;

-- Puts a task off after this attempt. Returns whether it was still that node's to put off.
CREATE FUNCTION consumer_task_failed(p_consumer text, p_event_id uuid, p_node uuid, p_attempt integer,
    p_error text, p_pause_ms bigint) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    v_now timestamptz := clock_timestamp();
BEGIN
    UPDATE consumer_task
    SET taken_by = NULL, due_at = v_now + p_pause_ms * interval '1 millisecond', error = left(p_error, 1000),
        first_failed_at = coalesce(first_failed_at, v_now), last_failed_at = v_now
    WHERE consumer = p_consumer AND event_id = p_event_id AND taken_by = p_node AND attempts = p_attempt;
    RETURN FOUND;
END $$;

-- Gives a task up after this attempt. Returns whether it was still that node's to give up.
CREATE FUNCTION consumer_task_dead(p_consumer text, p_event_id uuid, p_node uuid, p_attempt integer,
    p_error text) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    v_now timestamptz := clock_timestamp();
    v_task consumer_task;
BEGIN
    DELETE FROM consumer_task
    WHERE consumer = p_consumer AND event_id = p_event_id AND taken_by = p_node AND attempts = p_attempt
    RETURNING * INTO v_task;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO dead_letter (consumer, event_id, subject, sequence, event, error, attempts,
        first_failed_at, last_failed_at)
    VALUES (v_task.consumer, v_task.event_id, v_task.subject, v_task.sequence, v_task.event,
        left(p_error, 1000), v_task.attempts, coalesce(v_task.first_failed_at, v_now), v_now)
    ON CONFLICT DO NOTHING;
    RETURN true;
END $$;

-- Makes tasks of up to `p_limit` dead letters again: of one event or of all, of one consumer or of all,
-- as far as they died before `p_before`. Returns how many.
CREATE FUNCTION dead_letters_retry(p_consumer text, p_event_id uuid, p_before timestamptz, p_limit bigint)
RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    v_letter dead_letter;
    v_count bigint := 0;
BEGIN
    FOR v_letter IN
        DELETE FROM dead_letter WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM dead_letter
            WHERE (p_consumer IS NULL OR consumer = p_consumer)
              AND (p_event_id IS NULL OR event_id = p_event_id) AND last_failed_at < p_before
            ORDER BY event_id LIMIT p_limit FOR UPDATE SKIP LOCKED))
        RETURNING *
    LOOP
        INSERT INTO consumer_task (consumer, event_id, subject, sequence, event, attempts, due_at)
        VALUES (v_letter.consumer, v_letter.event_id, v_letter.subject, v_letter.sequence,
            v_letter.event, 0, clock_timestamp())
        ON CONFLICT DO NOTHING;
        v_count := v_count + 1;
    END LOOP;
    RETURN v_count;
END $$;

-- Deletes up to `p_limit` dead letters, chosen alike. Returns how many.
CREATE FUNCTION dead_letters_drop(p_consumer text, p_event_id uuid, p_before timestamptz, p_limit bigint)
RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    v_count bigint;
BEGIN
    DELETE FROM dead_letter WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM dead_letter
        WHERE (p_consumer IS NULL OR consumer = p_consumer)
          AND (p_event_id IS NULL OR event_id = p_event_id) AND last_failed_at < p_before
        ORDER BY event_id LIMIT p_limit FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS v_count = ROW_COUNT;
    RETURN v_count;
END $$;

-- An event that is told again more than a week after it was taken in is taken in once more. Who tells
-- events goes on where it stopped, so that takes a relay that lost a week.
CREATE FUNCTION inbox_purge(p_limit bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    v_count bigint;
BEGIN
    DELETE FROM inbox WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM inbox WHERE at < clock_timestamp() - interval '7 days'
        ORDER BY at LIMIT p_limit FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS v_count = ROW_COUNT;
    RETURN v_count;
END $$;

CREATE FUNCTION stock_alerts_purge(p_limit bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    v_count bigint;
BEGIN
    DELETE FROM stock_alert WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM stock_alert WHERE at < clock_timestamp() - interval '90 days'
        ORDER BY at LIMIT p_limit FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS v_count = ROW_COUNT;
    RETURN v_count;
END $$;
