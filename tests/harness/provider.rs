//! A payment provider that reports to the shop.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use holdfast_domain::PaymentProvider;
use holdfast_http::WebhookKeys;
use reqwest::Method;
use serde_json::{Value, json};

use super::{Answer, Person};

const SECRET: &str = "a secret of the test provider";

/// The keys under which the provider signs.
pub(super) fn keys() -> Vec<WebhookKeys> {
    vec![WebhookKeys::new(PaymentProvider::Test, [SECRET])]
}

/// A payment provider, talking to one node.
#[derive(Clone)]
pub(crate) struct Provider(pub(super) Person);

impl Provider {
    /// Makes a report under its own id that a payment of an order was captured.
    pub(crate) fn captured(id: &str, payment: &str, order: &Value) -> Value {
        json!({
            "id": id,
            "type": "payment.captured",
            "order_id": order["id"],
            "payment_reference": payment,
            "amount": order["total"],
        })
    }

    /// Sends a report; nobody may answer.
    pub(crate) async fn try_report(&self, report: &Value) -> Option<Answer> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        let signature = sign(SECRET, now.as_secs(), report);
        self.send(report, &signature).await
    }

    /// Sends a report that was signed under a secret at a time, in seconds since 1970.
    pub(crate) async fn report_signed(&self, report: &Value, secret: &str, time_s: u64) -> Answer {
        let signature = sign(secret, time_s, report);
        self.send(report, &signature).await.expect("an answer")
    }

    /// Sends a report.
    pub(crate) async fn report(&self, report: &Value) -> Answer {
        self.try_report(report).await.expect("an answer")
    }

    async fn send(&self, report: &Value, signature: &str) -> Option<Answer> {
        let headers = [("payment-signature", signature)];
        let path = "/v1/payment-webhooks/test";
        let sent = self
            .0
            .try_send(Method::POST, path, &headers, Some(report.clone()));
        sent.await.ok()
    }
}

fn sign(secret: &str, time_s: u64, report: &Value) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, format!("{time_s}.{report}").as_bytes());
    let tag = tag.as_ref().iter().fold(String::new(), |mut text, byte| {
        use std::fmt::Write;
        write!(text, "{byte:02x}").expect("a String takes every write");
        text
    });
    format!("t={time_s},v1={tag}")
}
