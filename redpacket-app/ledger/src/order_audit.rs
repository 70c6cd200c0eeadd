//! Auditing orders: what their rows say was paid and went back, against what the journal says.
//!
//! Must never: look at anything but rows.

use std::collections::BTreeMap;

use machine::{LoadError, RowSource, prefix_end};

use crate::account::AccountKey;
use crate::audit::Part;
use crate::difference::Difference;
use crate::fen::Fen;
use crate::ids::{JournalNumber, OrderId};
use crate::journal::JournalEntry;
use crate::order::{Order, OrderState, PAYMENT_CODE, REFUND_CODE};
use crate::read::each;
use crate::rows::ORDER;

/// What the journal says of one order.
#[derive(Debug, Default)]
struct Told {
    paid: i128,
    refunded: i128,
    entry: JournalNumber,
}

/// What an audit of orders found.
#[derive(Debug, Default)]
pub(crate) struct Checked {
    /// Orders whose rows differ from the journal.
    pub(crate) differences: Vec<Difference>,
    /// Orders there are, of all parts.
    pub(crate) rows: u64,
}

/// What the journal says of the orders of this shard's merchants: one record for each of the part's orders.
#[derive(Debug, Default)]
pub(crate) struct OrderSums(BTreeMap<OrderId, Told>);

impl OrderSums {
    /// Takes in a journal entry. The other side of a payment that crosses is no customer here, and is passed by.
    pub(crate) fn take(&mut self, number: JournalNumber, entry: &JournalEntry, part: Part) {
        let order = OrderId(entry.memo);
        let is_paid = entry.code == PAYMENT_CODE && matches!(entry.credit, AccountKey::Customer(_));
        let is_refunded = entry.code == REFUND_CODE && matches!(entry.debit, AccountKey::Customer(_));
        if !(is_paid || is_refunded) || !part.has(order.0) {
            return;
        }
        let told = self.0.entry(order).or_default();
        let fen = i128::from(entry.money.amount.0);
        if is_paid {
            (told.paid, told.entry) = (told.paid.saturating_add(fen), number);
        } else {
            told.refunded = told.refunded.saturating_add(fen);
        }
    }

    /// Holds the rows against it.
    pub(crate) fn check(mut self, source: &dyn RowSource, part: Part) -> Result<Checked, LoadError> {
        let Checked { mut differences, mut rows } = Checked::default();
        each(source, &[ORDER], &prefix_end(&[ORDER]), &mut |order: OrderId, row: Order| {
            rows = rows.saturating_add(1);
            if part.has(order.0) {
                let told = self.0.remove(&order).unwrap_or_default();
                let (paid, refunded, entry) = match row.state {
                    OrderState::Paid(payment) => (row.money.amount, payment.refunded, payment.entry),
                    OrderState::Open | OrderState::Closed(_) => (Fen::ZERO, Fen::ZERO, JournalNumber::default()),
                };
                let said = (i128::from(paid.0), i128::from(refunded.0), entry);
                if said != (told.paid, told.refunded, told.entry) || refunded > paid {
                    differences.push(Difference::OrderDiffers { order });
                }
            }
            true
        })?;
        differences.extend(self.0.into_keys().map(|order| Difference::OrderDiffers { order }));
        Ok(Checked { differences, rows })
    }
}
