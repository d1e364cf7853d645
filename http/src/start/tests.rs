use std::fs;

use hyper::Request;
use jsonwebtoken::get_current_timestamp;
use tempfile::TempDir;

use super::*;
use crate::{
    shop::Mood,
    testing::{self, Listener, TestBody},
    token::test_key,
};

fn key_dir(kids: &[&str]) -> TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    for kid in kids {
        fs::write(dir.path().join(format!("{kid}.pem")), test_key()).expect("a file");
    }
    fs::write(dir.path().join("readme.txt"), "not a key").expect("a file");
    dir
}

fn options(dir: &TempDir) -> EdgeOptions {
    EdgeOptions {
        signing_key_dir: Some(dir.path().to_owned()),
        ..EdgeOptions::default()
    }
}

async fn started(options: EdgeOptions) -> Result<EdgeHandle, EdgeError> {
    let api = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let ops = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    start(options, Shop::new(Mood::Serves), Some(api), ops).await
}

#[tokio::test]
async fn an_edge_with_keys_starts_and_stops() {
    let dir = key_dir(&["2026-01", "2026-02"]);
    let edge = started(options(&dir)).await.expect("an edge");
    let api = edge.api_addr().expect("an address");
    assert!(tokio::net::TcpStream::connect(api).await.is_ok());
    edge.shutdown(Duration::from_secs(5)).await;
    assert!(tokio::net::TcpStream::connect(api).await.is_err());
}

#[tokio::test]
async fn an_edge_that_is_dropped_is_gone() {
    let dir = key_dir(&["a"]);
    let edge = started(options(&dir)).await.expect("an edge");
    let api = edge.api_addr().expect("an address");
    drop(edge);
    let gone = async { while tokio::net::TcpStream::connect(api).await.is_ok() {} };
    tokio::time::timeout(Duration::from_secs(20), gone)
        .await
        .expect("nobody answers");
}

#[tokio::test]
async fn without_a_directory_the_nodes_share_their_keys() {
    let edge = started(EdgeOptions::default()).await.expect("an edge");
    edge.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn the_last_key_by_name_signs() {
    let dir = key_dir(&["2026-01", "2026-03", "2026-02"]);
    let source = KeySource::Directory(dir.path().to_owned());
    let tokens = AccessTokens::load(source, Box::new(get_current_timestamp), &options(&dir))
        .await
        .expect("keys");
    let kids: Vec<String> = tokens.jwks().iter().map(|key| key.kid().to_owned()).collect();
    assert_eq!(kids, ["2026-03", "2026-02", "2026-01"]);
}

#[tokio::test]
async fn an_edge_without_keys_or_with_tokens_that_live_too_long_does_not_start() {
    let empty = key_dir(&[]);
    assert!(matches!(
        started(options(&empty)).await,
        Err(EdgeError::Keys(KeyError::None))
    ));
    fs::write(empty.path().join("bad.pem"), "nonsense").expect("a file");
    assert!(matches!(
        started(options(&empty)).await,
        Err(EdgeError::Keys(KeyError::Pem { .. }))
    ));
    let dir = key_dir(&["a"]);
    let long = EdgeOptions {
        access_token_ttl: ACCESS_TOKEN_TTL_MAX + Duration::from_secs(1),
        ..options(&dir)
    };
    assert!(matches!(started(long).await, Err(EdgeError::TokenTtl)));
}

#[tokio::test]
async fn the_cluster_is_shown_on_the_operations_listener_only() {
    let edge = testing::edge(Mood::Down);
    let options = EdgeOptions::default();
    let api = Listener::of(api_routes(&edge), &options);
    let ops = Listener::of(operations::ops_routes(&edge), &options);
    for (path, on_api, on_ops) in [
        ("/livez", 200, 200),
        ("/v1/cluster", 404, 401),
        ("/metrics", 404, 200),
        ("/v1/orders", 401, 404),
        ("/openapi.json", 200, 404),
        ("/problems/not-found", 200, 200),
    ] {
        let request = || {
            Request::builder()
                .uri(path)
                .body(TestBody::new())
                .expect("a request")
        };
        assert_eq!(api.send(request()).await.status, on_api, "{path}");
        assert_eq!(ops.send(request()).await.status, on_ops, "{path}");
    }
}
