//! Access tokens: signed statements of who is asking.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use holdfast_domain::{Caller, Role, SessionId, UserId};
use jsonwebtoken::{Algorithm, Header, Validation};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    keys::{Jwk, KeyError, KeyRing, KeySource},
    verified::{TokenHash, Verified, VerifiedTokens},
};
use crate::options::EdgeOptions;

/// How far two nodes' readings of the time may be apart, in seconds.
const LEEWAY_S: u64 = 5;
/// How often an unknown `kid` may make a node look for new keys, in seconds.
const RELOAD_INTERVAL_S: u64 = 5;
/// How often the keys are loaded again, so that one that was retired stops verifying: within a minute,
/// while they can be loaded.
const REFRESH_INTERVAL: Duration = Duration::from_secs(30);
/// Longer texts are not tokens of ours.
const TOKEN_MAX_BYTES: usize = 2048;

/// Tells the time, in seconds since the Unix epoch.
pub(crate) type Clock = Box<dyn Fn() -> u64 + Send + Sync>;

/// The token is malformed, expired, or not signed by a key that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the access token is not valid")]
pub(crate) struct InvalidToken;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    iss: String,
    aud: String,
    sub: UserId,
    sid: SessionId,
    role: Role,
    iat: u64,
    nbf: u64,
    exp: u64,
    jti: Uuid,
}

/// A freshly signed token.
pub(crate) struct AccessToken {
    /// The token's text: a secret of its bearer.
    pub(crate) text: String,
    /// How long it is good for, in seconds.
    pub(crate) expires_in: u64,
}

/// Signs and verifies access tokens.
pub(crate) struct AccessTokens {
    keys: ArcSwap<KeyRing>,
    /// Counts the times that other keys took the place of those before.
    generation: AtomicU64,
    /// One load at a time: of two, the keys loaded last stand.
    loading: tokio::sync::Mutex<()>,
    verified: VerifiedTokens,
    source: KeySource,
    /// When the keys were last looked for, in seconds since `began`.
    reloaded_at: AtomicU64,
    began: Instant,
    /// The cluster's time: tokens of one node are good on another, whatever their wall clocks say.
    clock: Clock,
    validation: Validation,
    issuer: String,
    audience: String,
    ttl: Duration,
}

impl AccessTokens {
    /// Loads the keys.
    pub(crate) async fn load(
        source: KeySource,
        clock: Clock,
        options: &EdgeOptions,
    ) -> Result<Self, KeyError> {
        let keys = source.load().await?;
        Ok(Self::new(keys, source, clock, options))
    }

    fn new(keys: KeyRing, source: KeySource, clock: Clock, options: &EdgeOptions) -> Self {
        let mut validation = Validation::new(Algorithm::EdDSA);
        // Both are checked against the cluster's time.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.set_issuer(&[&options.issuer]);
        validation.set_audience(&[&options.audience]);
        validation.set_required_spec_claims(&["iss", "aud", "sub", "nbf", "exp"]);
        Self {
            keys: ArcSwap::from_pointee(keys),
            generation: AtomicU64::new(0),
            loading: tokio::sync::Mutex::default(),
            verified: VerifiedTokens::new(options.tokens_kept, options.access_token_ttl),
            source,
            reloaded_at: AtomicU64::new(0),
            began: Instant::now(),
            clock,
            validation,
            issuer: options.issuer.clone(),
            audience: options.audience.clone(),
            ttl: options.access_token_ttl,
        }
    }

    /// Makes a signer with a fresh key, which never looks for newer ones.
    #[cfg(test)]
    pub(crate) fn for_tests(options: &EdgeOptions) -> Self {
        let keys = KeyRing::parse(vec![("test".to_owned(), test_key())]).expect("a good key");
        let clock = Box::new(jsonwebtoken::get_current_timestamp);
        Self::new(keys, KeySource::Directory("/nonexistent".into()), clock, options)
    }

    /// Signs a token that says who `caller` is.
    pub(crate) fn sign(&self, caller: &Caller) -> Result<AccessToken, jsonwebtoken::errors::Error> {
        let now = (self.clock)();
        let expires_in = self.ttl.as_secs();
        let claims = Claims {
            iss: self.issuer.clone(),
            aud: self.audience.clone(),
            sub: caller.user_id,
            sid: caller.session_id,
            role: caller.role,
            iat: now,
            nbf: now,
            exp: now.saturating_add(expires_in),
            jti: Uuid::now_v7(),
        };
        let keys = self.keys.load();
        let (kid, key) = keys.signer();
        let header = Header {
            kid: Some(kid.to_owned()),
            ..Header::new(Algorithm::EdDSA)
        };
        let text = jsonwebtoken::encode(&header, &claims, key)?;
        Ok(AccessToken { text, expires_in })
    }

    /// Verifies a token and returns whom it names.
    ///
    /// A token that was verified before is remembered, until its `exp` and while the keys stand. A
    /// `kid` that is not known may be that of a key made since: then the keys are loaded again, at
    /// most every [`RELOAD_INTERVAL_S`].
    #[cfg(test)]
    pub(crate) async fn verify(&self, token: &str) -> Result<Caller, InvalidToken> {
        Ok(self.verify_for(token).await?.0)
    }

    /// Verifies a token and returns whom it names, and for how long it will be accepted.
    pub(crate) async fn verify_for(&self, token: &str) -> Result<(Caller, Duration), InvalidToken> {
        if token.len() > TOKEN_MAX_BYTES {
            return Err(InvalidToken);
        }
        let hash = TokenHash::of(token);
        // Before the keys: should others take their place in between, this remembers for nothing.
        let generation = self.generation.load(Ordering::Acquire);
        let now = (self.clock)();
        if let Some(known) = self.verified.get(&hash, generation, now) {
            return Ok((known.caller, accepted_for(known.expires_at, now)));
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| InvalidToken)?;
        let kid = header.kid.ok_or(InvalidToken)?;
        if self.keys.load().find(&kid).is_none() {
            self.reload().await;
        }
        let keys = self.keys.load();
        let key = &keys.find(&kid).ok_or(InvalidToken)?.key;
        let verified = jsonwebtoken::decode::<Claims>(token, key, &self.validation);
        let claims = verified.map_err(|_| InvalidToken)?.claims;
        if claims.exp.saturating_add(LEEWAY_S) < now || claims.nbf > now + LEEWAY_S {
            return Err(InvalidToken);
        }
        let caller = Caller {
            user_id: claims.sub,
            session_id: claims.sid,
            role: claims.role,
        };
        let verified = Verified {
            caller,
            expires_at: claims.exp,
            generation,
        };
        self.verified.put(hash, verified);
        Ok((caller, accepted_for(claims.exp, now)))
    }

    /// Returns whom a token names that was verified before.
    pub(crate) fn known(&self, token: &str) -> Option<Caller> {
        let generation = self.generation.load(Ordering::Acquire);
        let known = self
            .verified
            .peek(&TokenHash::of(token), generation, (self.clock)())?;
        Some(known.caller)
    }

    /// Returns the memory of tokens that were verified.
    pub(crate) fn verified(&self) -> &VerifiedTokens {
        &self.verified
    }

    /// Loads the keys again and again, for ever.
    pub(crate) async fn keep_fresh(&self) {
        loop {
            tokio::time::sleep(REFRESH_INTERVAL).await;
            self.load_again().await;
        }
    }

    /// Returns the public keys that verify tokens.
    pub(crate) fn jwks(&self) -> Vec<Jwk> {
        self.keys.load().jwks()
    }

    async fn reload(&self) {
        let now = self.began.elapsed().as_secs();
        let last = self.reloaded_at.load(Ordering::Relaxed);
        let is_due = now.saturating_sub(last) >= RELOAD_INTERVAL_S;
        // The exchange lets one of several requests look, and the others go on with what is known.
        let claim = || {
            self.reloaded_at
                .compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed)
        };
        if !is_due || claim().is_err() {
            return;
        }
        self.load_again().await;
    }

    async fn load_again(&self) {
        let _one = self.loading.lock().await;
        match self.source.load().await {
            Ok(keys) if keys.has_same_keys(&self.keys.load()) => {}
            Ok(keys) => {
                self.keys.store(keys.into());
                self.generation.fetch_add(1, Ordering::AcqRel);
            }
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the signing keys could not be reloaded"
                );
            }
        }
    }
}

/// Tells how long a token of this `exp` will be accepted from `now` on.
fn accepted_for(expires_at: u64, now: u64) -> Duration {
    Duration::from_secs(expires_at.saturating_add(LEEWAY_S).saturating_sub(now))
}

/// Makes a fresh key, in PEM.
#[cfg(test)]
pub(crate) fn test_key() -> String {
    use base64::{Engine, prelude::BASE64_STANDARD};

    let pair = aws_lc_rs::signature::Ed25519KeyPair::generate().expect("a key");
    let der = pair.to_pkcs8v1().expect("PKCS#8");
    let body = BASE64_STANDARD.encode(der.as_ref());
    format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n")
}

#[cfg(test)]
mod tests;
