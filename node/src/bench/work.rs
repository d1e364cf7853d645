//! What is asked of a shop: orders and reads, of products that are more or less
//! in demand.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use clap::ValueEnum;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use rand::Rng;
use rand::distr::Distribution;
use rand::distr::weighted::WeightedIndex;
use rand::rngs::SmallRng;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::load::Work;
use super::stage::Stage;

/// How fast demand falls from one product to the next where it is as Zipf says.
pub(super) const ZIPF_EXPONENT: f64 = 1.1;

/// How demand is spread over the products.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spread {
    /// Everybody wants the same one.
    Hot,
    /// Each is wanted as often as any other.
    Uniform,
    /// The n-th is wanted n^1.1 times less often than the first.
    Zipf,
}

impl Spread {
    /// The spread's name, as in arguments and results.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hot => "hot",
            Self::Uniform => "uniform",
            Self::Zipf => "zipf",
        }
    }
}

/// Draws products.
#[derive(Clone, Debug)]
pub(super) struct Demand {
    products: Arc<[Uuid]>,
    spread: Spread,
    zipf: Option<Arc<WeightedIndex<f64>>>,
}

impl Demand {
    pub(super) fn new(products: &[Uuid], spread: Spread) -> anyhow::Result<Self> {
        let zipf = match spread {
            Spread::Hot | Spread::Uniform => None,
            Spread::Zipf => {
                let ranks = (1_u32..).take(products.len()).map(f64::from);
                let weights = ranks.map(|rank| rank.powf(-ZIPF_EXPONENT));
                Some(Arc::new(WeightedIndex::new(weights)?))
            }
        };
        Ok(Self {
            products: products.into(),
            spread,
            zipf,
        })
    }

    fn one(&self, dice: &mut SmallRng) -> usize {
        match (&self.zipf, self.spread) {
            (Some(zipf), _) => zipf.sample(dice),
            (None, Spread::Hot) => 0,
            (None, _) => dice.random_range(0..self.products.len()),
        }
    }

    /// Draws so many products, no two alike: the first by demand, and what goes with it.
    fn some(&self, lines: usize, dice: &mut SmallRng) -> Vec<Uuid> {
        let mut drawn = vec![self.one(dice)];
        while drawn.len() < lines.min(self.products.len()) {
            let next = match self.spread {
                Spread::Hot => dice.random_range(0..self.products.len()),
                Spread::Uniform | Spread::Zipf => self.one(dice),
            };
            if !drawn.contains(&next) {
                drawn.push(next);
            }
        }
        drawn.into_iter().map(|number| self.products[number]).collect()
    }
}

/// Placing orders, each under a key of its own.
pub(super) struct Orders {
    demand: Demand,
    lines: usize,
    tokens: Vec<String>,
    /// Sets the keys of this run apart from those of all others.
    run: Uuid,
    next: AtomicU64,
}

impl Orders {
    pub(super) fn new(stage: &Stage, demand: Demand, lines: usize) -> Self {
        Self {
            demand,
            lines,
            tokens: stage
                .tokens
                .iter()
                .map(|token| format!("Bearer {token}"))
                .collect(),
            run: Uuid::now_v7(),
            next: AtomicU64::new(0),
        }
    }
}

impl Work for Orders {
    fn request(&self, client: usize, dice: &mut SmallRng) -> Request<Full<Bytes>> {
        let products = self.demand.some(self.lines, dice).into_iter();
        let lines: Vec<String> = products
            .map(|product| format!(r#"{{"product_id":"{product}","quantity":1}}"#))
            .collect();
        let body = format!(r#"{{"lines":[{}]}}"#, lines.join(","));
        let key = format!("{}-{}", self.run.simple(), self.next.fetch_add(1, Relaxed));
        Request::builder()
            .method(Method::POST)
            .uri("/v1/orders")
            .header("host", "localhost")
            .header("authorization", &self.tokens[client % self.tokens.len()])
            .header("content-type", "application/json")
            .header("idempotency-key", key)
            .body(Full::from(body))
            .expect("its parts are valid")
    }

    fn is_good(&self, status: StatusCode) -> bool {
        status == StatusCode::CREATED
    }
}

/// Reading products, as anybody may.
pub(super) struct Reads {
    demand: Demand,
}

impl Reads {
    pub(super) const fn new(demand: Demand) -> Self {
        Self { demand }
    }
}

impl Work for Reads {
    fn request(&self, _: usize, dice: &mut SmallRng) -> Request<Full<Bytes>> {
        let product = self.demand.products[self.demand.one(dice)];
        Request::builder()
            .method(Method::GET)
            .uri(format!("/v1/products/{product}"))
            .header("host", "localhost")
            .body(Full::default())
            .expect("its parts are valid")
    }

    fn is_good(&self, status: StatusCode) -> bool {
        status == StatusCode::OK
    }
}

/// Signing in, each client as somebody else.
pub(super) struct Logins {
    logins: Vec<String>,
}

impl Logins {
    pub(super) fn new(stage: &Stage) -> Self {
        let logins = stage.logins.iter().map(ToString::to_string);
        Self {
            logins: logins.collect(),
        }
    }
}

impl Work for Logins {
    fn request(&self, client: usize, _: &mut SmallRng) -> Request<Full<Bytes>> {
        Request::builder()
            .method(Method::POST)
            .uri("/v1/auth/login")
            .header("host", "localhost")
            .header("content-type", "application/json")
            .body(Full::from(self.logins[client % self.logins.len()].clone()))
            .expect("its parts are valid")
    }

    fn is_good(&self, status: StatusCode) -> bool {
        status == StatusCode::OK
    }
}
