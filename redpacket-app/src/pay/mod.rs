//! Pay: orders and payments. What is paid is made into a packet, or returned.
//!
//! Must never: take money for a packet that cannot be made.

pub(crate) mod making;
pub(crate) mod order;
pub(crate) mod send;
