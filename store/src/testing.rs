//! A throwaway Postgres for tests, here and in the crates above. Behind the feature `testing`.
//!
//! Each test process has a server of its own, because test runners may give every test a process; and
//! each test a database of its own, cloned from one that has been migrated. What takes long, `initdb`
//! and the migrations, is done once and kept in the temporary directory under a name that changes with
//! either.
//!
//! *Invariant*: no server outlives its test process, however that ends. The server is the child of a
//! small shell that waits for the end of its input; the test process alone holds the other end of that
//! pipe, and the kernel closes it.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use sqlx::{Connection, Executor, PgConnection};

use crate::{Store, StoreOptions};

mod events;
mod plans;
mod programs;
mod server;
mod weaken;

pub use events::until_told_by_owners;
pub use plans::{KeyedStatement, statements_by_key};
pub use weaken::{WeakenError, weaken};

use programs::Programs;
use server::Server;

/// The database from which those of the tests are cloned.
const TEMPLATE: &str = "holdfast_template";

static SERVER: OnceLock<Server> = OnceLock::new();
static DATABASES: AtomicU32 = AtomicU32::new(0);

/// A fresh, migrated database.
#[derive(Clone, Debug)]
pub struct TestDatabase {
    server: &'static Server,
    name: String,
    url: String,
}

impl TestDatabase {
    /// Makes a database with the schema of this release.
    ///
    /// # Panics
    /// If there is no PostgreSQL, or it does not start.
    pub async fn create() -> Self {
        Self::cloned(server().await, TEMPLATE).await
    }

    /// Makes a database without any table.
    ///
    /// # Panics
    /// If there is no PostgreSQL, or it does not start.
    pub async fn empty() -> Self {
        Self::cloned(server().await, "template1").await
    }

    /// Clones this database. Nobody may be connected to it.
    ///
    /// # Panics
    /// If somebody is connected to it.
    pub async fn copy(&self) -> Self {
        Self::cloned(self.server, &self.name).await
    }

    async fn cloned(server: &'static Server, template: &str) -> Self {
        let name = format!("test_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        let mut connection = PgConnection::connect(&server.url("postgres"))
            .await
            .expect("the server accepts connections");
        let clone = format!("CREATE DATABASE {name} TEMPLATE {template}");
        connection
            .execute(sqlx::AssertSqlSafe(clone))
            .await
            .expect("the template can be cloned");
        Self {
            url: server.url(&name),
            name,
            server,
        }
    }

    /// Returns where the database is, for [`Store::connect`] and the like.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Connects a store with a small pool.
    ///
    /// # Panics
    /// If the database cannot be reached.
    pub async fn store(&self) -> Store {
        self.store_named("holdfast-test").await
    }

    /// Connects a store whose connections call themselves `application_name`.
    ///
    /// # Panics
    /// If the database cannot be reached.
    pub async fn store_named(&self, application_name: &str) -> Store {
        let options = StoreOptions {
            max_connections: 8,
            acquire_timeout: Duration::from_secs(10),
            application_name: application_name.to_owned(),
            ..StoreOptions::default()
        };
        Store::connect(&self.url, options)
            .await
            .expect("the database accepts connections")
    }

    /// Opens a connection for statements of the test's own.
    ///
    /// # Panics
    /// If the database cannot be reached.
    pub async fn connection(&self) -> PgConnection {
        PgConnection::connect(&self.url)
            .await
            .expect("the database accepts connections")
    }
}

/// Returns the process' server. The first call starts it from the prepared data, which is prepared if
/// there is none.
async fn server() -> &'static Server {
    if let Some(server) = SERVER.get() {
        return server;
    }
    let programs = Programs::find().expect("PostgreSQL 15 or newer is installed");
    let home = server::Home::open(&programs).expect("a directory for test servers");
    let template = home.template();
    if !template.exists() {
        // One process prepares, the others wait for it and find it done.
        let _guard = home.lock().expect("the lock of the template");
        if !template.exists() {
            let server = Server::initialise(&programs, &home).expect("initdb succeeds");
            prepare(&server).await;
            server.stop_into(&template).expect("the template's server stops");
        }
    }
    SERVER.get_or_init(|| Server::start(&programs, &home, &template).expect("the server starts"))
}

/// Makes the database that is cloned later.
async fn prepare(server: &Server) {
    let mut connection = PgConnection::connect(&server.url("postgres"))
        .await
        .expect("the server accepts connections");
    let create = format!("CREATE DATABASE {TEMPLATE}");
    connection
        .execute(sqlx::AssertSqlSafe(create))
        .await
        .expect("a database can be made");
    let store = Store::connect(&server.url(TEMPLATE), StoreOptions::default())
        .await
        .expect("the new database accepts connections");
    store.migrate().await.expect("the migrations apply");
    store.close().await;
}
