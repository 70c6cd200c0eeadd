//! Whole clusters in one process, with time, net and disks that obey a seed: where faults are played and laws are shown.
//!
//! ```text
//!  SimulatedCluster ─┬─ node 1: Group<M> ─ MemoryLog on a MemoryDisk, MemoryRows (both can break), a wall clock
//!                    ├─ node 2 …
//!                    ├─ Weather: delay, loss, one-way partitions  (a Transport between the switchboards)
//!                    └─ Mail: the courier's way to other clusters
//! ```
//!
//! Why: a fault at the wrong moment cannot be waited for; with time that jumps to the next event an evening of faults
//! takes a second. The road, Raft, the protocol and the apply loop are the ones of the real node.
//!
//! Run it on a current-thread runtime with paused time and a seeded scheduler (`start_paused`, `rng_seed`). Raft draws its
//! election timeouts from the system, so a seed names the faults, not every step: a run may differ from its repeat.
//!
//! Must never: keep across a power cut what was not synced, or let a dead node speak.

mod broken;
mod cluster;
mod mail;
mod weather;

pub use cluster::{Plan, SimulatedCluster};
pub use mail::Mail;
pub use weather::Weather;
