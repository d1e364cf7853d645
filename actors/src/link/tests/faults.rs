//! What the fault switch does to calls and sessions.

use super::*;

use crate::link::handshake;

/// Two nodes with an idle timeout that a test can wait for.
async fn impatient_pair() -> (Node, Node) {
    pair_with(|options| options.idle_timeout = Duration::from_secs(1)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_black_hole_is_noticed_by_both_ends_and_a_quiet_session_is_not_taken_for_one() {
    let (one, two) = impatient_pair().await;
    let three = Node::start(LinkOptions {
        idle_timeout: Duration::from_secs(1),
        ..options("n3")
    })
    .await;
    connect(&[&one, &two, &three]).await;
    let mut events = three.link.subscribe();
    // Twice, so that the others are quiet for longer than the timeout.
    for times in 1..=2 {
        one.link
            .faults()
            .set(Some(two.id()), Direction::Both, FaultState::BlackHole);
        until("both ends notice", || !one.sees(&two) && !two.sees(&one)).await;
        one.link.faults().heal();
        connected(&[&one, &two, &three]).await;
        assert!(one.link.counters().reconnects >= times);
    }
    assert!(events.try_recv().is_err(), "nothing happened elsewhere");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_is_noticed_by_the_end_that_hears_nothing() {
    let (one, two) = impatient_pair().await;
    one.link
        .faults()
        .set(Some(two.id()), Direction::Inbound, FaultState::BlackHole);
    until("the deaf end notices", || !one.sees(&two)).await;
    until("and hangs up", || !two.sees(&one)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_black_hole_held_back_arrives_when_it_heals_in_time() {
    let (one, two) = pair().await;
    one.link
        .faults()
        .set(None, Direction::Outbound, FaultState::BlackHole);
    let (link, id) = (one.link.clone(), two.id());
    let call = tokio::spawn(async move { link.call(id, b"late".to_vec(), PATIENCE).await });
    until("the call is sent", || one.link.counters().calls_out == 1).await;
    assert_eq!(two.calls(), 0);
    assert!(!call.is_finished());
    one.link.faults().heal();
    assert_eq!(call.await.unwrap().unwrap(), b"late");
    assert_eq!(one.link.counters().reconnects, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_breaks_the_session_and_it_comes_back_when_healed() {
    let (one, two) = pair().await;
    let mut events = one.link.subscribe();
    one.link
        .faults()
        .set(Some(two.id()), Direction::Inbound, FaultState::Cut);
    assert_eq!(events.recv().await.unwrap(), LinkEvent::Down(two.id()));
    until("the other end notices", || !two.sees(&one)).await;
    assert!(matches!(
        one.ask(&two, b"there?").await,
        Err(LinkError::NotConnected)
    ));
    one.link
        .faults()
        .set(Some(two.id()), Direction::Inbound, FaultState::Open);
    assert_eq!(events.recv().await.unwrap(), LinkEvent::Up(two.id()));
    connected(&[&one, &two]).await;
    assert!(one.ask(&two, b"there?").await.is_ok());
    assert!(one.link.counters().reconnects >= 1);
    assert!(one.link.peer_counters(two.id()).unwrap().reconnects >= 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_can_hear_without_being_heard() {
    let (one, two) = pair().await;
    one.link
        .faults()
        .set(Some(two.id()), Direction::Outbound, FaultState::BlackHole);
    let brief = Duration::from_millis(100);
    let heard = two.link.call(one.id(), b"can you hear me?".to_vec(), brief);
    assert!(matches!(heard.await, Err(LinkError::Timeout)));
    until("it was heard", || one.calls() == 1).await;
    let unheard = one.link.call(two.id(), b"yes".to_vec(), brief);
    assert!(matches!(unheard.await, Err(LinkError::Timeout)));
    assert_eq!(two.calls(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_can_be_heard_without_hearing() {
    let (one, two) = pair().await;
    one.link
        .faults()
        .set(Some(two.id()), Direction::Inbound, FaultState::BlackHole);
    let brief = Duration::from_millis(100);
    let heard = one.link.call(two.id(), b"can you hear me?".to_vec(), brief);
    assert!(matches!(heard.await, Err(LinkError::Timeout)));
    until("it was heard", || two.calls() == 1).await;
    let unheard = two.link.call(one.id(), b"yes".to_vec(), brief);
    assert!(matches!(unheard.await, Err(LinkError::Timeout)));
    assert_eq!(one.calls(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_session_comes_up_through_a_fault() {
    let one = Node::start(LinkOptions {
        handshake_timeout: Duration::from_millis(200),
        ..options("n1")
    })
    .await;
    let two = Node::start(LinkOptions {
        handshake_timeout: Duration::from_millis(200),
        ..options("n2")
    })
    .await;
    let mut events = one.link.subscribe();
    for state in [FaultState::Cut, FaultState::BlackHole] {
        one.link.faults().set(Some(two.id()), Direction::Both, state);
        let refused = handshake::dial(&one.link.inner.hub, &two.peer()).await;
        assert!(refused.is_err(), "{state:?}");
        let refused = handshake::dial(&two.link.inner.hub, &one.peer()).await;
        assert!(refused.is_err(), "{state:?}");
    }
    assert!(events.try_recv().is_err());
    one.link.faults().heal();
    connect(&[&one, &two]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_peer_is_out_of_reach_for_both_ends_until_it_is_heard_again() {
    let (one, two) = pair_with(|options| options.silent_after = Duration::from_millis(200)).await;
    // It hears and is not heard: the other end has to find out as well.
    one.link
        .faults()
        .set(Some(two.id()), Direction::Inbound, FaultState::BlackHole);
    let in_flight = one
        .link
        .call(two.id(), b"anybody there?".to_vec(), PATIENCE)
        .await;
    assert!(matches!(in_flight, Err(LinkError::Silent)), "{in_flight:?}");
    assert!(matches!(
        one.link.call(two.id(), b"and now?".to_vec(), PATIENCE).await,
        Err(LinkError::NotConnected)
    ));
    until("the one that is heard by nobody notices", || !two.sees(&one)).await;
    one.link.faults().heal();
    connected(&[&one, &two]).await;
    assert_eq!(one.link.counters().reconnects, 0, "the session was kept");
    assert!(one.ask(&two, b"there?").await.is_ok());
}
