//! The keys that sign access tokens, shared by all nodes.

use std::fmt;

use holdfast_domain::Timestamp;

use crate::{Store, StoreError, decode};

/// A key that signs access tokens, or did.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey {
    /// The key's id, in a token's header.
    pub kid: String,
    /// The private key, as PEM.
    pub private_key_pem: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ceased to sign; tokens that it signed may still be good.
    pub retired_at: Option<Timestamp>,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("kid", &self.kid)
            .field("created_at", &self.created_at)
            .field("retired_at", &self.retired_at)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Lists the keys, newest first.
    pub async fn signing_keys(&self) -> Result<Vec<SigningKey>, StoreError> {
        let rows = self
            .run(async |c| {
                sqlx::query!(
                    "SELECT kid, private_key_pem, created_at, retired_at FROM signing_key
                     ORDER BY created_at DESC, kid",
                )
                .fetch_all(c)
                .await
            })
            .await?;
        Ok(rows
            .into_iter()
            .map(|row| SigningKey {
                kid: row.kid,
                private_key_pem: row.private_key_pem,
                created_at: row.created_at.into(),
                retired_at: row.retired_at.map(Timestamp::from),
            })
            .collect())
    }

    /// Adds a key if none that signs is there; returns all of them, newest first.
    ///
    /// Of racing callers one adds its key, and all see it.
    pub async fn signing_key_ensure(
        &self,
        kid: &str,
        private_key_pem: &str,
        at: Timestamp,
    ) -> Result<Vec<SigningKey>, StoreError> {
        self.run(async |c| {
            sqlx::query!(
                "SELECT signing_key_ensure($1, $2, $3)",
                kid,
                private_key_pem,
                decode::instant(at),
            )
            .fetch_one(c)
            .await
        })
        .await?;
        self.signing_keys().await
    }
}
