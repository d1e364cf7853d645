//! The keys that sign access tokens, and their public halves.
//!
//! Several keys may be known, so that one can be replaced: the newest signs, all of them verify.

use std::{path::PathBuf, sync::Arc};

use aws_lc_rs::{
    error::KeyRejected,
    signature::{Ed25519KeyPair, KeyPair},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{DecodingKey, EncodingKey};
use serde::Serialize;
use utoipa::ToSchema;

use crate::shop::Shop;

/// Why the signing keys could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The directory or a file in it cannot be read.
    #[error("the signing keys in {} cannot be read", path.display())]
    Read {
        /// The directory or the file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// There is no key at all.
    #[error("there is no signing key")]
    None,
    /// A key is not PEM.
    #[error("the signing key {kid} is not a PKCS#8 Ed25519 key in PEM")]
    Pem {
        /// The key's id.
        kid: String,
        /// Why.
        #[source]
        source: jsonwebtoken::errors::Error,
    },
    /// A key is damaged.
    #[error("the signing key {kid} is damaged")]
    Rejected {
        /// The key's id.
        kid: String,
        /// Why.
        #[source]
        source: KeyRejected,
    },
    /// The keys that the nodes share cannot be fetched.
    #[error("the shared signing keys cannot be fetched")]
    Shared(#[source] holdfast_actors::Error),
}

/// Where the keys come from.
pub(crate) enum KeySource {
    /// Files `<kid>.pem`, of which the last by name is the newest.
    Directory(PathBuf),
    /// The cluster's database.
    Shared(Shop),
}

impl KeySource {
    /// Loads all keys.
    pub(super) async fn load(&self) -> Result<KeyRing, KeyError> {
        match self {
            Self::Directory(path) => KeyRing::parse(read_directory(path).await?),
            Self::Shared(client) => KeyRing::parse(client.signing_keys().await.map_err(KeyError::Shared)?),
        }
    }
}

async fn read_directory(path: &PathBuf) -> Result<Vec<(String, String)>, KeyError> {
    let read_error = |path: PathBuf| move |source| KeyError::Read { path, source };
    let mut entries = tokio::fs::read_dir(path)
        .await
        .map_err(read_error(path.clone()))?;
    let mut keys = Vec::new();
    while let Some(entry) = entries.next_entry().await.map_err(read_error(path.clone()))? {
        let file = entry.path();
        let Some(kid) = file.file_stem().and_then(|stem| stem.to_str()) else {
            continue;
        };
        if file.extension().is_some_and(|extension| extension == "pem") {
            let pem = tokio::fs::read_to_string(&file)
                .await
                .map_err(read_error(file.clone()))?;
            keys.push((kid.to_owned(), pem));
        }
    }
    keys.sort_unstable_by(|a, b| b.0.cmp(&a.0));
    Ok(keys)
}

/// A public key as JSON Web Key (RFC 8037).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Jwk {
    /// The key's id, as tokens name it in their header.
    #[schema(example = "2026-01")]
    kid: String,
    /// The kind of key.
    #[schema(example = "OKP")]
    kty: &'static str,
    /// The curve.
    #[schema(example = "Ed25519")]
    crv: &'static str,
    /// What the key is for.
    #[schema(example = "sig")]
    r#use: &'static str,
    /// The algorithm it is used with.
    #[schema(example = "EdDSA")]
    alg: &'static str,
    /// The public key's 32 bytes, in unpadded base64url.
    #[schema(example = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")]
    x: String,
}

#[cfg(test)]
impl Jwk {
    /// Returns the key's id.
    pub(crate) fn kid(&self) -> &str {
        &self.kid
    }
}

pub(super) struct VerifyingKey {
    pub(super) kid: String,
    pub(super) key: DecodingKey,
    public: Vec<u8>,
}

/// All keys of a moment.
pub(super) struct KeyRing {
    signer: Arc<EncodingKey>,
    /// The signer's own public half is the first.
    verifiers: Vec<VerifyingKey>,
}

impl KeyRing {
    /// Parses `(kid, PEM)` pairs, the newest first.
    pub(super) fn parse(pems: Vec<(String, String)>) -> Result<Self, KeyError> {
        let mut signer = None;
        let mut verifiers = Vec::with_capacity(pems.len());
        for (kid, pem) in pems {
            let private = match EncodingKey::from_ed_pem(pem.as_bytes()) {
                Ok(key) => key,
                Err(source) => return Err(KeyError::Pem { kid, source }),
            };
            let pair = match Ed25519KeyPair::from_pkcs8(private.as_bytes()) {
                Ok(pair) => pair,
                Err(source) => return Err(KeyError::Rejected { kid, source }),
            };
            let public = pair.public_key().as_ref().to_vec();
            signer.get_or_insert(Arc::new(private));
            verifiers.push(VerifyingKey {
                kid,
                key: DecodingKey::from_ed_der(&public),
                public,
            });
        }
        Ok(Self {
            signer: signer.ok_or(KeyError::None)?,
            verifiers,
        })
    }

    /// Tells whether these are the very keys of `other`, in the same order.
    pub(super) fn has_same_keys(&self, other: &Self) -> bool {
        let names = |ring: &Self| {
            let name = |key: &VerifyingKey| (key.kid.clone(), key.public.clone());
            ring.verifiers.iter().map(name).collect::<Vec<_>>()
        };
        names(self) == names(other)
    }

    /// Returns the newest key and its id.
    pub(super) fn signer(&self) -> (&str, &EncodingKey) {
        (&self.verifiers[0].kid, &self.signer)
    }

    /// Finds the key that a token names.
    pub(super) fn find(&self, kid: &str) -> Option<&VerifyingKey> {
        self.verifiers.iter().find(|key| key.kid == kid)
    }

    /// Returns the public keys.
    pub(super) fn jwks(&self) -> Vec<Jwk> {
        let jwk = |key: &VerifyingKey| Jwk {
            kid: key.kid.clone(),
            kty: "OKP",
            crv: "Ed25519",
            r#use: "sig",
            alg: "EdDSA",
            x: BASE64_URL_SAFE_NO_PAD.encode(&key.public),
        };
        self.verifiers.iter().map(jwk).collect()
    }
}
