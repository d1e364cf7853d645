use std::sync::Arc;

use holdfast_domain::ShardId;
use holdfast_store::{NodeRow, Service};

use super::*;
use crate::membership::testing::{id, map, map_at, node};

const TICK: Duration = Duration::from_millis(200);
const NOW: Duration = Duration::from_secs(1);

fn core() -> MembershipCore {
    let config = Config {
        me: id(1),
        suspect_after: Duration::from_secs(1),
        vote_after: Duration::from_secs(3),
    };
    MembershipCore::new(config, &[])
}

fn active(count: u8) -> Vec<NodeRow> {
    (1..=count).map(|n| node(n, NodeState::Active)).collect()
}

fn polled(map_version: i64, peers: &[(u8, i64)]) -> Event {
    Event::Polled {
        map_version,
        state: NodeState::Active,
        peers: peers.iter().map(|(peer, seq)| (id(*peer), *seq)).collect(),
        linked: peers.iter().map(|(peer, _)| id(*peer)).collect(),
    }
}

fn learn(core: &mut MembershipCore, map: ShardMap) -> Vec<Effect> {
    core.on(NOW, Event::MapChanged(Arc::new(map)))
}

fn lease(service: Service, shard: ShardId, epoch: i64) -> Lease {
    Lease {
        node_id: id(1),
        service,
        shard,
        epoch,
    }
}

/// Takes the only effect, which has to be a claim.
fn claim_of(effects: &[Effect]) -> Vec<(Service, ShardId)> {
    match effects {
        [Effect::Claim(wanted)] => wanted.clone(),
        other => panic!("{other:?}"),
    }
}

/// Takes the only effect, which has to be a drain.
fn drain_of(effects: Vec<Effect>) -> (Vec<Lease>, NodeId) {
    match <[Effect; 1]>::try_from(effects) {
        Ok([Effect::Drain { leases, to }]) => (leases, to),
        other => panic!("{other:?}"),
    }
}

/// A core whose node owns everything, while it is alone.
fn owner_of_all() -> MembershipCore {
    let mut core = core();
    let opened = learn(&mut core, map(active(1), Some(id(1))));
    assert!(matches!(&opened[..], [Effect::Open(leases)] if leases.len() == 768));
    core
}

/// A map in which another node has joined and nothing has moved yet.
fn joined(version: i64) -> ShardMap {
    map_at(version, active(2), |_, _| (Some(id(1)), 1))
}

#[test]
fn a_node_that_has_not_read_the_map_claims_nothing() {
    assert_eq!(core().on(NOW, polled(0, &[])), Vec::new());
    assert_eq!(core().on(NOW, polled(7, &[])), vec![Effect::RefreshMap]);
}

#[test]
fn what_nobody_owns_is_claimed_once_at_a_time_and_opened_when_it_was_got() {
    let mut core = core();
    let wanted = claim_of(&learn(&mut core, map(active(1), None)));
    assert_eq!(wanted.len(), 768);
    assert_eq!(core.on(NOW, polled(1, &[])), Vec::new(), "the claim is under way");
    let got: Vec<_> = wanted[..5]
        .iter()
        .map(|(service, shard)| lease(*service, *shard, 2))
        .collect();
    let done = core.on(NOW, Event::Claimed(Claim::Got(got.clone())));
    assert_eq!(done, vec![Effect::Open(got), Effect::SpreadMap]);
    // Until the map is read, what was got is not claimed again.
    assert_eq!(claim_of(&core.on(NOW, polled(1, &[]))).len(), 763);
}

#[test]
fn a_claim_that_failed_is_tried_again_with_the_next_poll() {
    let mut core = core();
    learn(&mut core, map(active(1), None));
    assert_eq!(core.on(NOW, Event::Claimed(Claim::Unknown)), Vec::new());
    assert_eq!(claim_of(&core.on(NOW, polled(1, &[]))).len(), 768);
}

#[test]
fn a_death_during_a_claim_is_followed_when_the_claim_has_ended() {
    let mut core = core();
    let two_dead = |version, second| {
        let mut nodes = active(3);
        nodes[1].state = NodeState::Dead;
        nodes[2].state = second;
        map_at(version, nodes, |_, shard| (Some(id(shard.0 % 2 + 2)), 1))
    };
    let first = claim_of(&learn(&mut core, two_dead(1, NodeState::Active)));
    assert!(learn(&mut core, two_dead(2, NodeState::Dead)).is_empty());
    let got = first
        .iter()
        .map(|(service, shard)| lease(*service, *shard, 2))
        .collect();
    let effects = core.on(NOW, Event::Claimed(Claim::Got(got)));
    let [Effect::Open(_), Effect::SpreadMap, Effect::Claim(second)] = &effects[..] else {
        panic!("{effects:?}");
    };
    assert_eq!(first.len() + second.len(), 768);
    assert!(!second.iter().any(|shard| first.contains(shard)));
}

#[test]
fn a_shard_that_could_not_be_opened_is_opened_with_the_next_poll() {
    let mut core = owner_of_all();
    let one = lease(Service::Orders, ShardId(7), 1);
    core.on(NOW, Event::OpenFailed(vec![one]));
    assert_eq!(core.on(NOW, polled(1, &[])), vec![Effect::Open(vec![one])]);
}

#[test]
fn a_standing_heartbeat_is_declared_dead_once_at_a_time() {
    let mut core = core();
    learn(&mut core, map(active(2), Some(id(2))));
    let declared: Vec<_> = (0..=6)
        .flat_map(|tick| core.on(TICK * tick, polled(1, &[(2, 7)])))
        .collect();
    let suspect = Suspect {
        node_id: id(2),
        seq: 7,
    };
    assert_eq!(declared, vec![Effect::DeclareDead(suspect)]);
    let told = |declaration| Event::DeclaredDead {
        peer: id(2),
        declaration,
    };
    assert_eq!(core.on(NOW, told(Declaration::Unknown)), Vec::new());
    let again = core.on(TICK * 7, polled(1, &[(2, 7)]));
    assert_eq!(again, vec![Effect::DeclareDead(suspect)]);
    assert_eq!(core.on(NOW, told(Declaration::Dead)), vec![Effect::SpreadMap]);
}

#[test]
fn a_lost_peers_lock_is_tried_some_times_and_proves_its_death() {
    let mut core = core();
    learn(&mut core, map(active(2), Some(id(2))));
    let try_after = |after| {
        vec![Effect::TryLock {
            peer: id(2),
            lock_key: 2,
            after,
        }]
    };
    let tried = |lock| Event::LockTried { peer: id(2), lock };
    assert_eq!(core.on(NOW, Event::LinkDown(id(2))), try_after(Duration::ZERO));
    assert_eq!(
        core.on(NOW, Event::LinkDown(id(2))),
        Vec::new(),
        "it is being tried"
    );
    assert_eq!(core.on(NOW, tried(Lock::Held)), try_after(LOCK_PAUSE));
    let dead = core.on(NOW, tried(Lock::Free { seq: Some(9) }));
    let suspect = Suspect {
        node_id: id(2),
        seq: 9,
    };
    assert_eq!(dead, vec![Effect::DeclareDead(suspect)]);
}

#[test]
fn the_lock_of_a_peer_that_lives_is_given_up_on() {
    let mut core = core();
    learn(&mut core, map(active(2), Some(id(2))));
    let mut effects = core.on(NOW, Event::LinkDown(id(2)));
    let mut tries = 0;
    while !effects.is_empty() {
        tries += 1;
        effects = core.on(
            NOW,
            Event::LockTried {
                peer: id(2),
                lock: Lock::Held,
            },
        );
    }
    assert_eq!(tries, LOCK_TRIES);
}

#[test]
fn a_joiner_gets_its_share_by_the_owners_hand_one_service_at_a_time() {
    let mut core = owner_of_all();
    let (leases, to) = drain_of(learn(&mut core, joined(2)));
    assert_eq!(to, id(2));
    assert!(leases.len() > 64 && leases.iter().all(|lease| lease.service == Service::Orders));
    assert_eq!(core.on(NOW, polled(2, &[])), Vec::new(), "one round at a time");
    let (busy, quiet) = leases.split_at(1);
    let drained = Event::Drained {
        to,
        quiet: quiet.to_vec(),
        busy: busy.to_vec(),
    };
    let give = Effect::HandOver {
        leases: quiet.to_vec(),
        to,
    };
    assert_eq!(core.on(NOW, drained), vec![Effect::Resume(busy.to_vec()), give]);
}

#[test]
fn a_shard_that_stays_busy_holds_up_no_other() {
    let mut core = owner_of_all();
    let (mut leases, to) = drain_of(learn(&mut core, joined(2)));
    let stubborn = leases[0];
    let mut moved = Vec::new();
    let mut version = 2;
    loop {
        let (busy, quiet): (Vec<Lease>, Vec<Lease>) = leases.iter().partition(|lease| **lease == stubborn);
        let drained = Event::Drained {
            to,
            quiet: quiet.clone(),
            busy,
        };
        let effects = core.on(NOW, drained);
        if quiet.is_empty() {
            assert_eq!(effects, vec![Effect::Resume(vec![stubborn])], "it is served on");
            break;
        }
        moved.extend(quiet.iter().map(|lease| (lease.service, lease.shard)));
        version += 1;
        let map = map_at(version, active(2), |service, shard| {
            if moved.contains(&(service, shard)) {
                (Some(to), 2)
            } else {
                (Some(id(1)), 1)
            }
        });
        let handed_over = Event::HandedOver {
            to,
            asked: quiet.clone(),
            hand_over: HandOver::Moved(
                quiet
                    .iter()
                    .map(|lease| Lease {
                        node_id: to,
                        epoch: 2,
                        ..*lease
                    })
                    .collect(),
            ),
        };
        core.on(NOW, handed_over);
        (leases, _) = drain_of(learn(&mut core, map));
    }
    let services: BTreeSet<Service> = moved.iter().map(|(service, _)| *service).collect();
    assert_eq!(services.len(), 3, "only the one is left: {services:?}");
    let (leases, _) = drain_of(core.on(NOW, polled(version, &[])));
    assert_eq!(leases, [stubborn], "it is tried again");
}

#[test]
fn what_has_moved_is_closed_and_an_old_map_does_not_bring_it_back() {
    let mut core = owner_of_all();
    let (leases, to) = drain_of(learn(&mut core, joined(2)));
    core.on(
        NOW,
        Event::Drained {
            to,
            quiet: leases.clone(),
            busy: Vec::new(),
        },
    );
    let (stayed, moved) = leases.split_at(1);
    let new = |lease: &Lease| Lease {
        node_id: to,
        epoch: 2,
        ..*lease
    };
    let handed_over = Event::HandedOver {
        to,
        asked: leases.clone(),
        hand_over: HandOver::Moved(moved.iter().map(new).collect()),
    };
    let expected = vec![
        Effect::Close(moved.to_vec()),
        Effect::Resume(stayed.to_vec()),
        Effect::RefreshMap,
    ];
    assert_eq!(core.on(NOW, handed_over.clone()), expected);
    assert_eq!(core.on(NOW, handed_over), vec![Effect::RefreshMap], "told twice");
    let opened = learn(&mut core, joined(3));
    assert!(
        !opened.iter().any(|effect| matches!(effect, Effect::Open(_))),
        "{opened:?}"
    );
}

#[test]
fn a_hand_over_whose_outcome_is_unknown_serves_on_and_reads_the_map() {
    let mut core = owner_of_all();
    let (leases, to) = drain_of(learn(&mut core, joined(2)));
    core.on(
        NOW,
        Event::Drained {
            to,
            quiet: leases.clone(),
            busy: Vec::new(),
        },
    );
    let unknown = Event::HandedOver {
        to,
        asked: leases.clone(),
        hand_over: HandOver::Unknown,
    };
    let expected = vec![Effect::Resume(leases.clone()), Effect::RefreshMap];
    assert_eq!(core.on(NOW, unknown), expected);
    // It had happened all the same.
    let is_moved = |service, shard| leases.contains(&lease(service, shard, 1));
    let moved = map_at(3, active(2), |service, shard| {
        if is_moved(service, shard) {
            (Some(to), 2)
        } else {
            (Some(id(1)), 1)
        }
    });
    let effects = learn(&mut core, moved);
    assert!(
        matches!(&effects[..], [Effect::Close(closed), Effect::Drain { .. }] if closed.len() == leases.len()),
        "{effects:?}"
    );
}

#[test]
fn a_node_that_drains_hands_over_and_claims_nothing() {
    let mut core = owner_of_all();
    let mut nodes = active(3);
    nodes[0].state = NodeState::Draining;
    nodes[2].state = NodeState::Dead;
    let draining = map_at(2, nodes, |_, shard| {
        (Some(if shard.0 < 128 { id(1) } else { id(3) }), 1)
    });
    let effects = learn(&mut core, draining);
    assert!(
        matches!(&effects[..], [Effect::Drain { to, .. }] if *to == id(2)),
        "{effects:?}"
    );
}

#[test]
fn a_node_that_is_about_to_stop_claims_nothing() {
    let mut core = core();
    core.on(NOW, Event::DrainRequested);
    assert_eq!(learn(&mut core, map(active(1), None)), Vec::new());
}

#[test]
fn a_node_that_was_declared_dead_ends_and_says_nothing_more() {
    let dead = Event::Polled {
        map_version: 1,
        state: NodeState::Dead,
        peers: Vec::new(),
        linked: Vec::new(),
    };
    let mut core = owner_of_all();
    assert_eq!(core.on(NOW, dead), vec![Effect::End]);
    assert_eq!(core.on(NOW, polled(9, &[])), Vec::new());
    let mut forgotten = owner_of_all();
    let without_it = map_at(2, vec![node(2, NodeState::Active)], |_, _| (Some(id(2)), 2));
    assert_eq!(learn(&mut forgotten, without_it), vec![Effect::End]);
}

#[test]
fn a_core_that_begins_anew_keeps_the_shards_that_are_open() {
    let one = lease(Service::Orders, ShardId(7), 1);
    let config = Config {
        me: id(1),
        suspect_after: NOW,
        vote_after: NOW,
    };
    let mut core = MembershipCore::new(config, &[one]);
    let effects = learn(&mut core, map(active(1), Some(id(1))));
    assert!(matches!(&effects[..], [Effect::Open(leases)] if leases.len() == 767));
}

#[test]
fn a_peer_that_beats_but_cannot_be_reached_is_voted_against_once_at_a_time() {
    let mut core = core();
    learn(&mut core, map(active(3), Some(id(2))));
    let mut tick = 0_i32;
    let mut poll = |core: &mut MembershipCore| {
        tick += 1;
        let cut_off = Event::Polled {
            map_version: 1,
            state: NodeState::Active,
            peers: vec![(id(2), i64::from(tick)), (id(3), i64::from(tick))],
            linked: vec![id(3)],
        };
        core.on(TICK * tick.unsigned_abs(), cut_off)
    };
    let votes: Vec<_> = (0..30).flat_map(|_| poll(&mut core)).collect();
    let vote = Effect::Vote {
        peer: id(2),
        window: VOTE_WINDOW,
    };
    assert_eq!(votes, vec![vote.clone()]);
    let told = |ballot| Event::Voted { peer: id(2), ballot };
    assert_eq!(core.on(NOW, told(Ballot::Counted)), Vec::new());
    let votes: Vec<_> = (0..5).flat_map(|_| poll(&mut core)).collect();
    assert_eq!(votes, vec![vote], "the vote is renewed");
    assert_eq!(core.on(NOW, told(Ballot::Dead)), vec![Effect::SpreadMap]);
}

#[test]
fn a_node_that_only_joins_has_no_vote() {
    let mut core = core();
    let mut nodes = active(3);
    nodes[0].state = NodeState::Joining;
    learn(&mut core, map(nodes, Some(id(2))));
    for tick in 0..30 {
        let alone = Event::Polled {
            map_version: 1,
            state: NodeState::Joining,
            peers: vec![(id(2), i64::from(tick)), (id(3), i64::from(tick))],
            linked: Vec::new(),
        };
        assert_eq!(core.on(TICK * tick, alone), Vec::new());
    }
}

#[test]
fn shards_whose_drain_or_hand_over_is_lost_are_served_on_and_tried_again() {
    let mut core = owner_of_all();
    let first = learn(&mut core, joined(2));
    let lost = first[0].if_lost().expect("somebody waits for it");
    let resumed = core.on(NOW, lost);
    assert_eq!(resumed, vec![Effect::Resume(drain_of(first).0)]);
    let (leases, to) = drain_of(core.on(NOW, polled(2, &[])));
    let drained = Event::Drained {
        to,
        quiet: leases.clone(),
        busy: Vec::new(),
    };
    let hand_over = core.on(NOW, drained);
    let lost = hand_over[0].if_lost().expect("somebody waits for it");
    assert_eq!(
        core.on(NOW, lost),
        vec![Effect::Resume(leases.clone()), Effect::RefreshMap]
    );
    assert_eq!(drain_of(core.on(NOW, polled(2, &[]))), (leases, to));
}

#[test]
fn every_mark_is_cleared_when_its_effect_is_lost() {
    let mut core = core();
    learn(&mut core, map(active(2), Some(id(2))));
    let tried = core.on(NOW, Event::LinkDown(id(2)));
    core.on(NOW, tried[0].if_lost().expect("somebody waits for it"));
    assert_eq!(core.on(NOW, Event::LinkDown(id(2))), tried);
    let claim = learn(&mut core, map_at(2, active(1), |_, _| (None, 1)));
    core.on(NOW, claim[0].if_lost().expect("somebody waits for it"));
    assert_eq!(core.on(NOW, polled(2, &[])), claim);
}
