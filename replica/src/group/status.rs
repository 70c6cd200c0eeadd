//! What a group tells operators, and what the process does to a group without knowing its machine.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures::future::{BoxFuture, join_all};
use machine::{Delivery, GroupId, Machine, System};
use openraft::ServerState;
use openraft::async_runtime::watch::WatchReceiver as _;
use tokio::time::Instant;

use super::courier::{Addressee, deliver_to};
use super::handle::Group;
use super::membership::{self, MemberChange, MemberError};
use crate::backup::GroupBackup;
use crate::state::StoreScrubbed;

const FLUSH_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a backup waits until its replica has everything that was acknowledged.
const BACKUP_BARRIER_MAX: Duration = Duration::from_secs(10);
const FLUSH_LOOK_EVERY: Duration = Duration::from_millis(20);

/// What a replica does in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Takes proposals.
    Leader,
    /// Follows a leader and votes.
    Follower,
    /// Asks for votes.
    Candidate,
    /// Follows and does not vote.
    Learner,
    /// Has stopped.
    Stopped,
}

impl Role {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Leader => "leader",
            Self::Follower => "follower",
            Self::Candidate => "candidate",
            Self::Learner => "learner",
            Self::Stopped => "stopped",
        }
    }
}

/// One group on one node. Indexes are 0 where there is nothing yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupStatus {
    /// The group.
    pub group: GroupId,
    /// This node's role.
    pub role: Role,
    /// Raft term.
    pub term: u64,
    /// Last index in the log.
    pub last: u64,
    /// Last index known to be committed.
    pub committed: u64,
    /// Last index applied.
    pub applied: u64,
    /// Index of the newest snapshot.
    pub snapshot: u64,
    /// Everything up to this index is purged from the log.
    pub purged: u64,
    /// The leader's node id, if known.
    pub leader: Option<u64>,
    /// Members: node, address, and on the leader the index it has acknowledged.
    pub members: Vec<(u64, String, Option<u64>)>,
    /// The members that vote.
    pub voters: Vec<u64>,
    /// The group's format: what all its members know.
    pub format: u32,
    /// The group takes no command: it was recovered, and has not been found right yet.
    pub is_read_only: bool,
    /// Set if the group stands still at an entry this release cannot apply, or the replica has failed.
    pub trouble: Option<String>,
}

/// A group whose machine does not matter.
pub(crate) trait GroupControl: Addressee {
    fn status(&self) -> GroupStatus;
    fn state_hash(&self) -> Result<(u64, Bytes), String>;
    fn transfer_leader(&self, to: Option<u64>) -> BoxFuture<'_, Result<(), String>>;
    fn change_member(&self, change: MemberChange) -> BoxFuture<'_, Result<(), MemberError>>;
    /// Whether this node leads no more, and asks for no lead.
    fn drain(&self, is_drained: bool);
    /// The group takes commands again.
    fn lift(&self);
    fn flush(&self, kept: u64) -> BoxFuture<'_, Result<(), String>>;
    /// Entries of the log were found damaged: the bodies in them go the way of a damaged body that is read.
    fn found_damaged(&self, entries: &BTreeSet<u64>) -> Result<(), String>;
    /// Reads a part of the bodies in the store, from one on. Errors: one is damaged, as when it is read.
    fn scrub_store(&self, from: u64, bytes_max: u64) -> Result<StoreScrubbed, String>;
    /// Copies the group at one index. Errors: text.
    fn backup(&self) -> BoxFuture<'_, Result<GroupBackup, String>>;
    fn shutdown(&self) -> BoxFuture<'_, ()>;
}

impl<M: Machine> Group<M> {
    /// The members of the group: node and address.
    #[must_use]
    pub fn members(&self) -> Vec<(u64, String)> {
        let metrics = self.0.raft.server_metrics();
        let metrics = metrics.borrow_watched();
        metrics.membership_config.membership().nodes().map(|(node, at)| (*node, at.addr.clone())).collect()
    }

    /// Whether this node leads and the group takes commands: else there is nothing to be done for it.
    #[must_use]
    pub fn is_at_work(&self) -> bool {
        self.is_leader() && !self.is_read_only()
    }

    /// Whether the group takes no command, because it was recovered and is not yet known to be right.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.0.standing.is_read_only()
    }

    /// What is damaged here, if anything is.
    fn quarantined(&self) -> Option<String> {
        let damaged = self.0.state.rows.quarantine();
        let (_, reason) = damaged.first()?;
        Some(format!("{} bodies are damaged and are fetched from the other members: {reason}", damaged.len()))
    }

    /// Which entry of the log is damaged here, if one is.
    fn damaged_entry(&self) -> Option<String> {
        let index = self.0.log.damaged()?;
        Some(format!("entry {index} of its log is damaged, and is let go when no follower or body needs it"))
    }

    /// What this replica knows of the group and itself.
    #[must_use]
    pub fn status(&self) -> GroupStatus {
        let metrics = self.0.raft.metrics();
        let metrics = metrics.borrow_watched().clone();
        let index = |id: &Option<crate::raft_types::LogId>| id.as_ref().map_or(0, |id| id.index);
        let failed = metrics.running_state.as_ref().err().map(|fatal| format!("the replica has stopped: {fatal}"));
        let acknowledged =
            |node: &u64| metrics.replication.as_ref().and_then(|replication| replication.get(node)).map(index);
        let members = metrics.membership_config.membership().nodes();
        GroupStatus {
            group: self.0.id,
            role: match metrics.state {
                ServerState::Leader => Role::Leader,
                ServerState::Follower => Role::Follower,
                ServerState::Candidate => Role::Candidate,
                ServerState::Learner => Role::Learner,
                ServerState::Shutdown => Role::Stopped,
            },
            term: metrics.current_term,
            last: metrics.last_log_index.unwrap_or(0),
            committed: index(&metrics.local_committed),
            // Raft is not told of the entries before the one that parks the group.
            applied: index(&metrics.last_applied).max(*self.0.state.index.borrow()),
            snapshot: index(&metrics.snapshot),
            purged: index(&metrics.purged),
            leader: metrics.current_leader,
            members: members.map(|(node, at)| (*node, at.addr.clone(), acknowledged(node))).collect(),
            voters: metrics.membership_config.membership().voter_ids().collect(),
            format: self.format().0,
            is_read_only: self.is_read_only(),
            trouble: self
                .parked()
                .or_else(|| self.0.state.rows.damage())
                .or_else(|| self.quarantined())
                .or_else(|| self.damaged_entry())
                .or(failed),
        }
    }
}

impl<M: Machine> Addressee for Group<M> {
    fn deliver(&self, _target: GroupId, deliver: System) -> BoxFuture<'_, Result<Delivery, String>> {
        Box::pin(deliver_to(self, deliver))
    }
}

impl<M: Machine> GroupControl for Group<M> {
    fn status(&self) -> GroupStatus {
        Self::status(self)
    }

    fn state_hash(&self) -> Result<(u64, Bytes), String> {
        Self::state_hash(self).map_err(|error| error.to_string())
    }

    fn transfer_leader(&self, to: Option<u64>) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async move {
            let status = Self::status(self);
            if status.role != Role::Leader {
                return Err("this node does not lead the group".to_owned());
            }
            // The follower that has most of the log needs the shortest time to take over.
            // A learner never leads.
            let others = status.members.iter().filter(|(node, _, _)| status.voters.contains(node));
            let others = others.filter(|(node, _, _)| *node != self.0.node);
            let best = others.max_by_key(|(_, _, matched)| *matched).map(|(node, _, _)| *node);
            let to = to.or(best).ok_or("the group has no other member")?;
            if !status.voters.contains(&to) {
                return Err(format!("node {to} is no voter of the group"));
            }
            self.0.raft.trigger().transfer_leader(to).await.map_err(|error| error.to_string())
        })
    }

    fn change_member(&self, change: MemberChange) -> BoxFuture<'_, Result<(), MemberError>> {
        Box::pin(membership::change(self, change))
    }

    fn drain(&self, is_drained: bool) {
        self.0.standing.set_drained(is_drained);
        self.0.raft.runtime_config().elect(!is_drained);
    }

    fn lift(&self) {
        self.0.standing.set_read_only(false);
    }

    fn flush(&self, kept: u64) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async move {
            let (raft, state) = (&self.0.raft, &self.0.state);
            let applied = Self::status(self).applied;
            let upto = applied.saturating_sub(kept);
            let until = Instant::now() + FLUSH_TIMEOUT;
            while state.settled.load(Ordering::Relaxed) < upto || Self::status(self).snapshot < applied {
                if Instant::now() > until {
                    return Err("the rows could not be flushed in time".to_owned());
                }
                // A flush that is under way already may know nothing of this wish: it is asked for again.
                state.keep.store(kept, Ordering::Relaxed);
                raft.trigger().snapshot().await.map_err(|error| error.to_string())?;
                tokio::time::sleep(FLUSH_LOOK_EVERY).await;
            }
            raft.trigger().purge_log(upto).await.map_err(|error| error.to_string())
        })
    }

    fn found_damaged(&self, entries: &BTreeSet<u64>) -> Result<(), String> {
        entries.last().into_iter().for_each(|last| self.0.log.note_damage(*last));
        self.0.state.rows.scrub_entries(entries).map_err(|failure| failure.0)
    }

    fn scrub_store(&self, from: u64, bytes_max: u64) -> Result<StoreScrubbed, String> {
        self.0.state.rows.scrub_store(from, bytes_max).map_err(|failure| failure.0)
    }

    fn backup(&self) -> BoxFuture<'_, Result<GroupBackup, String>> {
        let group = self.clone();
        Box::pin(async move {
            // What was acknowledged before the backup began is in it.
            group.read_anywhere(BACKUP_BARRIER_MAX, |_| ()).await.map_err(|error| error.to_string())?;
            let taken = tokio::task::spawn_blocking(move || group.take_backup()).await;
            taken.map_err(|error| error.to_string())?
        })
    }

    fn shutdown(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.0.closed.send_replace(true);
            if let Err(error) = self.0.raft.shutdown().await {
                tracing::warn!(group = self.0.id.0, %error, "the group did not stop cleanly");
            }
            let tasks = std::mem::take(&mut *self.0.tasks.lock());
            // A task that panicked has said so itself.
            let _ = join_all(tasks).await;
        })
    }
}
