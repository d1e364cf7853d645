//! Access tokens whose signature and claims were verified, so that the next request with one need not
//! pay for it again.
//!
//! *Invariant*: this says what [`AccessTokens::verify_for`](super::AccessTokens::verify_for) would say, up to a
//! token's `exp` and under the same keys, and no more. Whether the session still stands is asked for
//! every request. Tokens are secrets: here they are known by their SHA-256.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use holdfast_domain::Caller;
use moka::sync::Cache;

use crate::digest::sha256;

/// What the memory of verified tokens has done since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TokenCacheStats {
    /// Tokens that were known.
    pub(crate) hits: u64,
    /// Tokens that were not, good ones and bad ones.
    pub(crate) misses: u64,
}

/// The SHA-256 of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct TokenHash([u8; 32]);

impl TokenHash {
    pub(super) fn of(token: &str) -> Self {
        Self(sha256(&[token.as_bytes()]))
    }
}

/// What a token was found to say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Verified {
    pub(super) caller: Caller,
    /// Its `exp` claim, in seconds since the Unix epoch.
    pub(super) expires_at: u64,
    /// Which keys it was verified with.
    pub(super) generation: u64,
}

/// See the module's page. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct VerifiedTokens {
    /// `None`: nothing is remembered.
    kept: Option<Cache<TokenHash, Verified>>,
    counts: std::sync::Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    hits: AtomicU64,
    misses: AtomicU64,
}

impl VerifiedTokens {
    /// Remembers `max` tokens at most, and none for longer than `ttl`.
    pub(super) fn new(max: u64, ttl: Duration) -> Self {
        let kept = (max > 0).then(|| Cache::builder().max_capacity(max).time_to_live(ttl).build());
        Self {
            kept,
            counts: std::sync::Arc::default(),
        }
    }

    /// Returns whom a token names, if it was verified with these keys and has not expired at `now`.
    pub(super) fn get(&self, hash: &TokenHash, generation: u64, now: u64) -> Option<Verified> {
        self.kept.as_ref()?;
        let found = self.peek(hash, generation, now);
        let count = if found.is_some() {
            &self.counts.hits
        } else {
            &self.counts.misses
        };
        count.fetch_add(1, Relaxed);
        found
    }

    /// Does the same without being counted.
    pub(super) fn peek(&self, hash: &TokenHash, generation: u64, now: u64) -> Option<Verified> {
        let found = self.kept.as_ref()?.get(hash);
        found.filter(|found| found.generation == generation && now < found.expires_at)
    }

    /// Remembers a token.
    pub(super) fn put(&self, hash: TokenHash, verified: Verified) {
        if let Some(kept) = &self.kept {
            kept.insert(hash, verified);
        }
    }

    /// Returns what it has done since the start.
    pub(crate) fn stats(&self) -> TokenCacheStats {
        TokenCacheStats {
            hits: self.counts.hits.load(Relaxed),
            misses: self.counts.misses.load(Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use holdfast_domain::{Role, SessionId, UserId};
    use uuid::Uuid;

    use super::*;

    fn verified(expires_at: u64, generation: u64) -> Verified {
        let caller = Caller {
            user_id: UserId(Uuid::from_u128(1)),
            session_id: SessionId(Uuid::from_u128(2)),
            role: Role::Customer,
        };
        Verified {
            caller,
            expires_at,
            generation,
        }
    }

    #[test]
    fn a_token_is_known_until_it_expires_and_while_the_keys_stand() {
        let tokens = VerifiedTokens::new(10, Duration::from_mins(10));
        let hash = TokenHash::of("token");
        tokens.put(hash, verified(100, 1));
        assert!(tokens.get(&hash, 1, 99).is_some());
        assert!(tokens.get(&hash, 1, 100).is_none());
        assert!(tokens.get(&hash, 2, 99).is_none());
        assert!(tokens.get(&TokenHash::of("another"), 1, 99).is_none());
        let stats = tokens.stats();
        assert_eq!((stats.hits, stats.misses), (1, 3));
    }

    #[test]
    fn no_more_tokens_are_remembered_than_was_allowed() {
        let tokens = VerifiedTokens::new(50, Duration::from_mins(10));
        for number in 0..1_000 {
            tokens.put(TokenHash::of(&number.to_string()), verified(u64::MAX, 1));
        }
        let kept = tokens.kept.as_ref().expect("they are kept");
        kept.run_pending_tasks();
        assert!(kept.entry_count() <= 50);
        let none = VerifiedTokens::new(0, Duration::from_mins(10));
        none.put(TokenHash::of("token"), verified(u64::MAX, 1));
        assert!(none.get(&TokenHash::of("token"), 1, 0).is_none());
    }
}
