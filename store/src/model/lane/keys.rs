//! Keys: each makes one order, or lets one operation take effect.

use std::collections::BTreeSet;

use super::{Staged, offenders};
use crate::{
    Duplicate, OperationRecord, OrderExpected, OrderRecord, OrderWrite, StoreError,
    model::{
        Model, constraint,
        tables::{key_of, scope_of},
    },
};

impl Model {
    /// Names the operations that were recorded before.
    pub(super) fn expect_operations_new(
        &self,
        records: &[OperationRecord],
    ) -> Result<Vec<Duplicate>, StoreError> {
        for record in records {
            constraint::operation(record)?;
        }
        if !self.guards.unique_keys {
            return Ok(Vec::new());
        }
        let was_recorded = |record: &&OperationRecord| self.tables.operations.contains_key(&scope_of(record));
        let scopes: BTreeSet<_> = records.iter().map(scope_of).collect();
        if scopes.len() == records.len() && !records.iter().any(|record| was_recorded(&record)) {
            return Ok(Vec::new());
        }
        let repeated = records.iter().filter(was_recorded);
        offenders(
            repeated
                .map(|record| Duplicate::Operation {
                    principal: record.operation.principal,
                    route: record.operation.route.clone(),
                    key: record.operation.key.clone(),
                })
                .collect(),
        )
    }

    /// Stages orders that are to be made, and names those whose key or id was used before.
    pub(super) fn make_orders(
        &self,
        writes: &[OrderWrite],
        staged: &mut Staged,
    ) -> Result<Vec<Duplicate>, StoreError> {
        let absent = writes
            .iter()
            .filter(|write| write.expected == OrderExpected::Absent);
        let wanted: Vec<_> = absent.map(|write| &write.record).collect();
        let mut sorted = wanted.clone();
        sorted.sort_by_key(|record| (record.order.customer_id, record.operation_key.as_str()));
        let mut made = 0;
        for record in sorted {
            constraint::order(record)?;
            if self.is_free(record, staged) {
                staged.made_keys.insert(key_of(record), record.order.id);
                staged.made_orders.insert(record.order.id, record.clone());
                made += 1;
            }
        }
        if made == wanted.len() {
            return Ok(Vec::new());
        }
        let duplicates = wanted
            .into_iter()
            .filter_map(|record| self.duplicate_of(record, staged));
        offenders(duplicates.collect())
    }

    fn is_free(&self, record: &OrderRecord, staged: &Staged) -> bool {
        let (id, key) = (record.order.id, key_of(record));
        let is_id_used = self.tables.orders.contains_key(&id) || staged.made_orders.contains_key(&id);
        let is_key_used = self.tables.order_keys.contains_key(&key) || staged.made_keys.contains_key(&key);
        !(is_id_used || is_key_used && self.guards.unique_keys)
    }

    /// Returns what stood in an order's way, if it was not the batch itself that made it.
    fn duplicate_of(&self, record: &OrderRecord, staged: &Staged) -> Option<Duplicate> {
        let (order_id, key) = (record.order.id, key_of(record));
        let before = self.tables.order_keys.get(&key).and_then(BTreeSet::first);
        let by_key = before.or_else(|| staged.made_keys.get(&key));
        let by_key = by_key.copied().filter(|_| self.guards.unique_keys);
        let is_id_used = self.tables.orders.contains_key(&order_id);
        let stood_in_the_way = is_id_used || by_key.is_some_and(|existing| existing != order_id);
        stood_in_the_way.then(|| Duplicate::Order {
            order_id,
            existing: by_key.unwrap_or(order_id),
        })
    }
}
