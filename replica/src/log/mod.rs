//! The log: what was promised. One writer per process, one fsync for whatever all its groups wrote meanwhile.
//!
//! ```text
//!  group 0 ─┐                                    ┌─ done(group 0)
//!  group 1 ─┼─ submit(Job) ─> queue ─> writer ─> one batch, one fsync ─┼─ done(group 1)
//!  group 2 ─┘                                    └─ done(group 2)
//! ```
//!
//! Must never: answer a job before its bytes are on disk, retry a failed fsync, or read a record whose checksum is wrong.

mod cache;
mod engine;
mod gauge;
mod mark;
mod memory;
mod segment;
mod store;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use engine::LogOp;
pub(crate) use engine::{BodyPlace, Job, LogEngine, LogStart, ScrubPlace};
pub use gauge::Fsync;
pub(crate) use gauge::FsyncGauge;
pub(crate) use memory::{MemoryDisk, MemoryLog};
pub(crate) use segment::SegmentLog;
pub(crate) use store::GroupLog;
