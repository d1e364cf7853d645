//! What becomes of an order that has been placed.

use holdfast_domain::{
    FulfilmentId, Order, PaymentId, PaymentProvider, Quantity, Timestamp,
    order::{self, Change, KnownNames, NewFulfilment, PaymentReport, Reported, WantedLine},
};

use super::{Kind, PAST, Sketch, caller};

impl Sketch<'_> {
    /// Draws what becomes of an order, if the domain lets it.
    pub(super) fn change_of(&mut self, order: &Order) -> Option<Change> {
        let (world, fresh) = (self.world, self.source.fresh_id(Kind::Other));
        let buyer = world.customers.iter().find(|user| user.id == order.customer_id);
        let before = Timestamp::from_unix_micros(PAST.unix_micros() - 1);
        match self.source.dice.below(7) {
            4 => {
                let news = PaymentReport {
                    id: PaymentId(fresh),
                    provider: PaymentProvider::Test,
                    reference: format!("payment {}", self.source.dice.below(3)),
                    amount: order.total,
                    outcome: Reported::Captured,
                };
                let own = order.payment.as_ref();
                let names = KnownNames {
                    is_known: self
                        .view
                        .payment_is_known(order.id, news.provider, &news.reference),
                    of_payment: own.and_then(|payment| self.view.payment_name(order.id, payment.id)),
                };
                order::report(order, &news, &names, PAST)
            }
            5 => order::revive(order, PAST).ok(),
            6 => order::refund_late(order, PAST).ok(),
            0 => order::expire(order, PAST).ok(),
            1 => {
                let name = format!("payment {}", self.source.dice.below(3));
                let is_new = !self.view.payment_is_known(order.id, PaymentProvider::Test, &name);
                let method = if self.source.dice.chance(30) {
                    "authorize"
                } else {
                    "token"
                };
                let name = (is_new && self.source.dice.chance(50)).then_some(name.as_str());
                let by = (PaymentProvider::Test, method, name);
                let paid = order::pay(order, PaymentId(fresh), by, order.customer_id, before);
                paid.ok().map(|paid| paid.change)
            }
            2 => order::cancel(order, &caller(buyer?), None, PAST).ok(),
            _ => {
                let line = order.lines.iter().find(|line| line.fulfilled < line.quantity)?;
                let left = Quantity::new(line.quantity - line.fulfilled)?;
                let quantity = Quantity::new(1 + self.source.dice.below(left.get()))?;
                let new = NewFulfilment {
                    id: FulfilmentId(fresh),
                    lines: vec![WantedLine {
                        product_id: line.product_id,
                        quantity,
                    }],
                    carrier: None,
                    tracking: None,
                };
                let shipped = order::fulfil(order, new, &caller(&world.seller), PAST);
                shipped.ok().map(|(change, _)| change)
            }
        }
    }
}
