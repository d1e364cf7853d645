//! People who use the shop.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Answer, random_key};

/// Somebody who uses one node of the shop, signed in or not.
#[derive(Clone)]
pub(crate) struct Person {
    /// Keeps connections.
    pub(crate) http: reqwest::Client,
    /// The node's API.
    pub(crate) api: String,
    /// The access token, if signed in.
    pub(crate) token: Option<String>,
    /// The refresh token, if signed in.
    pub(crate) refresh_token: Option<String>,
    /// The account's id, if there is one.
    pub(crate) id: String,
    /// The account's address.
    pub(crate) email: String,
}

/// The password of everybody in these tests.
pub(crate) const PASSWORD: &str = "a long enough secret";

impl Person {
    /// Somebody without an account, who talks to the node at `api`.
    pub(crate) fn stranger(http: reqwest::Client, api: &str) -> Self {
        Self {
            http,
            api: api.to_owned(),
            token: None,
            refresh_token: None,
            id: String::new(),
            email: String::new(),
        }
    }

    /// The same person, talking to another node.
    pub(crate) fn at(&self, api: &str) -> Self {
        Self {
            api: api.to_owned(),
            ..self.clone()
        }
    }

    /// Makes an account and signs in.
    pub(crate) async fn sign_up(&self, name: &str) -> Self {
        let email = format!("{name}-{}@example.com", &random_key()[..8]);
        let body = json!({ "email": email, "password": PASSWORD, "display_name": name });
        let user = self.post("/v1/auth/register", body).await.expect(201);
        let id = user["id"].as_str().expect("an id").to_owned();
        Self {
            id,
            email,
            ..self.clone()
        }
        .sign_in()
        .await
    }

    /// Signs in, in a new session.
    pub(crate) async fn sign_in(&self) -> Self {
        let tokens = self.log_in(PASSWORD).await.expect(200);
        Self {
            token: tokens["access_token"].as_str().map(str::to_owned),
            refresh_token: tokens["refresh_token"].as_str().map(str::to_owned),
            ..self.clone()
        }
    }

    /// Tries to sign in with a password.
    pub(crate) async fn log_in(&self, password: &str) -> Answer {
        let body = json!({ "email": self.email, "password": password });
        Self {
            token: None,
            ..self.clone()
        }
        .post("/v1/auth/login", body)
        .await
    }

    /// Sends a request with these headers.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> Answer {
        self.try_send(method, path, headers, body)
            .await
            .expect("an answer")
    }

    /// Sends a request that may not be answered.
    pub(crate) async fn try_send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> Result<Answer, reqwest::Error> {
        let mut request = self.http.request(method, format!("{}{path}", self.api));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        Ok(Answer::read(request.send().await?).await)
    }

    /// Reads.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], None).await
    }

    /// Reads the newest state.
    pub(crate) async fn get_now(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[("cache-control", "no-cache")], None)
            .await
    }

    /// Asks for a change, under a new key.
    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.post_with_key(path, &random_key(), body).await
    }

    /// Asks for a change, under this key.
    pub(crate) async fn post_with_key(&self, path: &str, key: &str, body: Value) -> Answer {
        self.send(Method::POST, path, &[("idempotency-key", key)], Some(body))
            .await
    }

    /// Edits what stands at `version`.
    pub(crate) async fn patch(&self, path: &str, version: i64, body: Value) -> Answer {
        self.send(
            Method::PATCH,
            path,
            &[("if-match", &format!("\"{version}\""))],
            Some(body),
        )
        .await
    }

    /// Lists a product of which there are `stock` units; returns its id.
    pub(crate) async fn lists(&self, name: &str, stock: u32) -> String {
        let product = self.post("/v1/products", product(name, stock)).await.expect(201);
        product["id"].as_str().expect("an id").to_owned()
    }

    /// Orders, under a new key.
    pub(crate) async fn orders(&self, lines: &[(&str, u32)]) -> Answer {
        self.orders_with_key(&random_key(), lines).await
    }

    /// Orders, under this key.
    pub(crate) async fn orders_with_key(&self, key: &str, lines: &[(&str, u32)]) -> Answer {
        self.post_with_key("/v1/orders", key, order(lines)).await
    }

    /// Pays an order by the test provider.
    pub(crate) async fn pays(&self, order: &str, method: &str) -> Answer {
        let body = json!({ "provider": "test", "method": method });
        self.post(&format!("/v1/orders/{order}/payments"), body).await
    }

    /// Returns a product's newest counters: on hand, reserved, available.
    pub(crate) async fn stock_of(&self, product: &str) -> (i64, i64, i64) {
        let stock = self
            .get_now(&format!("/v1/products/{product}/stock"))
            .await
            .expect(200);
        let count = |name: &str| stock[name].as_i64().expect("a count");
        (count("on_hand"), count("reserved"), count("available"))
    }
}

/// The body of a product that is for sale.
pub(crate) fn product(name: &str, stock: u32) -> Value {
    json!({
        "sku": format!("SKU-{}", &random_key()[..12]),
        "name": name,
        "price": { "amount": 1_999, "currency": "EUR" },
        "status": "active",
        "stock": stock,
    })
}

/// The body of an order.
pub(crate) fn order(lines: &[(&str, u32)]) -> Value {
    let line = |(product, quantity): &(&str, u32)| json!({ "product_id": product, "quantity": quantity });
    json!({ "lines": lines.iter().map(line).collect::<Vec<_>>() })
}
