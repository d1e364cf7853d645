//! What customers and sellers are written to: once for each event, in order, through faults.

use std::{net::TcpListener, path::PathBuf, sync::Arc, time::Duration};

use holdfast_actors::mail::{MailOptions, MailTransport};
use holdfast_domain::{Event, EventId, EventKind, JsonObject, OrderId, ProductId};
use holdfast_store::{DeadLetterFilter, EventRecord, PageRequest};
use serde_json::json;
use tokio_rustls::rustls::{ServerConfig, crypto::aws_lc_rs};

use crate::harness::{
    Cluster, Person, eventually,
    mailbox::{Letter, MailRelay, Rules, spooled},
};

fn mail_by(transport: MailTransport) -> MailOptions {
    MailOptions {
        sender: "The Shop <shop@example.com>".to_owned(),
        transport,
        attempts: 1_000,
        retry_first: Duration::from_millis(50),
        retry_max: Duration::from_millis(200),
    }
}

fn relayed(url: &str) -> MailOptions {
    mail_by(MailTransport::Smtp {
        url: url.to_owned(),
        ca: None,
        timeout: Duration::from_secs(10),
    })
}

/// A cluster whose nodes send mail.
async fn mailing(count: usize, mail: MailOptions) -> Cluster {
    Cluster::start_tuned(count, move |options| options.mail = Some(mail.clone())).await
}

/// What happened to an order so far.
async fn events_of(cluster: &Cluster, order: &str) -> Vec<EventRecord> {
    let id = OrderId(order.parse().expect("an id"));
    let events = cluster.store.order_events(id, &PageRequest::first(50)).await;
    events.expect("events").items
}

/// Tells a node's consumers what happened to an order.
async fn tell(cluster: &Cluster, node: usize, order: &str) {
    let events = events_of(cluster, order).await;
    let told = cluster.node(node).node.deliver(&events).await;
    told.expect("takes them in");
}

async fn order_of(buyer: &Person, product: &str) -> String {
    let order = buyer.orders(&[(product, 2)]).await.expect(201);
    order["id"].as_str().expect("an id").to_owned()
}

/// Waits until nothing is left to be sent, so that what was sent is all that will be.
async fn all_sent(cluster: &Cluster) {
    eventually("all mail is sent", || async {
        let waiting = cluster.store.consumer_tasks_waiting(None).await.ok()?;
        (waiting == 0).then_some(())
    })
    .await;
}

/// A buyer with a paid order of two mugs, of which the shop has ten.
async fn paid_order(cluster: &Cluster) -> (Person, String) {
    let mug = cluster.seller("seller").await.lists("mug", 10).await;
    let buyer = cluster.sign_up("buyer").await;
    let order = order_of(&buyer, &mug).await;
    buyer.pays(&order, "card").await.expect(201);
    (buyer, order)
}

#[tokio::test]
async fn a_customer_is_written_to_once_for_each_step_of_an_order_whoever_tells_of_it() {
    let home = tempfile::tempdir().expect("a directory");
    let directory: PathBuf = home.path().join("mail");
    let spool = MailTransport::Spool {
        directory: directory.clone(),
        max_files: 100,
    };
    let cluster = mailing(3, mail_by(spool)).await;
    let (buyer, order) = paid_order(&cluster).await;
    for node in [0, 1, 2, 1, 0] {
        tell(&cluster, node, &order).await;
    }
    all_sent(&cluster).await;
    let mut letters = spooled(&directory);
    letters.sort_by_key(|letter| letter.subject.clone());
    let subjects: Vec<_> = letters.iter().map(|letter| letter.subject.as_str()).collect();
    assert_eq!(
        subjects,
        [
            format!("Your order {order} is confirmed"),
            format!("Your order {order} was placed")
        ]
    );
    for letter in &letters {
        assert_eq!(
            (letter.to.as_str(), letter.from.as_str()),
            (buyer.email.as_str(), "shop@example.com")
        );
        assert!(letter.text.contains("2 x mug"), "{letter:?}");
        assert!(letter.text.contains("Total: 39.98 EUR"), "{letter:?}");
    }
    assert_eq!(cluster.count("SELECT count(*) FROM dead_letter").await, 0);
}

#[tokio::test]
async fn a_relay_gets_the_mails_of_an_order_in_its_order_and_under_their_events_names() {
    let relay = MailRelay::open();
    let cluster = mailing(2, relayed(&relay.url())).await;
    let (buyer, order) = paid_order(&cluster).await;
    buyer
        .post(
            &format!("/v1/orders/{order}/cancel"),
            json!({ "reason": "a whim" }),
        )
        .await
        .expect(200);
    tell(&cluster, 0, &order).await;
    tell(&cluster, 1, &order).await;
    all_sent(&cluster).await;
    let ids: Vec<_> = relay.taken().into_iter().map(|letter| letter.id).collect();
    let expected: Vec<_> = events_of(&cluster, &order)
        .await
        .into_iter()
        .filter(|record| {
            let kind = record.event.kind;
            [
                EventKind::OrderPlaced,
                EventKind::OrderConfirmed,
                EventKind::OrderCancelled,
            ]
            .contains(&kind)
        })
        .map(|record| format!("{}.order-mail@example.com", record.event.id))
        .collect();
    assert_eq!(expected.len(), 3);
    assert_eq!(ids, expected);
    let text = &relay.taken()[2].text;
    assert!(
        text.contains("The reason given: a whim") && text.contains("You get 39.98 EUR back."),
        "{text}"
    );
}

#[tokio::test]
async fn a_refused_address_makes_a_dead_letter_that_is_sent_once_when_it_is_tried_again() {
    let relay = MailRelay::open();
    let cluster = mailing(2, relayed(&relay.url())).await;
    let mug = cluster.seller("seller").await.lists("mug", 10).await;
    let (unknown, known) = (cluster.sign_up("unknown").await, cluster.sign_up("known").await);
    relay.does_not_know(&unknown.email);
    let (poisoned, other) = (order_of(&unknown, &mug).await, order_of(&known, &mug).await);
    tell(&cluster, 0, &poisoned).await;
    tell(&cluster, 0, &other).await;
    all_sent(&cluster).await;
    let to: Vec<_> = relay.taken().into_iter().map(|letter| letter.to).collect();
    assert_eq!(to, std::slice::from_ref(&known.email), "the others' mail goes on");
    let all = DeadLetterFilter::default();
    let letters = cluster.store.dead_letters(&all, &PageRequest::first(10)).await;
    let letters = letters.expect("letters").items;
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert_eq!(
        (letters[0].attempts, letters[0].kind.as_str()),
        (1, "order.placed")
    );
    assert!(letters[0].error.contains("550"), "{letters:?}");

    relay.knows(&unknown.email);
    let now = cluster.store.server_time().await.expect("a time");
    let retried = cluster.store.dead_letters_retry(&all, now, 10).await;
    assert_eq!(retried.expect("retries"), 1);
    tell(&cluster, 1, &poisoned).await;
    all_sent(&cluster).await;
    let to: Vec<_> = relay.taken().into_iter().map(|letter| letter.to).collect();
    assert_eq!(to, [known.email, unknown.email]);
    assert_eq!(cluster.count("SELECT count(*) FROM dead_letter").await, 0);
}

#[tokio::test]
async fn mail_waits_for_a_relay_that_is_away() {
    let port = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = port.local_addr().expect("bound");
    drop(port);
    let cluster = mailing(2, relayed(&format!("smtp://{address}"))).await;
    let (_, order) = paid_order(&cluster).await;
    tell(&cluster, 0, &order).await;
    eventually("it was tried more than once", || async {
        let tried = "SELECT count(*) FROM consumer_task WHERE attempts > 2 AND error IS NOT NULL";
        (cluster.count(tried).await > 0).then_some(())
    })
    .await;
    let relay = MailRelay::open_at(address);
    all_sent(&cluster).await;
    let subjects: Vec<_> = relay.taken().into_iter().map(|letter| letter.subject).collect();
    assert_eq!(subjects.len(), 2);
    assert!(
        subjects[0].ends_with("was placed") && subjects[1].ends_with("is confirmed"),
        "{subjects:?}"
    );
}

#[tokio::test]
async fn the_mail_of_a_node_that_is_lost_is_sent_by_another() {
    let relay = MailRelay::silent(Rules::default());
    let mut cluster = mailing(2, relayed(&relay.url())).await;
    let (_, order) = paid_order(&cluster).await;
    let placed = events_of(&cluster, &order).await.remove(0);
    cluster
        .node(0)
        .node
        .deliver(std::slice::from_ref(&placed))
        .await
        .expect("takes it in");
    let holder = eventually("a node is sending it", || async {
        for index in 0..cluster.len() {
            let id = cluster.node(index).node.node_id();
            let held = format!("SELECT count(*) FROM consumer_task WHERE taken_by = '{id}'");
            if cluster.count(&held).await > 0 {
                return Some(index);
            }
        }
        None
    })
    .await;
    cluster.crash(holder).await;
    relay.answer();
    all_sent(&cluster).await;
    let of_placed = format!("{}.order-mail@example.com", placed.event.id);
    let sent = relay
        .taken()
        .iter()
        .filter(|letter| letter.id == of_placed)
        .count();
    assert!(sent >= 1, "at least once");
}

#[tokio::test]
async fn a_relay_with_tls_and_a_password_is_served() {
    let home = tempfile::tempdir().expect("a directory");
    let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let ca = home.path().join("ca.pem");
    std::fs::write(&ca, signed.cert.pem()).expect("a file");
    let key = signed.signing_key.serialize_der().try_into().expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![signed.cert.der().clone()], key)
        .expect("a sound certificate");
    let relay = MailRelay::silent(Rules {
        tls: Some(Arc::new(config)),
        login: Some(("shop", "hunter 2")),
    });
    relay.answer();
    let url = |password: &str| {
        let port = relay.address().port();
        format!("smtp://shop:{password}@localhost:{port}?tls=required")
    };
    let trusting = |password: &str, ca| {
        mail_by(MailTransport::Smtp {
            url: url(password),
            ca,
            timeout: Duration::from_secs(10),
        })
    };
    let cluster = mailing(1, trusting("hunter%202", Some(ca.clone()))).await;
    let (_, order) = paid_order(&cluster).await;
    tell(&cluster, 0, &order).await;
    all_sent(&cluster).await;
    assert_eq!(relay.taken().len(), 2);
    drop(cluster);

    for (wrong, said) in [
        (trusting("guess", Some(ca)), "535"),
        (trusting("hunter%202", None), "certificate"),
    ] {
        let cluster = mailing(1, wrong).await;
        let (_, order) = paid_order(&cluster).await;
        tell(&cluster, 0, &order).await;
        eventually("it waits, and says why", || async {
            let told = format!("SELECT count(*) FROM consumer_task WHERE error ILIKE '%{said}%'");
            (cluster.count(&told).await > 0).then_some(())
        })
        .await;
        let leaked = "SELECT count(*) FROM consumer_task WHERE error ~ 'hunter|guess'";
        assert_eq!(cluster.count(leaked).await, 0);
        assert_eq!(cluster.count("SELECT count(*) FROM dead_letter").await, 0);
        assert_eq!(relay.taken().len(), 2);
    }
}

#[tokio::test]
async fn a_seller_hears_once_of_a_product_that_runs_out() {
    let relay = MailRelay::open();
    let cluster = mailing(2, relayed(&relay.url())).await;
    let seller = cluster.seller("seller").await;
    let mug = seller.lists("mug", 10).await;
    let product = ProductId(mug.parse().expect("an id"));
    let at = cluster.store.server_time().await.expect("a time");
    let low = EventRecord {
        event: Event {
            id: EventId::mint(at, rand::random()),
            kind: EventKind::StockLow,
            subject: product.0,
            sequence: 5,
            at,
            actor_id: None,
            data: JsonObject::parse(r#"{"on_hand": 10, "reserved": 8, "available": 2}"#).expect("an object"),
            trace_id: None,
        },
        node: "n1".to_owned(),
        epoch: 1,
    };
    for node in [0, 1, 0] {
        cluster
            .node(node)
            .node
            .deliver(std::slice::from_ref(&low))
            .await
            .expect("takes it in");
    }
    all_sent(&cluster).await;
    let letters: Vec<Letter> = relay.taken();
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert_eq!(letters[0].to, seller.email);
    assert!(letters[0].subject.starts_with("Low stock: mug ("), "{letters:?}");
    let alerts = cluster.store.stock_alerts(product, &PageRequest::first(10)).await;
    let alerts = alerts.expect("alerts").items;
    assert_eq!((alerts.len(), alerts[0].available), (1, 2));
}

#[tokio::test]
async fn a_node_without_mail_keeps_alerts_and_owes_nobody_a_letter() {
    let cluster = Cluster::start(1).await;
    let (_, order) = paid_order(&cluster).await;
    tell(&cluster, 0, &order).await;
    assert_eq!(cluster.count("SELECT count(*) FROM consumer_task").await, 0);
    assert_eq!(
        cluster
            .count("SELECT count(*) FROM inbox WHERE consumer = 'order-mail'")
            .await,
        0
    );
}
