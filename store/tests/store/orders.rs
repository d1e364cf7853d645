//! Orders: moves, lists, and what is left to do.

use std::time::Duration;

use holdfast_domain::{
    EventKind, FulfilmentId, Order, OrderStatus, PaymentId, PaymentProvider, Refusal, Role, ShardId,
    Timestamp,
    order::{self, Change, NewFulfilment, WantedLine},
};
use holdfast_store::{
    OrderExpected, OrderFilter, OrderSave, OrderScope, OrderState, OrderWrite, PageRequest, Service, Stale,
    StoreError, UnfinishedWork,
};

use crate::{
    draft::{Draft, events, record},
    shop::{NOW, Shop, account, caller, entropy, new_product, operation},
};

/// Commits a move of an order, as its owner would.
async fn apply(shop: &Shop, before: &Order, change: &Change) -> Result<Order, StoreError> {
    let save = OrderSave {
        order: change.order.clone(),
        expected_version: before.version,
        unsettled: change.unsettled,
        events: events(change, before.version),
    };
    let lease = shop.lease(Service::Orders, before.id.shard());
    shop.store.order_save(lease, None, &save).await?;
    Ok(change.order.clone())
}

fn paid(order: &Order) -> Change {
    let by = order.customer_id;
    let payment_id = PaymentId::mint(NOW, entropy());
    order::pay(order, payment_id, (PaymentProvider::Test, "token", None), by, NOW)
        .expect("may be paid")
        .change
}

fn shipped(shop: &Shop, order: &Order, units: u32) -> Change {
    let line = &order.lines[0];
    let new = NewFulfilment {
        id: FulfilmentId::mint(NOW, entropy()),
        lines: vec![WantedLine {
            product_id: line.product_id,
            quantity: holdfast_domain::Quantity::new(units).expect("a quantity"),
        }],
        carrier: None,
        tracking: None,
    };
    order::fulfil(order, new, &caller(&shop.seller), NOW)
        .expect("may be shipped")
        .0
}

async fn place(shop: &Shop, key: &str, wanted: &[(holdfast_domain::ProductId, u32)]) -> Order {
    let mut draft = Draft::new(shop);
    let order = draft.place(key, wanted).await;
    shop.store.lane_commit(&draft.batch).await.expect("commits");
    order
}

#[tokio::test]
async fn an_order_is_paid_shipped_and_settled() {
    let shop = Shop::open().await;
    let mug = shop.product("MUG", 5).await;
    let placed = place(&shop, "first-order", &[(mug.id, 3)]).await;
    let confirmed = apply(&shop, &placed, &paid(&placed)).await.expect("pays");
    let partial = apply(&shop, &confirmed, &shipped(&shop, &confirmed, 2))
        .await
        .expect("ships");

    let mut settling = Draft::new(&shop);
    settling.settle(&partial).await;
    shop.store.lane_commit(&settling.batch).await.expect("settles");
    let lease = shop.lease(Service::Orders, placed.id.shard());
    let settled = shop
        .store
        .order_settled(lease, placed.id, confirmed.version)
        .await
        .expect("answers");
    assert!(!settled, "the order has moved on");
    assert!(
        shop.store
            .order_settled(lease, placed.id, partial.version)
            .await
            .expect("answers")
    );
    let found = shop
        .store
        .order_record(placed.id)
        .await
        .expect("reads")
        .expect("an order");
    assert_eq!(found.order, partial);
    assert!(!found.unsettled);
    let stock = shop.stock(&mug).await;
    assert_eq!((stock.on_hand, stock.reserved), (3, 1));

    let timeline = shop
        .store
        .order_events(placed.id, &PageRequest::first(50))
        .await
        .expect("lists");
    let told: Vec<_> = timeline
        .items
        .iter()
        .map(|told| (told.event.sequence, told.event.kind))
        .collect();
    assert_eq!(
        told,
        [
            (1, EventKind::OrderPlaced),
            (2, EventKind::PaymentCaptured),
            (3, EventKind::OrderConfirmed),
            (4, EventKind::OrderFulfilled),
        ]
    );
    assert!(
        timeline
            .items
            .iter()
            .all(|told| told.node == "n1" && told.epoch == 1)
    );
    let page = shop
        .store
        .order_events(
            placed.id,
            &PageRequest {
                limit: 1,
                after: Some(2),
            },
        )
        .await;
    let page = page.expect("lists");
    assert_eq!((page.items.len(), page.next), (1, Some(3)));
    shop.close().await;
}

#[tokio::test]
async fn a_move_of_a_stale_version_is_refused() {
    let shop = Shop::open().await;
    let mug = shop.product("MUG", 5).await;
    let placed = place(&shop, "first-order", &[(mug.id, 3)]).await;
    let confirmed = apply(&shop, &placed, &paid(&placed)).await.expect("pays");
    let Err(StoreError::Version(rows)) = apply(&shop, &placed, &paid(&placed)).await else {
        panic!("the version is stale");
    };
    let version = Some(confirmed.version);
    assert_eq!(
        rows,
        [Stale::Order {
            order_id: placed.id,
            version
        }]
    );
    shop.close().await;
}

#[tokio::test]
async fn a_repeated_move_is_known_by_its_operation() {
    let shop = Shop::open().await;
    let mug = shop.product("MUG", 5).await;
    let placed = place(&shop, "first-order", &[(mug.id, 3)]).await;
    let change = paid(&placed);
    let save = OrderSave {
        order: change.order.clone(),
        expected_version: 1,
        unsettled: false,
        events: events(&change, 1),
    };
    let lease = shop.lease(Service::Orders, placed.id.shard());
    let payment = operation("POST /v1/orders/{id}/payments", "pay-once");
    shop.store
        .order_save(lease, Some(&payment), &save)
        .await
        .expect("pays");
    let error = shop
        .store
        .order_save(lease, Some(&payment), &save)
        .await
        .expect_err("was done before");
    assert!(matches!(error, StoreError::OperationExists), "{error:?}");
    shop.close().await;
}

#[tokio::test]
async fn a_refused_order_is_remembered_under_its_key_and_listed_nowhere() {
    let shop = Shop::open().await;
    let mug = shop.product("MUG", 5).await;
    let mut draft = Draft::new(&shop);
    let order = draft.place("plain-key", &[(mug.id, 1)]).await;
    let refusal = Refusal::PriceChanged { actual: order.total };
    let mut refused = Draft::new(&shop);
    refused.batch.orders.push(OrderWrite {
        record: record(&order, "plain-key", OrderState::Refused(refusal.clone())),
        expected: OrderExpected::Absent,
    });
    shop.store.lane_commit(&refused.batch).await.expect("commits");
    let key = refused.batch.orders[0].record.operation_key.clone();
    let found = shop
        .store
        .order_by_key(shop.buyer.id, &key)
        .await
        .expect("reads")
        .expect("a row");
    assert_eq!(found.state, OrderState::Refused(refusal));
    assert_eq!(
        shop.store
            .order_by_key(shop.seller.id, &key)
            .await
            .expect("reads"),
        None
    );
    let filter = OrderFilter {
        scope: OrderScope::Everyone,
        status: None,
    };
    let listed = shop
        .store
        .orders_list(filter, &PageRequest::first(10))
        .await
        .expect("lists");
    assert_eq!(listed.items, []);
    let lease = shop.lease(Service::Orders, order.id.shard());
    let save = OrderSave {
        order: order.clone(),
        expected_version: 1,
        unsettled: false,
        events: Vec::new(),
    };
    let error = shop
        .store
        .order_save(lease, None, &save)
        .await
        .expect_err("it was never placed");
    assert!(matches!(error, StoreError::Version(_)), "{error:?}");
    shop.close().await;
}

#[tokio::test]
async fn a_key_with_quotes_is_found_as_it_was_given() {
    let shop = Shop::open().await;
    let mug = shop.product("MUG", 5).await;
    // The header's value is a quoted string whose content begins with a quote.
    let header = r#""\"quoted\\ key""#;
    let placed = place(&shop, header, &[(mug.id, 1)]).await;
    let key = holdfast_domain::OperationKey::parse(header).expect("a key");
    let found = shop
        .store
        .order_by_key(shop.buyer.id, &key)
        .await
        .expect("reads")
        .expect("an order");
    assert_eq!((found.order.id, found.operation_key), (placed.id, key));
    shop.close().await;
}

#[tokio::test]
async fn orders_are_listed_for_customers_sellers_and_admins() {
    let shop = Shop::open().await;
    let (rival, other) = (account("rival", Role::Seller), account("other", Role::Customer));
    shop.register(&rival).await;
    shop.register(&other).await;
    let mug = shop.product("MUG", 9).await;
    let cup = shop.create(&new_product(&rival.user, "CUP", "Cup", 9)).await;
    let mut draft = Draft::new(&shop);
    let ours = draft.place("order-001", &[(mug.id, 1)]).await;
    let mixed = draft.place("order-002", &[(mug.id, 1), (cup.id, 1)]).await;
    let theirs = draft.place_for(&other.user, "order-003", &[(cup.id, 1)]).await;
    shop.store.lane_commit(&draft.batch).await.expect("commits");
    let ours = apply(&shop, &ours, &paid(&ours)).await.expect("pays");

    let list = async |scope, status| {
        let mut request = PageRequest::first(1);
        let mut ids = Vec::new();
        loop {
            let page = shop
                .store
                .orders_list(OrderFilter { scope, status }, &request)
                .await
                .expect("lists");
            ids.extend(page.items.iter().map(|order| order.id));
            let Some(key) = page.next else { return ids };
            request.after = Some(key);
        }
    };
    assert_eq!(
        list(OrderScope::Customer(shop.buyer.id), None).await,
        [mixed.id, ours.id]
    );
    assert_eq!(list(OrderScope::Customer(other.user.id), None).await, [theirs.id]);
    assert_eq!(
        list(OrderScope::Seller(rival.user.id), None).await,
        [theirs.id, mixed.id]
    );
    assert_eq!(
        list(OrderScope::Seller(shop.seller.id), None).await,
        [mixed.id, ours.id]
    );
    assert_eq!(
        list(OrderScope::Everyone, None).await,
        [theirs.id, mixed.id, ours.id]
    );
    let confirmed = Some(OrderStatus::Confirmed);
    assert_eq!(list(OrderScope::Everyone, confirmed).await, [ours.id]);
    assert_eq!(list(OrderScope::Seller(rival.user.id), confirmed).await, []);
    shop.close().await;
}

#[tokio::test]
async fn a_new_owner_finds_what_is_left_to_do_in_its_shards() {
    let shop = Shop::open().await;
    let (mug, cup) = (shop.product("MUG", 9).await, shop.product("CUP", 9).await);
    let now = shop.store.server_time().await.expect("reads");
    let (past, future) = (
        Timestamp::from_unix_micros(1_000_000),
        now.plus(Duration::from_hours(1)),
    );

    // Placing: one past its deadline, one not yet.
    let mut draft = Draft::new(&shop);
    let late = draft.place("order-001", &[(mug.id, 1)]).await;
    let soon = draft.place("order-002", &[(mug.id, 1)]).await;
    let mut intents = Draft::new(&shop);
    for (order, key, deadline) in [(&late, "order-001", past), (&soon, "order-002", future)] {
        intents.batch.orders.push(OrderWrite {
            record: record(order, key, OrderState::Placing { deadline }),
            expected: OrderExpected::Absent,
        });
    }
    shop.store.lane_commit(&intents.batch).await.expect("commits");

    // Placed: one unsettled, one due to expire, one with time left.
    let paying = place(&shop, "order-003", &[(cup.id, 1)]).await;
    let confirmed = apply(&shop, &paying, &paid(&paying)).await.expect("pays");
    apply(&shop, &confirmed, &shipped(&shop, &confirmed, 1))
        .await
        .expect("ships");
    let due = place(&shop, "order-004", &[(cup.id, 1)]).await;
    let pending = place(&shop, "order-005", &[(cup.id, 1)]).await;
    shop.execute(&format!(
        "UPDATE orders SET expires_at = 'epoch' WHERE order_id = '{}'",
        due.id
    ))
    .await;
    shop.execute(&format!(
        "UPDATE orders SET expires_at = now() + interval '1 hour' WHERE order_id = '{}'",
        pending.id
    ))
    .await;

    let all: Vec<ShardId> = ShardId::all().collect();
    let found = shop.store.orders_unfinished(&all, 10).await.expect("lists");
    let mut found: Vec<_> = found.iter().map(|left| (left.order_id, left.work)).collect();
    found.sort_by_key(|(order_id, _)| *order_id);
    let mut expected = vec![
        (late.id, UnfinishedWork::Placing),
        (paying.id, UnfinishedWork::Unsettled),
        (due.id, UnfinishedWork::Expiring),
    ];
    expected.sort_by_key(|(order_id, _)| *order_id);
    assert_eq!(found, expected);
    let only = [late.id.shard()];
    let found = shop.store.orders_unfinished(&only, 10).await.expect("lists");
    assert!(found.iter().all(|left| left.order_id.shard() == only[0]) && !found.is_empty());
    shop.close().await;
}

#[tokio::test]
async fn an_unpaid_order_gives_its_units_back() {
    let shop = Shop::open().await;
    let mug = shop.product("MUG", 5).await;
    let placed = place(&shop, "first-order", &[(mug.id, 3)]).await;
    let expired = order::expire(&placed, placed.expires_at.expect("a deadline")).expect("is due");
    let expired = apply(&shop, &placed, &expired).await.expect("expires");
    let mut settling = Draft::new(&shop);
    settling.settle(&expired).await;
    shop.store.lane_commit(&settling.batch).await.expect("settles");
    let lease = shop.lease(Service::Orders, placed.id.shard());
    assert!(
        shop.store
            .order_settled(lease, placed.id, expired.version)
            .await
            .expect("answers")
    );
    assert_eq!(shop.stock(&mug).await.available(), 5);
    shop.close().await;
}
