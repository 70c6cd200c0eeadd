//! Tenpay: accounts and the asynchronous journal. Credits booked at once or pulled from the queue until they are.
//!
//! Must never: decide what a share is worth, or give a credit up.

pub(crate) mod accounts;
pub(crate) mod batcher;
pub(crate) mod booking;
pub(crate) mod credits;
pub(crate) mod feed;
pub(crate) mod journal;
pub(crate) mod landing;
pub(crate) mod marks;
pub(crate) mod outbox;
pub(crate) mod pending;
pub(crate) mod refunds;
