//! The machine: commands in, replies and row changes out.

use bytes::Bytes;

use crate::ids::{Format, GroupId, LogIndex, TimestampMs};
use crate::layout::{DecodeError, Layout};
use crate::rows::{Key, RowSource, Rows, StoreFailure};

/// What an entry tells `apply` besides the command: everything a replica must not find out for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// The group that applies.
    pub group: GroupId,
    /// The entry's place in the log.
    pub index: LogIndex,
    /// Machine time of the entry; never earlier than that of the entry before.
    pub now: TimestampMs,
    /// Random bits drawn by the leader's operating system, different for each command. Never from a client.
    pub seed: u64,
    /// The group's format: what all its members know. A row or a deed of a later one waits until the group has it.
    pub format: Format,
}

/// Why a machine cannot be rebuilt from its rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadError {
    /// The store failed.
    Store(StoreFailure),
    /// A row does not decode: written by a newer release, or damaged.
    Row {
        /// The row's key, as hexadecimal digits.
        key: String,
        /// What is wrong with it.
        error: DecodeError,
    },
    /// The group has a later format than this process knows.
    Newer {
        /// The group's.
        found: Format,
        /// What is known here.
        known: Format,
    },
}

impl LoadError {
    /// A row under `key` that does not decode.
    #[must_use]
    pub fn row(key: &[u8], error: DecodeError) -> Self {
        use core::fmt::Write as _;
        let mut text = String::new();
        for byte in key {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        Self::Row { key: text, error }
    }
}

impl From<StoreFailure> for LoadError {
    fn from(failure: StoreFailure) -> Self {
        Self::Store(failure)
    }
}

impl core::fmt::Display for LoadError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Store(failure) => failure.fmt(f),
            Self::Row { key, error } => write!(f, "row {key} cannot be read: {error}"),
            Self::Newer { found, known } => write!(
                f,
                "the group has format {}, and this release knows formats up to {}: start the newer release again",
                found.0, known.0
            ),
        }
    }
}

impl core::error::Error for LoadError {}

/// A deterministic machine whose state is its rows.
///
/// Invariant: what a machine holds in memory is a function of its rows (`load` of the rows after `seal` gives an equal
/// machine), and the rows after an index are a function of the commands up to it, however they were batched.
pub trait Machine: Sized + Send + Sync + 'static {
    /// What is proposed. A command that does not decode parks the group: it comes from a newer release.
    type Command: Layout + Send + Sync + 'static;
    /// What comes back. A refusal is a reply too.
    type Reply: Layout + Send + Sync + 'static;

    /// The format that `command` came with: it is proposed only to a group that has it, and parks the group on a replica
    /// that does not know it.
    fn since(command: &Self::Command) -> Format {
        let _ = command;
        Format::FIRST
    }

    /// Rebuilds the machine from rows.
    fn load(rows: &dyn RowSource) -> Result<Self, LoadError>;

    /// Names the rows that `command` may read: a function of the command alone, because replicas batch differently.
    fn keys(command: &Self::Command, keys: &mut Vec<Key>);

    /// Decides. Total: every input ends in a reply.
    fn apply(&mut self, context: &Context, command: Self::Command, rows: &mut Rows) -> Self::Reply;

    /// Writes what memory holds and rows do not yet (once per batch).
    fn seal(&mut self, rows: &mut Rows);

    /// Names the rows that a courier record from another group may read.
    fn record_keys(record: &Bytes, keys: &mut Vec<Key>) {
        let _ = (record, keys);
    }

    /// Takes a courier record from `source`. An error leaves the record at its source, with the reason.
    fn deliver(&mut self, context: &Context, source: GroupId, record: &Bytes, rows: &mut Rows) -> Result<(), String> {
        let _ = (context, source, record, rows);
        Err("this machine takes no records".to_owned())
    }

    /// On the leader, outside `apply`: a command that moves what is due at `now` (at most a bounded number of things),
    /// or `None` if nothing is. `apply` checks again, by the entry's own stamp.
    fn due(&self, rows: &dyn RowSource, now: TimestampMs) -> Result<Option<Self::Command>, StoreFailure> {
        let _ = (rows, now);
        Ok(None)
    }
}
