//! What events tell, under which epochs it was written, and what the tables do not show.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_domain::{EventKind, Order, OrderStatus, ShardId, event::Aggregate, id::shard_of};

use super::orders::placed;
use crate::{
    EventRecord, OrderState, Service,
    model::tables::{Subject, Tables, event_key_of},
};

/// An order came to its status along the state machine, as its events tell.
pub(super) fn transitions(tables: &Tables) -> Vec<String> {
    let mut found = Vec::new();
    for record in tables.orders.values() {
        let order = &record.order;
        let told = tables.events.get(&(Aggregate::Order.as_str(), order.id.0));
        let is_sound = match (&record.state, told) {
            (OrderState::Placed, Some(told)) => is_path_sound(order, record.round, told),
            (OrderState::Placed, None) => false,
            (OrderState::Placing { .. } | OrderState::Refused(_), told) => told.is_none(),
        };
        if !is_sound {
            let kinds: Vec<_> = told
                .into_iter()
                .flatten()
                .map(|record| record.event.kind.as_str())
                .collect();
            let state = record.state.column(order);
            found.push(format!("order {} is {state} after {kinds:?}", order.id));
        }
    }
    found
}

fn is_path_sound(order: &Order, round: u32, told: &[EventRecord]) -> bool {
    use OrderStatus::{
        Cancelled, Expired, Fulfilled, PartiallyFulfilled, PartiallyReturned, PendingPayment, Returned,
    };
    let at = |kind: EventKind| {
        let of_kind = told.iter().filter(move |record| record.event.kind == kind);
        of_kind.map(|record| record.event.sequence)
    };
    let status = order.status;
    let confirmed_at = at(EventKind::OrderConfirmed).min();
    let shipped_at = at(EventKind::OrderFulfilled).min();
    let expired_at = at(EventKind::OrderExpired).min();
    let is_confirmed_sound = match at(EventKind::OrderConfirmed).count() {
        0 => matches!(status, PendingPayment | Cancelled | Expired),
        1 => !matches!(status, PendingPayment | Expired),
        _ => false,
    };
    let is_shipped = matches!(
        status,
        PartiallyFulfilled | Fulfilled | PartiallyReturned | Returned
    );
    let is_shipped_after_confirmed = match (confirmed_at, shipped_at) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(confirmed_at), Some(shipped_at)) => confirmed_at < shipped_at,
    };
    at(EventKind::OrderPlaced).eq([1])
        && is_confirmed_sound
        && is_shipped_after_confirmed
        && shipped_at.is_some() == is_shipped
        && at(EventKind::OrderCancelled).count() == usize::from(status == Cancelled)
        && at(EventKind::OrderExpired).count() == usize::from(status == Expired || round > 0)
        && confirmed_at
            .zip(expired_at)
            .is_none_or(|(confirmed_at, expired_at)| confirmed_at > expired_at)
}

/// Every version of an order and of a product has its event; a stock's events are of versions that were.
pub(super) fn events(tables: &Tables) -> Vec<String> {
    let mut standing: BTreeMap<Subject, (i64, bool)> = BTreeMap::new();
    for order in placed(tables) {
        standing.insert((Aggregate::Order.as_str(), order.id.0), (order.version, true));
    }
    for product in tables.products.values() {
        standing.insert(
            (Aggregate::Product.as_str(), product.id.0),
            (product.version, true),
        );
    }
    for (id, row) in &tables.stock {
        standing.insert((Aggregate::Stock.as_str(), id.0), (row.level.version, false));
    }
    let subjects: BTreeSet<_> = standing.keys().chain(tables.events.keys()).collect();
    let mut found = Vec::new();
    for subject in subjects {
        let told = tables.events.get(subject).map_or(&[][..], Vec::as_slice);
        let versions: BTreeSet<_> = told.iter().map(|record| record.event.sequence).collect();
        let is_sound = match standing.get(subject) {
            None => false,
            Some((version, true)) => versions.iter().copied().eq(1..=*version),
            Some((version, false)) => versions.last().is_none_or(|last| last <= version),
        };
        if !is_sound {
            let (aggregate, id) = subject;
            let version = standing.get(subject).map(|(version, _)| version);
            found.push(format!(
                "{aggregate} {id} is at version {version:?} and tells of {versions:?}"
            ));
        }
    }
    found
}

/// Along an aggregate's versions the epoch only grows, and never beyond the one that its shard is at; it
/// grows along the commits that wrote a shard's events, too.
pub(super) fn epochs(tables: &Tables) -> Vec<String> {
    let by_commit = highest_epochs(tables);
    let mut found = Vec::new();
    for (&(aggregate, subject), told) in &tables.events {
        let shard = (service_of(aggregate), shard_of(subject));
        let current = tables.shards[&shard].epoch;
        let mut highest = 0;
        // Events of one version are told together: each is held against the highest among them.
        for version in told.chunk_by(|a, b| a.event.sequence == b.event.sequence) {
            highest = version.iter().map(|record| record.epoch).fold(highest, i64::max);
            for record in version {
                let commit = tables.told_by[&event_key_of(&record.event)];
                let before = by_commit[&shard].range(..commit).next_back();
                let highest = before.map_or(highest, |(_, before)| highest.max(*before));
                if record.epoch < highest || record.epoch > current {
                    found.push(format!(
                        "{} of {aggregate} {subject} was committed under epoch {} after {highest}; its shard \
                     is at {current}",
                        record.event.kind, record.epoch
                    ));
                }
            }
        }
    }
    found
}

/// By shard and commit, the highest epoch of the shard's events until then.
fn highest_epochs(tables: &Tables) -> BTreeMap<(Service, ShardId), BTreeMap<u64, i64>> {
    let mut shards: BTreeMap<_, BTreeMap<u64, i64>> = BTreeMap::new();
    for (&(aggregate, subject), told) in &tables.events {
        let commits = shards
            .entry((service_of(aggregate), shard_of(subject)))
            .or_default();
        for record in told {
            let epoch = commits
                .entry(tables.told_by[&event_key_of(&record.event)])
                .or_default();
            *epoch = record.epoch.max(*epoch);
        }
    }
    for commits in shards.values_mut() {
        let mut highest = 0;
        for epoch in commits.values_mut() {
            highest = highest.max(*epoch);
            *epoch = highest;
        }
    }
    shards
}

/// The service whose owners write an aggregate.
fn service_of(aggregate: &str) -> Service {
    match aggregate {
        "user" => Service::Sessions,
        "order" => Service::Orders,
        _ => Service::Products,
    }
}

/// Nothing was committed by a node that was superseded, or under a lease that had ended.
pub(super) fn leases(tables: &Tables) -> Vec<String> {
    tables.superseded.clone()
}

/// An operation takes effect once.
pub(super) fn operations(tables: &Tables) -> Vec<String> {
    let repeated = tables.operations.iter().filter(|(_, effects)| effects.len() > 1);
    repeated
        .map(|((principal, route, key), effects)| {
            format!("{principal} did {route} with key {key} {} times", effects.len())
        })
        .collect()
}
