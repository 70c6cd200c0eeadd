//! The types openraft is instantiated with, under short names. Nothing outside `replica` sees them.
//!
//! Must never: carry serde or protobuf; what goes to disk or wire is laid out by hand in `codec`.

use bytes::Bytes;
use openraft::alias::{EntryOf, LogIdOf, SnapshotMetaOf, SnapshotOf, StoredMembershipOf, VoteOf};
use openraft::impls::{BasicNode, leader_id_adv::LeaderId};
use openraft::raft::responder::Responder;
use openraft::{EntryPayload, OptionalSend, RaftTypeConfig};

use machine::Answer;

/// An entry's payload: the bytes `machine::EntryView` reads.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Payload(pub Bytes);

impl std::fmt::Debug for Payload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Payload({} bytes)", self.0.len())
    }
}

impl std::fmt::Display for Payload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// What applying an entry answers: one answer per command; empty for blank and membership entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answers(pub Vec<Answer>);

/// Calls back with the result of a write: from the apply loop when it is applied, from Raft's core when it is refused.
pub(crate) struct CallBack<T>(Box<dyn FnOnce(T) + Send>);

impl<T> CallBack<T> {
    /// Wraps a function that is called exactly once, or dropped if the replica stops.
    pub(crate) fn new(call: impl FnOnce(T) + Send + 'static) -> Self {
        Self(Box::new(call))
    }
}

impl<C: RaftTypeConfig, T: OptionalSend + 'static> Responder<C, T> for CallBack<T> {
    fn on_complete(self, result: T) {
        (self.0)(result);
    }
}

/// Tercet's instantiation of openraft.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Config;

impl RaftTypeConfig for Config {
    type D = Payload;
    type R = Answers;
    type NodeId = u64;
    type Node = BasicNode;
    type Term = u64;
    type LeaderId = LeaderId<u64, u64>;
    type Vote = openraft::impls::Vote<Self::LeaderId>;
    type Payload = EntryPayload<Payload, u64, BasicNode>;
    type Entry = openraft::Entry<LeaderId<u64, u64>, Self::Payload>;
    type AsyncRuntime = openraft_rt_tokio::TokioRuntime;
    type Responder<T>
        = CallBack<T>
    where
        T: OptionalSend + 'static;
    type Batch<T>
        = openraft::impls::InlineBatch<T>
    where
        T: OptionalSend + 'static;
    type ErrorSource = openraft::impls::BoxedErrorSource;
}

pub(crate) type Entry = EntryOf<Config>;
pub(crate) type LogId = LogIdOf<Config>;
pub(crate) type Vote = VoteOf<Config>;
pub(crate) type StoredMembership = StoredMembershipOf<Config>;
pub(crate) type SnapshotMeta = SnapshotMetaOf<Config>;
pub(crate) type Snapshot<Data> = SnapshotOf<Config, Data>;
