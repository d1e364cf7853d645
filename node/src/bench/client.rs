//! One connection to a server, as lean as it can be: what the generator costs
//! is taken from what it measures.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::HeaderMap;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// An answer that takes longer is a failure: servers give up sooner.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// A connection that is kept open. One that broke is made anew.
pub(super) struct Client {
    server: SocketAddr,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Client {
    pub(super) const fn new(server: SocketAddr) -> Self {
        Self { server, sender: None }
    }

    /// Sends a request and reads all of the answer.
    pub(super) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> anyhow::Result<(StatusCode, Bytes)> {
        let answer = timeout(ANSWER_WITHIN, self.attempt(request)).await;
        let answer = answer.context("no answer in time").flatten();
        if answer.is_err() {
            self.sender = None;
        }
        answer
    }

    /// Reads what a server answers, its headers as well.
    pub(super) async fn read(&mut self, request: Request<Full<Bytes>>) -> anyhow::Result<(HeaderMap, Bytes)> {
        let answer = connect(self.server).await?.send_request(request).await?;
        let (parts, body) = answer.into_parts();
        Ok((parts.headers, body.collect().await?.to_bytes()))
    }

    async fn attempt(&mut self, request: Request<Full<Bytes>>) -> anyhow::Result<(StatusCode, Bytes)> {
        let sender = match &mut self.sender {
            Some(sender) if !sender.is_closed() => sender,
            empty => empty.insert(connect(self.server).await?),
        };
        sender.ready().await?;
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        Ok((status, body))
    }
}

async fn connect(server: SocketAddr) -> anyhow::Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(server)
        .await
        .with_context(|| format!("cannot connect to {server}"))?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}
