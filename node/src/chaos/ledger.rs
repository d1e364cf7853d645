//! What the clients know: what they asked for, and what they were told.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;

use super::distribution::Distribution;

/// The most unexpected answers that are kept in words.
const UNEXPECTED_MAX: usize = 20;

/// An order that was asked for.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// Who asked, as an index into the customers.
    pub(super) customer: usize,
    /// The idempotency key.
    pub(super) key: String,
    /// The request's body.
    pub(super) body: Value,
    /// The order's id if it was acknowledged.
    pub(super) order: Option<String>,
}

/// Everything that the clients remember.
#[derive(Debug)]
pub(super) struct Ledger {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    asked: Vec<Asked>,
    /// Orders that may be read, paid or cancelled, by customer.
    open: Vec<Vec<String>>,
    latencies: BTreeMap<&'static str, Vec<Duration>>,
    unexpected: Vec<String>,
}

impl Ledger {
    pub(super) fn new(customers: usize) -> Self {
        Self {
            inner: Mutex::new(Inner {
                asked: Vec::new(),
                open: vec![Vec::new(); customers],
                latencies: BTreeMap::new(),
                unexpected: Vec::new(),
            }),
        }
    }

    /// Notes what came of asking for an order.
    pub(super) fn note_order(&self, asked: Asked) {
        let mut inner = self.lock();
        if let Some(order) = &asked.order {
            inner.open[asked.customer].push(order.clone());
        }
        inner.asked.push(asked);
    }

    /// Notes how long an operation took, all its attempts included.
    pub(super) fn note_latency(&self, kind: &'static str, took: Duration) {
        self.lock().latencies.entry(kind).or_default().push(took);
    }

    /// Notes an answer that the contract does not allow.
    pub(super) fn note_unexpected(&self, what: String) {
        let mut inner = self.lock();
        if inner.unexpected.len() < UNEXPECTED_MAX {
            inner.unexpected.push(what);
        }
    }

    /// Names the order that `customer` placed last and has done nothing with.
    pub(super) fn last_open(&self, customer: usize) -> Option<String> {
        self.lock().open[customer].last().cloned()
    }

    /// Takes the order that `customer` placed last and has done nothing with.
    pub(super) fn take_open(&self, customer: usize) -> Option<String> {
        self.lock().open[customer].pop()
    }

    /// Every order that was asked for.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.lock().asked.clone()
    }

    pub(super) fn acknowledged(&self) -> usize {
        let asked = &self.lock().asked;
        asked.iter().filter(|asked| asked.order.is_some()).count()
    }

    pub(super) fn take_unexpected(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().unexpected)
    }

    pub(super) fn take_latencies(&self) -> Vec<(&'static str, Distribution)> {
        std::mem::take(&mut self.lock().latencies)
            .into_iter()
            .map(|(kind, latencies)| (kind, Distribution::of(latencies)))
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
