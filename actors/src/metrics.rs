//! What a node measures, for Prometheus.
//!
//! Every node has a registry of its own, since several may run in one process. What is counted where
//! it happens stands in a file for each part; what a part keeps anyway - a table's size, a plain
//! counter - is looked up when the registry is read ([`sampled`]). The edge and the process add their
//! own to the same registry by [`Registrar`].
//!
//! *Invariant*: labels take their values from short lists that the program knows beforehand. There is
//! one exception, the best-selling products, of which there are never more than
//! [`HOT_PRODUCTS`](sales::HOT_PRODUCTS).

mod consumers;
mod hashing;
mod hot;
mod lane;
mod logins;
mod membership;
mod registrar;
mod router;
mod sales;
mod sampled;

use prometheus::Registry;

pub(crate) use consumers::Backlogs;
pub(crate) use hashing::HashingMetrics;
pub(crate) use lane::LaneMetrics;
pub(crate) use logins::LoginMetrics;
pub(crate) use membership::MembershipMetrics;
pub use registrar::{Kind, Registrar, SECONDS, Sample};
pub(crate) use router::RouterMetrics;
pub(crate) use sales::SalesMetrics;
pub(crate) use sampled::{StockAudit, watch};

/// What a node counts where it happens.
#[derive(Clone)]
pub(crate) struct Metrics {
    pub(crate) registry: Registry,
    pub(crate) hashing: HashingMetrics,
    pub(crate) lane: LaneMetrics,
    pub(crate) logins: LoginMetrics,
    pub(crate) membership: MembershipMetrics,
    pub(crate) router: RouterMetrics,
    pub(crate) sales: SalesMetrics,
}

impl Metrics {
    /// Begins to count, in a registry of its own.
    pub(crate) fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let registrar = Registrar::new(&registry);
        Ok(Self {
            hashing: HashingMetrics::new(registrar)?,
            lane: LaneMetrics::new(registrar)?,
            logins: LoginMetrics::new(registrar)?,
            membership: MembershipMetrics::new(registrar)?,
            router: RouterMetrics::new(registrar)?,
            sales: SalesMetrics::new(registrar)?,
            registry,
        })
    }
}
