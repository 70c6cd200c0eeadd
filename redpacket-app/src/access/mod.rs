//! Access: the door for phones. Sessions, and admission when more is asked than can be done.
//!
//! Must never: shed a credit or a refund; they do not pass here.

pub(crate) mod admission;
pub(crate) mod callee;
pub(crate) mod entrance;
pub(crate) mod listeners;
pub(crate) mod rates;
pub(crate) mod session;
pub(crate) mod switches;
