-- Rounds: an order that is paid after it has expired asks for its units anew.
--
-- A reservation that has given everything back begins again in the next round, and whatever was told of
-- an earlier one no longer concerns it. An order's round is the one that it asks for.

-- In the order in which batches write them, so that the two never wait for each other. What stands is
-- looked through later: the next migration but one does that without keeping anybody from writing.
ALTER TABLE orders ADD COLUMN round integer NOT NULL DEFAULT 0,
    ADD CONSTRAINT orders_round_check CHECK (round >= 0) NOT VALID;
ALTER TABLE reservation ADD COLUMN round integer NOT NULL DEFAULT 0,
    ADD CONSTRAINT reservation_round_check CHECK (round >= 0) NOT VALID;

-- Notes that an order's reservations have followed it, unless it has moved on meanwhile.
CREATE FUNCTION order_settled_rounds(p_node uuid, p_epoch bigint, p_order uuid, p_version bigint)
RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM fence_one(p_node, 'orders', p_order, p_epoch);
    UPDATE orders SET unsettled = false WHERE order_id = p_order AND version = p_version;
    RETURN FOUND;
END $$;

-- What the release before calls. It tells products of the first round alone: an order in a later one
-- stays unsettled, and waits for a home that knows how to bring it to its end.
CREATE OR REPLACE FUNCTION order_settled(p_node uuid, p_epoch bigint, p_order uuid, p_version bigint)
RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM fence_one(p_node, 'orders', p_order, p_epoch);
    UPDATE orders SET unsettled = false WHERE order_id = p_order AND version = p_version AND round = 0;
    RETURN FOUND;
END $$;

-- lane_commit with rounds. The older one is what the release before calls, and goes with it.
CREATE FUNCTION lane_commit_rounds(
    p_batch uuid, p_node uuid, p_lane smallint,

    p_lease_service text[], p_lease_shard smallint[], p_lease_epoch bigint[],

    p_stock_product uuid[], p_stock_expected bigint[], p_stock_on_hand bigint[], p_stock_reserved bigint[],
    p_stock_version bigint[],

    p_movement_product uuid[], p_movement_version bigint[], p_movement_id uuid[], p_movement_kind text[],
    p_movement_delta_on_hand bigint[], p_movement_delta_reserved bigint[], p_movement_on_hand bigint[],
    p_movement_reserved bigint[], p_movement_order uuid[], p_movement_reason text[], p_movement_note text[],
    p_movement_actor uuid[], p_movement_at timestamptz[],

    p_reservation_order uuid[], p_reservation_product uuid[], p_reservation_seller uuid[],
    p_reservation_quantity bigint[], p_reservation_round bigint[], p_reservation_shipped bigint[],
    p_reservation_released bigint[], p_reservation_is_new boolean[], p_reservation_round_before bigint[],
    p_reservation_shipped_before bigint[], p_reservation_released_before bigint[],

    p_order_id uuid[], p_order_expected text[], p_order_expected_version bigint[], p_order_customer uuid[],
    p_order_key text[], p_order_fingerprint bytea[], p_order_state text[], p_order_lines text[],
    p_order_total_minor bigint[], p_order_currency text[], p_order_shipping_address text[],
    p_order_note text[], p_order_payment text[], p_order_refusal text[], p_order_expires_at timestamptz[],
    p_order_place_deadline timestamptz[], p_order_unsettled boolean[], p_order_round bigint[],
    p_order_created_at timestamptz[], p_order_updated_at timestamptz[], p_order_version bigint[],

    p_event_aggregate text[], p_event_subject uuid[], p_event_sequence bigint[], p_event_kind text[],
    p_event_id uuid[], p_event_at timestamptz[], p_event_actor uuid[], p_event_data text[],
    p_event_epoch bigint[], p_event_trace text[],

    p_operation_principal uuid[], p_operation_route text[], p_operation_key text[],
    p_operation_fingerprint bytea[], p_operation_outcome text[], p_operation_at timestamptz[]
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
                                p_stock_product || p_movement_product || p_reservation_product);
    PERFORM lane_expect_covered(p_node, 'orders', p_lease_service, p_lease_shard, p_order_id);
    v_self := pg_current_xact_id()::xid;

    -- Keys. These may wait for another node that is using the same one: so they come before any lock
    -- that others wait for, and in order.
    INSERT INTO operation (principal, route, key, fingerprint, outcome, at)
    SELECT w.principal, w.route, w.key, w.fingerprint, w.outcome::jsonb, w.at
    FROM unnest(p_operation_principal, p_operation_route, p_operation_key, p_operation_fingerprint,
                p_operation_outcome, p_operation_at)
        AS w (principal, route, key, fingerprint, outcome, at)
    ORDER BY w.principal, w.route, w.key
    ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS v_count = ROW_COUNT;
    IF v_count <> cardinality(p_operation_key) THEN
        SELECT jsonb_agg(jsonb_build_object('what', 'operation', 'principal', o.principal,
                                            'route', o.route, 'key', o.key))
        INTO v_found
        FROM unnest(p_operation_principal, p_operation_route, p_operation_key) AS w (principal, route, key)
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
    FROM unnest(
            p_order_id, p_order_expected, p_order_customer, p_order_key, p_order_fingerprint, p_order_state,
            p_order_lines, p_order_total_minor, p_order_currency, p_order_shipping_address, p_order_note,
            p_order_payment, p_order_refusal, p_order_expires_at, p_order_place_deadline,
            p_order_unsettled, p_order_round, p_order_created_at, p_order_updated_at, p_order_version)
        AS w (
            order_id, expected, customer_id, operation_key, fingerprint, state, lines, total_minor,
            currency, shipping_address, note, payment, refusal, expires_at, place_deadline, unsettled,
            round, created_at, updated_at, version)
    WHERE w.expected = 'absent'
    ORDER BY w.customer_id, w.operation_key
    ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS v_count = ROW_COUNT;
    v_wanted := cardinality(array_positions(p_order_expected, 'absent'));
    IF v_count <> v_wanted THEN
        SELECT jsonb_agg(jsonb_build_object('what', 'order', 'order_id', w.order_id,
                                            'existing', coalesce(k.order_id, o.order_id)))
        INTO v_found
        FROM unnest(p_order_id, p_order_expected, p_order_customer, p_order_key)
            AS w (order_id, expected, customer_id, operation_key)
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
    FROM unnest(p_stock_product, p_stock_expected, p_stock_on_hand, p_stock_reserved, p_stock_version)
        AS w (product_id, expected, on_hand, reserved, version)
    WHERE stock.product_id = w.product_id AND stock.version = w.expected;
    GET DIAGNOSTICS v_count = ROW_COUNT;
    IF v_count <> cardinality(p_stock_product) THEN
        SELECT jsonb_agg(jsonb_build_object('what', 'stock', 'product_id', w.product_id,
                                            'version', s.version))
        INTO v_found
        FROM unnest(p_stock_product) AS w (product_id)
        LEFT JOIN stock s ON s.product_id = w.product_id
        WHERE s.xmin IS DISTINCT FROM v_self;
        v_stale := v_stale || lane_offenders(v_found);
    END IF;

    -- Reservations.
    INSERT INTO reservation (order_id, product_id, seller_id, quantity, round, shipped, released)
    SELECT w.order_id, w.product_id, w.seller_id, w.quantity, w.round, w.shipped, w.released
    FROM unnest(p_reservation_order, p_reservation_product, p_reservation_seller, p_reservation_quantity,
                p_reservation_round, p_reservation_shipped, p_reservation_released, p_reservation_is_new)
        AS w (order_id, product_id, seller_id, quantity, round, shipped, released, is_new)
    WHERE w.is_new
    ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS v_count = ROW_COUNT;
    v_wanted := v_count;
    UPDATE reservation SET round = w.round, shipped = w.shipped, released = w.released
    FROM unnest(p_reservation_order, p_reservation_product, p_reservation_round, p_reservation_shipped,
                p_reservation_released, p_reservation_is_new, p_reservation_round_before,
                p_reservation_shipped_before, p_reservation_released_before)
        AS w (order_id, product_id, round, shipped, released, is_new, round_before, shipped_before,
              released_before)
    WHERE NOT w.is_new
      AND reservation.order_id = w.order_id AND reservation.product_id = w.product_id
      AND reservation.round = w.round_before
      AND reservation.shipped = w.shipped_before AND reservation.released = w.released_before;
    GET DIAGNOSTICS v_count = ROW_COUNT;
    IF v_count + v_wanted <> cardinality(p_reservation_order) THEN
        SELECT jsonb_agg(jsonb_build_object('what', 'reservation', 'product_id', w.product_id,
                                            'order_id', w.order_id))
        INTO v_found
        FROM unnest(p_reservation_order, p_reservation_product) AS w (order_id, product_id)
        LEFT JOIN reservation r ON r.order_id = w.order_id AND r.product_id = w.product_id
        WHERE r.xmin IS DISTINCT FROM v_self;
        v_stale := v_stale || lane_offenders(v_found);
    END IF;

    -- Orders that were there.
    v_wanted := cardinality(p_order_id) - cardinality(array_positions(p_order_expected, 'absent'));
    IF v_wanted > 0 THEN
        UPDATE orders
        SET state = w.state, lines = w.lines::jsonb, total_minor = w.total_minor, currency = w.currency,
            shipping_address = w.shipping_address::jsonb, note = w.note, payment = w.payment::jsonb,
            refusal = w.refusal::jsonb, expires_at = w.expires_at, place_deadline = w.place_deadline,
            unsettled = w.unsettled, round = w.round, created_at = w.created_at,
            updated_at = w.updated_at, version = w.version
        FROM unnest(
                p_order_id, p_order_expected, p_order_expected_version, p_order_state, p_order_lines,
                p_order_total_minor, p_order_currency, p_order_shipping_address, p_order_note,
                p_order_payment, p_order_refusal, p_order_expires_at, p_order_place_deadline,
                p_order_unsettled, p_order_round, p_order_created_at, p_order_updated_at, p_order_version)
            AS w (
                order_id, expected, expected_version, state, lines, total_minor, currency,
                shipping_address, note, payment, refusal, expires_at, place_deadline, unsettled,
                round, created_at, updated_at, version)
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
            FROM unnest(p_order_id, p_order_expected) AS w (order_id, expected)
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
    SELECT *
    FROM unnest(
        p_movement_product, p_movement_version, p_movement_id, p_movement_kind, p_movement_delta_on_hand,
        p_movement_delta_reserved, p_movement_on_hand, p_movement_reserved, p_movement_order,
        p_movement_reason, p_movement_note, p_movement_actor, p_movement_at);

    INSERT INTO event
        (aggregate, subject, sequence, kind, event_id, at, actor_id, data, node, epoch, trace_id)
    SELECT w.aggregate, w.subject, w.sequence, w.kind, w.event_id, w.at, w.actor_id, w.data::jsonb, v_node,
           w.epoch, w.trace_id
    FROM unnest(p_event_aggregate, p_event_subject, p_event_sequence, p_event_kind, p_event_id, p_event_at,
                p_event_actor, p_event_data, p_event_epoch, p_event_trace)
        AS w (aggregate, subject, sequence, kind, event_id, at, actor_id, data, epoch, trace_id);

    RETURN 'now';
END $$;
