//! People who do all that customers do, without a pause, and whatever went wrong for them.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::harness::{PASSWORD, Person, order, random_key};

/// People who sign in, look around, order and think better of it, until they are told to stop.
pub(super) struct Visitors {
    stop: Arc<AtomicBool>,
    tasks: JoinSet<Vec<String>>,
}

impl Visitors {
    /// Lets one of them begin at each node.
    pub(super) fn start(customer: &Person, apis: &[String], product: &str) -> Self {
        let (stop, mut tasks) = (Arc::<AtomicBool>::default(), JoinSet::new());
        for api in apis {
            let (visitor, product, stop) = (customer.at(api), product.to_owned(), Arc::clone(&stop));
            tasks.spawn(async move {
                let mut complaints = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    complaints.extend(visit(&visitor, &product).await.err());
                }
                complaints
            });
        }
        Self { stop, tasks }
    }

    /// Lets the visits under way finish; returns what went wrong.
    pub(super) async fn stop(self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        self.tasks.join_all().await.into_iter().flatten().collect()
    }
}

/// Signs in, looks at a product, orders it, looks at the order, cancels it and signs out.
async fn visit(visitor: &Person, product: &str) -> Result<(), String> {
    let nobody = Person {
        token: None,
        ..visitor.clone()
    };
    let login = json!({ "email": visitor.email, "password": PASSWORD });
    let tokens = step(&nobody, Method::POST, "/v1/auth/login", Some(login)).await?;
    let customer = Person {
        token: tokens["access_token"].as_str().map(str::to_owned),
        ..nobody
    };
    step(&customer, Method::GET, "/v1/me", None).await?;
    step(&customer, Method::GET, &format!("/v1/products/{product}"), None).await?;
    let placed = step(
        &customer,
        Method::POST,
        "/v1/orders",
        Some(order(&[(product, 1)])),
    )
    .await?;
    let path = format!("/v1/orders/{}", placed["id"].as_str().unwrap_or_default());
    step(&customer, Method::GET, &path, None).await?;
    step(
        &customer,
        Method::POST,
        &format!("{path}/cancel"),
        Some(json!({})),
    )
    .await?;
    step(&customer, Method::POST, "/v1/auth/logout", None).await?;
    Ok(())
}

/// Takes one step of a visit; fails with what was answered if that was no success.
async fn step(person: &Person, method: Method, path: &str, body: Option<Value>) -> Result<Value, String> {
    let call = format!("{method} {path}");
    let key = random_key();
    let headers = [("idempotency-key", key.as_str()), ("cache-control", "no-cache")];
    match person.try_send(method, path, &headers, body).await {
        Ok(answer) if answer.status.is_success() => Ok(answer.body),
        Ok(answer) => Err(format!("{call}: {} {}", answer.verdict(), answer.body["detail"])),
        Err(error) => Err(format!("{call}: {error}")),
    }
}
