//! Payments, between the wire and the roles.
//!
//! Must never: tell a phone who else paid an order.

use bytes::Bytes;
use ledger::limits::{ORDER_NUMBER_BYTES_MAX, ORDER_SUBJECT_BYTES_MAX};
use ledger::{AccountId, OrderId, OrderPayment, OrderState, PlaceOrder};
use proto::pay::v1 as wire;
use proto::pay::v1::{MoneyState, PlaceOrderRequest};

use super::convert::{id, wire_id};
use crate::failure::{DoorRefusal, Failure};
use crate::limits::ORDER_MS_DEFAULT;
use crate::pay::orders::{Found, Progress, carried, fen, order_id};
use crate::pay::refunds::Refunded;

/// A merchant's account. Refuses: `BadId`.
pub(super) fn merchant(bytes: &Bytes) -> Result<AccountId, Failure> {
    id(bytes).map(AccountId)
}

/// An order by its own number, or by the merchant's. Refuses: `BadId`, `BadField`.
pub(super) fn order(merchant: AccountId, order: &Bytes, number: &str) -> Result<OrderId, Failure> {
    if order.is_empty() { Ok(order_id(merchant, checked(number)?)) } else { id(order).map(OrderId) }
}

/// A merchant's number, of an order or of a refund. Refuses: `BadField`.
pub(super) fn checked(number: &str) -> Result<&str, DoorRefusal> {
    if number.is_empty() || number.len() > ORDER_NUMBER_BYTES_MAX { Err(DoorRefusal::BadField) } else { Ok(number) }
}

/// What a merchant asks for. Refuses: `BadId`, `BadField`.
pub(super) fn place(request: &PlaceOrderRequest) -> Result<PlaceOrder, Failure> {
    let merchant = merchant(&request.merchant)?;
    let number = checked(&request.number)?;
    if request.subject.len() > ORDER_SUBJECT_BYTES_MAX {
        return Err(DoorRefusal::BadField.into());
    }
    Ok(PlaceOrder {
        order: order_id(merchant, number),
        merchant,
        money: fen(request.amount_fen),
        life_ms: if request.life_ms == 0 { ORDER_MS_DEFAULT } else { request.life_ms },
        number: carried(number),
        subject: carried(&request.subject),
    })
}

/// An order as its merchant sees it.
pub(super) fn found(found: &Found) -> wire::Order {
    let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
    let (state, payment) = match found.state() {
        OrderState::Open => (wire::OrderState::Open, None),
        OrderState::Closed(_) => (wire::OrderState::Closed, None),
        OrderState::Paid(payment) => (wire::OrderState::Paid, Some(payment)),
    };
    let payer = |payment: OrderPayment| wire_id(payment.payer.0);
    wire::Order {
        order: wire_id(found.id.0),
        merchant: wire_id(found.order.merchant.0),
        number: text(&found.order.number),
        amount_fen: found.order.money.amount.0,
        subject: text(&found.order.subject),
        state: state.into(),
        placed_ms: found.order.placed.0,
        ends_ms: found.order.deadline.0,
        payer: payment.map_or_else(Bytes::new, payer),
        paid_ms: payment.map_or(0, |payment| payment.at.0),
        refunded_fen: payment.map_or(0, |payment| payment.refunded.0),
    }
}

/// An order as `user` sees it.
pub(super) fn shown(found: &Found, user: AccountId) -> wire::Order {
    let order = self::found(found);
    if order.payer == wire_id(user.0) {
        order
    } else {
        wire::Order { payer: Bytes::new(), paid_ms: 0, refunded_fen: 0, ..order }
    }
}

/// How far money has come.
pub(super) const fn state(progress: Progress) -> MoneyState {
    match progress {
        Progress::Arrived => MoneyState::Arrived,
        Progress::UnderWay => MoneyState::UnderWay,
        Progress::Parked => MoneyState::Parked,
    }
}

/// A refund.
pub(super) fn refunded(order: OrderId, number: &str, refunded: &Refunded) -> wire::Refund {
    wire::Refund {
        order: wire_id(order.0),
        refund: number.to_owned(),
        amount_fen: refunded.money.amount.0,
        state: state(refunded.progress).into(),
        at_ms: refunded.at.0,
    }
}
