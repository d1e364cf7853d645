//! Setting the stage: somebody to order, and something to be ordered.

use serde_json::json;
use uuid::Uuid;

use super::ChaosOptions;
use crate::credentials::Credentials;
use crate::shop::{Ask, Shop};

const CUSTOMERS: usize = 8;
const PRODUCTS: usize = 12;
/// What one product costs, in cents.
const PRICE: u32 = 1_999;

/// Who orders what.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) customers: Vec<Customer>,
    /// Ids. The first one is scarce and sells out under load.
    pub(super) products: Vec<String>,
}

/// Somebody who orders.
#[derive(Debug)]
pub(super) struct Customer {
    pub(super) token: String,
}

/// Makes customers and products of this run's own.
pub(super) async fn set_the_stage(
    shop: &Shop,
    admin: &Credentials,
    options: &ChaosOptions,
) -> anyhow::Result<Stage> {
    let seller = shop
        .ask(&Ask::post("/v1/auth/login", &admin.login()))
        .await?
        .promised("access_token")?;
    let run = Uuid::now_v7().simple().to_string();
    let operations = u64::from(options.rate) * options.duration.as_secs();
    let mut products = Vec::with_capacity(PRODUCTS);
    for number in 0..PRODUCTS {
        let stock = if number == 0 { operations / 20 } else { operations };
        let body = json!({
            "sku": format!("chaos-{run}-{number}"),
            "name": format!("Chaos {number}"),
            "price": { "amount": PRICE, "currency": "EUR" },
            "status": "active",
            "stock": stock.max(1),
        });
        let key = Uuid::now_v7().to_string();
        let ask = Ask::post("/v1/products", &body).by(&seller).under(&key);
        products.push(shop.ask(&ask).await?.promised("id")?);
    }
    let mut customers = Vec::with_capacity(CUSTOMERS);
    for number in 0..CUSTOMERS {
        let body = json!({
            "email": format!("chaos-{run}-{number}@example.com"),
            "password": format!("chaos-{run}"),
        });
        let key = Uuid::now_v7().to_string();
        let register = Ask::post("/v1/auth/register", &body).under(&key);
        shop.ask(&register).await?.promised("id")?;
        let login = shop.ask(&Ask::post("/v1/auth/login", &body)).await?;
        customers.push(Customer {
            token: login.promised("access_token")?,
        });
    }
    Ok(Stage { customers, products })
}
