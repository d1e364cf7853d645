//! How sessions come and go.

use super::*;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::link::handshake::{self, HandshakeError};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_dial_each_other_at_once_end_up_with_one_session() {
    for round in 0..20 {
        let mut both = Vec::new();
        for name in ["n1", "n2"] {
            both.push(
                Node::start(LinkOptions {
                    yield_delay: Duration::ZERO,
                    ..options(name)
                })
                .await,
            );
        }
        let [one, two] = &both[..] else { unreachable!() };
        connect(&[one, two]).await;
        // The loser of the two connections may be the first one that is up: what counts is that
        // both ends come to agree on one.
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while !(agree_on_one_session(one, two).await) {
            assert!(tokio::time::Instant::now() < deadline, "round {round}");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// Tells whether two nodes have one connection and one session, both before and after a call in
/// each direction.
async fn agree_on_one_session(one: &Node, two: &Node) -> bool {
    let is_single = async || {
        let mut counts = Vec::new();
        for node in [one, two] {
            counts.push(node.link.faults().live_connections());
            counts.push(node.sessions().await);
        }
        counts == [1; 4] && one.sees(two) && two.sees(one)
    };
    is_single().await
        && one.ask(two, b"there?").await.is_ok()
        && two.ask(one, b"there?").await.is_ok()
        && is_single().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_end_that_dials_is_enough() {
    for (dialing, other) in [("n1", "n2"), ("n2", "n1")] {
        let dialing = Node::start(options(dialing)).await;
        let other = Node::start(options(other)).await;
        dialing.link.set_peers(vec![other.peer()]);
        connected(&[&dialing, &other]).await;
        assert!(other.ask(&dialing, b"there?").await.is_ok());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_peer_connects_while_its_stale_session_is_still_held() {
    for (survivor, victim) in [("n1", "n2"), ("n2", "n1")] {
        let survivor = Node::start(options(survivor)).await;
        let stale = Node::start(options(victim)).await;
        connect(&[&survivor, &stale]).await;
        // The victim dies without a word: nothing of it reaches the survivor, and nothing more of
        // the survivor reaches it.
        survivor
            .link
            .faults()
            .set(Some(stale.id()), Direction::Both, FaultState::BlackHole);
        stale.link.crash();
        let restarted = Node::start(options(victim)).await;
        let everybody = [&survivor, &stale, &restarted].map(Node::peer).to_vec();
        survivor.link.set_peers(everybody.clone());
        restarted.link.set_peers(everybody);
        connected(&[&survivor, &restarted]).await;
        assert!(survivor.sees(&stale), "the stale session is still held");
        let answer = survivor.ask(&restarted, b"who are you").await.unwrap();
        assert_eq!(answer, restarted.id().as_bytes());
        // When the list says so, the stale one goes, and the new one is untouched.
        let mut events = survivor.link.subscribe();
        survivor.link.set_peers(vec![restarted.peer()]);
        assert_eq!(events.recv().await.unwrap(), LinkEvent::Down(stale.id()));
        assert_eq!(survivor.link.connected(), [restarted.id()]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_is_noticed_at_once_and_others_are_not_touched() {
    let one = Node::start(options("n1")).await;
    let two = Node::start(options("n2")).await;
    let three = Node::start(options("n3")).await;
    connect(&[&one, &two, &three]).await;
    let mut events = one.link.subscribe();
    two.link.crash();
    assert_eq!(events.recv().await.unwrap(), LinkEvent::Down(two.id()));
    assert!(matches!(
        one.ask(&two, b"there?").await,
        Err(LinkError::NotConnected)
    ));
    assert!(one.ask(&three, b"there?").await.is_ok());
    assert!(events.try_recv().is_err());
    two.link.ended().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_link_is_gone_and_its_address_is_free() {
    let (one, two) = pair().await;
    let addr = two.link.local_addr();
    two.link.stop().await;
    two.link.ended().await;
    assert!(two.link.connected().is_empty());
    assert!(matches!(
        two.ask(&one, b"there?").await,
        Err(LinkError::NotConnected)
    ));
    until("the peer notices", || !one.sees(&two)).await;
    two.link.set_peers(vec![one.peer()]);
    tokio::net::TcpListener::bind(addr)
        .await
        .expect("the address is free");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_of_which_an_actor_has_died_has_ended() {
    for victim in ["gateway", "server"] {
        let (one, two) = pair().await;
        match victim {
            "gateway" => two.link.inner.gateway.kill(),
            _ => two.link.inner.hub.server.kill(),
        }
        two.link.ended().await;
        assert!(two.link.connected().is_empty());
        until("the peer notices", || !one.sees(&two)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropping_the_last_handle_ends_the_link() {
    let (one, two) = pair().await;
    let (gone, clone) = (two.id(), two.link.clone());
    drop(two);
    assert!(one.link.call(gone, vec![1], PATIENCE).await.is_ok());
    drop(clone);
    until("the peer notices", || one.link.connected().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_incarnation_that_is_not_listed_any_more_does_not_come_back() {
    let (one, two) = pair().await;
    one.link.set_peers(vec![]);
    assert!(one.link.connected().is_empty());
    until("the peer notices", || !two.sees(&one)).await;
    // The peer still has this node on its list and goes on dialing.
    let refused = handshake::dial(&two.link.inner.hub, &one.peer()).await;
    assert!(matches!(refused, Err(HandshakeError::Io(_))));
    assert!(one.link.connected().is_empty());
    connect(&[&one, &two]).await;
    assert!(one.ask(&two, b"there?").await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_that_is_never_listed_is_dropped_after_the_idle_timeout() {
    let one = Node::start(LinkOptions {
        idle_timeout: Duration::from_millis(400),
        ..options("n1")
    })
    .await;
    let stranger = Node::start(options("n2")).await;
    let mut events = one.link.subscribe();
    stranger.link.set_peers(vec![one.peer()]);
    assert_eq!(events.recv().await.unwrap(), LinkEvent::Up(stranger.id()));
    assert_eq!(events.recv().await.unwrap(), LinkEvent::Down(stranger.id()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_has_changed_hands_is_found_out_in_the_handshake() {
    let (one, two) = (Node::start(options("n1")).await, Node::start(options("n2")).await);
    let gone = Peer {
        node_id: Uuid::now_v7(),
        ..two.peer()
    };
    let refused = handshake::dial(&one.link.inner.hub, &gone).await;
    assert!(matches!(refused, Err(HandshakeError::OtherIncarnation { found }) if found == two.id()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mute_clients_cost_nobody_and_are_hung_up_on() {
    let one = Node::start(LinkOptions {
        handshake_timeout: Duration::from_millis(500),
        ..options("n1")
    })
    .await;
    let mut mute = Vec::new();
    for _ in 0..20 {
        mute.push(TcpStream::connect(one.link.local_addr()).await.unwrap());
    }
    let two = Node::start(options("n2")).await;
    connect(&[&one, &two]).await;
    for mut client in mute {
        assert!(matches!(client.read(&mut [0]).await, Ok(0) | Err(_)));
    }
    assert!(one.sees(&two));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_clusters_in_one_process_keep_to_themselves() {
    let clusters = (0..3).map(|_| {
        tokio::spawn(async {
            let mut nodes = Vec::new();
            for name in ["n1", "n2", "n3"] {
                nodes.push(Node::start(options(name)).await);
            }
            let [one, two, three] = &nodes[..] else {
                unreachable!()
            };
            connect(&[one, two, three]).await;
            for from in &nodes {
                for to in nodes.iter().filter(|to| to.id() != from.id()) {
                    let answer = from.ask(to, b"who are you").await.unwrap();
                    assert_eq!(answer, to.id().as_bytes());
                }
                assert_eq!(from.link.connected().len(), 2);
            }
            two.link.crash();
            until("both notice", || !one.sees(two) && !three.sees(two)).await;
            assert!(one.ask(three, b"there?").await.is_ok());
        })
    });
    for cluster in clusters.collect::<Vec<_>>() {
        cluster.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn options_that_contradict_themselves_are_refused() {
    let spoil: [fn(&mut LinkOptions); 6] = [
        |options| options.node_name.clear(),
        |options| options.cookie.clear(),
        |options| options.idle_timeout = Duration::ZERO,
        |options| options.max_calls_in_flight = 0,
        |options| options.max_bytes_in_flight = 1,
        |options| options.redial_min = options.redial_max * 2,
    ];
    for spoil in spoil {
        let mut options = options("n1");
        spoil(&mut options);
        let refused = Link::start(options, Arc::new(Handler::default())).await;
        assert!(matches!(refused.err(), Some(LinkError::InvalidOptions { .. })));
    }
}

#[tokio::test]
async fn the_cookie_is_not_shown() {
    let shown = format!("{:?}", LinkOptions::new("n1", Uuid::nil(), "s3cret", loopback()));
    assert!(!shown.contains("s3cret"), "{shown}");
}
