use std::sync::Arc;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::Notify,
};
use warp::{Filter, http::Method};

use super::*;
use crate::{
    reply::Reply,
    request::context,
    route::{Answer, Route, RouteTable},
};

/// Bounds every wait of a test that would otherwise hang.
const PATIENCE: Duration = Duration::from_secs(20);

async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work)
        .await
        .expect("it happens in time")
}

/// Starts a listener with one route, `GET /`.
async fn start<F, R>(options: &EdgeOptions, handler: F) -> (Server, SocketAddr)
where
    F: Fn() -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Answer> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let route = Route::new(Method::GET, "/", context().then(move |_| handler()));
    let service = EdgeService::new(RouteTable::new([route]), options);
    (Server::start(listener, service, options), address)
}

async fn done() -> Answer {
    Ok(Reply::no_content())
}

async fn connect(address: SocketAddr) -> TcpStream {
    within(TcpStream::connect(address)).await.expect("a connection")
}

async fn send(stream: &mut TcpStream, text: &str) {
    within(stream.write_all(text.as_bytes()))
        .await
        .expect("it is sent");
}

/// Reads a response's head.
async fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(within(stream.read_u8()).await.expect("a response"));
    }
    String::from_utf8(head).expect("text").to_lowercase()
}

/// Sends another request, or waits until the other side has closed; tells whether that was a reset.
async fn closed_by_reset(stream: &mut TcpStream) -> bool {
    send(
        stream,
        "GET / HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n\r\n",
    )
    .await;
    let mut rest = Vec::new();
    within(stream.read_to_end(&mut rest)).await.is_err()
}

/// Waits until the other side has closed.
async fn closed(stream: &mut TcpStream) -> bool {
    let mut rest = Vec::new();
    match within(stream.read_to_end(&mut rest)).await {
        Ok(_) => true,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

const REQUEST: &str = "GET / HTTP/1.1\r\nhost: shop\r\n\r\n";

#[tokio::test]
async fn a_connection_serves_one_request_after_another() {
    let (server, address) = start(&EdgeOptions::default(), done).await;
    let mut stream = connect(address).await;
    for _ in 0..3 {
        send(&mut stream, REQUEST).await;
        assert!(head(&mut stream).await.starts_with("http/1.1 204"));
    }
    drop(stream);
    within(server.shutdown(PATIENCE)).await;
}

#[tokio::test]
async fn a_client_that_never_ends_its_head_is_cut_off() {
    let options = EdgeOptions {
        header_timeout: Duration::from_millis(50),
        ..EdgeOptions::default()
    };
    let (_server, address) = start(&options, done).await;
    for beginning in ["", "P", "GET / HTTP/1.1\r\n", "PRI * HTTP/2.0\r\n"] {
        let mut stream = connect(address).await;
        send(&mut stream, beginning).await;
        assert!(closed(&mut stream).await, "{beginning:?}");
    }
}

#[tokio::test]
async fn a_connection_that_rests_for_too_long_is_closed() {
    let options = EdgeOptions {
        keep_alive_timeout: Duration::from_millis(50),
        ..EdgeOptions::default()
    };
    let (_server, address) = start(&options, done).await;
    let mut stream = connect(address).await;
    send(&mut stream, REQUEST).await;
    assert!(head(&mut stream).await.starts_with("http/1.1 204"));
    assert!(closed(&mut stream).await);
}

#[tokio::test]
async fn stopping_lets_a_request_in_progress_finish_and_takes_no_other() {
    let (entered, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let handler = {
        let (entered, release) = (entered.clone(), release.clone());
        move || {
            let (entered, release) = (entered.clone(), release.clone());
            async move {
                entered.notify_one();
                release.notified().await;
                done().await
            }
        }
    };
    let (server, address) = start(&EdgeOptions::default(), handler).await;
    let mut busy = connect(address).await;
    let mut resting = connect(address).await;
    send(&mut busy, REQUEST).await;
    within(entered.notified()).await;
    let stopping = tokio::spawn(server.shutdown(PATIENCE));
    assert!(closed(&mut resting).await);
    within(async { while TcpStream::connect(address).await.is_ok() {} }).await;
    release.notify_one();
    let head = head(&mut busy).await;
    assert!(
        head.starts_with("http/1.1 204") && head.contains("connection: close"),
        "{head}"
    );
    within(stopping).await.expect("it stops");
}

#[tokio::test]
async fn stopping_cuts_off_what_does_not_finish_in_time() {
    let entered = Arc::new(Notify::new());
    let handler = {
        let entered = entered.clone();
        move || {
            entered.notify_one();
            std::future::pending()
        }
    };
    let (server, address) = start(&EdgeOptions::default(), handler).await;
    let mut stream = connect(address).await;
    send(&mut stream, REQUEST).await;
    within(entered.notified()).await;
    within(server.shutdown(Duration::from_millis(50))).await;
    // A node that joins anew listens where it did.
    TcpListener::bind(address).await.expect("the address is free");
    assert!(closed(&mut stream).await);
}

#[tokio::test]
async fn a_client_beyond_the_bound_is_served_when_another_leaves() {
    let options = EdgeOptions {
        max_connections: 1,
        ..EdgeOptions::default()
    };
    let (_server, address) = start(&options, done).await;
    let mut first = connect(address).await;
    send(&mut first, REQUEST).await;
    assert!(head(&mut first).await.starts_with("http/1.1 204"));
    let mut second = connect(address).await;
    send(&mut second, REQUEST).await;
    drop(first);
    assert!(head(&mut second).await.starts_with("http/1.1 204"));
}

#[tokio::test]
async fn a_client_that_sends_more_than_is_read_still_hears_why() {
    let (_server, address) = start(&EdgeOptions::default(), done).await;
    for path in ["/", "/nowhere"] {
        let mut stream = connect(address).await;
        let length = 4 * 1024 * 1024;
        send(
            &mut stream,
            &format!("GET {path} HTTP/1.1\r\nhost: shop\r\ncontent-length: {length}\r\n\r\n"),
        )
        .await;
        send(&mut stream, &"x".repeat(length)).await;
        assert!(head(&mut stream).await.starts_with("http/1.1"));
        assert!(!closed_by_reset(&mut stream).await, "{path}");
    }
}

#[tokio::test]
async fn a_client_that_waits_to_send_is_told_the_answer_instead() {
    let (_server, address) = start(&EdgeOptions::default(), done).await;
    let mut stream = connect(address).await;
    let request =
        "GET /nowhere HTTP/1.1\r\nhost: shop\r\nexpect: 100-continue\r\ncontent-length: 9999999\r\n\r\n";
    send(&mut stream, request).await;
    assert!(head(&mut stream).await.starts_with("http/1.1 404"));
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let (_server, address) = start(&EdgeOptions::default(), done).await;
    let mut stream = connect(address).await;
    let large = format!(
        "GET / HTTP/1.1\r\nhost: shop\r\nx-large: {}\r\n\r\n",
        "x".repeat(HEAD_MAX_BYTES)
    );
    // The server may close before it has read everything.
    let _ = stream.write_all(large.as_bytes()).await;
    assert!(head(&mut stream).await.starts_with("http/1.1 431"));
}
