//! Orders of merchants: placed, found, closed, paid.
//!
//! ```text
//!  order (the merchant's shard) ──still open?──> risk ──> payer's shard: debit, limits ──courier──> merchant, order paid
//!                                                                                       └─ not any more: back to the payer
//! ```
//!
//! One that came back may be tried again by the same payer while the order is open: each attempt has a number of its own,
//! and an attempt that has not come back is never followed by another.
//!
//! Why the order is looked at first, although its shard decides: a payer is told "closed" before money moves, most of the
//! time. When it closes in between, the money comes back by itself.
//!
//! Must never: answer "paid" before the order's own row says so.

use std::sync::Arc;

use bytes::Bytes;
use ledger::{
    AccountId, CloseOrder, Currency, CustomerKind, Done, LedgerView, Money, OpenAccount, Order, OrderId, OrderState,
    PayOrder, PlaceOrder, Refusal, TransferId, TransferKey, Verb,
};
use machine::{GroupId, LoadError, RowSource, TimestampMs};
use tokio::time::Instant;

use crate::derived::derived;
use crate::failure::{Failure, after_done, unexpected};
use crate::homes::Homes;
use crate::limits::{COMMAND_DEADLINE, LAND_DEADLINE, PAYMENT_ATTEMPTS_MAX};
use crate::pay::risk::{Attempt, Risk};
use crate::tenpay::accounts::Accounts;
use crate::tenpay::landing::landed;
use crate::tenpay::pending::Pending;

/// How far money has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// It is where it should be.
    Arrived,
    /// It is on its way; it arrives, or comes back, by itself.
    UnderWay,
    /// An operator lands it.
    Parked,
}

/// An order as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// Its own number.
    pub(crate) id: OrderId,
    /// Its row.
    pub(crate) order: Order,
    /// Machine time of its shard.
    pub(crate) now: TimestampMs,
}

impl Found {
    /// How far it has come.
    pub(crate) fn state(&self) -> OrderState {
        self.order.state_at(self.now)
    }
}

/// An order's own number.
pub(crate) fn order_id(merchant: AccountId, number: &str) -> OrderId {
    OrderId(derived(&[b"order", &merchant.0.to_be_bytes(), number.as_bytes()]))
}

/// The id of a payment: the so-many-th attempt of a payer at an order. Who asks twice at a time makes one attempt.
fn payment_id(order: OrderId, payer: AccountId, attempt: u32) -> TransferId {
    TransferId(derived(&[b"payment", &order.0.to_be_bytes(), &payer.0.to_be_bytes(), &attempt.to_be_bytes()]))
}

/// The attempt at an order that a payer makes now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// Nothing was asked under this id.
    New(TransferId),
    /// It was asked before; what became of it is told.
    Repeat(TransferId),
}

/// The first attempt that has not come back; of an order that takes no more, and at the end of all attempts, the last one
/// there is. `made`: whether the attempt of this id has come back; `None`: there was none.
fn next_attempt(
    (order, is_open): (OrderId, bool),
    payer: AccountId,
    mut made: impl FnMut(TransferId) -> Result<Option<bool>, LoadError>,
) -> Result<Next, LoadError> {
    let mut last = None;
    for attempt in 0..PAYMENT_ATTEMPTS_MAX {
        let id = payment_id(order, payer, attempt);
        match (made(id)?, last) {
            (None, Some(last)) if !is_open => return Ok(Next::Repeat(last)),
            (None, _) => return Ok(Next::New(id)),
            (Some(false), _) => return Ok(Next::Repeat(id)),
            (Some(true), _) => last = Some(id),
        }
    }
    Ok(Next::Repeat(last.unwrap_or_else(|| payment_id(order, payer, 0))))
}

/// The orders of all merchants.
#[derive(Clone)]
pub(crate) struct Orders {
    pub(crate) homes: Arc<Homes>,
    pub(crate) accounts: Accounts,
    pub(crate) pending: Pending,
    pub(crate) risk: Arc<Risk>,
}

impl Orders {
    /// Opens a merchant's account. Refuses: as the ledger's `OpenAccount`.
    pub(crate) async fn open_merchant(&self, merchant: AccountId) -> Result<(), Failure> {
        let open = OpenAccount { account: merchant, kind: CustomerKind::Merchant, currency: Currency::CNY };
        self.step(merchant, Verb::Open(open), Done::Opened).await
    }

    /// Places an order, or finds it placed. Refuses: as the ledger's `PlaceOrder`.
    pub(crate) async fn place(&self, place: PlaceOrder) -> Result<Found, Failure> {
        let (merchant, order) = (place.merchant, place.order);
        self.step(merchant, Verb::PlaceOrder(place), Done::Opened).await?;
        self.get(merchant, order).await.map_err(after_done)
    }

    /// An order of `merchant`. Refuses: `OrderUnknown`, `MerchantDiffers`.
    pub(crate) async fn get(&self, merchant: AccountId, order: OrderId) -> Result<Found, Failure> {
        let read = self.homes.ledger(merchant).fresh(|seen| look(seen.rows, seen.now, order)).await??;
        let found = read.ok_or(Refusal::OrderUnknown)?;
        if found.order.merchant == merchant { Ok(found) } else { Err(Refusal::MerchantDiffers.into()) }
    }

    /// An order of whichever merchant. Refuses: `OrderUnknown`.
    pub(crate) async fn find(&self, order: OrderId) -> Result<Found, Failure> {
        for shard in self.homes.ledgers() {
            // One that cannot be read here may not be the one; if it is, it is asked again below.
            if let Ok(Ok(Some(found))) = shard.stale(|seen| look(seen.rows, seen.now, order)) {
                return self.get(found.order.merchant, order).await;
            }
        }
        self.find_freshly(order).await
    }

    async fn find_freshly(&self, order: OrderId) -> Result<Found, Failure> {
        for shard in self.homes.ledgers() {
            if let Some(found) = shard.fresh(|seen| look(seen.rows, seen.now, order)).await?? {
                return Ok(found);
            }
        }
        Err(Refusal::OrderUnknown.into())
    }

    /// Sees to it that an order is never paid. Refuses: `OrderUnknown`, `MerchantDiffers`, `OrderPaid`.
    pub(crate) async fn close(&self, merchant: AccountId, order: OrderId) -> Result<Found, Failure> {
        self.step(merchant, Verb::CloseOrder(CloseOrder { order, merchant }), Done::Closed).await?;
        self.get(merchant, order).await.map_err(after_done)
    }

    /// Pays an order. A repeat is told what became of the last attempt, unless that came back and the order is still open:
    /// then it is another attempt.
    ///
    /// Refuses: `OrderUnknown`, `OrderPaid`, `OrderClosed`, `TooRisky`; then as the ledger's `PayOrder`.
    pub(crate) async fn pay(&self, order: OrderId, payer: AccountId) -> Result<Progress, Failure> {
        let until = Instant::now() + LAND_DEADLINE;
        let found = self.find(order).await?;
        let Order { merchant, money, .. } = found.order;
        let to_group = self.homes.ledger_group(merchant);
        let is_open = found.state() == OrderState::Open;
        let read = self.homes.ledger(payer).fresh(|seen| {
            next_attempt((order, is_open), payer, |id| {
                let made = LedgerView::over(seen.rows).transfer(TransferKey::Own(id))?;
                made.map(|_| Ok(came_back(seen.rows, to_group, id)?.is_some())).transpose()
            })
        });
        let id = match read.await?? {
            Next::Repeat(id) => id,
            Next::New(id) => {
                match found.state() {
                    OrderState::Open => {}
                    OrderState::Paid(_) => return Err(Refusal::OrderPaid.into()),
                    OrderState::Closed(_) => return Err(Refusal::OrderClosed.into()),
                }
                self.risk.assess(Attempt { payer, merchant, order, fen: money.amount.0 }).await?;
                id
            }
        };
        let pay = PayOrder { id, order, payer, merchant, to_group, money };
        match self.pending.spend(&self.accounts, (payer, money.amount.0), Verb::PayOrder(pay)).await? {
            Done::Booked(_) => Ok(Progress::Arrived),
            Done::Sent(_) => self.has_landed(&pay, until).await.map_err(after_done),
            other => Err(unexpected(&other)),
        }
    }

    /// Waits until a payment that was sent is taken by its order, or came back.
    ///
    /// Refuses: for whatever sent it back.
    async fn has_landed(&self, pay: &PayOrder, until: Instant) -> Result<Progress, Failure> {
        let (there, here) = (self.homes.ledger(pay.merchant), self.homes.ledger(pay.payer));
        let arrival = TransferKey::Crossing(here.group.id(), pay.id);
        let look =
            || match there.stale(|seen| LedgerView::over(seen.rows).transfer(arrival))??.map(|stored| stored.done) {
                Some(Done::Booked(_)) => Ok(Some(Ok(Progress::Arrived))),
                Some(_) => Ok(here.stale(|seen| came_back(seen.rows, pay.to_group, pay.id))??.map(Err)),
                None => Ok(None),
            };
        match landed((there, here), until, look).await? {
            Some(end) => Ok(end?),
            None => Ok(Progress::UnderWay),
        }
    }

    /// One step in the home of `account` that must end in `expected`.
    async fn step(&self, account: AccountId, verb: Verb, expected: Done) -> Result<(), Failure> {
        let done = self.accounts.booking.step(account, verb, COMMAND_DEADLINE).await?;
        if done == expected { Ok(()) } else { Err(unexpected(&done)) }
    }
}

fn look(rows: &dyn RowSource, now: TimestampMs, id: OrderId) -> Result<Option<Found>, LoadError> {
    Ok(LedgerView::over(rows).order(id)?.map(|order| Found { id, order, now }))
}

/// Why a payment came back from `group`; `None`: it did not.
fn came_back(rows: &dyn RowSource, group: GroupId, id: TransferId) -> Result<Option<Refusal>, LoadError> {
    let view = LedgerView::over(rows);
    let stored = view.transfer(TransferKey::Returned(group, id))?;
    let Some(number) = stored.and_then(|stored| stored.done.journal_number()) else { return Ok(None) };
    let code = view.journal_entry(number)?.map_or(0, |entry| entry.code);
    Ok(Some(Refusal::numbered(code).unwrap_or(Refusal::OrderClosed)))
}

/// A text that the ledger only carries.
pub(crate) fn carried(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// An amount of yuan's fen.
pub(crate) const fn fen(amount: i64) -> Money {
    Money::cny(amount)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_follow_from_what_they_name() {
        let (one, two) = (AccountId(1), AccountId(2));
        assert_eq!(order_id(one, "A"), order_id(one, "A"));
        assert_ne!(order_id(one, "A"), order_id(two, "A"));
        assert_ne!(order_id(one, "A"), order_id(one, "B"));
        assert_ne!(payment_id(OrderId(1), one, 0), payment_id(OrderId(1), two, 0));
        assert_ne!(payment_id(OrderId(1), one, 0), payment_id(OrderId(1), one, 1));
    }

    #[test]
    fn another_attempt_is_made_only_when_the_last_one_came_back() {
        let id = |attempt| payment_id(OrderId(1), AccountId(2), attempt);
        let last = id(PAYMENT_ATTEMPTS_MAX - 1);
        let table = [
            // whether each attempt that was made came back, what is done while the order is open, and when it is over
            (vec![], Next::New(id(0)), Next::New(id(0))),
            (vec![false], Next::Repeat(id(0)), Next::Repeat(id(0))),
            (vec![true], Next::New(id(1)), Next::Repeat(id(0))),
            (vec![true, false], Next::Repeat(id(1)), Next::Repeat(id(1))),
            (vec![true, true], Next::New(id(2)), Next::Repeat(id(1))),
            (vec![true; PAYMENT_ATTEMPTS_MAX as usize], Next::Repeat(last), Next::Repeat(last)),
        ];
        for (made, open, over) in table {
            let known = |asked| Ok((0..).zip(&made).find(|(attempt, _)| id(*attempt) == asked).map(|(_, back)| *back));
            for (is_open, expected) in [(true, open), (false, over)] {
                let next = next_attempt((OrderId(1), is_open), AccountId(2), known).expect("rows decode");
                assert_eq!(next, expected, "{made:?}, open {is_open}");
            }
        }
    }
}
