//! Setting the stage: somebody to order, and something to be ordered.

use anyhow::Context;
use rand::distr::weighted::WeightedIndex;
use serde_json::json;
use uuid::Uuid;

use crate::credentials::Credentials;
use crate::shop::{Ask, Shop};

const PRODUCTS: u32 = 16;
/// Of these, products that are meant to sell out.
const HOT: u32 = 4;
/// More units than any run can sell.
const PLENTY: u32 = 10_000_000;
/// How fast demand falls from one product to the next; about that of books.
const ZIPF_EXPONENT: f64 = 1.1;
/// What one product costs, in cents.
const PRICE_MINOR: u32 = 1_999;

/// Who orders what.
#[derive(Debug)]
pub(in crate::chaos) struct Stage {
    pub(in crate::chaos) customers: Vec<Customer>,
    pub(in crate::chaos) products: Vec<Uuid>,
    /// Of somebody who may sell all of them.
    pub(in crate::chaos) seller: Customer,
    /// How much each product is in demand.
    pub(super) demand: WeightedIndex<f64>,
}

/// Somebody who signs in.
#[derive(Debug)]
pub(in crate::chaos) struct Customer {
    pub(in crate::chaos) token: String,
    /// What a login sends.
    pub(in crate::chaos) login: serde_json::Value,
}

impl Stage {
    /// Makes customers and products, for a load of `rate` operations a second:
    /// the hot products last for seconds, the others for the whole run.
    pub(in crate::chaos) async fn set(
        shop: &Shop,
        admin: &Credentials,
        customers: usize,
        rate: u32,
    ) -> anyhow::Result<Self> {
        let login = admin.login();
        let answer = shop.ask(&Ask::post("/v1/auth/login", &login)).await?;
        let seller = Customer {
            token: answer.promised("access_token")?,
            login,
        };
        let mut products = Vec::new();
        for number in 0..PRODUCTS {
            let stock = if number < HOT {
                (rate / (number + 1)).max(5)
            } else {
                PLENTY
            };
            products.push(list_product(shop, &seller.token, number, stock).await?);
        }
        let mut all = Vec::with_capacity(customers);
        for number in 0..customers {
            all.push(sign_up(shop, number).await?);
        }
        let weights = (1..=PRODUCTS).map(|rank| f64::from(rank).powf(-ZIPF_EXPONENT));
        Ok(Self {
            customers: all,
            products,
            seller,
            demand: WeightedIndex::new(weights)?,
        })
    }
}

async fn list_product(shop: &Shop, seller: &str, number: u32, stock: u32) -> anyhow::Result<Uuid> {
    let body = json!({
        "sku": format!("chaos-{number}"),
        "name": format!("Chaos {number}"),
        "price": { "amount": PRICE_MINOR, "currency": "EUR" },
        "status": "active",
        "stock": stock,
    });
    let key = Uuid::now_v7().to_string();
    let ask = Ask::post("/v1/products", &body).by(seller).under(&key);
    let id = shop.ask(&ask).await?.promised("id")?;
    id.parse().context("a product's id is not a UUID")
}

async fn sign_up(shop: &Shop, number: usize) -> anyhow::Result<Customer> {
    let login = json!({
        "email": format!("chaos-{number}@example.com"),
        "password": Uuid::now_v7().to_string(),
    });
    let key = Uuid::now_v7().to_string();
    let register = Ask::post("/v1/auth/register", &login).under(&key);
    shop.ask(&register).await?.promised("id")?;
    let answer = shop.ask(&Ask::post("/v1/auth/login", &login)).await?;
    Ok(Customer {
        token: answer.promised("access_token")?,
        login,
    })
}
