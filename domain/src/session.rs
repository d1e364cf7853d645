//! Sessions, and the rotation of their refresh tokens.
//!
//! A refresh token is used once. One that comes back after its use was copied, by the thief or by the
//! owner of the stolen original: the whole session ends (RFC 9700, section 4.14.2).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Refusal, SessionId, Timestamp, UserId};

/// SHA-256 of a refresh token: all that is ever stored of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TokenHash(pub [u8; 32]);

/// How many used tokens a session remembers. Older ones are refused without ending the session.
pub const USED_TOKENS_MAX: usize = 64;

/// A signed-in session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// The session's id; its shard is its user's.
    pub id: SessionId,
    /// Whose session it is.
    pub user_id: UserId,
    /// The one refresh token that is good.
    pub current: TokenHash,
    /// Tokens that were good once, oldest first; at most [`USED_TOKENS_MAX`].
    pub used: Vec<TokenHash>,
    /// When the user signed in.
    pub created_at: Timestamp,
    /// When a token of the session was last made.
    pub last_used_at: Timestamp,
    /// When the current refresh token stops being good.
    pub expires_at: Timestamp,
    /// When the session was ended, if it was.
    pub revoked_at: Option<Timestamp>,
    /// The client's name for itself, cut to 256 characters.
    pub user_agent: String,
    /// The client's address.
    pub ip: String,
}

/// What presenting a refresh token does to a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// The token was good: this is the session with its replacement.
    Rotated(Session),
    /// The very same rotation was done before; its reply was lost. Nothing changes.
    AlreadyRotated,
    /// The token had been used: this is the session, revoked.
    Reused(Session),
}

impl Session {
    /// Tells whether the session is neither ended nor expired.
    pub fn is_live(&self, at: Timestamp) -> bool {
        self.revoked_at.is_none() && at < self.expires_at
    }

    /// Exchanges the presented token for `replacement`, which is good for `ttl`.
    ///
    /// The caller draws `replacement` before it asks, so that asking twice after a lost reply is seen
    /// as one rotation and not as a theft.
    ///
    /// # Errors
    /// [`Refusal::InvalidRefreshToken`]: the session is over, or the token was never this session's.
    pub fn rotate(
        &self,
        presented: TokenHash,
        replacement: TokenHash,
        at: Timestamp,
        ttl: Duration,
    ) -> Result<Rotation, Refusal> {
        if !self.is_live(at) {
            return Err(Refusal::InvalidRefreshToken);
        }
        if presented == self.current {
            let mut next = self.clone();
            next.used.push(presented);
            let forget = next.used.len().saturating_sub(USED_TOKENS_MAX);
            next.used.drain(..forget);
            next.current = replacement;
            next.last_used_at = at;
            next.expires_at = at.plus(ttl);
            return Ok(Rotation::Rotated(next));
        }
        if self.current == replacement && self.used.last() == Some(&presented) {
            return Ok(Rotation::AlreadyRotated);
        }
        if self.used.contains(&presented) {
            return Ok(Rotation::Reused(self.revoke(at)));
        }
        Err(Refusal::InvalidRefreshToken)
    }

    /// Ends the session; one that has ended keeps its time.
    pub fn revoke(&self, at: Timestamp) -> Self {
        Self {
            revoked_at: Some(self.revoked_at.unwrap_or(at)),
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp::from_unix_micros(1_700_000_000_000_000);
    const TTL: Duration = Duration::from_hours(1);

    fn token(n: u8) -> TokenHash {
        TokenHash([n; 32])
    }

    fn session() -> Session {
        Session {
            id: SessionId::mint(AT, [1; 10]),
            user_id: UserId::mint(AT, [2; 10]),
            current: token(1),
            used: Vec::new(),
            created_at: AT,
            last_used_at: AT,
            expires_at: AT.plus(TTL),
            revoked_at: None,
            user_agent: String::new(),
            ip: String::new(),
        }
    }

    fn rotated(session: &Session, from: u8, to: u8) -> Session {
        match session.rotate(token(from), token(to), AT, TTL) {
            Ok(Rotation::Rotated(next)) => next,
            other => panic!("expected a rotation, got {other:?}"),
        }
    }

    #[test]
    fn a_used_token_ends_the_session() {
        let next = rotated(&session(), 1, 2);
        let Ok(Rotation::Reused(ended)) = next.rotate(token(1), token(3), AT, TTL) else {
            panic!("the reuse went unnoticed");
        };
        assert!(!ended.is_live(AT));
        assert_eq!(
            ended.rotate(token(2), token(4), AT, TTL),
            Err(Refusal::InvalidRefreshToken)
        );
    }

    #[test]
    fn asking_again_after_a_lost_reply_is_no_theft() {
        let next = rotated(&session(), 1, 2);
        assert_eq!(
            next.rotate(token(1), token(2), AT, TTL),
            Ok(Rotation::AlreadyRotated)
        );
    }

    #[test]
    fn a_made_up_token_ends_nothing() {
        assert_eq!(
            session().rotate(token(9), token(2), AT, TTL),
            Err(Refusal::InvalidRefreshToken)
        );
    }

    #[test]
    fn an_expired_session_refreshes_no_more() {
        let later = AT.plus(TTL);
        assert_eq!(
            session().rotate(token(1), token(2), later, TTL),
            Err(Refusal::InvalidRefreshToken)
        );
    }

    #[test]
    fn the_memory_of_used_tokens_is_bounded() {
        let mut session = session();
        for n in 1..=100 {
            session = rotated(&session, n, n + 1);
        }
        assert_eq!(session.used.len(), USED_TOKENS_MAX);
    }
}
