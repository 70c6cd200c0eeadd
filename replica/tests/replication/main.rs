//! Replication as a whole: three real nodes on loopback, and three simulated ones with faults.
//!
//! Why: the parts of a replica are right only together; here a small machine is replicated the way queues and ledgers are.
//!
//! ```text
//!  register     the machine that is replicated
//!  loopback     three real nodes in this process: RocksDB, gRPC, the real clock
//!  three_nodes  laws of three real nodes      snapshots   laws of catching up and of lost data
//!  courier      laws of two groups            simulation  seeded faults and an oracle
//!  failover     how long a lost lead is missed failing_disks  what a failed write or fsync ends
//!  replacement  how long a kill is missed while a member is replaced
//!  scrubbing    laws of damage that nobody reads
//!  upgrades     laws of a cluster whose nodes run different releases
//!  recovery     laws of a node that goes on alone, and of those that were left behind
//! ```
//!
//! Must never: wait for a fixed time; every wait is for a condition, with a deadline.

mod courier;
mod failing_disks;
mod failover;
mod loopback;
mod recovery;
mod register;
mod replacement;
mod scrubbing;
mod simulation;
mod snapshots;
mod three_nodes;
mod upgrades;
