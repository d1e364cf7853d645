//! Where a script begins: a small shop, the same in the model and in Postgres.

use holdfast_domain::{
    MovementId, NodeId, OperationKey, OrderId, ProductId, Role, ShardId, StockLevel, Timestamp, User, UserId,
};
use holdfast_store::{
    Lease, NewAccount, NewNode, NewProduct, Service, Store,
    model::{Guards, Model},
    testing::TestDatabase,
};
use uuid::Uuid;

use crate::shop::{account, all_shards, new_node, new_product};

/// Long before the clock of any machine that runs this.
pub(super) const PAST: Timestamp = Timestamp::from_unix_micros(1_000_000_000_000_000);
/// Long after it.
pub(super) const FUTURE: Timestamp = Timestamp::from_unix_micros(4_000_000_000_000_000);
/// The shards in which everything happens.
pub(super) const SHARDS: [ShardId; 3] = [ShardId(1), ShardId(2), ShardId(3)];
/// Of each product.
const UNITS: u32 = 40;

/// Kinds of ids, so that two of a kind cannot be one.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Node = 1,
    User,
    Product,
    Order,
    Batch,
    Other,
}

/// Makes the `n`-th id of a kind in a shard.
pub(super) fn id(kind: Kind, n: u32, shard: ShardId) -> Uuid {
    Uuid::from_u128(((kind as u128) << 120) | (u128::from(n) << 32) | u128::from(shard.0))
}

pub(super) fn order_id(n: u32, shard: ShardId) -> OrderId {
    OrderId(id(Kind::Order, n, shard))
}

/// Makes the `n`-th key.
pub(super) fn key(n: u32) -> OperationKey {
    OperationKey::parse(&format!("key-{n:05}")).expect("a key")
}

/// Makes the `n`-th incarnation, of one of the nodes `n0` to `n3`.
pub(super) fn incarnation(n: u32, name: u32) -> NewNode {
    NewNode {
        node_id: NodeId(id(Kind::Node, n, ShardId(0))),
        lock_key: i64::from(n),
        ..new_node(&format!("n{name}"))
    }
}

/// People and products.
pub(super) struct World {
    pub(super) seller: User,
    pub(super) customers: Vec<User>,
    pub(super) products: Vec<ProductId>,
    accounts: Vec<NewAccount>,
    stocked: Vec<NewProduct>,
    first: NewNode,
}

impl World {
    pub(super) fn new() -> Self {
        let person = |n: u32, role| {
            let mut account = account(&format!("person-{n}"), role);
            account.user.id = UserId(id(Kind::User, n, ShardId(0)));
            account.registered.subject = account.user.id.0;
            account
        };
        let accounts = vec![
            person(0, Role::Seller),
            person(1, Role::Customer),
            person(2, Role::Customer),
        ];
        let users: Vec<_> = accounts.iter().map(|account| account.user.clone()).collect();
        let product = |(n, shard): (u32, ShardId)| {
            let mut new = new_product(&users[0], &format!("P{n}"), "a thing", UNITS);
            let product_id = ProductId(id(Kind::Product, n, shard));
            new.product.id = product_id;
            new.product.created_at = PAST;
            new.product.updated_at = PAST;
            new.initial.level.product_id = product_id;
            new.initial.change.movement_id = MovementId(product_id.0);
            new.initial.change.at = PAST;
            new.events[0].subject = product_id.0;
            new
        };
        let shards = [SHARDS[0], SHARDS[0], SHARDS[1], SHARDS[2]];
        let stocked: Vec<_> = (0..).zip(shards).map(product).collect();
        Self {
            seller: users[0].clone(),
            customers: users[1..].to_vec(),
            products: stocked.iter().map(|new| new.product.id).collect(),
            accounts,
            stocked,
            first: incarnation(0, 0),
        }
    }

    /// Lets a first node open the shop, and go.
    pub(super) async fn database(&self) -> TestDatabase {
        let database = TestDatabase::create().await;
        let store = database.store().await;
        store.node_join(&self.first).await.expect("joins");
        let node = self.first.node_id;
        store.node_activate(node).await.expect("becomes active");
        store.shards_claim(node, &all_shards()).await.expect("claims");
        self.fill(&store).await;
        store.node_leave(node).await.expect("leaves");
        store.close().await;
        database
    }

    async fn fill(&self, store: &Store) {
        let lease = |service, shard| Lease {
            node_id: self.first.node_id,
            service,
            shard,
            epoch: 1,
        };
        for account in &self.accounts {
            let lease = lease(Service::Sessions, account.user.id.shard());
            let registered = store.user_register(&lease, None, account).await;
            registered.expect("registers");
        }
        for new in &self.stocked {
            let lease = lease(Service::Products, new.product.id.shard());
            let created = store.product_create(&lease, None, new).await;
            created.expect("makes a product");
        }
    }

    pub(super) fn model(&self, guards: Guards) -> Model {
        let mut model = Model::with(guards);
        model.node_join(&self.first).expect("joins");
        let node = self.first.node_id;
        model.node_activate(node).expect("becomes active");
        model.shards_claim(node, &all_shards()).expect("claims");
        for new in &self.stocked {
            let stock: StockLevel = new.initial.level;
            model.put_product(new.product.clone(), stock).expect("is new");
        }
        model.node_leave(node).expect("leaves");
        model
    }
}
