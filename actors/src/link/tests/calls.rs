//! What becomes of a call.

use super::*;

use crate::wire::{NEWEST_VERSION, RemoteError, decode_reply};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_crosses_the_wire() {
    for (one, two) in pairs(|_| {}).await {
        let before = (one.link.counters(), two.link.counters());
        assert_eq!(one.ask(&two, b"hello").await.unwrap(), b"hello");
        assert_eq!(one.ask(&two, b"who are you").await.unwrap(), two.id().as_bytes());
        assert_eq!(one.ask(&two, b"who am I").await.unwrap(), one.id().as_bytes());
        assert_eq!(one.link.counters().calls_out, before.0.calls_out + 3);
        assert_eq!(two.link.counters().calls_in, before.1.calls_in + 3);
        // Bytes are counted when they have been written, and an answer may be faster.
        until("the counters have moved", || {
            let (one, two) = (one.link.counters(), two.link.counters());
            one.frames_out >= before.0.frames_out + 3
                && one.frames_in >= before.0.frames_in + 3
                && one.bytes_out > before.0.bytes_out + 25
                && two.bytes_in > before.1.bytes_in + 25
        })
        .await;
        assert_eq!(one.link.peer_counters(two.id()).unwrap().calls_out, 3);
        assert_eq!(one.link.peer_counters(Uuid::nil()), None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_to_nobody_is_certainly_undelivered() {
    let node = Node::start(options("n1")).await;
    let error = node
        .link
        .call(Uuid::now_v7(), vec![1], PATIENCE)
        .await
        .unwrap_err();
    assert!(matches!(error, LinkError::NotConnected));
    assert!(error.is_certainly_undelivered());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_reply_is_answered_with_internal_at_once() {
    for (one, two) in pairs(|_| {}).await {
        for question in [&b"drop this"[..], b"panic", b"too much"] {
            let frame = one.ask(&two, question).await.unwrap();
            assert_eq!(decode_reply(&frame).unwrap(), Err(RemoteError::Internal));
        }
        assert_eq!(one.ask(&two, b"still there?").await.unwrap(), b"still there?");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_largest_frame_passes_and_a_larger_one_is_refused() {
    for (one, two) in pairs(|_| {}).await {
        let largest = vec![7; MAX_FRAME_BYTES];
        assert!(one.ask(&two, &largest).await.unwrap() == largest);
        let error = one.ask(&two, &vec![7; MAX_FRAME_BYTES + 1]).await.unwrap_err();
        assert!(
            matches!(error, LinkError::FrameTooLarge { size } if size == MAX_FRAME_BYTES + 1),
            "{error}"
        );
        assert!(error.is_certainly_undelivered());
        assert_eq!(one.ask(&two, b"still there?").await.unwrap(), b"still there?");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_is_not_answered_fails_at_its_deadline() {
    for (one, two) in pairs(|_| {}).await {
        let error = one
            .link
            .call(two.id(), b"hold this".to_vec(), Duration::from_millis(50))
            .await
            .unwrap_err();
        assert!(matches!(error, LinkError::Timeout));
        assert!(!error.is_certainly_undelivered());
    }
}

/// Starts as many calls as given that the other node will hold.
async fn hold(one: &Node, two: &Node, calls: usize) -> Vec<JoinHandle<Result<Vec<u8>, LinkError>>> {
    let before = two.held();
    let waiting = (0..calls)
        .map(|_| {
            let (link, id) = (one.link.clone(), two.id());
            tokio::spawn(async move { link.call(id, b"hold this".to_vec(), PATIENCE).await })
        })
        .collect();
    until("all are held", || two.held() == before + calls).await;
    waiting
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_calls_than_may_be_in_flight_are_refused() {
    for (one, two) in pairs(|options| options.max_calls_in_flight = 4).await {
        let waiting = hold(&one, &two, 4).await;
        let error = one.ask(&two, b"one more").await.unwrap_err();
        assert!(matches!(error, LinkError::Overloaded));
        assert!(error.is_certainly_undelivered());
        // The limit is one for each direction.
        assert!(two.ask(&one, b"the other way").await.is_ok());

        two.answer_held(b"done");
        for call in waiting {
            assert_eq!(call.await.unwrap().unwrap(), b"done");
        }
        assert!(one.ask(&two, b"one more").await.is_ok());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_bytes_than_may_be_in_flight_are_refused() {
    for (one, two) in pairs(|options| options.max_bytes_in_flight = MAX_FRAME_BYTES).await {
        let waiting = hold(&one, &two, 1).await;
        let large = vec![0; MAX_FRAME_BYTES];
        assert!(matches!(one.ask(&two, &large).await, Err(LinkError::Overloaded)));
        assert!(one.ask(&two, b"a small one").await.is_ok());
        two.answer_held(b"done");
        for call in waiting {
            assert!(call.await.unwrap().is_ok());
        }
        assert!(one.ask(&two, &large).await.is_ok());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_whose_caller_left_keeps_its_room_until_it_is_answered() {
    for (one, two) in pairs(|options| options.max_calls_in_flight = 1).await {
        let left = one
            .link
            .call(two.id(), b"hold this".to_vec(), Duration::from_millis(20));
        assert!(matches!(left.await, Err(LinkError::Timeout)));
        assert!(matches!(one.ask(&two, b"next").await, Err(LinkError::Overloaded)));
        until("the call arrives", || two.held() == 1).await;
        two.answer_held(b"late");
        let hub = &one.link.inner.hub;
        until("its room is free", || {
            hub.session(two.id())
                .is_some_and(|session| session.is_idle(hub.limits()))
        })
        .await;
        assert!(one.ask(&two, b"next").await.is_ok());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_in_flight_fails_as_soon_as_its_session_is_lost() {
    for (one, two) in pairs(|_| {}).await {
        let waiting = hold(&one, &two, 3).await;
        two.link.crash();
        for call in waiting {
            let error = call.await.unwrap().unwrap_err();
            assert!(matches!(error, LinkError::Closed), "{error}");
            assert!(!error.is_certainly_undelivered());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_calls_at_once_are_all_answered() {
    for (one, two) in pairs(|_| {}).await {
        let calls = (0..500_u32).map(|n| {
            let (link, id) = (one.link.clone(), two.id());
            tokio::spawn(async move {
                let frame = n.to_be_bytes().to_vec();
                assert_eq!(link.call(id, frame.clone(), PATIENCE).await.unwrap(), frame);
            })
        });
        for call in calls.collect::<Vec<_>>() {
            call.await.unwrap();
        }
    }
}

#[tokio::test]
async fn calls_of_one_moment_share_a_message_and_so_do_their_answers() {
    let (one, two) = pairs(|_| {}).await.pop().expect("the newest");
    let before = one.link.counters();
    // One thread: all of them have asked before the first message is made.
    let asked = (0..32_u8).map(|number| {
        let (link, id) = (one.link.clone(), two.id());
        tokio::spawn(async move { link.call(id, vec![number], PATIENCE).await })
    });
    for (number, call) in (0..32_u8).zip(asked.collect::<Vec<_>>()) {
        assert_eq!(call.await.unwrap().unwrap(), [number]);
    }
    let after = one.link.counters();
    assert_eq!(after.calls_out - before.calls_out, 32);
    let frames = after.frames_out - before.frames_out + after.frames_in - before.frames_in;
    assert!(frames < 16, "{frames} messages for 32 calls and their answers");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_cannot_be_read_ends_the_session_and_what_waits_for_it() {
    let (one, two) = pairs(|_| {}).await.pop().expect("the newest");
    let waiting = hold(&one, &two, 2).await;
    let garbled = GatewayMessage::Batch {
        from: two.id(),
        batch: vec![2, 0xff],
    };
    one.link.inner.gateway.send_message(garbled).unwrap();
    for call in waiting {
        assert!(matches!(call.await.unwrap(), Err(LinkError::Closed)));
    }
    connected(&[&one, &two]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_is_new_takes_calls_one_by_one() {
    let (one, two) = pair_with(|options| options.settle_after = Duration::from_mins(10)).await;
    until("each has told what it reads", || {
        [(&one, &two), (&two, &one)]
            .iter()
            .all(|(node, other)| node.link.reads(other.id()) == Some(NEWEST_VERSION))
    })
    .await;
    assert!(!one.speaks_with(&two, NEWEST_VERSION));
    assert_eq!(one.ask(&two, b"hello").await.unwrap(), b"hello");
}
