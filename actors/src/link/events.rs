//! What `ractor_cluster` reports about its sessions.
//!
//! The reports are handled where they are made, on the node server, so that they need no queue; the
//! work is a lookup and a lock. That also orders them: a session whose name turns out to be false
//! is stopped here before it may handle its first message.

use std::sync::{Arc, Weak};

use ractor_cluster::NodeEventSubscription;
use ractor_cluster::node::NodeServerSessionInformation;
use thiserror::Error;

use super::connection::Connection;
use super::hub::Hub;
use super::name::LinkName;
use super::session::Session;
use super::tls::certifies;

/// The link's subscription to session events.
pub(super) struct Events {
    pub(super) hub: Weak<Hub>,
}

/// Why an authenticated session is not to be trusted with its name.
#[derive(Debug, Error)]
enum IdentityError {
    #[error("it did not come through this link")]
    Stranger,
    #[error("its name has not the form of a link name")]
    Name,
    #[error("it said another incarnation in its hello")]
    Hello,
    #[error("the list has another name for its incarnation")]
    List,
    #[error("its certificate is for another node")]
    Certificate,
}

/// Checks the name that `session` authenticated under against everything else that is known.
fn identify(hub: &Hub, session: &NodeServerSessionInformation) -> Result<Arc<Connection>, IdentityError> {
    // The built-in listener cannot be turned off. It is parked on a loopback port, and whoever
    // comes in through it has no connection here.
    let connection = hub
        .faults
        .find(&session.peer_addr)
        .ok_or(IdentityError::Stranger)?;
    let name = session
        .peer_name
        .as_ref()
        .and_then(|claimed| LinkName::parse(&claimed.name))
        .ok_or(IdentityError::Name)?;
    if connection.peer() != Some(name.id) {
        return Err(IdentityError::Hello);
    }
    if !hub.agrees_with_list(&name) {
        return Err(IdentityError::List);
    }
    let certified = connection
        .certificate
        .as_ref()
        .is_some_and(|certificate| certifies(certificate, &name.node));
    if hub.tls.is_some() && !certified {
        return Err(IdentityError::Certificate);
    }
    Ok(connection)
}

impl NodeEventSubscription for Events {
    fn node_session_opened(&self, _: NodeServerSessionInformation) {}

    fn node_session_authenticated(&self, session: NodeServerSessionInformation) {
        let Some(hub) = self.hub.upgrade() else {
            return;
        };
        match identify(&hub, &session) {
            Ok(connection) => connection.verify(),
            Err(error) => {
                tracing::warn!(
                    claimed = session.peer_name.as_ref().map(|name| name.name.as_str()),
                    %error,
                    "a session is refused"
                );
                session.actor.stop(Some("identity".to_owned()));
                if let Some(connection) = hub.faults.find(&session.peer_addr) {
                    connection.cut();
                }
            }
        }
    }

    fn node_session_ready(&self, session: NodeServerSessionInformation) {
        let Some(hub) = self.hub.upgrade() else {
            return;
        };
        let connection = hub
            .faults
            .find(&session.peer_addr)
            .filter(|connection| connection.is_verified());
        let Some(connection) = connection else {
            session.actor.stop(Some("identity".to_owned()));
            return;
        };
        // Both are there for every connection whose hello went well.
        let (Some(peer), Some(meter)) = (connection.peer(), connection.meter().cloned()) else {
            session.actor.stop(Some("identity".to_owned()));
            return;
        };
        let actor = session.actor.clone();
        match Session::new(&hub, peer, actor, connection, meter) {
            Some(ready) => hub.session_ready(ready),
            // Its node is ending: the gateway goes first. Dialing again will tell.
            None => session.actor.stop(Some("no gateway".to_owned())),
        }
    }

    fn node_session_disconnected(&self, session: NodeServerSessionInformation) {
        if let Some(hub) = self.hub.upgrade() {
            hub.session_ended(session.actor.get_id());
        }
    }
}
