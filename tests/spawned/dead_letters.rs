//! `holdfast dlq`, as an operator uses it.

use std::process::Output;

use holdfast_domain::{Event, EventId, EventKind, JsonObject, Timestamp};
use holdfast_store::{Acceptance, Consequence, EventRecord, Store, testing::TestDatabase};
use uuid::Uuid;

use crate::harness::launched::Site;

async fn dead(store: &Store, consumer: &str, number: u64, why: &str) -> String {
    let at = Timestamp::from_unix_micros(1_800_000_000_000_000).plus(std::time::Duration::from_secs(number));
    let record = EventRecord {
        event: Event {
            id: EventId::mint(at, rand::random()),
            kind: EventKind::OrderPlaced,
            subject: Uuid::from_u128(7),
            sequence: i64::try_from(number).expect("a small number"),
            at,
            actor_id: None,
            data: JsonObject::parse(r#"{"order": "of\u001b[2J mugs"}"#).expect("an object"),
            trace_id: None,
        },
        node: "n1".to_owned(),
        epoch: 1,
    };
    let acceptance = Acceptance {
        consumer,
        event: &record,
        alert: None,
        consequence: Consequence::Refused(why.to_owned()),
    };
    let news = store.consumer_accept(&[acceptance]).await;
    assert_eq!(news.expect("accepts"), [true]);
    record.event.id.to_string()
}

fn text(output: &[u8]) -> String {
    String::from_utf8_lossy(output).into_owned()
}

#[tokio::test]
async fn dead_letters_are_listed_shown_retried_and_dropped() {
    let database = TestDatabase::create().await;
    let store = database.store().await;
    let site = Site::new();
    let dlq = |arguments: &[&str]| -> Output {
        let mut all = vec!["dlq"];
        all.extend(arguments);
        all.extend(["--database-url", database.url()]);
        site.run(&all)
    };
    let first = dead(&store, "order-mail", 1, "550 nobody\u{1b}[2J here").await;
    let second = dead(&store, "order-mail", 2, "550 nobody here").await;
    let third = dead(&store, "stock-alerts", 3, "no counters").await;

    let listed = dlq(&["list"]);
    assert!(listed.status.success(), "{listed:?}");
    let said = text(&listed.stdout);
    assert!(said.contains("3 dead letters; 0 more events wait"), "{said}");
    assert!(!said.contains('\u{1b}'), "{said:?}");
    let places: Vec<_> = [&third, &second, &first].map(|id| said.find(id.as_str())).into();
    assert!(places.is_sorted() && places[0].is_some(), "{said}");

    let page = text(&dlq(&["list", "--limit", "1", "--consumer", "order-mail"]).stdout);
    let after = format!("{second}/order-mail");
    assert!(page.contains(&format!("--after {after}")), "{page}");
    let page = text(&dlq(&["list", "--after", &after, "--consumer", "order-mail"]).stdout);
    assert!(page.contains(&first) && !page.contains(&second), "{page}");

    let shown = dlq(&["show", &first]);
    assert!(shown.status.success(), "{shown:?}");
    let said = text(&shown.stdout);
    for part in ["order.placed", "550 nobody", "\"epoch\": 1", "of\\u001b[2J mugs"] {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
    assert!(!said.contains('\u{1b}'), "{said:?}");
    let unknown = dlq(&["show", &Uuid::from_u128(1).to_string()]);
    assert!(!unknown.status.success(), "{unknown:?}");

    let retried = dlq(&["retry", &first]);
    assert!(retried.status.success(), "{retried:?}");
    assert!(
        text(&retried.stdout).contains("retried 1 dead letter"),
        "{retried:?}"
    );
    assert_eq!(
        store
            .consumer_tasks_waiting(Some("order-mail"))
            .await
            .expect("counts"),
        1
    );
    let again = dlq(&["retry", &first, &second]);
    assert!(!again.status.success(), "{again:?}");
    assert!(text(&again.stderr).contains(&first), "{again:?}");
    assert_eq!(
        store
            .consumer_tasks_waiting(Some("order-mail"))
            .await
            .expect("counts"),
        2
    );

    let dropped = dlq(&["drop", "--all", "--consumer", "order-mail"]);
    assert!(
        text(&dropped.stdout).contains("dropped 0 dead letters"),
        "{dropped:?}"
    );
    let dropped = dlq(&["drop", "--all"]);
    assert!(dropped.status.success(), "{dropped:?}");
    assert!(
        text(&dropped.stdout).contains("dropped 1 dead letter"),
        "{dropped:?}"
    );
    let page = text(&dlq(&["list"]).stdout);
    assert!(page.contains("0 dead letters; 2 more events wait"), "{page}");
    store.close().await;
}
