//! The replication protocol: what nodes say to each other, over any transport.
//!
//! ```text
//!  openraft ─> Peer ──message──> Transport (gRPC, or the simulated net) ──> Switchboard ─> the group's port ─> openraft
//! ```

mod carrier;
mod frames;
mod message;
mod pace;
mod parcel;
mod peer;
mod port;
mod snapshot;
mod speaker;
mod transport;

pub use carrier::{Carrier, GrpcTransport, ReplicationService, Seal};
pub(crate) use message::{AppendResult, Hello, ProposeAnswer, Request, write_append_result, write_vote_response};
pub(crate) use pace::CatchUp;
pub use parcel::Parcel;
pub(crate) use peer::{Peers, call};
pub(crate) use port::{GroupPort, Switchboard};
pub(crate) use snapshot::{Incoming, Slot};
pub(crate) use speaker::Speaker;
pub(crate) use transport::Answers;
pub use transport::{Lane, Transport, TransportError};

/// The generated carrier: one frame, three calls.
#[expect(clippy::allow_attributes, clippy::too_many_lines, reason = "generated code")]
pub mod wire {
    tonic::include_proto!("tercet.replica.v1");
}
