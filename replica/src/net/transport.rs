//! What carries messages between nodes.

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;

use super::parcel::Parcel;

/// Messages of one kind share a connection, so that neither a snapshot nor what waits for an fsync delays a heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// Votes, heartbeats, introductions.
    Control,
    /// Proposals and reads on their way to the leader.
    Forward,
    /// Log entries.
    Log,
    /// Snapshots.
    Snapshot,
}

/// A message that may or may not have arrived.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TransportError {
    /// The peer cannot be reached; the message surely did not arrive.
    #[error("{address} cannot be reached: {reason}")]
    Unreachable {
        /// The peer's address.
        address: String,
        /// What the connection said.
        reason: String,
    },
    /// The connection broke; the message may have arrived.
    #[error("the connection to {address} broke: {reason}")]
    Broken {
        /// The peer's address.
        address: String,
        /// What the connection said.
        reason: String,
    },
}

/// The answers of a stream, in the order of its requests.
pub(crate) type Answers = BoxStream<'static, Result<Bytes, TransportError>>;

/// Carries messages to other nodes.
pub trait Transport: Send + Sync + 'static {
    /// Sends a request and waits for its answer.
    fn call(&self, lane: Lane, address: &str, request: Bytes) -> BoxFuture<'static, Result<Bytes, TransportError>>;

    /// Sends requests in order; answers come in the same order, while later requests are under way.
    fn stream(
        &self,
        lane: Lane,
        address: &str,
        requests: BoxStream<'static, Parcel>,
    ) -> BoxFuture<'static, Result<Answers, TransportError>>;

    /// `node` is at `address`: who is called there must be it, where nodes prove who they are.
    fn meet(&self, node: u64, address: &str) {
        let _ = (node, address);
    }

    /// Completes once the process at `address` is gone: it has said so, or its connection has ended and nobody listens
    /// there any more. Silence is not enough: a process that hangs, or cannot be reached, is not gone.
    fn gone(&self, address: &str) -> BoxFuture<'static, ()>;
}
