//! Why a proposal or a read was not answered, sorted by the one question that matters: may it have happened?

use machine::SessionRefusal;

/// Who leads a group, as far as the asked node knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leader {
    /// The node.
    pub node: u64,
    /// Its address, for peers and clients alike.
    pub address: String,
}

/// Why a proposal has no reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// Refused for good by the request's session; certainly not applied now.
    #[error("{0}")]
    Refused(SessionRefusal),
    /// Another node leads, or none does at the moment. Surely not applied.
    #[error("this node does not lead the group{}", leader_text(.leader.as_ref()))]
    NotLeader {
        /// The leader, if one is known.
        leader: Option<Leader>,
    },
    /// Surely not applied: the leader's usher did not let it on, and says this.
    #[error("turned away")]
    TurnedAway {
        /// The usher's word.
        word: u64,
    },
    /// Surely not applied, for another reason (too much waits, the command is too large, the replica is stopping).
    #[error("not applied: {0}")]
    NotApplied(String),
    /// It may have been applied, or may be yet: repeat it with the same request id.
    #[error("unknown: {0}")]
    Unknown(String),
}

/// Why a linearizable read has no answer. Reads change nothing, so all of them may be repeated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Another node leads, or none does at the moment.
    #[error("this node does not lead the group{}", leader_text(.leader.as_ref()))]
    NotLeader {
        /// The leader, if one is known.
        leader: Option<Leader>,
    },
    /// The group stands still at an entry that this release cannot apply, or the replica is stopping.
    #[error("the group cannot be read: {0}")]
    Stopped(String),
}

fn leader_text(leader: Option<&Leader>) -> String {
    leader.map_or_else(|| "; no leader is known".to_owned(), |leader| format!("; node {} does", leader.node))
}
