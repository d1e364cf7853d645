//! A listener: accepts connections, bounds them in number and time, and lets them finish.
//!
//! hyper's own header timeout would also end connections that merely rest between two requests, so
//! [`watch`] times both, each with its own patience.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use hyper::{Request, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::{Builder, Connection},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{options::EdgeOptions, service::EdgeService};

mod answering;
mod watch;

use answering::Answering;
use watch::{Activity, Limits, Verdict, Watched};

/// How long to wait after the system would not give a connection, for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// The largest head of an HTTP/1 request; larger ones are answered 431.
const HEAD_MAX_BYTES: usize = 64 * 1024;
/// Requests that one HTTP/2 connection may have in progress.
const HTTP2_STREAMS_MAX: u32 = 128;

/// A running listener. Dropping it cuts everything off at once.
#[derive(Debug)]
pub(crate) struct Server {
    stop: CancellationToken,
    /// One task, whose children are the connections; a set ends its tasks when it is dropped.
    acceptor: JoinSet<()>,
}

impl Server {
    /// Starts to accept connections.
    pub(crate) fn start(listener: TcpListener, service: EdgeService, options: &EdgeOptions) -> Self {
        let stop = CancellationToken::new();
        let acceptor = Acceptor {
            service: Arc::new(service),
            permits: Arc::new(Semaphore::new(options.max_connections)),
            limits: Limits {
                head: options.header_timeout,
                rest: options.keep_alive_timeout,
                stall: options.request_timeout,
            },
            stop: stop.clone(),
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(acceptor.run(listener));
        Self {
            stop,
            acceptor: tasks,
        }
    }

    /// Stops accepting, lets requests in progress finish within `grace`, then cuts them off. Then the
    /// address is free.
    pub(crate) async fn shutdown(mut self, grace: Duration) {
        self.stop.cancel();
        if tokio::time::timeout(grace, self.acceptor.join_next())
            .await
            .is_err()
        {
            tracing::warn!("connections were cut off while requests were in progress");
            // An acceptor that is merely told to end still listens.
            self.acceptor.shutdown().await;
        }
    }
}

struct Acceptor {
    service: Arc<EdgeService>,
    permits: Arc<Semaphore>,
    limits: Limits,
    stop: CancellationToken,
}

impl Acceptor {
    async fn run(self, listener: TcpListener) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => break,
                Some(_) = connections.join_next() => {}
                (stream, peer, permit) = self.accept(&listener) => {
                    let connection = Serving {
                        service: self.service.clone(),
                        limits: self.limits,
                        stop: self.stop.clone(),
                        _permit: permit,
                    };
                    connections.spawn(connection.run(stream, peer));
                }
            }
        }
        drop(listener);
        while connections.join_next().await.is_some() {}
    }

    /// Waits for room and then for a connection; those that come meanwhile wait in the backlog.
    async fn accept(&self, listener: &TcpListener) -> (TcpStream, SocketAddr, Option<OwnedSemaphorePermit>) {
        let permit = self.permits.clone().acquire_owned().await.ok();
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => return (stream, peer, permit),
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

/// One connection.
struct Serving {
    service: Arc<EdgeService>,
    limits: Limits,
    stop: CancellationToken,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Serving {
    async fn run(self, stream: TcpStream, peer: SocketAddr) {
        // Answers are written whole; waiting to fill a segment would only delay them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection keeps its delay");
        }
        let activity = Arc::new(Activity::begin());
        let io = TokioIo::new(Watched::new(stream, activity.clone()));
        let service = {
            let (service, activity) = (self.service.clone(), activity.clone());
            service_fn(move |request: Request<Incoming>| {
                let (service, work) = (service.clone(), activity.work());
                async move {
                    let response = service.answer(request, peer.ip()).await;
                    Ok::<_, std::convert::Infallible>(response.map(|body| Answering::new(body, work)))
                }
            })
        };
        let mut builder = Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(None)
            .max_buf_size(HEAD_MAX_BYTES);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(HTTP2_STREAMS_MAX);
        let connection = builder.serve_connection(io, service);
        self.drive(connection, &activity).await;
    }

    /// Polls a connection until it ends, is told to finish, or tries our patience.
    async fn drive<I, S, B>(&self, connection: Connection<'_, I, S, TokioExecutor>, activity: &Activity)
    where
        S: hyper::service::Service<Request<Incoming>, Response = hyper::Response<B>>,
        S::Future: Send + 'static,
        S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
        B: hyper::body::Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
        I: hyper::rt::Read + hyper::rt::Write + Unpin + 'static,
    {
        let mut connection = std::pin::pin!(connection);
        let mut is_closing = false;
        loop {
            let patience = match activity.verdict(self.limits) {
                Verdict::Wait(patience) => patience,
                // A client that does not take what it asked for is not asked twice.
                Verdict::Close if !is_closing => {
                    connection.as_mut().graceful_shutdown();
                    is_closing = true;
                    self.limits.head
                }
                Verdict::Close | Verdict::Cut => return,
            };
            tokio::select! {
                result = connection.as_mut() => {
                    if let Err(error) = result {
                        tracing::debug!(error = &*error, "a connection broke");
                    }
                    return;
                }
                () = self.stop.cancelled(), if !is_closing => {
                    connection.as_mut().graceful_shutdown();
                    is_closing = true;
                }
                () = tokio::time::sleep(patience) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests;
