//! Postgres made worse on purpose.

use std::time::Duration;

use holdfast_domain::NodeId;
use holdfast_store::{
    application_name,
    hardship::{self, Crowd},
    testing::TestDatabase,
};
use sqlx::Row;
use tokio::time::timeout;
use uuid::Uuid;

/// Waits until new connections have this setting; the server reads it when it gets to it.
async fn commit_delay_is(database: &TestDatabase, microseconds: &str) {
    let is_set = async {
        loop {
            let mut connection = database.connection().await;
            let row = sqlx::query("SHOW commit_delay").fetch_one(&mut connection).await;
            if row.expect("answers").get::<String, _>(0) == microseconds {
                return;
            }
        }
    };
    timeout(Duration::from_secs(10), is_set).await.expect("it is set");
}

#[tokio::test]
async fn commits_are_slow_until_they_are_normal_again() {
    let database = TestDatabase::empty().await;
    hardship::slow_commits(database.url())
        .await
        .expect("a superuser may");
    commit_delay_is(&database, "100000").await;
    hardship::normal_commits(database.url())
        .await
        .expect("a superuser may");
    commit_delay_is(&database, "0").await;
}

#[tokio::test]
async fn a_crowd_ends_the_connections_of_one_incarnation_and_no_others() {
    let database = TestDatabase::create().await;
    let (victim, other) = (Uuid::now_v7(), Uuid::now_v7());
    let mut lost = connection_of(&database, victim).await;
    let mut kept = connection_of(&database, other).await;
    let mut crowd = Crowd::default();
    crowd.take(database.url(), 2).await.expect("connects");
    crowd.evict(NodeId(victim)).await.expect("a superuser may");
    sqlx::query("SELECT")
        .execute(&mut lost)
        .await
        .expect_err("it is over");
    sqlx::query("SELECT")
        .execute(&mut kept)
        .await
        .expect("it goes on");
}

/// Makes a connection that calls itself as those of an incarnation do.
async fn connection_of(database: &TestDatabase, node_id: Uuid) -> sqlx::PgConnection {
    let mut connection = database.connection().await;
    sqlx::query("SELECT set_config('application_name', $1, false)")
        .bind(application_name(NodeId(node_id)))
        .execute(&mut connection)
        .await
        .expect("answers");
    connection
}
