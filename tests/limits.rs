//! Rate limits: a client has one budget on all nodes together.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use holdfast_actors::{
    NodeOptions,
    budget::{BudgetOptions, Class, Rate, Rates, Subject},
    link::{Direction, FaultState},
};
use holdfast_domain::UserId;
use holdfast_store::Service;
use tokio::{task::JoinSet, time::interval};
use uuid::Uuid;

use crate::harness::{Answer, Cluster, Person, eventually};

/// What everybody in these tests may read.
const RATE: Rate = Rate {
    requests: 10,
    per: Duration::from_secs(1),
    burst: 36,
};
const PER_SECOND: f64 = 10.0;
const BURST: f64 = 36.0;
/// How long tokens drawn from another node are good.
const TTL_S: f64 = 1.0;
const NODES: f64 = 3.0;
/// The largest lease is a quarter of a node's share of the burst.
const LEASE: f64 = 3.0;

/// Nobody gets as far as this.
const PLENTY: Rate = Rate {
    requests: 1_000_000,
    per: Duration::from_secs(1),
    burst: 1_000_000,
};

fn limited(options: &mut NodeOptions) {
    options.limits = Some(BudgetOptions {
        rates: Rates {
            register_by_address: PLENTY,
            login_by_address: PLENTY,
            login_by_caller: PLENTY,
            orders_by_address: PLENTY,
            orders_by_caller: PLENTY,
            writes_by_address: PLENTY,
            writes_by_caller: PLENTY,
            reads_by_address: PLENTY,
            reads_by_caller: RATE,
            webhooks_by_address: PLENTY,
            webhooks_by_provider: PLENTY,
        },
        ..BudgetOptions::default()
    });
}

/// As [`limited`], on a machine that may be too busy to answer in time.
fn limited_with_patience(options: &mut NodeOptions) {
    limited(options);
    if let Some(limits) = &mut options.limits {
        limits.lease_wait = Duration::from_secs(1);
    }
}

/// What a caller got through.
#[derive(Debug, Default)]
struct Tally {
    sent: u32,
    admitted: u32,
    refused: u32,
    /// Until the last request was sent.
    seconds: f64,
    /// Until the last one was answered.
    answered: f64,
}

/// Asks every one of `apis` as often as the whole budget allows, until `enough`.
async fn ask_too_often(caller: &Person, apis: &[&str], enough: impl Fn(&Tally) -> bool) -> Tally {
    let began = Instant::now();
    let mut tally = Tally::default();
    let mut ticks = interval(RATE.interval());
    let mut asking = JoinSet::new();
    loop {
        ticks.tick().await;
        for api in apis {
            let caller = caller.at(api);
            asking.spawn(async move { caller.get("/v1/me").await.status.as_u16() });
            tally.sent += 1;
        }
        while let Some(status) = asking.try_join_next() {
            count(&mut tally, status.expect("an answer"));
        }
        tally.seconds = began.elapsed().as_secs_f64();
        if enough(&tally) {
            break;
        }
    }
    for status in asking.join_all().await {
        count(&mut tally, status);
    }
    tally.answered = began.elapsed().as_secs_f64();
    tally
}

fn count(tally: &mut Tally, status: u16) {
    match status {
        200 => tally.admitted += 1,
        429 => tally.refused += 1,
        other => panic!("{other}"),
    }
}

/// Sums up how many requests were decided by a node's share.
fn decided_by_shares(cluster: &Cluster) -> u64 {
    (0..cluster.len())
        .map(|n| cluster.node(n).node.client().budget_counters().by_share)
        .sum()
}

async fn owner_of_budget(cluster: &Cluster, caller: &Person) -> usize {
    let id: Uuid = caller.id.parse().expect("an id");
    owner_of_budget_of(cluster, Subject::caller(UserId(id))).await
}

async fn owner_of_budget_of(cluster: &Cluster, subject: Subject) -> usize {
    let in_shard = Uuid::from_u128(u128::from(subject.shard().0));
    cluster.owner_of(Service::Sessions, &in_shard.to_string()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_times_the_budget_over_three_nodes_gets_one_budget_through() {
    let cluster = Cluster::start_tuned(3, limited_with_patience).await;
    let caller = cluster.sign_up("caller").await;
    let apis: Vec<&str> = (0..3).map(|n| cluster.api(n)).collect();
    let shared_before = decided_by_shares(&cluster);
    let tally = ask_too_often(&caller, &apis, |tally| tally.sent >= 240).await;
    let by_share = u32::try_from(decided_by_shares(&cluster) - shared_before).expect("few");
    let most = BURST + PER_SECOND * (tally.answered + TTL_S) + f64::from(by_share);
    let least = BURST + PER_SECOND * tally.seconds - NODES * LEASE - NODES;
    let admitted = f64::from(tally.admitted);
    println!("{tally:?}, by share {by_share}, bound {least:.1} to {most:.1}");
    assert_eq!(tally.sent, tally.admitted + tally.refused);
    assert!(admitted <= most, "{admitted} of at most {most:.1}");
    assert!(
        admitted >= least.min(f64::from(tally.sent)),
        "{admitted} of at least {least:.1}"
    );
    let refused: u64 = (0..3)
        .map(|n| {
            cluster
                .node(n)
                .node
                .client()
                .budget_counters()
                .refused(Class::Reads)
        })
        .sum();
    assert_eq!(refused, u64::from(tally.refused));
}

/// Reads a parameter of a policy's item in a list of them.
fn parameter(answer: &Answer, field: &str, policy: &str, name: &str) -> u32 {
    let list = answer.header(field).expect("the field");
    let item = list
        .split(", ")
        .find_map(|item| item.strip_prefix(&format!("\"{policy}\";")))
        .expect("the policy");
    let parameters: BTreeMap<&str, &str> = item
        .split(';')
        .map(|parameter| parameter.split_once('=').expect("a parameter"))
        .collect();
    parameters[name].parse().expect("a number")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_is_told_what_is_left_and_when_to_come_back_and_then_admitted_anywhere() {
    let cluster = Cluster::start_tuned(3, limited_with_patience).await;
    let caller = cluster.sign_up("caller").await;
    let first = caller.get("/v1/me").await;
    assert_eq!(
        first.header("ratelimit-policy"),
        Some("\"reads-address\";q=1000000;w=1, \"reads-caller\";q=10;w=1")
    );
    assert!(parameter(&first, "ratelimit", "reads-caller", "r") < RATE.burst);
    assert_eq!(first.header("retry-after"), None);
    first.expect(200);
    // From all nodes at once, so that the bucket is drained faster than it refills.
    let refused = eventually("the budget is used up", || async {
        let asked = (0..24).map(|n| {
            let caller = caller.at(cluster.api(n));
            async move { caller.get("/v1/me").await }
        });
        let answers = asked.collect::<JoinSet<_>>().join_all().await;
        answers.into_iter().find(|answer| answer.status == 429)
    })
    .await;
    let retry_after: u32 = refused
        .header("retry-after")
        .and_then(|text| text.parse().ok())
        .expect("seconds");
    assert!((1..=2).contains(&retry_after), "{retry_after}");
    assert_eq!(parameter(&refused, "ratelimit", "reads-caller", "r"), 0);
    assert_eq!(parameter(&refused, "ratelimit", "reads-caller", "t"), retry_after);
    assert_eq!(parameter(&refused, "ratelimit-policy", "reads-caller", "w"), 1);
    let body = refused.problem(429, "rate-limited");
    assert_eq!(body["policy"], "reads-caller");
    // Somebody else at the same address is not concerned, nor is what is not a read.
    let other = cluster.sign_up("other").await;
    other.get("/v1/me").await.expect(200);
    for node in 0..3 {
        eventually("the caller is admitted again", || async {
            let answer = caller.at(cluster.api(node)).get("/v1/me").await;
            (answer.status == 200).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_that_cannot_be_reached_leaves_each_edge_its_share() {
    let cluster = Cluster::start_tuned(3, |options| {
        limited(options);
        // Its peers would outvote it meanwhile.
        options.vote_after = Duration::from_mins(5);
    })
    .await;
    let caller = cluster.sign_up("caller").await;
    let owner = owner_of_budget(&cluster, &caller).await;
    let owner_id = cluster.node(owner).node.node_id().0;
    let edges: Vec<usize> = (0..3).filter(|n| *n != owner).collect();
    for edge in &edges {
        let faults = cluster.node(*edge).node.link().faults();
        faults.set(Some(owner_id), Direction::Both, FaultState::Cut);
        eventually("the edge has lost the owner", || async {
            let connected = cluster.node(*edge).node.link().connected();
            (!connected.contains(&owner_id)).then_some(())
        })
        .await;
    }
    let apis: Vec<&str> = edges.iter().map(|n| cluster.api(*n)).collect();
    let tally = ask_too_often(&caller, &apis, |tally| tally.refused >= 60).await;
    // Two of three edges, each with a third of burst and rate.
    let most = 2.0 * (BURST / NODES + PER_SECOND / NODES * tally.answered) + 2.0;
    let least = 2.0 * (BURST / NODES + PER_SECOND / NODES * tally.seconds) - 2.0 * 2.0;
    let admitted = f64::from(tally.admitted);
    println!("{tally:?}, bound {least:.1} to {most:.1}");
    assert!(decided_by_shares(&cluster) >= 60);
    assert!(admitted <= most, "{admitted} of at most {most:.1}");
    assert!(admitted >= least, "{admitted} of at least {least:.1}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_of_an_older_release_is_asked_for_the_budgets_that_it_knows() {
    let cluster = Cluster::start_tuned(2, |options| {
        limited_with_patience(options);
        options.wire_version = 1;
    })
    .await;
    let subject = Subject::provider(Uuid::from_u128(7));
    let owner = owner_of_budget_of(&cluster, subject).await;
    let edge = cluster.node(1 - owner).node.client();
    let is_admitted = async |class| edge.admit(class, subject).await.expect("limits").is_admitted;
    let shared_before = decided_by_shares(&cluster);
    assert!(is_admitted(Class::Webhooks).await);
    assert_eq!(decided_by_shares(&cluster), shared_before + 1);
    // It is not taken for one that does not answer.
    assert!(is_admitted(Class::Reads).await);
    assert_eq!(decided_by_shares(&cluster), shared_before + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_death_of_a_budgets_owner_costs_one_burst_at_most() {
    let mut cluster = Cluster::start_tuned(3, limited).await;
    let caller = cluster.sign_up("caller").await;
    let owner = owner_of_budget(&cluster, &caller).await;
    let began = Instant::now();
    let survivors: Vec<String> = (0..3)
        .filter(|n| *n != owner)
        .map(|n| cluster.api(n).to_owned())
        .collect();
    let apis: Vec<&str> = survivors.iter().map(String::as_str).collect();
    let before = ask_too_often(&caller, &apis, |tally| tally.refused >= 20).await;
    cluster.crash(owner).await;
    let after = ask_too_often(&caller, &apis, |tally| tally.refused >= 40 && tally.seconds > 2.0).await;
    // One owner's bucket and its successor's, what leases add, and what shares decided.
    let by_share = u32::try_from(decided_by_shares(&cluster)).expect("few");
    let seconds = began.elapsed().as_secs_f64();
    let most = 2.0 * BURST + PER_SECOND * (seconds + TTL_S) + f64::from(by_share);
    let admitted = f64::from(before.admitted + after.admitted);
    println!("before {before:?}, after {after:?}, by share {by_share}, bound {most:.1}");
    assert!(admitted <= most, "{admitted} of at most {most:.1}");
    assert!(after.refused >= 40, "it is limited still");
}

#[tokio::test]
async fn a_cluster_without_limits_says_nothing_of_them() {
    let cluster = Cluster::start(1).await;
    let caller = cluster.sign_up("caller").await;
    for _ in 0..50 {
        let answer = caller.get("/v1/me").await;
        assert_eq!(answer.header("ratelimit"), None);
        answer.expect(200);
    }
}
