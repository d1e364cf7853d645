-- The lane's batch as rows: one array for each table, instead of one for each column. Postgres puts what a
-- function returns into a store of its own, and did so for every column of every batch.
--
-- A type here is what releases agree on, as a function is: one that has to change gets a successor under
-- a new name.

CREATE TYPE lane_stock AS (
    product_id uuid, expected bigint, on_hand bigint, reserved bigint, version bigint);

CREATE TYPE lane_movement AS (
    product_id uuid, version bigint, movement_id uuid, kind text, delta_on_hand bigint,
    delta_reserved bigint, on_hand bigint, reserved bigint, order_id uuid, reason text, note text,
    actor_id uuid, at timestamptz);

CREATE TYPE lane_reservation AS (
    order_id uuid, product_id uuid, seller_id uuid, quantity bigint, round bigint, shipped bigint,
    released bigint, is_new boolean, round_before bigint, shipped_before bigint, released_before bigint);

CREATE TYPE lane_order AS (
    order_id uuid, expected text, expected_version bigint, customer_id uuid, operation_key text,
    fingerprint bytea, state text, lines text, total_minor bigint, currency text, shipping_address text,
    note text, payment text, refusal text, expires_at timestamptz, place_deadline timestamptz,
    unsettled boolean, round bigint, created_at timestamptz, updated_at timestamptz, version bigint);

CREATE TYPE lane_event AS (
    aggregate text, subject uuid, sequence bigint, kind text, event_id uuid, at timestamptz, actor_id uuid,
    data text, epoch bigint, trace_id text);

CREATE TYPE lane_operation AS (
    principal uuid, route text, key text, fingerprint bytea, outcome text, at timestamptz);

-- lane_commit_rounds by rows. The older one is what the release before calls, and goes with it.
CREATE FUNCTION lane_commit_rows(
    p_batch uuid, p_node uuid, p_lane smallint,
    p_lease_service text[], p_lease_shard smallint[], p_lease_epoch bigint[],
    p_stock lane_stock[], p_movements lane_movement[], p_reservations lane_reservation[],
    p_orders lane_order[], p_events lane_event[], p_operations lane_operation[]
) RETURNS text
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
DECLARE
    v_node text;
    v_self xid;
    v_count bigint;
    v_wanted bigint;
    v_absent bigint;
    v_found jsonb;
    v_duplicates jsonb := '[]';
    v_stale jsonb := '[]';
BEGIN
    -- The lane's row is locked first: if this very batch is still being committed by a connection that
    -- its sender has lost, the insert waits for it.
    INSERT INTO lane (node_id, lane, last_batch)
    SELECT node_id, p_lane, p_batch FROM node WHERE node_id = p_node
    ON CONFLICT (node_id, lane) DO UPDATE SET last_batch = excluded.last_batch
        WHERE lane.last_batch <> excluded.last_batch;
    IF NOT FOUND THEN
        PERFORM 1 FROM lane WHERE node_id = p_node AND lane = p_lane AND last_batch = p_batch;
        IF FOUND THEN
            RETURN 'already';
        END IF;
    END IF;

    v_node := fence(p_node, p_lease_service, p_lease_shard, p_lease_epoch);
    PERFORM lane_expect_covered(p_node, 'products', p_lease_service, p_lease_shard,
                                ARRAY(SELECT product_id FROM unnest(p_stock)
                                      UNION SELECT product_id FROM unnest(p_movements)
                                      UNION SELECT product_id FROM unnest(p_reservations)));
    PERFORM lane_expect_covered(p_node, 'orders', p_lease_service, p_lease_shard,
                                ARRAY(SELECT order_id FROM unnest(p_orders)));
    v_self := pg_current_xact_id()::xid;

    -- Keys. These may wait for another node that is using the same one: so they come before any lock
    -- that others wait for, and in order.
    INSERT INTO operation (principal, route, key, fingerprint, outcome, at)
    SELECT w.principal, w.route, w.key, w.fingerprint, w.outcome::jsonb, w.at
    FROM unnest(p_operations) AS w
    ORDER BY w.principal, w.route, w.key
    ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS v_count = ROW_COUNT;
    IF v_count <> cardinality(p_operations) THEN
        SELECT jsonb_agg(jsonb_build_object('what', 'operation', 'principal', o.principal,
                                            'route', o.route, 'key', o.key))
        INTO v_found
        FROM unnest(p_operations) AS w
        JOIN operation o ON (o.principal, o.route, o.key) = (w.principal, w.route, w.key)
        WHERE o.xmin <> v_self;
        v_duplicates := v_duplicates || lane_offenders(v_found);
    END IF;

    INSERT INTO orders
        (order_id, customer_id, operation_key, fingerprint, state, lines, total_minor, currency,
         shipping_address, note, payment, refusal, expires_at, place_deadline, unsettled, round, created_at,
         updated_at, version)
    SELECT
        w.order_id, w.customer_id, w.operation_key, w.fingerprint, w.state, w.lines::jsonb, w.total_minor,
        w.currency, w.shipping_address::jsonb, w.note, w.payment::jsonb, w.refusal::jsonb, w.expires_at,
        w.place_deadline, w.unsettled, w.round, w.created_at, w.updated_at, w.version
    FROM unnest(p_orders) AS w
    WHERE w.expected = 'absent'
    ORDER BY w.customer_id, w.operation_key
    ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS v_count = ROW_COUNT;
    v_absent := (SELECT count(*) FROM unnest(p_orders) WHERE expected = 'absent');
    IF v_count <> v_absent THEN
        SELECT jsonb_agg(jsonb_build_object('what', 'order', 'order_id', w.order_id,
                                            'existing', coalesce(k.order_id, o.order_id)))
        INTO v_found
        FROM unnest(p_orders) AS w
        LEFT JOIN orders k ON k.customer_id = w.customer_id AND k.operation_key = w.operation_key
        LEFT JOIN orders o ON o.order_id = w.order_id
        WHERE w.expected = 'absent'
          AND (k.order_id <> w.order_id OR k.xmin <> v_self OR o.xmin <> v_self);
        v_duplicates := v_duplicates || lane_offenders(v_found);
    END IF;
    IF v_duplicates <> '[]' THEN
        RAISE EXCEPTION 'keys were used before' USING ERRCODE = 'HF003', DETAIL = v_duplicates::text;
    END IF;

    -- Counters, and the ledger that explains them.
    UPDATE stock SET on_hand = w.on_hand, reserved = w.reserved, version = w.version
    FROM unnest(p_stock) AS w
    WHERE stock.product_id = w.product_id AND stock.version = w.expected;
    GET DIAGNOSTICS v_count = ROW_COUNT;
    IF v_count <> cardinality(p_stock) THEN
        SELECT jsonb_agg(jsonb_build_object('what', 'stock', 'product_id', w.product_id,
                                            'version', s.version))
        INTO v_found
        FROM unnest(p_stock) AS w
        LEFT JOIN stock s ON s.product_id = w.product_id
        WHERE s.xmin IS DISTINCT FROM v_self;
        v_stale := v_stale || lane_offenders(v_found);
    END IF;

    -- Reservations.
    INSERT INTO reservation (order_id, product_id, seller_id, quantity, round, shipped, released)
    SELECT w.order_id, w.product_id, w.seller_id, w.quantity, w.round, w.shipped, w.released
    FROM unnest(p_reservations) AS w
    WHERE w.is_new
    ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS v_count = ROW_COUNT;
    v_wanted := v_count;
    UPDATE reservation SET round = w.round, shipped = w.shipped, released = w.released
    FROM unnest(p_reservations) AS w
    WHERE NOT w.is_new
      AND reservation.order_id = w.order_id AND reservation.product_id = w.product_id
      AND reservation.round = w.round_before
      AND reservation.shipped = w.shipped_before AND reservation.released = w.released_before;
    GET DIAGNOSTICS v_count = ROW_COUNT;
    IF v_count + v_wanted <> cardinality(p_reservations) THEN
        SELECT jsonb_agg(jsonb_build_object('what', 'reservation', 'product_id', w.product_id,
                                            'order_id', w.order_id))
        INTO v_found
        FROM unnest(p_reservations) AS w
        LEFT JOIN reservation r ON r.order_id = w.order_id AND r.product_id = w.product_id
        WHERE r.xmin IS DISTINCT FROM v_self;
        v_stale := v_stale || lane_offenders(v_found);
    END IF;

    -- Orders that were there.
    v_wanted := cardinality(p_orders) - v_absent;
    IF v_wanted > 0 THEN
        UPDATE orders
        SET state = w.state, lines = w.lines::jsonb, total_minor = w.total_minor, currency = w.currency,
            shipping_address = w.shipping_address::jsonb, note = w.note, payment = w.payment::jsonb,
            refusal = w.refusal::jsonb, expires_at = w.expires_at, place_deadline = w.place_deadline,
            unsettled = w.unsettled, round = w.round, created_at = w.created_at,
            updated_at = w.updated_at, version = w.version
        FROM unnest(p_orders) AS w
        WHERE orders.order_id = w.order_id
          AND CASE w.expected
                  WHEN 'placing' THEN orders.state = 'placing'
                  WHEN 'placed' THEN orders.state NOT IN ('placing', 'refused')
                                     AND orders.version = w.expected_version
                  ELSE false
              END;
        GET DIAGNOSTICS v_count = ROW_COUNT;
        IF v_count <> v_wanted THEN
            SELECT jsonb_agg(jsonb_build_object('what', 'order', 'order_id', w.order_id,
                                                'version', o.version))
            INTO v_found
            FROM unnest(p_orders) AS w
            LEFT JOIN orders o ON o.order_id = w.order_id
            WHERE w.expected <> 'absent' AND o.xmin IS DISTINCT FROM v_self;
            v_stale := v_stale || lane_offenders(v_found);
        END IF;
    END IF;
    IF v_stale <> '[]' THEN
        PERFORM raise_stale(v_stale);
    END IF;

    -- What explains and tells the rest comes last: it cannot conflict once the versions were right.
    INSERT INTO stock_movement
        (product_id, version, movement_id, kind, delta_on_hand, delta_reserved, on_hand, reserved,
         order_id, reason, note, actor_id, at)
    SELECT w.product_id, w.version, w.movement_id, w.kind, w.delta_on_hand, w.delta_reserved, w.on_hand,
           w.reserved, w.order_id, w.reason, w.note, w.actor_id, w.at
    FROM unnest(p_movements) AS w;

    INSERT INTO event
        (aggregate, subject, sequence, kind, event_id, at, actor_id, data, node, epoch, trace_id)
    SELECT w.aggregate, w.subject, w.sequence, w.kind, w.event_id, w.at, w.actor_id, w.data::jsonb, v_node,
           w.epoch, w.trace_id
    FROM unnest(p_events) AS w;

    RETURN 'now';
END $$;

-- No release that runs beside this one calls it.
DROP FUNCTION lane_commit;
