//! Accounts and sessions, over several nodes.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;

use crate::harness::{Cluster, PASSWORD, eventually};

#[tokio::test]
async fn a_revoked_session_is_refused_on_every_node() {
    let cluster = Cluster::start(3).await;
    let ada = cluster.sign_up("ada").await;
    let elsewhere = ada.sign_in().await;
    for node in 0..3 {
        ada.at(cluster.api(node)).get("/v1/me").await.expect(200);
    }
    ada.at(cluster.api(1))
        .post("/v1/auth/logout", json!({}))
        .await
        .expect(204);
    // On the revoking node at once, on the others within a second.
    ada.at(cluster.api(1)).get("/v1/me").await.expect(401);
    for node in [0, 2] {
        eventually("the session is refused", || async {
            (ada.at(cluster.api(node)).get("/v1/me").await.status == 401).then_some(())
        })
        .await;
    }
    elsewhere.get("/v1/me").await.expect(200);
}

#[tokio::test]
async fn logging_out_everywhere_ends_every_session() {
    let cluster = Cluster::start(2).await;
    let ada = cluster.sign_up("ada").await;
    let elsewhere = ada.sign_in().await;
    ada.post("/v1/auth/logout-all", json!({})).await.expect(204);
    ada.get("/v1/me").await.expect(401);
    elsewhere.get("/v1/me").await.expect(401);
    let refresh = json!({ "refresh_token": elsewhere.refresh_token });
    cluster
        .stranger(1)
        .post("/v1/auth/refresh", refresh)
        .await
        .expect(401);
}

#[tokio::test]
async fn a_refresh_token_that_comes_back_after_its_use_ends_the_session() {
    let cluster = Cluster::start(2).await;
    let ada = cluster.sign_up("ada").await;
    let used = json!({ "refresh_token": ada.refresh_token });
    let rotated = cluster
        .stranger(1)
        .post("/v1/auth/refresh", used.clone())
        .await
        .expect(200);
    let next = json!({ "refresh_token": rotated["refresh_token"] });
    cluster
        .stranger(0)
        .post("/v1/auth/refresh", used)
        .await
        .expect(401);
    cluster
        .stranger(1)
        .post("/v1/auth/refresh", next)
        .await
        .expect(401);
    eventually("the session is refused", || async {
        (ada.get("/v1/me").await.status == 401).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_account_locks_after_ten_failures_counted_over_all_nodes() {
    let cluster = Cluster::start(3).await;
    let ada = cluster.sign_up("ada").await;
    for attempt in 0..10 {
        let failed = ada.at(cluster.api(attempt)).log_in("not the password").await;
        failed.problem(401, "invalid-credentials");
    }
    let locked = ada.at(cluster.api(1)).log_in(PASSWORD).await;
    assert!(locked.header("retry-after").is_some());
    locked.problem(429, "account-locked");
}

#[tokio::test]
async fn every_login_of_a_storm_is_told_that_it_failed_or_that_the_account_is_locked() {
    let cluster = Cluster::start(2).await;
    let ada = cluster.sign_up("ada").await;
    let storm = (0..50).map(|n| {
        let ada = ada.at(cluster.api(n));
        async move { ada.log_in("not the password").await.verdict() }
    });
    let verdicts = join_all(storm).await;
    let count = |verdict: &str| verdicts.iter().filter(|given| *given == verdict).count();
    let (failed, locked) = (count("401 invalid-credentials"), count("429 account-locked"));
    assert_eq!((failed, locked), (10, 40), "{verdicts:?}");
}

#[tokio::test]
async fn an_address_without_an_account_is_answered_like_a_wrong_password() {
    let cluster = Cluster::start(2).await;
    let ada = cluster.sign_up("ada").await;
    let mut nobody = ada.clone();
    nobody.email = "nobody@example.com".to_owned();
    for node in 0..11 {
        let (real, unknown) = (
            ada.at(cluster.api(node)).log_in("not the password").await,
            nobody.at(cluster.api(node)).log_in("x").await,
        );
        assert_eq!(real.verdict(), unknown.verdict());
        for field in ["title", "detail", "status"] {
            assert_eq!(real.body[field], unknown.body[field]);
        }
    }
}

#[tokio::test]
async fn a_new_password_ends_the_other_sessions_and_keeps_this_one() {
    let cluster = Cluster::start(1).await;
    let ada = cluster.sign_up("ada").await;
    let elsewhere = ada.sign_in().await;
    let change =
        |current: &str| json!({ "current_password": current, "new_password": "another long secret" });
    ada.post("/v1/me/password", change("not the password"))
        .await
        .problem(401, "invalid-credentials");
    ada.post("/v1/me/password", change(PASSWORD)).await.expect(204);
    ada.get("/v1/me").await.expect(200);
    elsewhere.get("/v1/me").await.expect(401);
    ada.log_in(PASSWORD).await.problem(401, "invalid-credentials");
    ada.log_in("another long secret").await.expect(200);
}

#[tokio::test]
async fn a_disabled_user_is_refused_everywhere_and_cannot_sign_in() {
    let cluster = Cluster::start(2).await;
    let ada = cluster.sign_up("ada").await;
    let path = format!("/v1/users/{}", ada.id);
    cluster
        .admin()
        .patch(&path, 1, json!({ "disabled": true }))
        .await
        .expect(200);
    for node in 0..2 {
        eventually("the user is refused", || async {
            (ada.at(cluster.api(node)).get("/v1/me").await.status == 401).then_some(())
        })
        .await;
    }
    ada.log_in(PASSWORD).await.problem(401, "invalid-credentials");
}

#[tokio::test]
async fn a_new_role_is_in_force_without_signing_in_again() {
    let cluster = Cluster::start(2).await;
    let ada = cluster.sign_up("ada").await;
    let product = crate::harness::product("mug", 1);
    ada.post("/v1/products", product.clone())
        .await
        .problem(403, "forbidden");
    let path = format!("/v1/users/{}", ada.id);
    cluster
        .admin()
        .patch(&path, 1, json!({ "role": "seller" }))
        .await
        .expect(200);
    ada.post("/v1/products", product.clone()).await.expect(201);
    eventually("the other node knows", || async {
        (ada.at(cluster.api(1))
            .post("/v1/products", crate::harness::product("hat", 1))
            .await
            .status
            == 201)
            .then_some(())
    })
    .await;
}

#[tokio::test]
async fn of_two_registrations_of_one_address_on_different_nodes_one_succeeds() {
    let cluster = Cluster::start(3).await;
    let body = |case: &str| json!({ "email": case, "password": PASSWORD });
    let (first, second) = (cluster.stranger(1), cluster.stranger(2));
    let (first, second) = tokio::join!(
        first.post("/v1/auth/register", body("Ada@Example.com")),
        second.post("/v1/auth/register", body("ada@example.com")),
    );
    let mut verdicts = [first.verdict(), second.verdict()];
    verdicts.sort();
    assert_eq!(verdicts, ["201", "409 email-taken"]);
}

#[tokio::test]
async fn somebody_elses_session_cannot_be_ended() {
    let cluster = Cluster::start(1).await;
    let (ada, bob) = (cluster.sign_up("ada").await, cluster.sign_up("bob").await);
    let sessions = ada.get("/v1/me/sessions").await.expect(200);
    let session = &sessions["data"][0];
    assert_eq!(session["current"], true);
    let path = format!("/v1/me/sessions/{}", session["id"].as_str().expect("an id"));
    bob.send(Method::DELETE, &path, &[], None)
        .await
        .problem(404, "not-found");
    ada.get("/v1/me").await.expect(200);
    ada.send(Method::DELETE, &path, &[], None).await.expect(204);
    ada.get("/v1/me").await.expect(401);
}

#[tokio::test]
async fn only_admins_see_the_users() {
    let cluster = Cluster::start(1).await;
    let ada = cluster.sign_up("ada").await;
    ada.get("/v1/users").await.problem(403, "forbidden");
    let users = cluster.admin().get("/v1/users").await.expect(200);
    assert_eq!(users["data"].as_array().map(Vec::len), Some(2));
    let found = cluster
        .admin()
        .get(&format!("/v1/users/{}", ada.id))
        .await
        .expect(200);
    assert_eq!(found["email"], ada.email);
}

#[tokio::test]
async fn asking_for_an_account_as_if_it_were_a_session_harms_nobody() {
    let cluster = Cluster::start(1).await;
    let (ada, bob) = (cluster.sign_up("ada").await, cluster.sign_up("bob").await);
    let path = format!("/v1/me/sessions/{}", ada.id);
    // Its owner has Ada's account in memory no more, or has it: neither may matter.
    let nobody = format!("/v1/me/sessions/{}", cluster.admin().id);
    for path in [path, nobody] {
        bob.send(Method::DELETE, &path, &[], None)
            .await
            .problem(404, "not-found");
    }
    ada.sign_in().await.get("/v1/me").await.expect(200);
    cluster.admin().sign_in().await.get("/v1/users").await.expect(200);
}
