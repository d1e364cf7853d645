//! What a payment's provider reports.

use holdfast_domain::{
    Operation,
    order::{self, KnownNames, PaymentReport, Reported},
};
use holdfast_store::OrderRecord;

use super::{
    moves::{self, Move},
    revive, settle,
};
use crate::{
    command::Reply,
    entity::{Fault, Outcome, done},
    operations,
    ports::Desk,
};

/// Takes note of a report, once: a repeat under the provider's name for the report is found by it, and
/// one under another name by the payment, in the order's events. A report that changes nothing is remembered
/// by its name all the same: another one must not have it.
pub(super) async fn handle(
    desk: &Desk,
    record: &mut OrderRecord,
    operation: &Operation,
    report: &PaymentReport,
) -> Outcome {
    if let Some(answer) = operations::find(desk, operation).await? {
        return Ok(answer);
    }
    let names = names(desk, record, report).await?;
    let Some(change) = order::report(&record.order, report, &names, desk.now()) else {
        return operations::noted(desk, operation, Reply::Ended).await;
    };
    let decided = Move {
        change,
        answer: Ok(Reply::Ended),
    };
    if let Some(repeated) = moves::commit(desk, record, operation, &decided).await? {
        return Ok(repeated);
    }
    if decided.change.renews {
        // The payment is durable: should a product be out of reach, the sweeper goes on.
        revive::revive(desk, record, settle::WHILE_ASKED).await?;
    }
    done(Reply::Ended)
}

/// Reads what the order's events tell of names, as far as it matters to the report.
async fn names(desk: &Desk, record: &OrderRecord, report: &PaymentReport) -> Result<KnownNames, Fault> {
    let (order, provider) = (record.order.id, report.provider);
    let is_known = match report.outcome {
        Reported::Captured => {
            let reference = report.reference.clone();
            desk.ports.payment_is_known(order, provider, reference).await?
        }
        Reported::Declined(_) => false,
    };
    let own = record.order.payment.as_ref();
    let of_payment = match own.filter(|payment| !is_known && payment.provider == provider) {
        Some(payment) => desk.ports.payment_name(order, payment.id).await?,
        None => None,
    };
    Ok(KnownNames { is_known, of_payment })
}
