//! Who speaks on a connection, and what it may say: a node speaks for itself alone.
//!
//! Why in the messages and not only at the door: every node has a certificate of the same authority, and a vote or an
//! entry says by itself whose it is.
//!
//! Must never: pass a message that bears another node's number.

use super::message::Request;

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speaker {
    /// Not known: nodes show no certificates here.
    Anybody,
    /// The node whose certificate was shown.
    Node(u64),
}

impl Speaker {
    /// The number in the name of what it sends; 0: of whoever.
    pub(crate) const fn number(self) -> u64 {
        match self {
            Self::Anybody => 0,
            Self::Node(node) => node,
        }
    }

    /// Whether the message may be its own. Errors: text.
    pub(crate) fn may_say(self, request: &Request) -> Result<(), String> {
        let (Self::Node(node), Some(claimed)) = (self, claimed(request)) else { return Ok(()) };
        if node == claimed {
            return Ok(());
        }
        tracing::warn!(node, claimed, "a node speaks as another: its message is dropped");
        Err(format!("the certificate is node {node}'s, and the message speaks as node {claimed}"))
    }
}

/// The node that a message says it is from.
fn claimed(request: &Request) -> Option<u64> {
    match request {
        Request::Vote(vote) | Request::PreVote(vote) => Some(vote.vote.leader_id.node_id),
        Request::TransferLeader(transfer) => Some(transfer.from_leader().leader_id.node_id),
        Request::Append(append) => Some(append.vote.leader_id.node_id),
        Request::SnapshotInstall { vote, .. } => Some(vote.leader_id.node_id),
        Request::Hello { node } => Some(*node),
        // Commands are their clients'; a snapshot's parts belong to who offered it, which the group knows; whoever asks for a body
        // changes nothing.
        Request::Propose { .. }
        | Request::ReadIndex
        | Request::Body { .. }
        | Request::SnapshotOffer { .. }
        | Request::SnapshotChunk { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use openraft::impls::leader_id_adv::LeaderId;
    use openraft::raft::{AppendEntriesRequest, TransferLeaderRequest, VoteRequest};

    use super::*;
    use crate::raft_types::{SnapshotMeta, Vote};

    #[test]
    fn a_node_speaks_for_itself_alone() {
        let vote = Vote { leader_id: LeaderId { term: 7, node_id: 2 }, committed: true };
        let append = AppendEntriesRequest { vote, prev_log_id: None, entries: Vec::new(), leader_commit: None };
        let table = [
            Request::Vote(VoteRequest::new(vote, None)),
            Request::PreVote(VoteRequest::new(vote, None)),
            Request::TransferLeader(TransferLeaderRequest::new(vote, 3, None)),
            Request::Append(append),
            Request::SnapshotInstall { id: 1, vote, meta: SnapshotMeta::default() },
            Request::Hello { node: 2 },
        ];
        for request in table {
            assert!(Speaker::Node(2).may_say(&request).is_ok(), "{request:?}");
            assert!(Speaker::Anybody.may_say(&request).is_ok(), "{request:?}");
            assert!(Speaker::Node(3).may_say(&request).is_err(), "{request:?}");
        }
        assert!(Speaker::Node(3).may_say(&Request::ReadIndex).is_ok());
    }
}
