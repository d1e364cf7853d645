//! What a benchmark is run on: customers who may order, and products that
//! never sell out.

use std::time::{Duration, Instant};

use anyhow::Context;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::credentials::Credentials;
use crate::shop::{Ask, Shop};

/// More customers than this share tokens: each costs a password to be hashed.
const CUSTOMERS_MAX: usize = 64;
/// The most that a product can have, and more than a run can sell.
const STOCK: u32 = 1_000_000_000;
/// Requests under way while the stage is set.
const AT_ONCE: usize = 32;
/// Passwords hashed at once: one for each core of a small machine.
const LOGINS_AT_ONCE: usize = 2;
/// Half of what a token is good for.
const TOKENS_FRESH_FOR: Duration = Duration::from_mins(5);
const PRICE_MINOR: u32 = 1_999;

/// Who orders what.
#[derive(Clone, Debug)]
pub(super) struct Stage {
    /// What customers' logins send.
    pub(super) logins: Vec<Value>,
    /// Their access tokens.
    pub(super) tokens: Vec<String>,
    signed_in: Instant,
    /// What is for sale.
    pub(super) products: Vec<Uuid>,
}

impl Stage {
    /// Makes customers and products.
    pub(super) async fn set(
        shop: &Shop,
        admin: &Credentials,
        customers: usize,
        products: usize,
    ) -> anyhow::Result<Self> {
        let seller = sign_in(shop, &admin.login()).await?;
        let seller = &seller;
        let listed = stream::iter(0..products).map(|number| list_product(shop, seller, number));
        let products: Vec<Uuid> = listed.buffer_unordered(AT_ONCE).try_collect().await?;
        let customers = customers.min(CUSTOMERS_MAX);
        let signed_up = stream::iter(0..customers).map(|number| sign_up(shop, number));
        let mut stage = Self {
            logins: signed_up.buffer_unordered(LOGINS_AT_ONCE).try_collect().await?,
            tokens: Vec::new(),
            signed_in: Instant::now(),
            products,
        };
        stage.sign_in(shop).await?;
        Ok(stage)
    }

    /// Sees to it that the tokens outlast a measurement.
    pub(super) async fn freshen(&mut self, shop: &Shop) -> anyhow::Result<()> {
        if self.signed_in.elapsed() > TOKENS_FRESH_FOR {
            self.sign_in(shop).await?;
        }
        Ok(())
    }

    async fn sign_in(&mut self, shop: &Shop) -> anyhow::Result<()> {
        self.signed_in = Instant::now();
        let signing_in = stream::iter(&self.logins).map(|login| sign_in(shop, login));
        self.tokens = signing_in.buffer_unordered(LOGINS_AT_ONCE).try_collect().await?;
        Ok(())
    }
}

async fn list_product(shop: &Shop, seller: &str, number: usize) -> anyhow::Result<Uuid> {
    let body = json!({
        "sku": format!("bench-{number}"),
        "name": format!("Benchmark {number}"),
        "description": "A plain product, of which there is enough.",
        "price": { "amount": PRICE_MINOR, "currency": "EUR" },
        "status": "active",
        "stock": STOCK,
    });
    let key = Uuid::now_v7().to_string();
    let ask = Ask::post("/v1/products", &body).by(seller).under(&key);
    let id = shop.ask(&ask).await?.promised("id")?;
    id.parse().context("a product's id is not a UUID")
}

async fn sign_up(shop: &Shop, number: usize) -> anyhow::Result<Value> {
    let login = json!({
        "email": format!("bench-{number}@example.com"),
        "password": Uuid::now_v7().to_string(),
    });
    let key = Uuid::now_v7().to_string();
    let register = Ask::post("/v1/auth/register", &login).under(&key);
    shop.ask(&register).await?.promised("id")?;
    Ok(login)
}

async fn sign_in(shop: &Shop, login: &serde_json::Value) -> anyhow::Result<String> {
    let answer = shop.ask(&Ask::post("/v1/auth/login", login)).await?;
    answer.promised("access_token")
}
