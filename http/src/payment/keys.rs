//! The keys under which a provider signs what it reports.

use std::fmt;

use aws_lc_rs::hmac;
use holdfast_domain::{PaymentProvider, Timestamp};

use super::signature::{BadSignature, Signature};

/// How far a signature's time may be from the shop's, in either direction.
const TOLERANCE_S: u64 = 300;

/// The keys under which a payment provider signs what it reports; while they are exchanged, several.
#[derive(Clone)]
pub struct WebhookKeys {
    provider: PaymentProvider,
    keys: Vec<hmac::Key>,
}

// Keys are in no output.
impl fmt::Debug for WebhookKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} keys of {}", self.keys.len(), self.provider)
    }
}

impl WebhookKeys {
    /// Makes the keys of these secrets, which the provider uses as they are.
    pub fn new<'a>(provider: PaymentProvider, secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let key = |secret: &str| hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        Self {
            provider,
            keys: secrets.into_iter().map(key).collect(),
        }
    }

    /// Returns whose keys they are.
    pub(crate) fn provider(&self) -> PaymentProvider {
        self.provider
    }

    /// Checks that `body` was signed under one of the keys, within the tolerance of `now`.
    ///
    /// Each comparison takes the same time wherever it fails. The time only bounds for how long a report
    /// that was overheard may be sent again: what keeps it from doing anything is its id.
    pub(super) fn verify(&self, header: &str, body: &[u8], now: Timestamp) -> Result<(), BadSignature> {
        let signature: Signature = header.parse()?;
        let is_signed = |key: &hmac::Key| {
            let mut context = hmac::Context::with_key(key);
            context.update(signature.time.as_bytes());
            context.update(b".");
            context.update(body);
            let expected = context.sign();
            signature
                .tags
                .iter()
                .any(|tag| aws_lc_rs::constant_time::verify_slices_are_equal(expected.as_ref(), tag).is_ok())
        };
        if !self.keys.iter().any(is_signed) {
            return Err(BadSignature::Other);
        }
        let now_s = now.unix_micros().div_euclid(1_000_000);
        if now_s.abs_diff(signature.time_s) <= TOLERANCE_S {
            Ok(())
        } else {
            Err(BadSignature::Untimely)
        }
    }
}
