use holdfast_domain::{Role, UserId};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    shop::Mood,
    testing::{Answered, Client},
};

fn blocks(answered: &Answered) -> Vec<String> {
    let text = String::from_utf8(answered.body.to_vec()).expect("text");
    text.split_terminator("\n\n").map(str::to_owned).collect()
}

fn data(block: &str) -> Option<Value> {
    let line = block.lines().find_map(|line| line.strip_prefix("data: "))?;
    Some(serde_json::from_str(line).expect("JSON"))
}

#[tokio::test]
async fn events_are_cloudevents_with_an_id_to_resume_from() {
    let admin = Client::of(Role::Admin, Mood::Serves);
    let streamed = admin.get("/v1/events").await;
    assert_eq!(streamed.status, 200);
    assert_eq!(streamed.header("content-type"), "text/event-stream");
    let blocks = blocks(&streamed);
    assert!(blocks[0].starts_with("retry: 1000\nid: "), "{blocks:?}");
    let event = data(&blocks[1]).expect("an event");
    assert_eq!(event["specversion"], "1.0");
    assert_eq!(event["type"], "dev.holdfast.order.placed.v1");
    assert!(blocks[1].starts_with("id: "));
}

#[tokio::test]
async fn what_is_not_for_the_caller_is_left_out() {
    let stranger = Client::of(Role::Seller, Mood::Serves);
    let blocks = blocks(&stranger.get("/v1/events").await);
    assert!(blocks.iter().all(|block| data(block).is_none()), "{blocks:?}");
}

#[tokio::test]
async fn the_last_id_resumes_and_another_text_is_refused() {
    let admin = Client::of(Role::Admin, Mood::Serves);
    let resume = async |id: &str| {
        admin
            .send("GET", "/v1/events", &[("last-event-id", id)], Value::Null)
            .await
    };
    let first = admin.get("/v1/events").await;
    let last = blocks(&first)[1]
        .lines()
        .next()
        .map(|line| line["id: ".len()..].to_owned());
    let resumed = resume(&last.expect("an id")).await;
    assert_eq!(resumed.status, 200);
    let seen = blocks(&resumed);
    assert!(seen.iter().all(|block| data(block).is_none()), "{seen:?}");
    // From the future: the fake knows no transaction from 100 on.
    for bad in ["nonsense", "", "MTo5OTk"] {
        assert_eq!(resume(bad).await.problem(), "invalid-cursor", "{bad:?}");
    }
}

#[tokio::test]
async fn a_node_has_no_more_streams_than_it_may() {
    let admin = Client::of(Role::Admin, Mood::Serves);
    let max = admin.edge.options().max_event_streams;
    let permits: Vec<_> = (0..max)
        .map_while(|_| admin.edge.streams().admit(UserId(Uuid::now_v7())).ok())
        .collect();
    assert_eq!(permits.len(), max);
    assert_eq!(admin.get("/v1/events").await.problem(), "unavailable");
    drop(permits);
    assert_eq!(admin.get("/v1/events").await.status, 200);
}

#[tokio::test]
async fn streams_end_when_the_edge_begins_to_close() {
    let admin = Client::of(Role::Admin, Mood::Serves);
    admin.edge.closing().cancel();
    let streamed = admin.get("/v1/events").await;
    assert_eq!(streamed.status, 200);
    assert!(streamed.body.is_empty(), "{streamed:?}");
}
