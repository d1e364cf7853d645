//! Several real nodes in one process, over a Postgres of their own.

use std::{sync::Arc, time::Duration};

use holdfast_actors::{
    HashingOptions, Node, NodeOptions, StartError, client::NodeState, hash_password, mint_user_id,
};
use holdfast_domain::{
    Email, Event, EventId, EventKind, JsonObject, NodeId, Role, User, event::Aggregate, id::shard_of,
};
use holdfast_http::{Edge, EdgeHandle, EdgeOptions};
use holdfast_store::{NewAccount, Service, Store, StoreOptions, testing::TestDatabase};
use sqlx::Executor;
use tokio::net::TcpListener;
use uuid::Uuid;

use super::{Person, Provider, eventually, person::PASSWORD, provider};

/// The role without shards.
const EDGE: &str = "edge";

/// A node that runs in this process.
pub(crate) struct Running {
    /// Its name.
    pub(crate) name: String,
    /// Its actors.
    pub(crate) node: Arc<Node>,
    /// Where its API answers; nowhere if it is no edge.
    pub(crate) api: String,
    /// Where its operators' listener answers.
    pub(crate) ops: String,
    edge: EdgeHandle,
}

/// A cluster in this process. Dropped, it is audited.
pub(crate) struct Cluster {
    nodes: Vec<Running>,
    http: reqwest::Client,
    admin: Person,
    /// The store, for looking behind the curtain.
    pub(crate) store: Store,
    database: TestDatabase,
    tune: Tuning,
}

/// How the options of all nodes differ from the defaults.
type Tuning = Arc<dyn Fn(&mut NodeOptions) + Send + Sync>;

impl Cluster {
    /// Starts `count` nodes with all roles, and waits until every shard is where it belongs.
    pub(crate) async fn start(count: usize) -> Self {
        Self::start_tuned(count, |_| {}).await
    }

    /// Starts `count` nodes whose options were tuned.
    pub(crate) async fn start_tuned(
        count: usize,
        tune: impl Fn(&mut NodeOptions) + Send + Sync + 'static,
    ) -> Self {
        show_logs();
        let tune: Tuning = Arc::new(tune);
        let database = TestDatabase::create().await;
        let store = Store::connect(database.url(), StoreOptions::default())
            .await
            .expect("a store");
        let http = reqwest::Client::builder()
            .timeout(Duration::from_secs(15))
            .build()
            .expect("a client");
        let mut nodes = Vec::new();
        for n in 1..=count {
            nodes.push(start_node(&format!("n{n}"), database.url(), &tune).await);
        }
        let admin = Person::stranger(http.clone(), &nodes[0].api);
        let mut cluster = Self {
            nodes,
            http,
            admin: admin.clone(),
            store,
            database,
            tune,
        };
        cluster.settled().await;
        cluster.admin = Self::make_admin(&cluster.store, admin).await;
        cluster
    }

    /// Waits until every shard is owned, open, and spread over all nodes.
    pub(crate) async fn settled(&self) {
        let living = self.nodes.len();
        eventually("every shard is where it belongs", || async {
            let map = self.store.map_load().await.ok()?;
            let active = map
                .nodes
                .iter()
                .filter(|node| node.state == NodeState::Active)
                .count();
            let may_own = map
                .nodes
                .iter()
                .filter(|node| node.state == NodeState::Active && node.roles.iter().any(|role| role != EDGE))
                .count();
            let mut owners: Vec<_> = map.shards.iter().map(|shard| shard.owner).collect();
            owners.sort_unstable();
            owners.dedup();
            (active == living && !owners.contains(&None) && owners.len() == may_own).then_some(())
        })
        .await;
        for node in &self.nodes {
            eventually("every node is ready", || async {
                node.node.client().health().await.is_ready().then_some(())
            })
            .await;
        }
    }

    /// Returns the address of a node's API, counted from 0 and round and round.
    pub(crate) fn api(&self, index: usize) -> &str {
        &self.nodes[index % self.nodes.len()].api
    }

    /// Returns a running node.
    pub(crate) fn node(&self, index: usize) -> &Running {
        &self.nodes[index]
    }

    /// Returns how many nodes run.
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Returns the `test` provider of payments, at a node.
    pub(crate) fn provider(&self, index: usize) -> Provider {
        Provider(self.stranger(index))
    }

    /// Returns the shop's admin, at the first node.
    pub(crate) fn admin(&self) -> &Person {
        &self.admin
    }

    /// Returns somebody without an account, at a node.
    pub(crate) fn stranger(&self, index: usize) -> Person {
        Person::stranger(self.http.clone(), self.api(index))
    }

    /// Returns a new customer, at the first node.
    pub(crate) async fn sign_up(&self, name: &str) -> Person {
        self.stranger(0).sign_up(name).await
    }

    /// Returns a new seller, at the first node.
    pub(crate) async fn seller(&self, name: &str) -> Person {
        let person = self.sign_up(name).await;
        let path = format!("/v1/users/{}", person.id);
        self.admin
            .at(self.api(0))
            .patch(&path, 1, serde_json::json!({ "role": "seller" }))
            .await
            .expect(200);
        person.sign_in().await
    }

    /// Makes the first admin, as an operator would before the first start.
    async fn make_admin(store: &Store, person: Person) -> Person {
        let at = store.server_time().await.expect("a time");
        let email = Email::parse("admin@example.com").expect("an address");
        let id = mint_user_id(&email, at);
        let password_hash = hash_password(PASSWORD, cheap_hashing()).expect("a hash");
        let user = User {
            id,
            email: email.clone(),
            display_name: String::new(),
            role: Role::Admin,
            email_verified: true,
            disabled: false,
            created_at: at,
            version: 1,
        };
        let registered = Event {
            id: EventId::mint(at, rand::random()),
            kind: EventKind::UserRegistered,
            subject: id.0,
            sequence: 1,
            at,
            actor_id: None,
            data: JsonObject::empty(),
            trace_id: None,
        };
        let made = store
            .admin_bootstrap(&NewAccount {
                user,
                password_hash,
                registered,
            })
            .await;
        assert!(made.expect("an admin"), "there was an admin before");
        Person {
            id: id.to_string(),
            email: email.to_string(),
            ..person
        }
        .sign_in()
        .await
    }

    /// Runs SQL behind the shop's back.
    pub(crate) async fn execute(&self, sql: &str) {
        execute(&self.database, sql).await;
    }

    /// Counts behind the shop's back.
    pub(crate) async fn count(&self, sql: &str) -> i64 {
        let mut connection = self.database.connection().await;
        sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
            .fetch_one(&mut connection)
            .await
            .expect("sound SQL")
    }

    /// Counts the events of an aggregate that their shards' owners have yet to tell, or to pass over.
    pub(crate) async fn untold(&self, aggregate: Aggregate) -> i64 {
        let sql = format!(
            "SELECT count(*) FROM event AS e
             JOIN relay_position AS r ON r.shard_id = shard_of(e.subject) AND r.service =
                 CASE e.aggregate WHEN 'user' THEN 'sessions' WHEN 'order' THEN 'orders' ELSE 'products' END
             WHERE e.aggregate = '{}'
               AND (e.xid, e.aggregate, e.subject, e.sequence, e.kind)
                   > (r.xid, r.aggregate, r.subject, r.sequence, r.kind)",
            aggregate.as_str()
        );
        self.count(&sql).await
    }

    /// Waits until the owners of all shards have told what has happened, or passed it over.
    pub(crate) async fn all_told(&self) {
        eventually("every event is told", || async {
            let mut untold = 0;
            for aggregate in [
                Aggregate::User,
                Aggregate::Product,
                Aggregate::Stock,
                Aggregate::Order,
            ] {
                untold += self.untold(aggregate).await;
            }
            (untold == 0).then_some(())
        })
        .await;
    }

    /// Runs SQL in a transaction that stays open, with its locks, until the connection is dropped.
    pub(crate) async fn hold(&self, sql: &str) -> sqlx::PgConnection {
        let mut connection = self.database.connection().await;
        connection
            .execute(sqlx::AssertSqlSafe(format!("BEGIN; {sql}")))
            .await
            .expect("sound SQL");
        connection
    }

    /// Returns the index of the node that owns a product, as the map says.
    pub(crate) async fn owner_of_product(&self, product: &str) -> usize {
        self.owner_of(Service::Products, product).await
    }

    /// Returns the index of the node that owns an entity.
    pub(crate) async fn owner_of(&self, service: Service, id: &str) -> usize {
        let shard = shard_of(id.parse::<Uuid>().expect("an id"));
        eventually("the shard has a living owner", || async {
            let map = self.store.map_load().await.ok()?;
            let row = map
                .shards
                .iter()
                .find(|row| row.service == service && row.shard == shard)?;
            self.index_of(row.owner?)
        })
        .await
    }

    fn index_of(&self, node_id: NodeId) -> Option<usize> {
        self.nodes
            .iter()
            .position(|running| running.node.node_id() == node_id)
    }

    /// Lists a product on every node: one that each node owns, in the order of the nodes.
    pub(crate) async fn products_of_all_nodes(&self, seller: &Person, stock: u32) -> Vec<String> {
        let mut found = vec![None; self.nodes.len()];
        while found.contains(&None) {
            let product = seller.lists("thing", stock).await;
            let owner = self.owner_of_product(&product).await;
            found[owner].get_or_insert(product);
        }
        found.into_iter().flatten().collect()
    }

    /// Ends a node as the death of its process would.
    pub(crate) async fn crash(&mut self, index: usize) -> String {
        let Running { name, node, edge, .. } = self.nodes.remove(index);
        node.crash();
        edge.shutdown(Duration::ZERO).await;
        name
    }

    /// Lets a node leave in good order.
    pub(crate) async fn stop(&mut self, index: usize) {
        let Running { node, edge, .. } = self.nodes.remove(index);
        node.begin_draining();
        edge.shutdown(Duration::from_secs(3)).await;
        node.stop().await;
    }

    /// Starts a node without an edge, which may fail; it is not one of the cluster's.
    pub(crate) async fn try_join(&self, name: &str) -> Result<Node, StartError> {
        Node::start(node_options(name, self.database.url(), &self.tune)).await
    }

    /// Starts a node of this name again, as a new incarnation.
    pub(crate) async fn restart(&mut self, name: &str) {
        self.nodes
            .push(start_node(name, self.database.url(), &self.tune).await);
        self.nodes.sort_by(|a, b| a.name.cmp(&b.name));
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        // A runtime of its own: the test's may be single-threaded, and is busy dropping this.
        let url = self.database.url().to_owned();
        let audit = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                let store = Store::connect(&url, StoreOptions::default())
                    .await
                    .expect("a store");
                store.audit().await.expect("an audit")
            })
        });
        for finding in audit.join().expect("an audit") {
            assert_eq!(finding.breaches, 0, "{finding:?}");
        }
    }
}

/// Shows what nodes warn of, beside the test that fails.
fn show_logs() {
    let filter =
        tracing_subscriber::EnvFilter::try_from_env("HOLDFAST_LOG").unwrap_or_else(|_| "warn".into());
    // Fails only if an earlier cluster of this process has done it.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_test_writer()
        .try_init();
}

/// These tests are not about how hard a password is to guess.
fn cheap_hashing() -> HashingOptions {
    HashingOptions {
        memory_kib: 64,
        passes: 1,
        ..HashingOptions::default()
    }
}

async fn execute(database: &TestDatabase, sql: &str) {
    let mut connection = database.connection().await;
    connection
        .execute(sqlx::AssertSqlSafe(sql))
        .await
        .expect("sound SQL");
}

fn node_options(name: &str, url: &str, tune: &Tuning) -> NodeOptions {
    let mut options = NodeOptions::new(name, url, "a secret of this test");
    options.max_connections = 8;
    options.hashing = cheap_hashing();
    tune(&mut options);
    options
}

async fn start_node(name: &str, url: &str, tune: &Tuning) -> Running {
    let api = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let ops = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let (api_addr, ops_addr) = (api.local_addr().expect("bound"), ops.local_addr().expect("bound"));
    let mut options = node_options(name, url, tune);
    options.api_advertise = api_addr.to_string();
    let is_edge = options.roles.iter().any(|role| role == EDGE);
    let node = Arc::new(Node::start(options).await.expect("a node"));
    holdfast_node::metrics::register(&node.client().metrics(), 0).expect("the only one of its node");
    let edge_options = EdgeOptions {
        payment_webhooks: provider::keys(),
        ..EdgeOptions::default()
    };
    let edge = Edge::start(edge_options, node.client(), is_edge.then_some(api), ops)
        .await
        .expect("an edge");
    Running {
        name: name.to_owned(),
        node,
        api: if is_edge {
            format!("http://{api_addr}")
        } else {
            String::new()
        },
        ops: format!("http://{ops_addr}"),
        edge,
    }
}
