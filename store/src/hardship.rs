//! Making Postgres worse on purpose, to try out what the shop does then.
//!
//! For databases that exist to be tried out: it takes a superuser, and what it does concerns the whole
//! server.

use holdfast_domain::NodeId;
use sqlx::{Connection, PgConnection};

use crate::{StoreError, application_name, pool::connect_options};

/// What the connections call themselves.
const APPLICATION_NAME: &str = "holdfast-hardship";

/// Connections that nobody else can have. Dropped, they are closed.
#[derive(Debug, Default)]
pub struct Crowd {
    held: Vec<PgConnection>,
}

impl Crowd {
    /// Takes connections until the server has no more to give, or `most` are held. May be called again,
    /// for those that have become free meanwhile.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: the server cannot be reached at all.
    pub async fn take(&mut self, url: &str, most: usize) -> Result<(), StoreError> {
        let options = connect_options(url, APPLICATION_NAME)?;
        while self.held.len() < most {
            match PgConnection::connect_with(&options).await {
                Ok(connection) => self.held.push(connection),
                Err(sqlx::Error::Database(_)) => return Ok(()),
                Err(error) => return Err(StoreError::Unavailable(error)),
            }
        }
        Ok(())
    }

    /// Ends the connections that an incarnation has, so that there is something to take. It does not
    /// get them back while they are held here.
    pub async fn evict(&mut self, node_id: NodeId) -> Result<(), StoreError> {
        let Some(connection) = self.held.first_mut() else {
            return Ok(());
        };
        sqlx::query!(
            r#"SELECT pg_terminate_backend(pid) AS "ended!" FROM pg_stat_activity WHERE application_name = $1"#,
            application_name(node_id),
        )
        .fetch_all(connection)
        .await?;
        Ok(())
    }
}

/// Makes every flush of the log wait for a tenth of a second before it begins, as it would on a disk
/// that is slow to confirm writes: commits come through late, and many of them together.
pub async fn slow_commits(url: &str) -> Result<(), StoreError> {
    configure(
        url,
        &[
            "ALTER SYSTEM SET commit_delay = 100000",
            "ALTER SYSTEM SET commit_siblings = 0",
        ],
    )
    .await
}

/// Takes [`slow_commits`] back.
pub async fn normal_commits(url: &str) -> Result<(), StoreError> {
    configure(
        url,
        &[
            "ALTER SYSTEM RESET commit_delay",
            "ALTER SYSTEM RESET commit_siblings",
        ],
    )
    .await
}

async fn configure(url: &str, statements: &[&'static str]) -> Result<(), StoreError> {
    let options = connect_options(url, APPLICATION_NAME)?;
    let mut connection = PgConnection::connect_with(&options)
        .await
        .map_err(StoreError::Unavailable)?;
    for statement in statements {
        sqlx::raw_sql(*statement).execute(&mut connection).await?;
    }
    sqlx::raw_sql("SELECT pg_reload_conf()")
        .execute(&mut connection)
        .await?;
    connection.close().await.map_err(StoreError::Unavailable)
}
