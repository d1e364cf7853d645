//! What customers and sellers are written to: once for each event, in order, through faults.

use std::{net::TcpListener, path::PathBuf, sync::Arc, time::Duration};

use holdfast_actors::{
    NatsOptions,
    mail::{MailOptions, MailTransport},
};
use holdfast_domain::{EventKind, OrderId, ProductId};
use holdfast_store::{DeadLetterFilter, EventRecord, PageRequest, Service};
use serde_json::json;
use tokio_rustls::rustls::{ServerConfig, crypto::aws_lc_rs};

use crate::harness::{
    Cluster, NatsServer, Person, eventually,
    mailbox::{Letter, MailRelay, Rules, spooled},
    product,
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

async fn order_of(buyer: &Person, product: &str) -> String {
    let order = buyer.orders(&[(product, 2)]).await.expect(201);
    order["id"].as_str().expect("an id").to_owned()
}

/// Waits until every event is known to whom it concerns and nothing is left to be sent, so that what was
/// sent is all that will be.
async fn all_sent(cluster: &Cluster) {
    let unknown = "SELECT count(*) FROM event
                   WHERE kind IN ('order.placed', 'order.confirmed', 'order.cancelled', 'stock.low')
                     AND NOT EXISTS (SELECT FROM inbox WHERE inbox.event_id = event.event_id)";
    eventually("all mail is sent", || async {
        let is_known = cluster.count(unknown).await == 0;
        let waiting = cluster.store.consumer_tasks_waiting(None).await.ok()?;
        (is_known && waiting == 0).then_some(())
    })
    .await;
}

/// The names of the mails about an order's events of these kinds.
async fn names_of_mails(cluster: &Cluster, order: &str, kinds: &[EventKind]) -> Vec<String> {
    let events = events_of(cluster, order).await.into_iter();
    events
        .filter(|record| kinds.contains(&record.event.kind))
        .map(|record| format!("{}.order-mail@example.com", record.event.id))
        .collect()
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
async fn a_customer_finds_a_mail_in_the_spool_for_each_step_of_an_order() {
    let home = tempfile::tempdir().expect("a directory");
    let directory: PathBuf = home.path().join("mail");
    let spool = MailTransport::Spool {
        directory: directory.clone(),
        max_files: 100,
    };
    let cluster = mailing(3, mail_by(spool)).await;
    let (buyer, order) = paid_order(&cluster).await;
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

/// Places and pays an order whose owner dies before any mail about it is sent.
async fn an_order_outlives_its_owner(nats: Option<NatsOptions>) {
    let relay = MailRelay::silent(Rules::default());
    let mail = relayed(&relay.url());
    let mut cluster = Cluster::start_tuned(3, move |options| {
        options.mail = Some(mail.clone());
        options.nats.clone_from(&nats);
    })
    .await;
    let mug = cluster.seller("seller").await.lists("mug", 10).await;
    let buyer = cluster.sign_up("buyer").await;
    let order = order_of(&buyer, &mug).await;
    let owner = cluster.owner_of(Service::Orders, &order).await;
    let buyer = buyer.at(cluster.api(owner + 1));
    cluster.crash(owner).await;
    assert!(relay.taken().is_empty());
    buyer.pays(&order, "card").await.expect(201);
    relay.answer();
    all_sent(&cluster).await;
    let ids: Vec<_> = relay.taken().into_iter().map(|letter| letter.id).collect();
    let steps = [EventKind::OrderPlaced, EventKind::OrderConfirmed];
    assert_eq!(ids, names_of_mails(&cluster, &order, &steps).await);
}

#[tokio::test]
async fn a_customer_is_written_to_once_for_each_step_though_the_orders_owner_is_lost() {
    an_order_outlives_its_owner(None).await;
}

#[tokio::test]
async fn so_it_is_when_the_events_come_by_nats() {
    if let Some(nats) = NatsServer::start().await {
        an_order_outlives_its_owner(Some(nats.options())).await;
    }
}

#[tokio::test]
async fn what_is_told_again_leads_to_no_other_mail() {
    let relay = MailRelay::open();
    let mut cluster = mailing(2, relayed(&relay.url())).await;
    let (_, order) = paid_order(&cluster).await;
    all_sent(&cluster).await;
    // Its owner dies, and what it had told is forgotten: its successor begins where everything began.
    let owner = cluster.owner_of(Service::Orders, &order).await;
    cluster.all_told().await;
    let forget = format!(
        "UPDATE relay_position AS r SET xid = '0', aggregate = '', kind = '' FROM shard AS s
         WHERE s.service = r.service AND s.shard_id = r.shard_id AND s.owner = '{}'",
        cluster.node(owner).node.node_id()
    );
    cluster.execute(&forget).await;
    cluster.crash(owner).await;
    cluster.settled().await;
    cluster.all_told().await;
    all_sent(&cluster).await;
    let ids: Vec<_> = relay.taken().into_iter().map(|letter| letter.id).collect();
    let steps = [EventKind::OrderPlaced, EventKind::OrderConfirmed];
    assert_eq!(ids, names_of_mails(&cluster, &order, &steps).await);
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
    all_sent(&cluster).await;
    let ids: Vec<_> = relay.taken().into_iter().map(|letter| letter.id).collect();
    let steps = [
        EventKind::OrderPlaced,
        EventKind::OrderConfirmed,
        EventKind::OrderCancelled,
    ];
    let expected = names_of_mails(&cluster, &order, &steps).await;
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
    order_of(&unknown, &mug).await;
    order_of(&known, &mug).await;
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
    paid_order(&cluster).await;
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
    let mug = cluster.seller("seller").await.lists("mug", 10).await;
    let order = order_of(&cluster.sign_up("buyer").await, &mug).await;
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
    let of_placed = names_of_mails(&cluster, &order, &[EventKind::OrderPlaced]).await;
    let taken = relay.taken();
    assert!(taken.iter().any(|letter| letter.id == of_placed[0]), "{taken:?}");
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
    paid_order(&cluster).await;
    all_sent(&cluster).await;
    assert_eq!(relay.taken().len(), 2);
    drop(cluster);

    for (wrong, said) in [
        (trusting("guess", Some(ca)), "535"),
        (trusting("hunter%202", None), "certificate"),
    ] {
        let cluster = mailing(1, wrong).await;
        paid_order(&cluster).await;
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

/// A product of which ten are there, and few once there are two.
async fn scarce(seller: &Person) -> String {
    let mut body = product("mug", 10);
    body["low_stock_threshold"] = 2.into();
    let listed = seller.post("/v1/products", body).await.expect(201);
    listed["id"].as_str().expect("an id").to_owned()
}

/// What the shop keeps of a product that ran out: how many were available.
async fn alerts_of(cluster: &Cluster, product: &str) -> Vec<u32> {
    let product = ProductId(product.parse().expect("an id"));
    let alerts = cluster.store.stock_alerts(product, &PageRequest::first(10)).await;
    let alerts = alerts.expect("alerts").items;
    alerts.iter().map(|alert| alert.available).collect()
}

#[tokio::test]
async fn a_seller_hears_once_of_a_product_that_runs_out() {
    let relay = MailRelay::open();
    let cluster = mailing(2, relayed(&relay.url())).await;
    let seller = cluster.seller("seller").await;
    let mug = scarce(&seller).await;
    let buyer = cluster.sign_up("buyer").await;
    for quantity in [8, 1] {
        buyer.orders(&[(&mug, quantity)]).await.expect(201);
    }
    cluster.all_told().await;
    all_sent(&cluster).await;
    let mut letters: Vec<Letter> = relay.taken();
    letters.retain(|letter| letter.to == seller.email);
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert!(letters[0].subject.starts_with("Low stock: mug ("), "{letters:?}");
    assert_eq!(alerts_of(&cluster, &mug).await, [2]);
}

#[tokio::test]
async fn a_node_without_mail_keeps_alerts_and_owes_nobody_a_letter() {
    let cluster = Cluster::start(1).await;
    let mug = scarce(&cluster.seller("seller").await).await;
    let buyer = cluster.sign_up("buyer").await;
    buyer.orders(&[(&mug, 8)]).await.expect(201);
    cluster.all_told().await;
    assert_eq!(alerts_of(&cluster, &mug).await, [2]);
    assert_eq!(cluster.count("SELECT count(*) FROM consumer_task").await, 0);
    assert_eq!(
        cluster
            .count("SELECT count(*) FROM inbox WHERE consumer = 'order-mail'")
            .await,
        0
    );
}
