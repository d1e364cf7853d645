use holdfast_domain::{Refusal, Role};
use serde_json::{Value, json};

use crate::{shop::Mood, testing::Client, token::RefreshToken};

const KEY: &str = "account-0001";
const PASSWORD: &str = "correct horse battery staple";

fn ada() -> Value {
    json!({"email": "Ada@Example.com", "password": PASSWORD, "display_name": "Ada"})
}

#[tokio::test]
async fn an_account_is_created_under_its_normalised_address() {
    let guest = Client::of(Role::Customer, Mood::Serves);
    let made = guest.post("/v1/auth/register", KEY, ada()).await;
    assert_eq!(made.status, 201, "{made:?}");
    let user = made.json();
    assert_eq!(user["email"], "ada@example.com");
    assert_eq!(
        made.header("location"),
        format!("/v1/users/{}", user["id"].as_str().expect("an id"))
    );
    assert!(user.get("password").is_none());
}

#[tokio::test]
async fn keys_of_different_addresses_do_not_meet_and_passwords_are_not_part_of_them() {
    let guest = Client::of(Role::Customer, Mood::Serves);
    let (mut other_password, mut other_address) = (ada(), ada());
    other_password["password"] = json!("incorrect zebra magnet paperclip");
    other_address["email"] = json!("bob@example.com");
    for body in [ada(), other_password, other_address] {
        guest.post("/v1/auth/register", KEY, body).await;
    }
    let operations = guest.edge.shop().operations();
    assert_eq!(operations[0], operations[1]);
    assert_ne!(operations[0].principal, operations[2].principal);
}

#[tokio::test]
async fn all_that_is_wrong_with_an_account_is_told_at_once() {
    let guest = Client::of(Role::Customer, Mood::Down);
    let body = json!({"email": "ada", "password": "password123", "display_name": "x".repeat(101)});
    let refused = guest.post("/v1/auth/register", KEY, body).await;
    assert_eq!(refused.problem(), "validation");
    let errors = refused.json()["errors"].as_array().expect("errors").clone();
    let fields: Vec<_> = errors
        .iter()
        .map(|error| error["field"].as_str().unwrap_or_default())
        .collect();
    assert_eq!(fields, ["/email", "/password", "/display_name"]);
}

#[tokio::test]
async fn tokens_are_those_of_the_session_and_are_not_kept_by_caches() {
    let guest = Client::of(Role::Customer, Mood::Serves);
    let headers = [
        ("user-agent", "a \u{fc}ber-browser"),
        ("x-forwarded-for", "203.0.113.9"),
    ];
    let login = json!({"email": "ada@example.com", "password": PASSWORD});
    let answered = guest.send("POST", "/v1/auth/login", &headers, login).await;
    assert_eq!(
        (answered.status.as_u16(), answered.header("cache-control")),
        (200, "no-store")
    );
    let tokens = answered.json();
    assert_eq!(tokens["token_type"], "Bearer");
    assert_eq!(
        (&tokens["expires_in"], &tokens["refresh_expires_in"]),
        (&json!(600), &json!(2_592_000))
    );
    let caller = guest
        .edge
        .tokens()
        .verify(tokens["access_token"].as_str().expect("a token"))
        .await
        .expect("a good one");
    assert_eq!(tokens["session_id"], json!(caller.session_id));

    let asked = guest.edge.shop().last_login();
    let refresh =
        RefreshToken::parse(tokens["refresh_token"].as_str().expect("a token")).expect("a good one");
    assert_eq!(
        (asked.session_id, asked.refresh),
        (refresh.session_id(), refresh.hash())
    );
    assert_eq!(asked.ip, "127.0.0.1", "nobody is trusted to name another address");

    let exchanged = guest
        .send(
            "POST",
            "/v1/auth/refresh",
            &[],
            json!({"refresh_token": refresh.into_text()}),
        )
        .await;
    assert_eq!(exchanged.json()["session_id"], tokens["session_id"]);
    assert_ne!(exchanged.json()["refresh_token"], tokens["refresh_token"]);
}

#[tokio::test]
async fn logins_that_fail_are_answered_alike() {
    let login = |password: &str| json!({"email": "ada@example.com", "password": password});
    let guest = Client::of(Role::Customer, Mood::Refuses(Refusal::InvalidCredentials));
    let wrong = guest
        .send(
            "POST",
            "/v1/auth/login",
            &[("x-request-id", "one")],
            login("wrong"),
        )
        .await;
    let long = guest
        .send(
            "POST",
            "/v1/auth/login",
            &[("x-request-id", "one")],
            login(&"x".repeat(1_000)),
        )
        .await;
    assert_eq!(wrong.problem(), "invalid-credentials");
    assert_eq!(wrong.body, long.body);
    let locked = Client::of(
        Role::Customer,
        Mood::Refuses(Refusal::AccountLocked { retry_after_s: 840 }),
    );
    let refused = locked.send("POST", "/v1/auth/login", &[], login("wrong")).await;
    assert_eq!(
        (refused.problem().as_str(), refused.header("retry-after")),
        ("account-locked", "840")
    );
}

#[tokio::test]
async fn a_refresh_token_that_is_not_ours_asks_nobody() {
    let guest = Client::of(Role::Customer, Mood::Down);
    for token in ["", "hfr_", "abc"] {
        let refused = guest
            .send("POST", "/v1/auth/refresh", &[], json!({"refresh_token": token}))
            .await;
        assert_eq!(refused.problem(), "invalid-refresh-token", "{token:?}");
    }
}

#[tokio::test]
async fn signing_out_is_done_even_if_somebody_was_faster() {
    for mood in [Mood::Serves, Mood::Refuses(Refusal::NotFound)] {
        let user = Client::of(Role::Customer, mood);
        assert_eq!(
            user.send("POST", "/v1/auth/logout", &[], Value::Null)
                .await
                .status,
            204
        );
    }
    let user = Client::of(Role::Customer, Mood::Serves);
    assert_eq!(
        user.send("POST", "/v1/auth/logout-all", &[], Value::Null)
            .await
            .status,
        204
    );
}

#[tokio::test]
async fn ones_own_account_and_sessions_can_be_read_and_edited() {
    let user = Client::of(Role::Customer, Mood::Serves);
    let me = user.get("/v1/me").await;
    assert_eq!((me.status.as_u16(), me.header("etag")), (200, "\"7\""));
    for (patch, name) in [
        (json!({"display_name": "A."}), "A."),
        (json!({"display_name": null}), ""),
        (json!({}), "Ada"),
    ] {
        let edited = user
            .send("PATCH", "/v1/me", &[("if-match", "\"7\"")], patch)
            .await;
        assert_eq!((edited.status.as_u16(), edited.header("etag")), (200, "\"8\""));
        assert_eq!(edited.json()["display_name"], name);
    }
    let sessions = user.get("/v1/me/sessions").await.json();
    assert_eq!(sessions["data"][0]["current"], true);
    let change = json!({"current_password": PASSWORD, "new_password": "incorrect zebra magnet paperclip"});
    assert_eq!(user.post("/v1/me/password", KEY, change).await.status, 204);
    let common = json!({"current_password": PASSWORD, "new_password": "1234567890"});
    assert_eq!(
        user.post("/v1/me/password", KEY, common).await.json()["errors"][0]["field"],
        "/new_password"
    );
}

#[tokio::test]
async fn an_admin_changes_what_the_contract_lets_them() {
    let admin = Client::of(Role::Admin, Mood::Serves);
    let path = "/v1/users/0199c2a1-7f4e-7c3a-8d2b-1f6e5a4b3c2d";
    let based = [("if-match", "\"7\"")];
    let changed = admin
        .send("PATCH", path, &based, json!({"role": "seller", "disabled": true}))
        .await;
    assert_eq!(changed.status, 200);
    assert_eq!(
        (&changed.json()["role"], &changed.json()["disabled"]),
        (&json!("seller"), &json!(true))
    );
    for (patch, field) in [
        (json!({"role": "root"}), "/role"),
        (json!({"disabled": null}), "/disabled"),
    ] {
        let refused = admin.send("PATCH", path, &based, patch).await;
        assert_eq!(refused.json()["errors"][0]["field"], field);
    }
    assert_eq!(admin.get("/v1/users?limit=1").await.status, 200);
    let cluster = admin.get("/v1/cluster").await.json();
    assert_eq!(cluster["nodes"][0]["state"], "active");
    assert_eq!(cluster["shards"][0]["service"], "orders");
}

#[tokio::test]
async fn the_public_keys_may_be_kept_by_caches() {
    let anybody = Client::of(Role::Customer, Mood::Serves);
    let keys = anybody.get("/.well-known/jwks.json").await;
    assert_eq!(keys.header("cache-control"), "public, max-age=300");
    let key = &keys.json()["keys"][0];
    assert_eq!(
        (&key["kty"], &key["crv"], &key["alg"]),
        (&json!("OKP"), &json!("Ed25519"), &json!("EdDSA"))
    );
}
