//! The keys that sign access tokens: made once, kept in Postgres, shared by all nodes.

use aws_lc_rs::signature::Ed25519KeyPair;
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use holdfast_domain::Timestamp;
use holdfast_store::Store;

use crate::Error;

/// Returns the shared keys as `(kid, PKCS#8 PEM)`, newest first; makes the first one if needed.
///
/// Nodes that start at once may each make a key; the store keeps one of them.
pub(crate) async fn shared_keys(store: &Store, now: Timestamp) -> Result<Vec<(String, String)>, Error> {
    let keys = store.signing_keys().await?;
    let keys = if keys.is_empty() {
        let (kid, pem) = generate()?;
        store.signing_key_ensure(&kid, &pem, now).await?
    } else {
        keys
    };
    Ok(keys
        .into_iter()
        .map(|key| (key.kid, key.private_key_pem))
        .collect())
}

/// Makes an Ed25519 key; its id is drawn from random bytes and says nothing about it.
fn generate() -> Result<(String, String), Error> {
    let failed = |_| Error::unavailable("no signing key could be made");
    let pair = Ed25519KeyPair::generate().map_err(failed)?;
    let document = pair.to_pkcs8v1().map_err(failed)?;
    let body = STANDARD.encode(document.as_ref());
    let kid = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 12]>());
    Ok((
        kid,
        format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n"),
    ))
}
