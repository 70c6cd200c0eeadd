//! Makes any pure machine a service of three copies: Raft, its log, its rows, its protocol.
//!
//! Why: queues, ledgers and packets are decided in pure crates that know nothing of replication; this crate replicates
//! them and knows nothing of queues or money. openraft and RocksDB are named here and nowhere else.
//!
//! Must never: answer yes before a majority has fsynced, apply an entry twice, or serve a read before its barrier.
//!
//! ```text
//!  doors ─> Group::propose ─> road ─> Raft ─┬─> log (one fsync for all groups)
//!                                           ├─> peers (pipelined)
//!                                           └─> driver ─> Host<M> ─> rows (one batch) ─> answers
//! ```

mod backup;
mod clock;
mod codec;
mod errors;
mod group;
#[cfg(test)]
mod hostile_tests;
mod identity;
pub mod limits;
mod lineage;
mod log;
mod net;
mod process;
mod raft_types;
mod recover;
mod scrub;
pub mod simulation;
mod state;

pub use backup::GroupBackup;
pub use clock::{WallClock, system_wall_clock, system_wall_nanos};
pub use errors::StartError;
pub use group::{
    Applied, Group, GroupStatus, Leader, MemberChange, MemberError, ProposeError, ReadError, Receipt, Role, Usher,
    View, Waiting,
};
pub use log::Fsync;
pub use net::{Carrier, GrpcTransport, Lane, Parcel, ReplicationService, Seal, Transport, TransportError, wire};
pub use process::{Fsyncs, Replica, ReplicaConfig, Timers};
pub use recover::{GroupSurvey, Recovery, Survey};
pub use scrub::{ScrubPace, Scrubbed};
