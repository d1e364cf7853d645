//! The audit must find what constraints and functions would never let happen.

use sqlx::Executor;

use crate::{
    draft::Draft,
    shop::{Shop, session_of},
};

/// Takes every constraint away, as a careless migration might.
const WEAKEN: &str = "
    DO $$
    DECLARE item record;
    BEGIN
        FOR item IN
            SELECT conrelid::regclass AS relation, conname FROM pg_constraint
            WHERE connamespace = 'public'::regnamespace AND contype IN ('c', 'f', 'u') AND conrelid <> 0
        LOOP
            EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', item.relation, item.conname);
        END LOOP;
        FOR item IN
            SELECT conrelid::regclass AS relation, conname FROM pg_constraint
            WHERE connamespace = 'public'::regnamespace AND contype = 'p'
        LOOP
            EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', item.relation, item.conname);
        END LOOP;
    END $$";

/// An invariant, and a statement that breaks it in a shop with three orders of mugs and cups.
const BREACHES: &[(&str, &str)] = &[
    ("counters", "UPDATE stock SET on_hand = on_hand + 1"),
    ("counters", "UPDATE stock SET version = version + 1"),
    ("counters", "UPDATE stock SET initial = initial + 1"),
    ("counters", "DELETE FROM stock_movement WHERE kind = 'initial'"),
    ("ledger", "DELETE FROM stock_movement WHERE version = 2"),
    (
        "ledger",
        "UPDATE stock_movement SET on_hand = on_hand - 1 WHERE version = 2",
    ),
    (
        "ledger",
        "INSERT INTO stock_movement SELECT * FROM stock_movement WHERE version = 2",
    ),
    ("oversold", "UPDATE stock SET reserved = on_hand + 1"),
    ("oversold", "UPDATE stock SET reserved = -1"),
    (
        "oversold",
        "UPDATE stock_movement SET reserved = on_hand + 1 WHERE version = 2",
    ),
    ("reserved", "UPDATE stock SET reserved = reserved - 1"),
    ("reserved", "DELETE FROM stock"),
    ("reservations", "UPDATE reservation SET quantity = quantity + 1"),
    (
        "reservations",
        "DELETE FROM stock_movement WHERE kind = 'reserve'",
    ),
    ("reservations", "DELETE FROM reservation"),
    ("orphans", "DELETE FROM orders"),
    ("orphans", "DELETE FROM app_user WHERE role = 'customer'"),
    ("orphans", "DELETE FROM app_user WHERE role = 'seller'"),
    ("orphans", "DELETE FROM stock"),
    ("orphans", "UPDATE reservation SET seller_id = order_id"),
    ("keys", "UPDATE orders SET operation_key = 'the-very-key'"),
    ("keys", "INSERT INTO orders SELECT * FROM orders LIMIT 1"),
    (
        "lines",
        "DELETE FROM reservation WHERE order_id = (SELECT min(order_id::text)::uuid FROM orders)",
    ),
    ("lines", "UPDATE reservation SET quantity = quantity - 1"),
    ("lines", "UPDATE orders SET lines = lines - 0"),
    (
        "lines",
        "UPDATE orders SET state = 'refused', refusal = '\"NotFound\"', expires_at = NULL",
    ),
    ("progress", "UPDATE reservation SET shipped = 1"),
    ("progress", "UPDATE reservation SET released = 1"),
    ("progress", "UPDATE reservation SET round = 1"),
    (
        "reservations",
        "UPDATE orders SET round = 1; UPDATE reservation SET round = 1, released = quantity",
    ),
    (
        "progress",
        "UPDATE orders SET state = 'cancelled', expires_at = NULL",
    ),
    ("statuses", "UPDATE orders SET state = 'fulfilled'"),
    ("statuses", "UPDATE orders SET state = 'confirmed'"),
    ("statuses", "UPDATE orders SET total_minor = total_minor + 1"),
    (
        "statuses",
        "UPDATE orders SET payment = '{\"captured\": 1, \"refunded\": 0}'",
    ),
    (
        "statuses",
        "UPDATE orders SET lines = jsonb_set(lines, '{0,fulfilled}', '99')",
    ),
    ("transitions", "UPDATE orders SET state = 'expired'"),
    ("transitions", "UPDATE orders SET state = 'confirmed'"),
    (
        "transitions",
        "UPDATE event SET kind = 'order.fulfilled' WHERE aggregate = 'order'",
    ),
    ("transitions", "DELETE FROM event WHERE aggregate = 'order'"),
    (
        "transitions",
        "UPDATE orders SET state = 'placing', place_deadline = now(), expires_at = NULL",
    ),
    ("events", "DELETE FROM event WHERE kind = 'order.placed'"),
    ("events", "DELETE FROM event WHERE kind = 'product.created'"),
    ("events", "UPDATE event SET sequence = 2 WHERE aggregate = 'user'"),
    ("events", "UPDATE orders SET version = version + 1"),
    (
        "events",
        "UPDATE event SET subject = event_id WHERE aggregate = 'order'",
    ),
    ("feed", "UPDATE event SET xid = '9000000000000000000'"),
    ("feed", "UPDATE relay_position SET xid = '9000000000000000000'"),
    ("epochs", "UPDATE event SET epoch = 2 WHERE aggregate = 'order'"),
    (
        "epochs",
        "INSERT INTO event SELECT aggregate, subject, 2, kind, event_id, at, actor_id, data, node, 0,
                trace_id FROM event WHERE aggregate = 'product'",
    ),
    (
        "epochs",
        // Of another order of the same shard, earlier.
        "UPDATE shard SET epoch = 2;
         INSERT INTO event SELECT aggregate, overlay(subject::text placing 'ff' from 1)::uuid, 1, kind,
                event_id, at, actor_id, data, node, 2, trace_id, (xid::text::numeric - 1)::text::xid8
         FROM event WHERE aggregate = 'order'",
    ),
    (
        "shards",
        "UPDATE orders SET order_id = overlay(order_id::text placing 'ee' from 35)::uuid",
    ),
    ("sessions", "UPDATE app_user SET disabled = true"),
];

/// A shop with orders of one and of two lines.
async fn busy_shop() -> Shop {
    let shop = Shop::open().await;
    let (mug, cup) = (shop.product("MUG", 50).await, shop.product("CUP", 50).await);
    let mut draft = Draft::new(&shop);
    draft.place("order-001", &[(mug.id, 2)]).await;
    draft.place("order-002", &[(mug.id, 2), (cup.id, 3)]).await;
    draft.place("order-003", &[(cup.id, 2)]).await;
    shop.store.lane_commit(&draft.batch).await.expect("commits");
    let lease = shop.lease(holdfast_store::Service::Sessions, shop.buyer.id.shard());
    shop.store
        .session_create(lease, &session_of(&shop.buyer))
        .await
        .expect("signs in");
    shop
}

#[tokio::test]
async fn a_sound_shop_has_no_breach_and_every_figure_is_told() {
    let shop = busy_shop().await;
    for finding in shop.store.audit().await.expect("audits") {
        assert_eq!(finding.breaches, 0, "{finding:?}");
        assert!(
            finding.figure.starts_with(|c: char| c.is_ascii_digit()),
            "{finding:?}"
        );
    }
    shop.close().await;
}

#[tokio::test]
async fn every_planted_breach_is_found() {
    let shop = busy_shop().await;
    shop.execute(WEAKEN).await;
    let sound = shop.store.audit().await.expect("audits");
    assert!(
        sound.iter().all(|finding| finding.breaches == 0),
        "weakening alone breaks nothing"
    );
    shop.store.close().await;
    for (invariant, sql) in BREACHES {
        let database = shop.database.copy().await;
        let mut connection = database.connection().await;
        connection
            .execute(*sql)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
        let store = database.store().await;
        let findings = store.audit().await.expect("audits");
        let found = findings.iter().find(|finding| finding.invariant == *invariant);
        assert!(
            found.expect("a check of that name").breaches > 0,
            "{invariant} misses {sql}"
        );
        store.close().await;
    }
    let untried: Vec<_> = sound
        .iter()
        .filter(|finding| {
            BREACHES
                .iter()
                .all(|(invariant, _)| *invariant != finding.invariant)
        })
        .collect();
    assert!(untried.is_empty(), "{untried:?}");
}
