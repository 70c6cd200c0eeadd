//! The contract of a pure machine, and the words every replicated machine shares.
//!
//! Why: the pure rooms (`queue-core`, `ledger`, `packets`) and the road that replicates them (`replica`) must agree on
//! rows, entries, sessions and the courier, and a pure crate may depend on pure crates only. So the agreement is a
//! crate of its own that knows neither Raft nor RocksDB.
//!
//! Must never: read a clock, draw a random number, touch a file or socket, or depend on the order of a hash table.
//!
//! ```text
//!  entry bytes ──decode──> Host ──session repeat?──> former reply
//!                           │ no
//!                           ├──> Machine::apply(context, command, rows) ──> reply
//!                           │            │
//!                           └── seal ────┴──> Rows: {puts, deletes, bodies, posts}  ── one write batch
//! ```
#![deny(
    clippy::arithmetic_side_effects,
    clippy::float_arithmetic,
    clippy::indexing_slicing,
    clippy::iter_over_hash_type
)]

mod contract;
mod courier;
mod entry;
mod host;
mod ids;
mod layout;
pub mod limits;
mod memory;
mod rows;
mod session;

pub use contract::{Context, LoadError, Machine};
pub use courier::{CourierStatus, Delivery, Record, renewed_courier};
pub use entry::{Command, EntryView, EntryWriter, RequestId, System};
pub use host::{Answer, Host, Outcome, Parked};
pub use ids::{BodyRef, Destination, Format, GroupId, LogIndex, TimestampMs, Track};
pub use layout::{DecodeError, Layout, Reader, Writer};
pub use memory::{Applied, MemoryStore};
pub use rows::{BodyChange, Key, RowSource, Rows, StoreFailure, prefix_end};
pub use session::{SessionRefusal, SessionTable};
