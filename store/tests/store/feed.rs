//! The feed of events, and how far shards have been told.

use std::collections::HashMap;

use holdfast_domain::{ShardId, event::Audience};
use holdfast_store::{
    EventPosition, FeedEvent, FeedLimit, RELAY_LAG_MAX, RelayEvent, RelayLag, RelayPosition, Service,
    StoreError,
};
use sqlx::Connection;
use uuid::Uuid;

use crate::{
    draft::Draft,
    shop::{Shop, all_shards, join},
};

const fn limit(events: u32, bytes: u32) -> FeedLimit {
    FeedLimit { events, bytes }
}

async fn read(shop: &Shop, after: EventPosition) -> Vec<FeedEvent> {
    let page = shop.store.events_after(after, limit(100, u32::MAX)).await;
    page.expect("reads").events
}

fn kinds(events: &[FeedEvent]) -> Vec<&'static str> {
    events
        .iter()
        .map(|event| event.record.event.kind.as_str())
        .collect()
}

async fn positions(shop: &Shop) -> Vec<RelayPosition> {
    let leases = shop.leases();
    shop.store.relay_positions(&leases).await.expect("reads")
}

#[tokio::test]
async fn the_feed_tells_what_happened_and_whom_it_concerns() {
    let shop = Shop::open().await;
    let mug = shop.product("MUG", 5).await;
    let mut draft = Draft::new(&shop);
    let order = draft.place("first-order", &[(mug.id, 1)]).await;
    shop.store.lane_commit(&draft.batch).await.expect("commits");
    let events = read(&shop, EventPosition::START).await;
    assert_eq!(
        kinds(&events),
        [
            "user.registered",
            "user.registered",
            "product.created",
            "order.placed"
        ]
    );
    assert_eq!(events[0].audience, Audience::Account(shop.seller.id));
    assert_eq!(events[2].audience, Audience::Seller(shop.seller.id));
    assert_eq!(events[3].record.event.subject, order.id.0);
    assert_eq!(
        events[3].audience,
        Audience::Order {
            customer_id: shop.buyer.id,
            lines: vec![(mug.id, shop.seller.id)],
        }
    );
    // Page by page it is the same, and nothing comes twice.
    let mut at = EventPosition::START;
    for event in &events {
        let page = shop
            .store
            .events_after(at, limit(1, u32::MAX))
            .await
            .expect("reads");
        assert!(page.is_cut);
        assert_eq!(page.events, std::slice::from_ref(event));
        at = page.events[0].position;
    }
    assert_eq!(read(&shop, at).await, []);
    assert!(at < shop.store.event_horizon().await.expect("reads"));
    shop.close().await;
}

#[tokio::test]
async fn a_page_of_the_feed_ends_when_it_is_large_enough() {
    const LARGE: usize = 40_000;
    let shop = Shop::open().await;
    let from = shop.store.event_horizon().await.expect("reads");
    let sql = format!(
        "INSERT INTO event (aggregate, subject, sequence, kind, event_id, at, data, node, epoch)
         SELECT 'user', user_id, 100 + n, 'user.registered', gen_random_uuid(), now(),
                jsonb_build_object('text', repeat('x', {LARGE})), 'n1', 0
         FROM generate_series(1, 5) AS n, (SELECT user_id FROM app_user LIMIT 1) AS u"
    );
    shop.execute(&sql).await;
    let page = async |after, bytes| {
        let page = shop.store.events_after(after, limit(100, bytes)).await;
        page.expect("reads")
    };
    let all = page(from, u32::MAX).await;
    assert_eq!((all.events.len(), all.is_cut), (5, false));
    // The second begins before there is enough, and is read whole.
    let first = page(from, 60_000).await;
    assert_eq!((&first.events[..], first.is_cut), (&all.events[..2], true));
    assert!(first.events.iter().all(|event| event.bytes() > LARGE));
    let alone = page(first.events[1].position, 1).await;
    assert_eq!((&alone.events[..], alone.is_cut), (&all.events[2..3], true));
    let rest = page(alone.events[0].position, 60_000).await;
    assert_eq!((&rest.events[..], rest.is_cut), (&all.events[3..], false));
    shop.execute("DELETE FROM event WHERE sequence > 100").await;
    shop.close().await;
}

#[tokio::test]
async fn an_event_whose_commit_took_long_is_not_missed() {
    let shop = Shop::open().await;
    let from = shop.store.event_horizon().await.expect("reads");
    let mut connection = shop.database.connection().await;
    let mut slow = connection.begin().await.expect("begins");
    sqlx::query("SELECT pg_current_xact_id()")
        .execute(&mut *slow)
        .await
        .expect("has an id");
    shop.product("MUG", 5).await;
    // A later one has been committed, but is not told before its turn.
    assert_eq!(read(&shop, from).await, []);
    sqlx::query(
        "INSERT INTO event (aggregate, subject, sequence, kind, event_id, at, data, node, epoch)
         SELECT 'user', user_id, 2, 'user.registered', gen_random_uuid(), now(), '{}', 'n1', 0
         FROM app_user LIMIT 1",
    )
    .execute(&mut *slow)
    .await
    .expect("writes");
    slow.commit().await.expect("commits");
    assert_eq!(
        kinds(&read(&shop, from).await),
        ["user.registered", "product.created"]
    );
    shop.execute("DELETE FROM event WHERE sequence = 2").await;
    shop.close().await;
}

#[tokio::test]
async fn a_shards_events_are_told_up_to_its_position_by_its_owner_only() {
    let shop = Shop::open().await;
    let mug = shop.product("MUG", 5).await;
    let before = positions(&shop).await;
    assert_eq!(before.len(), all_shards().len());
    let horizon = shop.store.event_horizon().await.expect("reads");
    let batch = shop
        .store
        .relay_batch(&before, horizon, 10, 100)
        .await
        .expect("reads");
    assert_eq!(batch.len(), 3);
    let of_mug = batch
        .iter()
        .find(|event| event.record.event.subject == mug.id.0)
        .expect("it is there");
    let lease = before[of_mug.shard].lease;
    assert_eq!((lease.service, lease.shard), (Service::Products, mug.id.shard()));
    let begin = shop.store.relay_begin(&before).await.expect("asks");
    assert_eq!(begin.xid(), batch[0].position.xid());
    let standing = shop.store.relay_standing(shop.node).await.expect("measures");
    assert_eq!(standing.lag.events, 3);

    let told = RelayPosition {
        lease,
        position: of_mug.position,
    };
    let advanced = shop.store.relay_advance(&[told]).await.expect("moves");
    assert!(advanced.contains(&(lease.service, lease.shard)));
    // It never goes back.
    let back = RelayPosition {
        position: EventPosition::START,
        ..told
    };
    assert!(
        shop.store
            .relay_advance(&[back])
            .await
            .expect("is asked")
            .is_empty()
    );
    let known: HashMap<(Service, ShardId), RelayPosition> = positions(&shop)
        .await
        .into_iter()
        .map(|known| ((known.lease.service, known.lease.shard), known))
        .collect();
    assert_eq!(known[&(lease.service, lease.shard)], told);
    let rest: Vec<RelayPosition> = known.into_values().collect();
    let batch = shop
        .store
        .relay_batch(&rest, horizon, 10, 100)
        .await
        .expect("reads");
    assert_eq!(batch.len(), 2, "the mug's is told");

    // Who has given the shard away moves it no more; its successor goes on there.
    shop.product("JUG", 5).await;
    let other = join(&shop.store, "n2").await;
    let moved = shop.store.shards_hand_over(&[lease], other).await.expect("moves");
    let further = RelayPosition {
        position: EventPosition::before(u64::MAX >> 1),
        ..told
    };
    assert!(
        shop.store
            .relay_advance(&[further])
            .await
            .expect("is asked")
            .is_empty()
    );
    let theirs = shop.store.relay_positions(&moved).await.expect("reads");
    assert_eq!(theirs[0].position, told.position);

    // Who is declared dead moves nothing at all.
    assert!(
        shop.store
            .node_declare_dead(shop.node, 0)
            .await
            .expect("declares")
    );
    let error = shop.store.relay_advance(&[further]).await.expect_err("is fenced");
    assert!(matches!(error, StoreError::Fenced { .. }), "{error:?}");
    shop.store.close().await;
}

#[tokio::test]
async fn the_last_event_of_a_shard_of_which_nothing_is_to_be_told_is_where_it_goes_on() {
    let shop = Shop::open().await;
    let mug = shop.product("MUG", 5).await;
    // Later ones of the same shard, of one transaction, each of which is the last by another column.
    let other = Uuid::from_u128(mug.id.0.as_u128() ^ (1 << 40));
    shop.execute(&format!(
        "INSERT INTO event (aggregate, subject, sequence, kind, event_id, at, data, node, epoch)
         SELECT aggregate, subject::uuid, sequence, kind, gen_random_uuid(), now(), '{{}}', 'made up', 0
         FROM (VALUES ('stock', '{mug}', 2, 'stock.low'), ('stock', '{mug}', 3, 'stock.low'),
                      ('stock', '{other}', 9, 'stock.low'), ('product', '{mug}', 99, 'product.updated'),
                      ('stock', '{mug}', 3, 'stock.depleted')) AS made (aggregate, subject, sequence, kind)",
        mug = mug.id.0
    ))
    .await;
    let mut before = positions(&shop).await;
    before.retain(|known| known.lease.service == Service::Products);
    let horizon = shop.store.event_horizon().await.expect("reads");
    let told = shop
        .store
        .relay_batch(&before, horizon, 10, 100)
        .await
        .expect("reads");
    let farthest = told.last().expect("six of them").position;

    let last = shop.store.relay_last(&before, horizon).await.expect("reads");
    assert_eq!(last.len(), 1, "no other shard has any");
    assert_eq!(last[0].lease.shard, mug.id.shard());
    assert_eq!(last[0].position, farthest);
    let until = EventPosition::before(farthest.xid());
    let earlier = shop.store.relay_last(&before, until).await.expect("reads");
    assert_eq!(
        earlier[0].position, told[0].position,
        "the later ones are not final"
    );

    assert_eq!(shop.store.relay_advance(&last).await.expect("moves").len(), 1);
    let after = positions(&shop).await;
    assert_eq!(
        shop.store.relay_last(&after, horizon).await.expect("reads").len(),
        2
    );
    let after: Vec<_> = after
        .into_iter()
        .filter(|known| known.lease.service == Service::Products)
        .collect();
    assert!(
        shop.store
            .relay_last(&after, horizon)
            .await
            .expect("reads")
            .is_empty()
    );
    shop.store.close().await;
}

#[tokio::test]
async fn events_wait_for_as_long_as_the_oldest_of_all_shards_readable_or_not() {
    let shop = Shop::open().await;
    let standing = async || shop.store.relay_standing(shop.node).await.expect("measures");
    let position = |position| {
        let leases = shop.leases().into_iter();
        leases
            .map(|lease| RelayPosition { lease, position })
            .collect::<Vec<_>>()
    };
    let told = position(shop.store.event_horizon().await.expect("reads"));
    shop.store.relay_advance(&told).await.expect("moves");
    let idle = standing().await;
    assert_eq!((idle.lag, idle.horizon.is_held), (RelayLag::default(), false));

    // One shard has more than is counted, and another one an event that is older than all of them.
    let write = |shard: &str, age: &str, count: u32| {
        format!(
            "INSERT INTO event (aggregate, subject, sequence, kind, event_id, at, data, node, epoch)
             SELECT 'user', '0199c2a1-0000-7000-8000-0000000000{shard}', n, 'user.registered',
                    gen_random_uuid(), clock_timestamp() - interval '{age}', '{{}}', 'made up', 0
             FROM generate_series(1, {count}) AS n"
        )
    };
    let mut connection = shop.database.connection().await;
    let mut slow = connection.begin().await.expect("begins");
    sqlx::query("SELECT pg_current_xact_id()")
        .execute(&mut *slow)
        .await
        .expect("has an id");
    shop.execute(&write("00", "1 second", 2 * RELAY_LAG_MAX)).await;
    shop.execute(&write("ff", "1 hour", 1)).await;
    let held = standing().await;
    assert!(held.horizon.is_held);
    assert_eq!(held.lag.events, u64::from(RELAY_LAG_MAX));
    assert!(held.lag.oldest_ms >= 3_600_000, "{held:?}");
    slow.commit().await.expect("commits");
    assert!(!standing().await.horizon.is_held);
    shop.execute("DELETE FROM event WHERE node = 'made up'").await;
    shop.close().await;
}

#[tokio::test]
async fn a_feed_from_another_server_is_noticed_and_put_behind_the_transactions_of_this_one() {
    let shop = Shop::open().await;
    let mug = shop.product("MUG", 5).await;
    let (before, horizon) = (
        positions(&shop).await,
        shop.store.event_horizon().await.expect("reads"),
    );
    let batch = shop.store.relay_batch(&before, horizon, 10, 100).await;
    let batch = batch.expect("reads");
    let told = |event: &&RelayEvent| event.record.event.subject == mug.id.0;
    let of_mug = batch.iter().find(told).expect("it is there");
    let told = RelayPosition {
        lease: before[of_mug.shard].lease,
        position: of_mug.position,
    };
    shop.store.relay_advance(&[told]).await.expect("moves");
    assert!(!shop.store.event_feed_is_ahead().await.expect("asks"));
    assert_eq!(
        shop.store.event_feed_rebase().await.expect("has nothing to do"),
        0
    );

    // As after restoring a dump of a server that has come much farther.
    let far = |table: &str| {
        format!("UPDATE {table} SET xid = (xid::text::numeric + 1000000000)::text::xid8 WHERE xid > '0'")
    };
    shop.execute(&far("event")).await;
    shop.execute(&far("relay_position")).await;
    assert!(shop.store.event_feed_is_ahead().await.expect("asks"));
    assert_eq!(shop.store.event_feed_rebase().await.expect("moves it"), 3);
    assert!(!shop.store.event_feed_is_ahead().await.expect("asks"));

    // What was told stays told, what was not is told, and what happens from now on comes behind it.
    let jug = shop.product("JUG", 5).await;
    let (after, horizon) = (
        positions(&shop).await,
        shop.store.event_horizon().await.expect("reads"),
    );
    let batch = shop.store.relay_batch(&after, horizon, 10, 100).await;
    let subjects: Vec<_> = batch
        .expect("reads")
        .iter()
        .map(|event| event.record.event.subject)
        .collect();
    assert_eq!(subjects, [shop.seller.id.0, shop.buyer.id.0, jug.id.0]);
    let feed = read(&shop, EventPosition::START).await;
    assert_eq!(feed[0].record.event.subject, mug.id.0);
    assert_eq!(feed[3].record.event.subject, jug.id.0);
    shop.close().await;
}

#[tokio::test]
async fn there_is_news_only_after_something_has_happened() {
    let shop = Shop::open().await;
    let news = shop
        .store
        .relay_news(EventPosition::START, 100)
        .await
        .expect("asks");
    assert!(news.is_news);
    let none = shop.store.relay_news(news.horizon, 100).await.expect("asks");
    assert!(!none.is_news);
    shop.product("MUG", 5).await;
    let news = shop.store.relay_news(none.horizon, 100).await.expect("asks");
    assert!(news.is_news);
    assert_eq!(news.until, news.horizon);
    // A window that is too small for what is there ends before the horizon, and never where it began.
    let part = shop
        .store
        .relay_news(EventPosition::START, 1)
        .await
        .expect("asks");
    assert!(EventPosition::START < part.until && part.until < part.horizon);
    shop.close().await;
}
