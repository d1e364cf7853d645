//! Listening to events.

use holdfast_store::EventPosition;

use super::Client;
use crate::{Error, feed::EventStream, relay::RelayStatus};

impl Client {
    /// Listens to all events of the shop, behind `after` or from now on; whom each concerns is told
    /// with it. `None`: there is no such position in this shop's feed.
    pub async fn events(&self, after: Option<EventPosition>) -> Result<Option<EventStream>, Error> {
        Ok(EventStream::begin(&self.shared, after).await?)
    }

    /// Tells how relaying of events goes on this node. Asks nobody.
    pub fn relay_status(&self) -> RelayStatus {
        self.shared.relay.status()
    }
}
