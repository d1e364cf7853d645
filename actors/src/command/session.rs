//! What a session can be asked.

use holdfast_domain::{SessionId, UserId, session::TokenHash};
use serde::{Deserialize, Serialize};

/// A request to a session.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum SessionCommand {
    /// Exchanges its refresh token.
    Refresh(Refresh),
    /// Ends it, if it is this user's.
    End(SessionId, UserId),
}

impl SessionCommand {
    /// Returns the session that is asked.
    pub fn session_id(&self) -> SessionId {
        match self {
            Self::Refresh(refresh) => refresh.session_id,
            Self::End(id, _) => *id,
        }
    }
}

/// An exchange of refresh tokens.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Refresh {
    /// The session, as the presented token names it.
    pub session_id: SessionId,
    /// The hash of the token that was presented.
    pub presented: TokenHash,
    /// The hash of the token that replaces it; the edge draws it before it asks.
    pub replacement: TokenHash,
}
