//! Calls that the model and the store both take, and their answers in a form that can be compared.

use std::{fmt::Debug, time::Duration};

use holdfast_domain::{
    NodeId, OperationKey, OrderId, PaymentId, PaymentProvider, ProductId, ShardId, Timestamp, UserId,
};
use holdfast_store::{
    Batch, HeartbeatConnection, Lease, NewNode, Service, Store, StoreError, StoredOperation, UnfinishedOrder,
    model::Model,
};
use serde_json::Value;
use uuid::Uuid;

/// How long a heartbeat may take.
const LIMIT: Duration = Duration::from_secs(10);
/// Longer than a script runs: no vote expires in one.
const LONG: Duration = Duration::from_hours(1);
/// The limit under which it is open which orders are listed.
const FEW: u32 = 2;

#[derive(Clone, Debug)]
pub(super) enum Call {
    Join(NewNode),
    Activate(NodeId),
    Drain(NodeId),
    Leave(NodeId),
    DeclareDead(NodeId, i64),
    Suspect(NodeId, NodeId),
    Beat(NodeId),
    Peers(NodeId),
    Claim(NodeId, Vec<(Service, ShardId)>),
    HandOver(Vec<Lease>, NodeId),
    Map,
    Commit(Box<Batch>),
    Settled(Lease, OrderId, i64),
    Products(Vec<ProductId>),
    OrderRecord(OrderId),
    OrderByKey(UserId, OperationKey),
    PlacedSnapshot(OrderId),
    Reservation(ProductId, OrderId),
    Unfinished(Vec<ShardId>, u32),
    Operation(Uuid, String, OperationKey),
    Payment(OrderId, String),
    PaymentName(OrderId, PaymentId),
}

/// What was answered, as text: the kind of an error and its offenders, sorted.
pub(super) type Answer = String;

impl Call {
    pub(super) async fn on_store(&self, store: &Store, url: &str) -> Answer {
        match self {
            Self::Join(node) => said(store.node_join(node).await),
            Self::Activate(id) => said(store.node_activate(*id).await),
            Self::Drain(id) => said(store.node_drain(*id).await),
            Self::Leave(id) => said(store.node_leave(*id).await),
            Self::Suspect(by, of) => said(store.node_suspect(*by, *of, LONG).await),
            Self::DeclareDead(id, seq) => said(store.node_declare_dead(*id, *seq).await),
            Self::Beat(id) => {
                let beat = heart(url, *id).await.beat().await;
                said(beat.map(|beat| (beat.seq, beat.map_version, beat.state)))
            }
            Self::Peers(id) => said(heart(url, *id).await.peers().await),
            Self::Claim(id, wanted) => said(store.shards_claim(*id, wanted).await.map(sorted)),
            Self::HandOver(leases, to) => said(store.shards_hand_over(leases, *to).await.map(sorted)),
            Self::Map => said(store.map_load().await),
            Self::Commit(batch) => said(store.lane_commit(batch).await),
            Self::Settled(lease, id, version) => said(store.order_settled(lease, *id, *version).await),
            Self::Products(ids) => said(store.products(ids).await),
            Self::OrderRecord(id) => said(store.order_record(*id).await),
            Self::OrderByKey(customer, key) => said(store.order_by_key(*customer, key).await),
            Self::PlacedSnapshot(id) => said(store.placed_snapshot(*id).await),
            Self::Reservation(product, order) => said(store.reservation(*product, *order).await),
            Self::Unfinished(shards, limit) => {
                let listed = store.orders_unfinished(shards, *limit).await;
                said(listed.map(|listed| unfinished(&listed, *limit)))
            }
            Self::Payment(id, reference) => said(
                store
                    .payment_is_known(*id, PaymentProvider::Test, reference)
                    .await,
            ),
            Self::PaymentName(id, payment) => said(store.payment_name(*id, *payment).await),
            Self::Operation(principal, route, key) => {
                said(store.operation(*principal, route, key).await.map(spelled_alike))
            }
        }
    }

    pub(super) fn on_model(&self, model: &mut Model, now: Timestamp) -> Answer {
        match self {
            Self::Join(node) => said(model.node_join(node)),
            Self::Activate(id) => said(model.node_activate(*id)),
            Self::Drain(id) => said(model.node_drain(*id)),
            Self::Leave(id) => said(model.node_leave(*id)),
            Self::Suspect(by, of) => said(model.node_suspect(*by, *of, LONG, now)),
            Self::DeclareDead(id, seq) => fine(model.node_declare_dead(*id, *seq)),
            Self::Beat(id) => {
                let beat = model.beat(*id, now);
                said(beat.map(|beat| (beat.seq, beat.map_version, beat.state)))
            }
            Self::Peers(_) => fine(model.peers()),
            Self::Claim(id, wanted) => said(model.shards_claim(*id, wanted).map(sorted)),
            Self::HandOver(leases, to) => said(model.shards_hand_over(leases, *to).map(sorted)),
            Self::Map => fine(model.map_load()),
            Self::Commit(batch) => said(model.lane_commit(batch)),
            Self::Settled(lease, id, version) => said(model.order_settled(lease, *id, *version)),
            Self::Products(ids) => fine(model.products(ids)),
            Self::OrderRecord(id) => fine(model.order_record(*id)),
            Self::OrderByKey(customer, key) => fine(model.order_by_key(*customer, key)),
            Self::PlacedSnapshot(id) => said(model.placed_snapshot(*id)),
            Self::Reservation(product, order) => fine(model.reservation(*product, *order)),
            Self::Unfinished(shards, limit) => {
                fine(unfinished(&model.orders_unfinished(shards, *limit, now), *limit))
            }
            Self::Payment(id, reference) => {
                fine(model.payment_is_known(*id, PaymentProvider::Test, reference))
            }
            Self::PaymentName(id, payment) => fine(model.payment_name(*id, *payment)),
            Self::Operation(principal, route, key) => {
                fine(spelled_alike(model.operation(*principal, route, key)))
            }
        }
    }
}

async fn heart(url: &str, node_id: NodeId) -> HeartbeatConnection {
    HeartbeatConnection::connect(url, node_id, LIMIT)
        .await
        .expect("connects")
}

fn fine<T: Debug>(value: T) -> Answer {
    said(Ok(value))
}

fn said<T: Debug>(result: Result<T, StoreError>) -> Answer {
    match result {
        Ok(value) => format!("{value:?}"),
        Err(StoreError::Fenced { .. }) => "fenced".to_owned(),
        Err(StoreError::Version(stale)) => format!("stale {:?}", texts(&stale)),
        Err(StoreError::Duplicate(keys)) => format!("duplicate {:?}", texts(&keys)),
        Err(StoreError::Rejected(_)) => "rejected".to_owned(),
        Err(StoreError::Corrupt(_)) => "corrupt".to_owned(),
        Err(other) => format!("{other:?}"),
    }
}

fn texts<T: Debug>(items: &[T]) -> Vec<String> {
    let mut texts: Vec<_> = items.iter().map(|item| format!("{item:?}")).collect();
    texts.sort_unstable();
    texts
}

fn sorted(mut leases: Vec<Lease>) -> Vec<Lease> {
    leases.sort_unstable_by_key(|lease| (lease.service, lease.shard));
    leases
}

/// Under a tight limit only the kinds of work are certain, and how many orders are listed for each.
fn unfinished(listed: &[UnfinishedOrder], limit: u32) -> Vec<String> {
    let text = |order: &UnfinishedOrder| match limit {
        ..=FEW => format!("{:?}", order.work),
        _ => format!("{order:?}"),
    };
    let mut texts: Vec<_> = listed.iter().map(text).collect();
    texts.sort_unstable();
    texts
}

/// JSON is kept as `jsonb` by the store and as text by the model.
fn spelled_alike(stored: Option<StoredOperation>) -> Option<(String, Value)> {
    stored.map(|stored| {
        let outcome = serde_json::from_str(&stored.outcome).expect("is JSON");
        (format!("{:?}", stored.fingerprint), outcome)
    })
}
