use std::sync::Arc;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::get_current_timestamp;
use serde_json::{Value, json};

use super::*;

fn tokens(pems: &[(&str, &str)]) -> AccessTokens {
    let options = EdgeOptions::default();
    let pems = pems
        .iter()
        .map(|(kid, pem)| ((*kid).to_owned(), (*pem).to_owned()))
        .collect();
    let keys = KeyRing::parse(pems).expect("good keys");
    // Tests never look for newer keys: the directory does not exist.
    AccessTokens::new(
        keys,
        KeySource::Directory("/nonexistent".into()),
        Box::new(get_current_timestamp),
        &options,
    )
}

fn caller() -> Caller {
    Caller {
        user_id: UserId(Uuid::now_v7()),
        session_id: SessionId(Uuid::now_v7()),
        role: Role::Seller,
    }
}

/// Replaces members of one part of a token, keeping the signature.
fn forge(token: &str, part: usize, edit: impl Fn(&mut Value)) -> String {
    let mut parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(&parts[part]).expect("base64url");
    let mut value: Value = serde_json::from_slice(&bytes).expect("JSON");
    edit(&mut value);
    parts[part] = BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    parts.join(".")
}

fn signed_with(pem: &str, kid: &str, claims: &Value) -> String {
    let header = Header {
        kid: Some(kid.to_owned()),
        ..Header::new(Algorithm::EdDSA)
    };
    let key = jsonwebtoken::EncodingKey::from_ed_pem(pem.as_bytes()).expect("a key");
    jsonwebtoken::encode(&header, claims, &key).expect("a token")
}

fn claims() -> Value {
    let now = get_current_timestamp();
    json!({
        "iss": "holdfast", "aud": "holdfast", "sub": Uuid::now_v7(), "sid": Uuid::now_v7(),
        "role": "customer", "iat": now, "nbf": now, "exp": now + 60, "jti": Uuid::now_v7(),
    })
}

#[tokio::test]
async fn a_token_names_its_caller_to_every_node_that_has_the_key() {
    let pem = test_key();
    let (here, there) = (tokens(&[("a", &pem)]), tokens(&[("b", &test_key()), ("a", &pem)]));
    let token = here.sign(&caller()).expect("a token");
    let caller = caller();
    let text = here.sign(&caller).expect("a token").text;
    assert_eq!(there.verify(&text).await, Ok(caller));
    assert_eq!(token.expires_in, 600);
}

#[tokio::test]
async fn a_token_is_as_old_as_the_clusters_time_says_whatever_the_wall_clock_says() {
    let time = Arc::new(AtomicU64::new(1_000_000));
    let mut tokens = tokens(&[("a", &test_key())]);
    // What was verified before must not answer.
    tokens.verified = VerifiedTokens::new(0, Duration::ZERO);
    let clock = Arc::clone(&time);
    tokens.clock = Box::new(move || clock.load(Ordering::Relaxed));
    let AccessToken { text, expires_in } = tokens.sign(&caller()).expect("a token");
    assert_eq!(
        tokens.verify_for(&text).await.map(|(_, left)| left.as_secs()),
        Ok(expires_in + LEEWAY_S)
    );
    for (at, is_good) in [
        (1_000_000 - LEEWAY_S, true),
        (1_000_000 - LEEWAY_S - 1, false),
        (1_000_000 + expires_in + LEEWAY_S, true),
        (1_000_000 + expires_in + LEEWAY_S + 1, false),
    ] {
        time.store(at, Ordering::Relaxed);
        assert_eq!(tokens.verify(&text).await.is_ok(), is_good, "at {at}");
    }
}

#[tokio::test]
async fn the_newest_key_signs_and_its_id_stands_in_the_header() {
    let tokens = tokens(&[("new", &test_key()), ("old", &test_key())]);
    let text = tokens.sign(&caller()).expect("a token").text;
    let header = jsonwebtoken::decode_header(&text).expect("a header");
    assert_eq!(
        (header.kid.as_deref(), header.alg),
        (Some("new"), Algorithm::EdDSA)
    );
    assert_eq!(tokens.jwks().len(), 2);
}

#[tokio::test]
async fn a_changed_token_is_refused() {
    let tokens = tokens(&[("a", &test_key()), ("b", &test_key())]);
    let text = tokens.sign(&caller()).expect("a token").text;
    let forged = [
        forge(&text, 1, |claims| claims["role"] = json!("admin")),
        forge(&text, 0, |header| header["kid"] = json!("b")),
        forge(&text, 0, |header| header["kid"] = json!("c")),
        forge(&text, 0, |header| header["alg"] = json!("none")),
        forge(&text, 0, |header| header["alg"] = json!("HS256")),
        text[..text.len() - 4].to_owned(),
        format!("{text}.{text}"),
        String::new(),
        "a.b.c".to_owned(),
        "x".repeat(TOKEN_MAX_BYTES + 1),
    ];
    for token in forged {
        assert_eq!(tokens.verify(&token).await, Err(InvalidToken), "{token}");
    }
}

#[tokio::test]
async fn an_hmac_of_the_public_key_is_no_signature() {
    let tokens = tokens(&[("a", &test_key())]);
    let public = BASE64_URL_SAFE_NO_PAD
        .decode(json!(tokens.jwks())[0]["x"].as_str().expect("x"))
        .expect("base64url");
    let header = Header {
        kid: Some("a".to_owned()),
        ..Header::new(Algorithm::HS256)
    };
    let key = jsonwebtoken::EncodingKey::from_secret(&public);
    let token = jsonwebtoken::encode(&header, &claims(), &key).expect("a token");
    assert_eq!(tokens.verify(&token).await, Err(InvalidToken));
}

#[tokio::test]
async fn claims_of_another_issuer_audience_or_time_are_refused() {
    let pem = test_key();
    let tokens = tokens(&[("a", &pem)]);
    assert!(tokens.verify(&signed_with(&pem, "a", &claims())).await.is_ok());
    let now = get_current_timestamp();
    for (claim, value) in [
        ("iss", json!("elsewhere")),
        ("aud", json!("others")),
        ("exp", json!(now - LEEWAY_S - 1)),
        ("nbf", json!(now + LEEWAY_S + 60)),
        ("role", json!("root")),
        ("sub", json!("nobody")),
        ("extra", json!(true)),
    ] {
        let mut claims = claims();
        claims[claim] = value;
        let token = signed_with(&pem, "a", &claims);
        assert_eq!(tokens.verify(&token).await, Err(InvalidToken), "{claim}");
    }
    for missing in ["iss", "aud", "sub", "sid", "role", "iat", "nbf", "exp", "jti"] {
        let mut claims = claims();
        claims.as_object_mut().expect("an object").remove(missing);
        let token = signed_with(&pem, "a", &claims);
        assert_eq!(
            tokens.verify(&token).await,
            Err(InvalidToken),
            "without {missing}"
        );
    }
}

/// Tokens of keys in a directory, from which they are loaded again.
async fn tokens_of(dir: &tempfile::TempDir) -> AccessTokens {
    let source = KeySource::Directory(dir.path().to_owned());
    AccessTokens::load(source, Box::new(get_current_timestamp), &EdgeOptions::default())
        .await
        .expect("keys")
}

#[tokio::test]
async fn a_token_is_verified_once_and_remembered() {
    let tokens = tokens(&[("a", &test_key())]);
    let caller = caller();
    let text = tokens.sign(&caller).expect("a token").text;
    for _ in 0..3 {
        assert_eq!(tokens.verify(&text).await, Ok(caller));
    }
    let forged = forge(&text, 1, |claims| claims["role"] = json!("admin"));
    assert_eq!(tokens.verify(&forged).await, Err(InvalidToken));
    let stats = tokens.verified().stats();
    assert_eq!((stats.hits, stats.misses), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_retired_stops_verifying_within_a_minute() {
    let dir = tempfile::tempdir().expect("a directory");
    let retired = test_key();
    std::fs::write(dir.path().join("1.pem"), &retired).expect("a file");
    std::fs::write(dir.path().join("2.pem"), test_key()).expect("a file");
    let tokens = std::sync::Arc::new(tokens_of(&dir).await);
    let old = signed_with(&retired, "1", &claims());
    let new = tokens.sign(&caller()).expect("a token").text;
    for token in [&old, &old, &new] {
        assert!(tokens.verify(token).await.is_ok());
    }
    let fresh = std::sync::Arc::clone(&tokens);
    let refreshing = tokio::spawn(async move { fresh.keep_fresh().await });
    std::fs::remove_file(dir.path().join("1.pem")).expect("a file");
    let removed_at = tokio::time::Instant::now();
    while tokens.verify(&old).await.is_ok() {
        assert!(removed_at.elapsed() < Duration::from_mins(1));
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert!(tokens.verify(&new).await.is_ok());
    assert_eq!(tokens.jwks().len(), 1);
    refreshing.abort();
}

#[tokio::test]
async fn keys_that_cannot_be_loaded_again_stand() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("1.pem"), test_key()).expect("a file");
    let tokens = tokens_of(&dir).await;
    let text = tokens.sign(&caller()).expect("a token").text;
    std::fs::remove_file(dir.path().join("1.pem")).expect("a file");
    tokens.load_again().await;
    assert!(tokens.verify(&text).await.is_ok());
}
