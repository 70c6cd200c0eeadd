//! Refunds of orders: what goes back to who paid, in whole or in parts, each under the merchant's own number.
//!
//! Why forward only: once the merchant's shard has booked it, a refund arrives, however long the payer's shard is away;
//! an account that cannot take it gets it parked for an operator.
//!
//! Must never: give a refund a number of its own; the merchant's makes a repeat the same refund.

use ledger::{
    AccountId, Done, LedgerView, Money, OrderId, OrderPayment, OrderState, RefundOrder, Refusal, TransferId,
    TransferKey, Verb,
};
use machine::TimestampMs;
use tokio::time::Instant;

use crate::derived::derived;
use crate::failure::{DoorRefusal, Failure, after_done, unexpected};
use crate::limits::{COMMAND_DEADLINE, LAND_DEADLINE};
use crate::pay::orders::{Orders, Progress, carried};
use crate::tenpay::landing::landed;

/// A refund as it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refunded {
    /// How much.
    pub(crate) money: Money,
    /// How far it has come.
    pub(crate) progress: Progress,
    /// When it left the merchant.
    pub(crate) at: TimestampMs,
}

fn refund_id(order: OrderId, number: &str) -> TransferId {
    TransferId(derived(&[b"refund", &order.0.to_be_bytes(), number.as_bytes()]))
}

impl Orders {
    /// Pays `money` of an order back. A repeat under the same number is told what became of the first one.
    ///
    /// Refuses: `OrderUnknown`, `MerchantDiffers`, `OrderUnpaid`; then as the ledger's `RefundOrder`.
    pub(crate) async fn refund(
        &self,
        merchant: AccountId,
        order: OrderId,
        (number, money): (&str, Money),
    ) -> Result<Refunded, Failure> {
        let payment = self.payment(merchant, order).await?;
        let refund = RefundOrder {
            id: refund_id(order, number),
            order,
            merchant,
            payer: payment.payer,
            to_group: payment.from,
            money,
            number: carried(number),
        };
        let booked = self.accounts.booking.step(merchant, Verb::RefundOrder(refund), COMMAND_DEADLINE).await?;
        if booked.journal_number().is_none() {
            return Err(unexpected(&booked));
        }
        self.refunded(merchant, (order, payment), number, LAND_DEADLINE).await.map_err(after_done)
    }

    /// A refund of an order. Refuses: `OrderUnknown`, `MerchantDiffers`, `OrderUnpaid`, `RefundUnknown`.
    pub(crate) async fn get_refund(
        &self,
        merchant: AccountId,
        order: OrderId,
        number: &str,
    ) -> Result<Refunded, Failure> {
        let payment = self.payment(merchant, order).await?;
        self.refunded(merchant, (order, payment), number, std::time::Duration::ZERO).await
    }

    async fn payment(&self, merchant: AccountId, order: OrderId) -> Result<OrderPayment, Failure> {
        match self.get(merchant, order).await?.state() {
            OrderState::Paid(payment) => Ok(payment),
            _ => Err(Refusal::OrderUnpaid.into()),
        }
    }

    /// What became of a refund, waited for a while. Refuses: `RefundUnknown`.
    async fn refunded(
        &self,
        merchant: AccountId,
        (order, payment): (OrderId, OrderPayment),
        number: &str,
        patience: std::time::Duration,
    ) -> Result<Refunded, Failure> {
        let (until, id) = (Instant::now() + patience, refund_id(order, number));
        let home = self.homes.ledger(merchant);
        let read = home.fresh(|seen| {
            let view = LedgerView::over(seen.rows);
            let done = view.transfer(TransferKey::Own(id))?.map(|stored| stored.done);
            let entry = done.and_then(Done::journal_number).map(|number| view.journal_entry(number)).transpose()?;
            Ok::<_, machine::LoadError>(done.zip(entry.flatten()))
        });
        let (done, entry) = read.await??.ok_or(DoorRefusal::RefundUnknown)?;
        let told = |progress| Refunded { money: entry.money, progress, at: entry.at };
        match done {
            Done::Booked(_) => return Ok(told(Progress::Arrived)),
            Done::Parked(_) => return Ok(told(Progress::Parked)),
            Done::Sent(_) => {}
            other => return Err(unexpected(&other)),
        }
        let (there, key) = (self.homes.ledger(payment.payer), TransferKey::Crossing(home.group.id(), id));
        let look = || Ok(there.stale(|seen| LedgerView::over(seen.rows).transfer(key))??);
        Ok(told(match landed((there, there), until, look).await?.map(|stored| stored.done) {
            Some(Done::Parked(_)) => Progress::Parked,
            Some(_) => Progress::Arrived,
            None => Progress::UnderWay,
        }))
    }
}
