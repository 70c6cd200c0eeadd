//! Pay: the entry to a transaction. Orders for packets and of merchants, payments, limits, refunds, queries by order.
//!
//! Must never: undo a payment. A packet that cannot be made yet is made later; a payment that its order does not take
//! comes back by a step of its own.

pub(crate) mod making;
pub(crate) mod notices;
pub(crate) mod order;
pub(crate) mod orders;
pub(crate) mod password;
pub(crate) mod refunds;
pub(crate) mod risk;
pub(crate) mod send;

pub(crate) use making::Making;
pub(crate) use notices::Notices;
pub(crate) use orders::Orders;
pub(crate) use password::Passwords;
pub(crate) use risk::{Judge, Risk};
pub(crate) use send::{Allowed, Paid, Sending};
