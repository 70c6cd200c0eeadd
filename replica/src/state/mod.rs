//! The state: rows behind one trait, and the loop that applies committed entries to a machine and commits its rows.
//!
//! Must never: answer before the batch is committed, or let an apply see half of an earlier one.

mod bodies;
mod driver;
mod engine;
mod look;
mod memory;
mod quarantine;
mod rocks;
mod scrub;
mod settle;
mod shared;
mod snapshot;
mod tables;
#[cfg(test)]
mod tests;
mod weight;

pub(crate) use driver::Driver;
pub(crate) use engine::{Position, RowEngine};
pub(crate) use look::look_at_rows;
pub(crate) use memory::MemoryRows;
pub(crate) use rocks::RocksRows;
pub(crate) use scrub::StoreScrubbed;
pub(crate) use shared::Applied;
pub(crate) use snapshot::{SnapshotData, SnapshotFile, SnapshotWriter};
pub(crate) use tables::RocksBudget;
