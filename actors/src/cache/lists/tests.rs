use std::sync::atomic::AtomicUsize;

use holdfast_domain::{Caller, Role, SessionId};
use uuid::Uuid;

use super::*;

fn lists(max_age: Duration) -> Arc<Lists> {
    let options = CacheOptions {
        enabled: true,
        max_bytes: 1 << 20,
        max_age,
    };
    Arc::new(Lists::new(options, Arc::default()))
}

fn filter(query: &str, viewer: Option<Role>) -> ProductFilter {
    ProductFilter {
        query: Some(query.to_owned()),
        status: None,
        seller_id: None,
        viewer: viewer.map(|role| Caller {
            user_id: UserId(Uuid::from_u128(1)),
            session_id: SessionId(Uuid::from_u128(2)),
            role,
        }),
    }
}

fn key(query: &str) -> ListKey {
    ListKey::public(&filter(query, None), ProductSort::Newest, &PageRequest::first(10))
        .expect("a public page")
}

/// Reads a page of which the database knows nothing; tells how often it was asked since.
async fn read(lists: &Arc<Lists>, query: &str, asked: &Arc<AtomicUsize>) -> u64 {
    let asked = Arc::clone(asked);
    let fetch = move || {
        asked.fetch_add(1, Ordering::Relaxed);
        std::future::ready(Ok(Arc::new(Page {
            items: Vec::new(),
            next: None,
        })))
    };
    lists.get(&key(query), fetch).await.expect("a page").staleness_ms
}

#[test]
fn those_who_may_see_more_than_active_products_have_no_key() {
    let key = |viewer| {
        let page = PageRequest::first(10);
        ListKey::public(&filter("mug", viewer), ProductSort::Newest, &page)
    };
    assert_eq!(key(Some(Role::Seller)), None);
    assert_eq!(key(Some(Role::Admin)), None);
    assert_eq!(key(Some(Role::Customer)), key(None));
    assert!(key(None).is_some_and(|key| key.question().0.viewer.is_none()));
}

#[tokio::test]
async fn a_page_is_asked_for_once_until_the_catalogue_changes() {
    let (lists, asked) = (lists(Duration::from_hours(1)), Arc::default());
    assert_eq!(read(&lists, "mug", &asked).await, 0);
    assert!(read(&lists, "mug", &asked).await >= 1, "an age is rounded up");
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    read(&lists, "hat", &asked).await;
    assert_eq!(asked.load(Ordering::Relaxed), 2);
    lists.forget_all();
    assert_eq!(read(&lists, "mug", &asked).await, 0);
    read(&lists, "mug", &asked).await;
    assert_eq!(asked.load(Ordering::Relaxed), 3);
    let stats = lists.counters.snapshot().lists;
    assert_eq!((stats.hits, stats.misses, stats.invalidations), (2, 3, 1));
}

#[tokio::test]
async fn a_page_that_was_on_its_way_when_the_catalogue_changed_is_not_kept() {
    let (lists, asked) = (lists(Duration::from_hours(1)), Arc::default());
    let changing = Arc::clone(&lists);
    let fetch = move || {
        changing.forget_all();
        std::future::ready(Ok(Arc::new(Page {
            items: Vec::new(),
            next: None,
        })))
    };
    lists.get(&key("mug"), fetch).await.expect("a page");
    assert_eq!(read(&lists, "mug", &asked).await, 0);
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_page_that_has_reached_the_bound_is_asked_for_again() {
    let (lists, asked) = (lists(Duration::ZERO), Arc::default());
    read(&lists, "mug", &asked).await;
    read(&lists, "mug", &asked).await;
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn any_number_of_searches_stays_within_the_bytes_that_were_given() {
    let (lists, asked) = (lists(Duration::from_hours(1)), Arc::default());
    for number in 0..5_000 {
        read(&lists, &format!("{number:0200}"), &asked).await;
    }
    let (entries, bytes) = lists.size();
    assert!(bytes <= (1 << 20) / 4 && entries > 50, "{entries} of {bytes}");
}
