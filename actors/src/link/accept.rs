//! The accept loop. Every handshake has a task of its own and little time, so that a client that
//! connects and says nothing delays nobody; and their number is bounded.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::sleep;

use super::handshake;
use super::hub::Hub;

/// How many handshakes may be under way at a time.
const MAX_HANDSHAKES: usize = 256;

/// How long to wait when the system refuses to accept, for instance for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Accepts connections until the link ends.
pub(super) async fn accept(hub: Arc<Hub>, listener: TcpListener) {
    let shutdown = hub.shutdown.clone();
    let accepting = async {
        let slots = Arc::new(Semaphore::new(MAX_HANDSHAKES));
        loop {
            // Never closed: the loop owns it.
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
                return;
            };
            let (socket, from) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let hub = Arc::clone(&hub);
            tokio::spawn(async move {
                let shutdown = hub.shutdown.clone();
                let handshake = handshake::accept(&hub, socket);
                match shutdown.run_until_cancelled(handshake).await {
                    Some(Ok(stream)) => hub.hand_over(stream, true),
                    Some(Err(error)) => {
                        tracing::debug!(%from, %error, "a connection was refused");
                    }
                    None => {}
                }
                drop(slot);
            });
        }
    };
    shutdown.run_until_cancelled(accepting).await;
}
