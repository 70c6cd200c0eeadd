//! Orders: what a merchant asks to be paid, as a row beside the merchant.
//!
//! ```text
//!  row 0x1a order u128 -> version u8=1 | merchant u128 | money | placed, deadline packed | number bytes | subject bytes
//!                         | 1 open | 2 closed at packed | 3 paid payer u128, from u32, entry packed, at packed, refunded
//!
//!  place ──> open ──pay──> paid ──refund, refund ...──> paid, and all of it went back
//!              └──close, or its time──> closed
//! ```
//!
//! Why beside the merchant and not the payer: the merchant's number must name one order although nobody knows yet who
//! will pay it. The payment stands beside its payer; it comes here by courier, and goes back by itself if the order
//! does not take it any more.
//!
//! Must never: be paid twice, or after it was closed; or let more go back than was paid.

use bytes::Bytes;
use machine::{DecodeError, GroupId, Layout, Reader, TimestampMs, Writer};

use crate::fen::{Fen, Money};
use crate::ids::{AccountId, JournalNumber};
use crate::packed;
use crate::refusal::Refusal;

const VERSION: u8 = 1;

/// The ledger's own word for the payment of an order; its reference is the order.
pub const PAYMENT_CODE: u16 = 0xff01;
/// The ledger's own word for what goes back of an order's payment; its reference is the order.
pub const REFUND_CODE: u16 = 0xff02;

/// A payment of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderPayment {
    /// Who paid.
    pub payer: AccountId,
    /// The payer's group.
    pub from: GroupId,
    /// The journal entry by which the money came to the merchant.
    pub entry: JournalNumber,
    /// Machine time of that entry.
    pub at: TimestampMs,
    /// What went back since.
    pub refunded: Fen,
}

/// How far an order has come. An open one whose time is over is as good as closed: see [`Order::state_at`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderState {
    /// It may be paid.
    Open,
    /// It was not paid and never will be; since this machine time.
    Closed(TimestampMs),
    /// It was paid.
    Paid(OrderPayment),
}

/// An order's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Who shall be paid.
    pub merchant: AccountId,
    /// How much.
    pub money: Money,
    /// Machine time of its first command.
    pub placed: TimestampMs,
    /// Machine time from which on it can no longer be paid.
    pub deadline: TimestampMs,
    /// The merchant's number.
    pub number: Bytes,
    /// What it is for, in the merchant's words.
    pub subject: Bytes,
    /// How far it has come.
    pub state: OrderState,
}

impl Order {
    /// How far it has come by `now`: what was not paid in its time has closed itself.
    #[must_use]
    pub fn state_at(&self, now: TimestampMs) -> OrderState {
        match self.state {
            OrderState::Open if self.deadline <= now => OrderState::Closed(self.deadline),
            state => state,
        }
    }

    /// Whether it takes a payment of `money` to `merchant`.
    ///
    /// Refuses: `MerchantDiffers`, `OrderDiffers`, `OrderPaid`, `OrderClosed`.
    pub(crate) fn check_payable(&self, merchant: AccountId, money: Money, now: TimestampMs) -> Result<(), Refusal> {
        if self.merchant != merchant {
            return Err(Refusal::MerchantDiffers);
        }
        if self.money != money {
            return Err(Refusal::OrderDiffers);
        }
        match self.state_at(now) {
            OrderState::Open => Ok(()),
            OrderState::Paid(_) => Err(Refusal::OrderPaid),
            OrderState::Closed(_) => Err(Refusal::OrderClosed),
        }
    }
}

impl Layout for Order {
    fn encode(&self, out: &mut Writer) {
        out.u8(VERSION);
        self.merchant.encode(out);
        self.money.encode(out);
        packed::put_time(out, self.placed);
        packed::put_time(out, self.deadline);
        out.bytes(&self.number);
        out.bytes(&self.subject);
        match self.state {
            OrderState::Open => out.u8(1),
            OrderState::Closed(at) => {
                out.u8(2);
                packed::put_time(out, at);
            }
            OrderState::Paid(OrderPayment { payer, from, entry, at, refunded }) => {
                out.u8(3);
                payer.encode(out);
                out.u32(from.0);
                packed::put(out, entry.0);
                packed::put_time(out, at);
                refunded.encode(out);
            }
        }
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        match input.u8()? {
            VERSION => {}
            tag => return Err(DecodeError::Unknown { what: "order version", tag }),
        }
        let (merchant, money) = (AccountId::decode(input)?, Money::decode(input)?);
        let (placed, deadline) = (packed::get_time(input)?, packed::get_time(input)?);
        let (number, subject) = (input.bytes()?, input.bytes()?);
        let state = match input.u8()? {
            1 => OrderState::Open,
            2 => OrderState::Closed(packed::get_time(input)?),
            3 => OrderState::Paid(OrderPayment {
                payer: AccountId::decode(input)?,
                from: GroupId(input.u32()?),
                entry: packed::get(input).map(JournalNumber)?,
                at: packed::get_time(input)?,
                refunded: Fen::decode(input)?,
            }),
            tag => return Err(DecodeError::Unknown { what: "order state", tag }),
        };
        Ok(Self { merchant, money, placed, deadline, number, subject, state })
    }
}
