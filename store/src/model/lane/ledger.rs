//! What explains and tells the rest: each version has one entry, and one event of each kind.

use std::collections::BTreeSet;

use holdfast_domain::{Movement, event::Aggregate};

use crate::{
    EventWrite, StoreError,
    model::{Model, constraint, rejected, tables::subject_of},
};

impl Model {
    pub(super) fn expect_ledger_new(&self, movements: &[Movement]) -> Result<(), StoreError> {
        let mut seen = BTreeSet::new();
        for movement in movements {
            constraint::movement(movement)?;
            let (product_id, version) = (movement.level.product_id, movement.level.version);
            let ledger = self.movements(product_id);
            let stands = ledger.binary_search_by_key(&version, |entry| entry.level.version);
            let is_new = seen.insert((product_id, version)) && stands.is_err();
            if !is_new && self.guards.versions {
                return Err(rejected(format!(
                    "product {product_id} has a movement of version {version}"
                )));
            }
        }
        Ok(())
    }

    pub(super) fn expect_events_new(&self, writes: &[EventWrite]) -> Result<(), StoreError> {
        let mut seen = BTreeSet::new();
        for write in writes {
            constraint::event(write)?;
            let event = &write.event;
            let aggregate = event.kind.aggregate();
            let told = self.events_of(aggregate, event.subject);
            let stands = told
                .iter()
                .any(|earlier| (earlier.event.sequence, earlier.event.kind) == (event.sequence, event.kind));
            let is_new = seen.insert((subject_of(event), event.sequence, event.kind.as_str())) && !stands;
            let is_guarded = match aggregate {
                Aggregate::Order => self.guards.order_compare_and_set,
                Aggregate::User | Aggregate::Product | Aggregate::Stock => self.guards.versions,
            };
            if !is_new && is_guarded {
                return Err(rejected(format!(
                    "{} {} has {} of version {}",
                    aggregate.as_str(),
                    event.subject,
                    event.kind,
                    event.sequence
                )));
            }
        }
        Ok(())
    }
}
