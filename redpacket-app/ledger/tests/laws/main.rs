//! The laws of the ledger, as tables and as properties.
//!
//! Must never: look at anything but commands, replies, courier records and rows.

mod allowances;
mod bills;
mod courier;
mod damage;
mod golden;
mod golden_bytes;
mod holds;
mod money;
mod naive;
mod orders;
mod packets;
mod patrols;
mod properties;
mod refusals;
mod shard;
