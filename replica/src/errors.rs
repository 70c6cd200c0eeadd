//! Why a replica does not start.

use machine::{GroupId, LoadError};

/// Why a replica, or one of its groups, does not start. Each asks for an operator; none is retried.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data folder cannot be used.
    #[error("data folder: {0}")]
    Folder(#[from] std::io::Error),
    /// Another process uses the data folder.
    #[error("the data folder is in use by another process")]
    InUse,
    /// The data folder belongs to another node.
    #[error("the data folder belongs to node {found}, this is node {expected}")]
    WrongNode {
        /// The node the folder was made for.
        found: u64,
        /// This node.
        expected: u64,
    },
    /// The data folder was written by a release this one cannot read.
    #[error("the data folder has format {0}, which this release cannot read")]
    WrongFormat(String),
    /// The data folder, or a group in it, was written by a later release.
    #[error(
        "the data folder has format {found}, and this release knows formats up to {known}: start the newer release again, \
         or replace this node; a format never goes back"
    )]
    NewerFormat {
        /// The folder's.
        found: u32,
        /// What is known here.
        known: u32,
    },
    /// The log of all groups has lost what was synced.
    #[error("the log is damaged on this node, which must be replaced: {0}")]
    LogDamaged(String),
    /// Log or rows fail their checks.
    #[error("group {group} is damaged on this node and must be replaced: {reason}", group = .group.0)]
    Damaged {
        /// The group.
        group: GroupId,
        /// What was found.
        reason: String,
    },
    /// The log ends before what this node once acknowledged.
    #[error(
        "group {group} has lost entries on this node (it ends at {last}, peers saw {acknowledged} acknowledged): \
         it must not vote under this node id again; remove it and join under a new one",
        group = .group.0
    )]
    Lost {
        /// The group.
        group: GroupId,
        /// The last index found.
        last: u64,
        /// The index that was acknowledged.
        acknowledged: u64,
    },
    /// A peer's cluster was recovered without this node.
    #[error(
        "this node was left behind: the majority of its cluster was given up for lost, and the node at {address} was \
         recovered without it. What the folder holds is of the cluster before, and takes part in nothing any more; keep it \
         for whoever looks for what was lost, and add a blank node under a new number"
    )]
    LeftBehind {
        /// The peer's address.
        address: String,
    },
    /// A recovery of the folder was begun and did not end.
    #[error("a recovery of the data folder was broken off: give `cluster recover` again, it goes on")]
    HalfRecovered,
    /// A group could not be recovered, and the folder stays half recovered.
    #[error("group {group} could not be recovered, and the folder stays half recovered: {reason}", group = .group.0)]
    BrokenOff {
        /// The group.
        group: GroupId,
        /// What stands in the way.
        reason: String,
    },
    /// There is nothing to recover, or it cannot be.
    #[error("nothing was recovered: {0}")]
    Recover(String),
    /// A backup cannot be put in place.
    #[error("group {group} cannot be restored: {reason}", group = .group.0)]
    Restore {
        /// The group.
        group: GroupId,
        /// Why not.
        reason: String,
    },
    /// Raft refused to start.
    #[error("raft: {0}")]
    Raft(String),
}

impl StartError {
    /// A log that does not open.
    pub(crate) fn log(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::InvalidData { Self::LogDamaged(error.to_string()) } else { error.into() }
    }

    /// Rows that a machine cannot be made of.
    pub(crate) fn load(group: GroupId, error: &LoadError) -> Self {
        match error {
            LoadError::Newer { found, known } => Self::NewerFormat { found: found.0, known: known.0 },
            error => Self::damaged(group, error),
        }
    }

    pub(crate) fn damaged(group: GroupId, error: &dyn std::fmt::Display) -> Self {
        Self::Damaged { group, reason: error.to_string() }
    }
}
