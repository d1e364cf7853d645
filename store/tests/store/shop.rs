//! A shop with one node that owns everything, and people to sell and buy in it.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use holdfast_domain::{
    Caller, Currency, Email, Event, EventId, EventKind, Fingerprint, JsonObject, Money, Movement, MovementId,
    MovementKind, NodeId, Operation, OperationKey, Product, ProductId, ProductStatus, Role, Session,
    SessionId, ShardId, Sku, StockLevel, Timestamp, User, UserId, id::Entropy, session::TokenHash,
    stock::StockChange,
};
use holdfast_store::{
    Lease, NewAccount, NewNode, NewProduct, OperationRecord, Service, Store, testing::TestDatabase,
};
use sqlx::{AssertSqlSafe, Executor};
use uuid::Uuid;

/// The moment at which all tests play.
pub(crate) const NOW: Timestamp = Timestamp::from_unix_micros(1_800_000_000_000_000);

static DRAWN: AtomicU64 = AtomicU64::new(0);

/// Draws bytes that were not drawn before; the last one, an id's shard, runs through all shards.
pub(crate) fn entropy() -> Entropy {
    let mut bytes = [0; 10];
    bytes[2..].copy_from_slice(&DRAWN.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    bytes
}

/// Draws a moment later than all that were drawn before, so that ids made at it sort after theirs.
pub(crate) fn later() -> Timestamp {
    NOW.plus(Duration::from_millis(DRAWN.fetch_add(1, Ordering::Relaxed)))
}

pub(crate) fn eur(amount: i64) -> Money {
    let currency: Currency = "EUR".parse().expect("a currency");
    Money::new(amount, currency)
}

pub(crate) fn operation(route: &str, key: &str) -> OperationRecord {
    OperationRecord {
        operation: Operation {
            principal: Uuid::from_u128(7),
            route: route.to_owned(),
            key: OperationKey::parse(key).expect("a key"),
            fingerprint: Fingerprint([7; 32]),
            named_by_client: true,
        },
        outcome: r#"{"status": 201}"#.to_owned(),
        at: NOW,
    }
}

pub(crate) fn event(kind: EventKind, subject: Uuid, sequence: i64) -> Event {
    Event {
        id: EventId::mint(NOW, entropy()),
        kind,
        subject,
        sequence,
        at: NOW,
        actor_id: None,
        data: JsonObject::empty(),
        trace_id: None,
    }
}

pub(crate) fn caller(user: &User) -> Caller {
    Caller {
        user_id: user.id,
        session_id: SessionId::mint(NOW, entropy()),
        role: user.role,
    }
}

pub(crate) fn account(name: &str, role: Role) -> NewAccount {
    let user = User {
        id: UserId::mint(later(), entropy()),
        email: Email::parse(&format!("{name}@example.com")).expect("an address"),
        display_name: name.to_owned(),
        role,
        email_verified: false,
        disabled: false,
        created_at: NOW,
        version: 1,
    };
    NewAccount {
        registered: event(EventKind::UserRegistered, user.id.0, 1),
        password_hash: "$argon2id$v=19$of-a-password".to_owned(),
        user,
    }
}

pub(crate) fn session_of(user: &User) -> Session {
    Session {
        id: SessionId::mint_in(user.id.shard(), later(), entropy()),
        user_id: user.id,
        current: TokenHash([1; 32]),
        used: Vec::new(),
        created_at: NOW,
        last_used_at: NOW,
        expires_at: NOW.plus(Duration::from_hours(1)),
        revoked_at: None,
        user_agent: "a browser".to_owned(),
        ip: "192.0.2.1".to_owned(),
    }
}

pub(crate) fn new_product(seller: &User, sku: &str, name: &str, units: u32) -> NewProduct {
    let at = later();
    let product_id = ProductId::mint(at, entropy());
    NewProduct {
        product: Product {
            id: product_id,
            sku: Sku::parse(sku).expect("a SKU"),
            name: name.to_owned(),
            description: String::new(),
            price: eur(1_999),
            status: ProductStatus::Active,
            attributes: JsonObject::parse(r#"{"colour":"blue"}"#).expect("an object"),
            seller_id: seller.id,
            low_stock_threshold: Some(2),
            created_at: at,
            updated_at: at,
            version: 1,
        },
        initial: Movement {
            change: StockChange {
                movement_id: MovementId::mint(at, entropy()),
                kind: MovementKind::Initial,
                delta_on_hand: i64::from(units),
                delta_reserved: 0,
                order_id: None,
                reason: None,
                note: None,
                actor_id: seller.id,
                at,
            },
            level: StockLevel {
                product_id,
                on_hand: units,
                reserved: 0,
                version: 1,
            },
        },
        events: vec![event(EventKind::ProductCreated, product_id.0, 1)],
    }
}

/// A shop that one node runs.
pub(crate) struct Shop {
    pub(crate) database: TestDatabase,
    pub(crate) store: Store,
    pub(crate) node: NodeId,
    pub(crate) seller: User,
    pub(crate) buyer: User,
    leases: HashMap<(Service, ShardId), Lease>,
}

impl Shop {
    /// Opens a shop with a seller and a buyer.
    pub(crate) async fn open() -> Self {
        let database = TestDatabase::create().await;
        let store = database.store().await;
        let node = join(&store, "n1").await;
        let claimed = store.shards_claim(node, &all_shards()).await.expect("claims");
        let leases = claimed
            .into_iter()
            .map(|lease| ((lease.service, lease.shard), lease))
            .collect();
        let (seller, buyer) = (account("seller", Role::Seller), account("buyer", Role::Customer));
        let shop = Self {
            database,
            store,
            node,
            seller: seller.user.clone(),
            buyer: buyer.user.clone(),
            leases,
        };
        shop.register(&seller).await;
        shop.register(&buyer).await;
        shop
    }

    /// Closes the shop if nothing in it breaks a promise.
    pub(crate) async fn close(self) {
        for finding in self.store.audit().await.expect("audits") {
            assert_eq!(finding.breaches, 0, "{finding:?}");
        }
        self.store.close().await;
    }

    pub(crate) fn lease(&self, service: Service, shard: ShardId) -> &Lease {
        &self.leases[&(service, shard)]
    }

    /// Returns the lease under which an account and its sessions are written.
    pub(crate) fn account_lease(&self, user_id: UserId) -> &Lease {
        self.lease(Service::Sessions, user_id.shard())
    }

    pub(crate) fn leases(&self) -> Vec<Lease> {
        self.leases.values().copied().collect()
    }

    pub(crate) async fn register(&self, account: &NewAccount) {
        let lease = self.lease(Service::Sessions, account.user.id.shard());
        self.store
            .user_register(lease, None, account)
            .await
            .expect("registers");
    }

    /// Makes a product of the shop's seller.
    pub(crate) async fn product(&self, sku: &str, units: u32) -> Product {
        self.create(&new_product(&self.seller, sku, sku, units)).await
    }

    pub(crate) async fn create(&self, new: &NewProduct) -> Product {
        let lease = self.lease(Service::Products, new.product.id.shard());
        self.store
            .product_create(lease, None, new)
            .await
            .expect("makes a product");
        new.product.clone()
    }

    pub(crate) async fn stock(&self, product: &Product) -> StockLevel {
        let stocked = self.store.product(product.id).await.expect("reads");
        stocked.expect("the product exists").stock
    }

    /// Runs statements of the test's own.
    pub(crate) async fn execute(&self, sql: &str) {
        let mut connection = self.database.connection().await;
        connection
            .execute(AssertSqlSafe(sql.to_owned()))
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// Counts the rows of a table.
    pub(crate) async fn count(&self, table: &str) -> i64 {
        let mut connection = self.database.connection().await;
        sqlx::query_scalar(AssertSqlSafe(format!("SELECT count(*) FROM {table}")))
            .fetch_one(&mut connection)
            .await
            .expect("counts")
    }

    /// Waits until a statement of another connection waits for a lock.
    pub(crate) async fn until_somebody_waits(&self) {
        let mut connection = self.database.connection().await;
        tokio::time::timeout(Duration::from_secs(10), async {
            loop {
                let waiting: i64 = sqlx::query_scalar(
                    "SELECT count(*) FROM pg_stat_activity
                     WHERE datname = current_database() AND wait_event_type = 'Lock'",
                )
                .fetch_one(&mut connection)
                .await
                .expect("counts");
                if waiting > 0 {
                    break;
                }
                tokio::task::yield_now().await;
            }
        })
        .await
        .expect("somebody waits for a lock");
    }
}

/// Lists all shards of all services.
pub(crate) fn all_shards() -> Vec<(Service, ShardId)> {
    let of = |service| ShardId::all().map(move |shard| (service, shard));
    Service::ALL.into_iter().flat_map(of).collect()
}

/// Announces an incarnation.
pub(crate) fn new_node(name: &str) -> NewNode {
    NewNode {
        node_id: NodeId::mint(NOW, entropy()),
        name: name.to_owned(),
        roles: vec!["edge".into(), "orders".into()],
        api_addr: "127.0.0.1:1".to_owned(),
        link_addr: "127.0.0.1:2".to_owned(),
        proto: 1,
        lock_key: i64::from_be_bytes(entropy()[2..].try_into().expect("eight bytes")),
        started_at: NOW,
    }
}

/// Makes an active node.
pub(crate) async fn join(store: &Store, name: &str) -> NodeId {
    let node = new_node(name);
    store.node_join(&node).await.expect("joins");
    store.node_activate(node.node_id).await.expect("becomes active");
    node.node_id
}
