//! The pool of connections, and how long anybody waits for Postgres.

mod figures;
mod keeping;

use std::{
    io,
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

use holdfast_domain::Timestamp;
use sqlx::{
    AssertSqlSafe, Connection, PgConnection, PgPool, Postgres,
    error::DatabaseError,
    migrate::{MigrateError, Migrator},
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::time::timeout;

pub use figures::PoolFigures;

use self::keeping::KeepingPool;
use crate::StoreError;

pub(crate) static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(|| {
    let mut migrations = sqlx::migrate!("../migrations");
    // While a cluster is upgraded, a node of the release before may start on the newer schema.
    migrations.set_ignore_missing(true);
    migrations
});

/// A connection that has been idle for longer is tried before it is used.
const TRUSTED_IDLE: Duration = Duration::from_millis(500);
/// Connections for batches. One is kept from batch to batch; while the pool tries it, or closes it since its
/// answer is missing, the next batch takes the other.
const LANE_CONNECTIONS: u32 = 2;
/// Connections for what is found by key, which takes a fraction of a millisecond: at most, and fewer of few.
const KEYED_CONNECTIONS: u32 = 4;
/// What is found by key is found by an index, even if the tables were empty when it was planned.
const BY_INDEX: [(&str, &str); 5] = [
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("enable_bitmapscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
];

/// How long an answer may take beyond what Postgres allows its statement.
const ANSWER_GRACE: Duration = Duration::from_secs(1);

/// How long one statement of a migration may take.
const MIGRATION_LIMIT: Duration = Duration::from_hours(1);

/// How long a migration waits for a lock at a time. Everybody who wants the table stands in line behind
/// it: a dump that holds the table for an hour must not stop the shop for so long.
const MIGRATION_LOCK_LIMIT_MS: u32 = 500;
/// Postgres's code for that.
const LOCK_NOT_AVAILABLE: &str = "55P03";
/// How long others get the table before it is asked for again.
const MIGRATION_PAUSE: Duration = Duration::from_secs(1);

/// How the store uses Postgres.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// Connections of this process at most, if there are four or more: fewer still leave two for batches and
    /// one each for what is found by key and for all else, opened when they are first needed.
    pub max_connections: u32,
    /// How long to wait for a free connection, connecting included.
    pub acquire_timeout: Duration,
    /// How long one statement may run, waiting for locks included.
    pub statement_timeout: Duration,
    /// What the connections call themselves; see [`application_name`](crate::application_name).
    pub application_name: String,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            max_connections: 16,
            acquire_timeout: Duration::from_secs(2),
            statement_timeout: Duration::from_secs(5),
            application_name: "holdfast".to_owned(),
        }
    }
}

/// Applies what is missing, over the one connection of `unhurried`; a lock that others keep is asked for
/// again and again.
async fn migrate(unhurried: &PgPool) -> Result<(), MigrateError> {
    let end = Instant::now() + MIGRATION_LIMIT;
    loop {
        let limit = format!("SET lock_timeout = {MIGRATION_LOCK_LIMIT_MS}");
        sqlx::raw_sql(AssertSqlSafe(limit)).execute(unhurried).await?;
        match MIGRATIONS.run(unhurried).await {
            Err(error) if is_locked_out(&error) && Instant::now() < end => {
                tracing::info!(
                    "a migration waits for a table that others use, or for another node's migration"
                );
                tokio::time::sleep(MIGRATION_PAUSE).await;
            }
            ended => return ended,
        }
    }
}

/// Tells whether a migration did not get a lock; then nothing of it was applied.
fn is_locked_out(error: &MigrateError) -> bool {
    let (MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) = error else {
        return false;
    };
    let code = error.as_database_error().and_then(DatabaseError::code);
    code.as_deref() == Some(LOCK_NOT_AVAILABLE)
}

/// The shop in Postgres. Cloning shares the pool.
#[derive(Clone, Debug)]
pub struct Store {
    pool: PgPool,
    /// For batches: few connections keep warm what a commit needs, and whoever reads much cannot hold a
    /// commit up.
    lane: Arc<KeepingPool>,
    /// For statements that find rows by key: planned once for each connection, as that takes longer than
    /// to find them.
    keyed: PgPool,
    options: StoreOptions,
    tally: Arc<figures::Tally>,
}

impl Store {
    /// Connects. At least one connection is made, so an unreachable Postgres is found here.
    pub async fn connect(url: &str, options: StoreOptions) -> Result<Self, StoreError> {
        let statement_timeout_ms = options.statement_timeout.as_millis().to_string();
        let connect_options = connect_options(url, &options.application_name)?.options([
            ("statement_timeout", statement_timeout_ms.as_str()),
            ("synchronous_commit", "on"),
            // The fence looks again after it has waited: it needs a snapshot for each statement.
            ("default_transaction_isolation", "read committed"),
            // Plans are made for the values at hand: the filters of lists are optional, and a plan that
            // was made for an empty shop must not serve a full one. Functions that find all by key say otherwise themselves.
            ("plan_cache_mode", "force_custom_plan"),
        ]);
        let keyed = (options.max_connections / 4).clamp(1, KEYED_CONNECTIONS);
        let others = options.max_connections.saturating_sub(LANE_CONNECTIONS + keyed);
        let pool = pool_options(&options, others.max(1))
            .connect_with(connect_options.clone())
            .await
            .map_err(StoreError::Unavailable)?;
        // Whoever commits no batch never opens one. Its one statement needs no plan for the values at hand:
        // these are whole tables.
        let lane = pool_options(&options, LANE_CONNECTIONS).connect_lazy_with(
            connect_options
                .clone()
                .options([("plan_cache_mode", "force_generic_plan")]),
        );
        let keyed = pool_options(&options, keyed).connect_lazy_with(connect_options.options(BY_INDEX));
        Ok(Self {
            pool,
            lane: Arc::new(KeepingPool::new(lane)),
            keyed,
            options,
            tally: Arc::default(),
        })
    }

    /// Brings the schema up to date. Several nodes may do this at once.
    ///
    /// # Errors
    /// [`StoreError::Migration`]: a migration failed, or stands in the database in another form.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        // Building an index may take its time, and so may waiting for another node that builds it.
        let unhurried = self.unhurried(MIGRATION_LIMIT).await?;
        let result = migrate(&unhurried).await;
        unhurried.close().await;
        result.map_err(StoreError::Migration)
    }

    /// Tells whether every migration of this release has been applied.
    pub async fn is_ready(&self) -> Result<bool, StoreError> {
        let exists = self
            .run(async |c| {
                sqlx::query_scalar!(r#"SELECT to_regclass('_sqlx_migrations') IS NOT NULL AS "exists!""#)
                    .fetch_one(c)
                    .await
            })
            .await?;
        if !exists {
            return Ok(false);
        }
        let applied = self
            .run(async |c| {
                sqlx::query_scalar!("SELECT version FROM _sqlx_migrations WHERE success")
                    .fetch_all(c)
                    .await
            })
            .await?;
        Ok(MIGRATIONS
            .iter()
            .all(|migration| applied.contains(&migration.version)))
    }

    /// Reads the Postgres clock.
    pub async fn server_time(&self) -> Result<Timestamp, StoreError> {
        let now = self
            .run(async |c| {
                sqlx::query_scalar!(r#"SELECT clock_timestamp() AS "now!""#)
                    .fetch_one(c)
                    .await
            })
            .await?;
        Ok(Timestamp::from(now))
    }

    /// Makes a single connection apart from the others whose statements may take up to `limit`.
    pub(crate) async fn unhurried(&self, limit: Duration) -> Result<PgPool, StoreError> {
        let statement_timeout_ms = limit.as_millis().to_string();
        let options = (*self.pool.connect_options())
            .clone()
            .options([("statement_timeout", statement_timeout_ms.as_str())]);
        PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(self.options.acquire_timeout)
            .connect_with(options)
            .await
            .map_err(StoreError::Unavailable)
    }

    /// Closes all connections, once their statements have ended.
    pub async fn close(&self) {
        self.lane.close().await;
        self.keyed.close().await;
        self.pool.close().await;
    }

    /// Runs one statement on a connection of the pool, for no longer than it may take.
    ///
    /// Getting the connection comes first and apart: until then nothing can have been written.
    pub(crate) async fn run<T>(
        &self,
        statement: impl AsyncFnOnce(&mut PgConnection) -> sqlx::Result<T>,
    ) -> Result<T, StoreError> {
        // Boxed: the future that gets a connection is 4 kB large, and would be moved with all that may ask for
        // one, though few requests come to it.
        Box::pin(self.run_on(&self.pool, statement)).await
    }

    /// Does the same for a statement that finds its rows by key, and is planned without their values.
    pub(crate) async fn run_by_key<T>(
        &self,
        statement: impl AsyncFnOnce(&mut PgConnection) -> sqlx::Result<T>,
    ) -> Result<T, StoreError> {
        Box::pin(self.run_on(&self.keyed, statement)).await
    }

    /// Does the same on a connection of the lane's, and keeps it for the next statement if it is in order.
    pub(crate) async fn run_on_lane<T>(
        &self,
        statement: impl AsyncFnOnce(&mut PgConnection) -> sqlx::Result<T>,
    ) -> Result<T, StoreError> {
        Box::pin(async {
            let mut held = self.acquired(self.lane.acquire()).await?;
            let answer = self.answered(&mut held.connection, statement).await;
            if is_answer(&answer) {
                self.lane.keep(held);
            }
            answer
        })
        .await
    }

    async fn run_on<T>(
        &self,
        pool: &PgPool,
        statement: impl AsyncFnOnce(&mut PgConnection) -> sqlx::Result<T>,
    ) -> Result<T, StoreError> {
        let mut connection = self.acquired(pool.acquire()).await?;
        self.answered(&mut connection, statement).await
    }

    /// Waits for a connection, and counts that.
    async fn acquired<C>(&self, acquiring: impl Future<Output = sqlx::Result<C>>) -> Result<C, StoreError> {
        let began = Instant::now();
        let acquired = acquiring.await;
        self.tally.count(began.elapsed(), acquired.is_ok());
        acquired.map_err(StoreError::Unavailable)
    }

    /// Waits for a statement's answer for no longer than it may take.
    async fn answered<T>(
        &self,
        connection: &mut PoolConnection<Postgres>,
        statement: impl AsyncFnOnce(&mut PgConnection) -> sqlx::Result<T>,
    ) -> Result<T, StoreError> {
        let limit = self.options.statement_timeout + ANSWER_GRACE;
        let answer = within(limit, statement(connection)).await;
        if matches!(answer, Err(StoreError::OutcomeUnknown(_))) {
            // The answer may still arrive: trying the connection for reuse could take for ever.
            connection.close_on_drop();
        }
        answer
    }
}

/// Tells whether Postgres has answered, be it that it refuses.
fn is_answer<T>(answer: &Result<T, StoreError>) -> bool {
    match answer {
        Ok(_) | Err(StoreError::Fenced { .. } | StoreError::Version(_) | StoreError::Duplicate(_)) => true,
        Err(StoreError::Rejected(error)) => error.as_database_error().is_some(),
        Err(_) => false,
    }
}

fn pool_options(options: &StoreOptions, max_connections: u32) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(options.acquire_timeout)
        // Trying every connection would cost each write a round trip.
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(async move {
                if meta.idle_for > TRUSTED_IDLE {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
}

/// Reads where Postgres is and gives the connections to it a name.
pub(crate) fn connect_options(url: &str, application_name: &str) -> Result<PgConnectOptions, StoreError> {
    let options: PgConnectOptions = url.parse().map_err(StoreError::Unavailable)?;
    Ok(options.application_name(application_name))
}

/// Waits for an answer for no longer than `limit`.
pub(crate) async fn within<T>(
    limit: Duration,
    answer: impl Future<Output = sqlx::Result<T>>,
) -> Result<T, StoreError> {
    match timeout(limit, answer).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(StoreError::OutcomeUnknown(sqlx::Error::Io(
            io::ErrorKind::TimedOut.into(),
        ))),
    }
}
