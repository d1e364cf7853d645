//! An HTTP server in the generator's own process, as small as hyper lets it be,
//! on threads of its own. Its time is not told apart from the generator's.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// How long to wait when the system refuses to accept a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A server that runs until it is dropped.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    runtime: Option<Runtime>,
}

impl Server {
    /// Answers every request with what `answer` makes of it.
    pub(super) async fn start<F>(
        answer: impl Fn(Request<Incoming>) -> F + Send + Sync + 'static,
    ) -> anyhow::Result<Self>
    where
        F: Future<Output = Response<Full<Bytes>>> + Send,
    {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let listener = listener.into_std()?;
        let answer = Arc::new(answer);
        // Registered with the runtime that waits for it.
        runtime.spawn(async move { serve(TcpListener::from_std(listener)?, answer).await });
        Ok(Self {
            address,
            runtime: Some(runtime),
        })
    }

    /// Runs a task on the server's threads, for as long as it runs.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        if let Some(runtime) = &self.runtime {
            runtime.spawn(task);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A runtime must not end by waiting on another one's thread.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn serve<F>(
    listener: TcpListener,
    answer: Arc<impl Fn(Request<Incoming>) -> F + Send + Sync + 'static>,
) -> std::io::Result<()>
where
    F: Future<Output = Response<Full<Bytes>>> + Send,
{
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // For want of descriptors, say: they come back.
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let answer = Arc::clone(&answer);
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let answer = Arc::clone(&answer);
                async move { Ok::<_, Infallible>(answer(request).await) }
            });
            let builder = hyper::server::conn::http1::Builder::new();
            // Fails when the client has gone.
            let _ = builder.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}
