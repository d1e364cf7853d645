use bytes::Bytes;
use holdfast_domain::{JsonObject, Money, ProductStatus, Sku, StockLevel, Timestamp, UserId};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::*;

const HOUR: Duration = Duration::from_hours(1);

fn products(max_bytes: u64, max_age: Duration) -> Arc<Products> {
    let options = CacheOptions {
        enabled: true,
        max_bytes,
        max_age,
    };
    Arc::new(Products::new(options, Arc::default()))
}

fn id(number: u128) -> ProductId {
    ProductId(Uuid::from_u128(number))
}

fn stocked(number: u128, version: i64, stock_version: i64) -> Arc<KnownProduct> {
    let product_id = id(number);
    let at = Timestamp::from_unix_micros(0);
    let product = Product {
        id: product_id,
        sku: Sku::parse("MUG-1").expect("a SKU"),
        name: "Mug".to_owned(),
        description: String::new(),
        price: Money::new(1_999, "EUR".parse().expect("a currency")),
        status: ProductStatus::Active,
        attributes: JsonObject::empty(),
        seller_id: UserId(Uuid::from_u128(7)),
        low_stock_threshold: None,
        created_at: at,
        updated_at: at,
        version,
    };
    let stock = StockLevel {
        product_id,
        on_hand: 5,
        reserved: 0,
        version: stock_version,
    };
    Arc::new(KnownProduct::new(product, stock))
}

fn with_status(found: &KnownProduct, status: ProductStatus) -> Arc<KnownProduct> {
    let product = Product {
        status,
        ..found.product.clone()
    };
    Arc::new(KnownProduct::new(product, found.stock))
}

fn described(number: u128, bytes: usize) -> Arc<KnownProduct> {
    let found = stocked(number, 1, 1);
    let product = Product {
        description: "x".repeat(bytes),
        ..found.product.clone()
    };
    Arc::new(KnownProduct::new(product, found.stock))
}

/// Asks an owner that says this at once.
async fn told(products: &Arc<Products>, found: &Arc<KnownProduct>) -> Told {
    let found = Arc::clone(found);
    let id = found.product.id;
    products
        .ask_owner(id, move || {
            std::future::ready(FromOwner::Found(Arc::clone(&found)))
        })
        .await
}

fn versions(products: &Products, number: u128) -> Option<(i64, i64)> {
    let kept = products.get(id(number), |_| true)?;
    Some((kept.found.product.version, kept.found.stock.version))
}

/// Asks an owner that is asked now and whose answer arrives when it is let go.
async fn on_its_way(
    products: &Arc<Products>,
    found: Arc<KnownProduct>,
) -> (oneshot::Sender<()>, tokio::task::JoinHandle<Told>) {
    let (asked, is_asked) = oneshot::channel();
    let (go, gone) = oneshot::channel();
    let once = parking_lot::Mutex::new(Some((asked, gone)));
    let id = found.product.id;
    let products = Arc::clone(products);
    let reading = tokio::spawn(async move {
        let fetch = move || {
            let turn = once.lock().take();
            let found = Arc::clone(&found);
            async move {
                if let Some((asked, gone)) = turn {
                    let _ = asked.send(());
                    let _ = gone.await;
                }
                FromOwner::Found(found)
            }
        };
        products.ask_owner(id, fetch).await
    });
    is_asked.await.expect("the owner is asked");
    (go, reading)
}

#[tokio::test]
async fn what_an_owner_said_is_kept_with_its_age() {
    let products = products(1 << 20, HOUR);
    assert_eq!(told(&products, &stocked(1, 1, 1)).await.staleness_ms, 0);
    let kept = products.get(id(1), |_| true).expect("it is kept");
    assert!(kept.staleness_ms >= 1, "an age is rounded up");
    assert!(products.get(id(1), |found| found.product.version >= 2).is_none());
    assert!(products.get(id(2), |_| true).is_none());
    let stats = products.counters.snapshot().products;
    assert_eq!((stats.hits, stats.misses), (1, 2));
}

#[tokio::test]
async fn what_has_reached_the_bound_is_not_served() {
    let products = products(1 << 20, Duration::ZERO);
    told(&products, &stocked(1, 1, 1)).await;
    assert!(products.get(id(1), |_| true).is_none());
}

#[tokio::test]
async fn drafts_and_archived_products_are_not_kept_and_displace_what_is() {
    let products = products(1 << 20, HOUR);
    let active = stocked(1, 1, 1);
    for status in [ProductStatus::Draft, ProductStatus::Archived] {
        told(&products, &active).await;
        assert!(versions(&products, 1).is_some());
        told(&products, &with_status(&stocked(1, 2, 1), status)).await;
        assert_eq!(versions(&products, 1), None, "{status:?}");
    }
}

#[tokio::test]
async fn an_answer_that_was_on_its_way_does_not_put_an_old_value_back() {
    let products = products(1 << 20, HOUR);
    let (go, reading) = on_its_way(&products, stocked(1, 1, 1)).await;
    let change = Changed {
        product_id: id(1),
        version: 2,
        stock_version: 1,
    };
    products.outdated(&change);
    let _ = go.send(());
    reading.await.expect("no panic");
    assert_eq!(versions(&products, 1), None);
    // The same, if this node has changed it itself, or hears that anything may have changed.
    let (go, reading) = on_its_way(&products, stocked(1, 1, 1)).await;
    products.forget(id(1));
    let _ = go.send(());
    reading.await.expect("no panic");
    assert_eq!(versions(&products, 1), None);
    let (go, reading) = on_its_way(&products, stocked(1, 1, 1)).await;
    products.forget_shards(&[1]);
    let _ = go.send(());
    reading.await.expect("no panic");
    assert_eq!(versions(&products, 1), None);
}

#[tokio::test]
async fn whoever_asks_after_a_change_is_not_answered_from_before_it() {
    let products = products(1 << 20, HOUR);
    let (go, before) = on_its_way(&products, stocked(1, 1, 1)).await;
    products.forget(id(1));
    let after = tokio::spawn({
        let products = Arc::clone(&products);
        async move { told(&products, &stocked(1, 2, 1)).await }
    });
    // The one who comes after is answered by a second question, whoever carries it out.
    let _ = go.send(());
    before.await.expect("no panic");
    assert_eq!(after.await.expect("no panic").staleness_ms, 0);
}

#[tokio::test]
async fn an_older_version_does_not_displace_a_newer_one() {
    let products = products(1 << 20, HOUR);
    told(&products, &stocked(1, 2, 5)).await;
    for older in [stocked(1, 1, 5), stocked(1, 2, 4)] {
        told(&products, &older).await;
        assert_eq!(versions(&products, 1), Some((2, 5)));
    }
    told(&products, &stocked(1, 2, 6)).await;
    assert_eq!(versions(&products, 1), Some((2, 6)));
}

#[tokio::test]
async fn news_of_a_version_that_is_kept_already_drop_nothing() {
    let products = products(1 << 20, HOUR);
    told(&products, &stocked(1, 2, 5)).await;
    let mut change = Changed {
        product_id: id(1),
        version: 2,
        stock_version: 4,
    };
    products.outdated(&change);
    assert_eq!(versions(&products, 1), Some((2, 5)));
    change.stock_version = 6;
    products.outdated(&change);
    assert_eq!(versions(&products, 1), None);
    assert_eq!(products.counters.snapshot().products.invalidations, 1);
}

#[tokio::test]
async fn when_anything_may_have_changed_its_owners_shards_are_dropped_and_no_others() {
    let products = products(1 << 20, HOUR);
    for number in [1, 2] {
        told(&products, &stocked(number, 1, 1)).await;
    }
    products.forget_shards(&[2]);
    assert_eq!(versions(&products, 1), Some((1, 1)));
    assert_eq!(versions(&products, 2), None);
    // What is asked for from then on is kept again.
    told(&products, &stocked(2, 1, 1)).await;
    assert_eq!(versions(&products, 2), Some((1, 1)));
}

#[tokio::test]
async fn many_products_stay_within_the_bytes_that_were_given() {
    let room = 256 << 10;
    let products = products(room, HOUR);
    for number in 0..2_000 {
        told(&products, &described(number, 1_000)).await;
        let (_, bytes) = products.size();
        assert!(bytes <= room / 4 * 3, "{bytes} after {number}");
    }
    let (entries, bytes) = products.size();
    assert!(entries > 50 && bytes > room / 4, "{entries} of {bytes}");
    assert!(products.counters.snapshot().products.evictions > 0);
}

#[tokio::test]
async fn what_would_take_much_of_the_room_alone_is_not_kept() {
    let room = 64 << 10;
    let products = products(room, HOUR);
    let large = described(1, usize::try_from(room / ENTRY_SHARE).expect("it fits"));
    told(&products, &large).await;
    assert_eq!(versions(&products, 1), None);
}

#[tokio::test]
async fn without_a_cache_everybody_asks() {
    let options = CacheOptions {
        enabled: false,
        ..CacheOptions::default()
    };
    let products = Arc::new(Products::new(options, Arc::default()));
    told(&products, &stocked(1, 1, 1)).await;
    assert_eq!(versions(&products, 1), None);
    assert_eq!(products.size(), (0, 0));
}

#[tokio::test]
async fn a_read_that_must_see_the_latest_is_kept_for_those_who_need_not() {
    let products = products(1 << 20, HOUR);
    let found = stocked(1, 3, 3);
    let answer = products
        .ask_database(id(1), move || {
            std::future::ready(FromDatabase::Found(Arc::clone(&found)))
        })
        .await;
    assert!(matches!(answer, FromDatabase::Found(_)));
    assert_eq!(versions(&products, 1), Some((3, 3)));
}

#[test]
fn a_body_is_written_once_and_one_that_failed_again() {
    let known = stocked(1, 1, 1);
    assert_eq!(known.body(|_| Err("no")), Err("no"));
    let write = |product: &Product| Ok::<_, &str>(Bytes::from(product.name.clone()));
    assert_eq!(known.body(write), Ok(Bytes::from("Mug")));
    assert_eq!(known.body(|_| Err("asked again")), Ok(Bytes::from("Mug")));
}

#[test]
fn a_body_that_takes_more_than_its_room_is_told_and_not_kept() {
    let known = stocked(1, 1, 1);
    let large = Bytes::from(vec![b'x'; known.body_room() + 1]);
    assert_eq!(known.body(|_| Ok::<_, ()>(large.clone())), Ok(large));
    assert_eq!(known.body(|_| Err(())), Err(()));
}
