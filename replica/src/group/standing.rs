//! What a replica knows of the lead beside what Raft says: that the leader's process is gone, that its own lead has lost
//! its majority, that it can go on no more.
//!
//! Why: Raft names a leader until another one is elected. Whoever asks in between should not be sent to a dead process,
//! nor wait for a leader that nobody follows.
//!
//! Must never: be taken for Raft's word. All of it may be wrong; then a call is refused that could have been answered.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use machine::{GroupId, Machine};
use openraft::async_runtime::watch::WatchReceiver as _;
use openraft::errors::Fatal;
use openraft::{Instant as _, Raft};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

use super::errors::Leader;
use crate::process::Timers;
use crate::raft_types::{Config, Vote};
use crate::state::Driver;

/// A leader that no majority has answered for so many of its leases leads no more.
const LEASES_CUT_OFF: u32 = 2;

/// The standing of one replica of a group.
pub(super) struct Standing {
    group: GroupId,
    node: u64,
    lease: Duration,
    /// The vote of the leader whose process is gone.
    gone: Mutex<Option<Vote>>,
    is_cut_off: watch::Sender<bool>,
    /// An operator wants this node to lead nothing.
    is_drained: AtomicBool,
    /// The group was recovered, and nobody has seen yet whether what is left of it holds.
    is_read_only: AtomicBool,
    /// Set for good when the replica has failed. One for all groups of the process.
    failed: watch::Sender<Option<String>>,
}

impl Standing {
    pub(super) fn new(group: GroupId, node: u64, timers: Timers, failed: watch::Sender<Option<String>>) -> Self {
        let lease = Duration::from_millis(timers.election_ms_max);
        Self {
            group,
            node,
            lease,
            gone: Mutex::new(None),
            is_cut_off: watch::Sender::new(false),
            is_drained: AtomicBool::new(false),
            is_read_only: AtomicBool::new(false),
            failed,
        }
    }

    /// The leader, as far as this node knows; none if it is gone or cut off.
    pub(super) fn leader<M: Machine>(&self, raft: &Raft<Config, Driver<M>>) -> Option<Leader> {
        let metrics = raft.server_metrics();
        let metrics = metrics.borrow_watched();
        let node = metrics.current_leader?;
        if (node == self.node && self.is_cut_off()) || *self.gone.lock() == Some(metrics.vote) {
            return None;
        }
        let at = metrics.membership_config.membership().get_node(&node)?;
        Some(Leader { node, address: at.addr.clone() })
    }

    /// Whether this node leads, as far as it knows.
    pub(super) fn is_leader<M: Machine>(&self, raft: &Raft<Config, Driver<M>>) -> bool {
        raft.is_leader() && !self.is_cut_off()
    }

    /// Whether this node asks for no lead and takes none.
    pub(super) fn is_drained(&self) -> bool {
        self.is_drained.load(Ordering::Relaxed)
    }

    pub(super) fn set_drained(&self, is_drained: bool) {
        self.is_drained.store(is_drained, Ordering::Relaxed);
    }

    /// Whether the group takes no command.
    pub(super) fn is_read_only(&self) -> bool {
        self.is_read_only.load(Ordering::Relaxed)
    }

    pub(super) fn set_read_only(&self, is_read_only: bool) {
        self.is_read_only.store(is_read_only, Ordering::Relaxed);
    }

    /// Whether this node's lead has no majority.
    pub(super) fn is_cut_off(&self) -> bool {
        *self.is_cut_off.borrow()
    }

    /// The process of the leader with this vote is gone.
    pub(super) fn set_gone(&self, vote: Vote) {
        *self.gone.lock() = Some(vote);
    }

    /// Completes when this node's lead has no majority.
    pub(super) async fn cut_off(&self) {
        let mut cut_off = self.is_cut_off.subscribe();
        if cut_off.wait_for(|is_cut_off| *is_cut_off).await.is_err() {
            // The replica is gone, and with it whoever would answer.
            std::future::pending::<()>().await;
        }
    }

    /// Whether a majority answered the leader within its lease: otherwise Raft refuses a proposal.
    pub(super) fn has_lease<M: Machine>(&self, raft: &Raft<Config, Driver<M>>) -> bool {
        silence(raft).is_none_or(|silence| silence < self.lease)
    }

    /// Looks whether the lead that began at `since` still has its majority.
    pub(super) fn look<M: Machine>(&self, raft: &Raft<Config, Driver<M>>, since: Instant) {
        let limit = self.lease.saturating_mul(LEASES_CUT_OFF);
        let is_cut_off = silence(raft).is_some_and(|silence| silence > limit) && since.elapsed() > limit;
        self.set_cut_off(is_cut_off);
    }

    /// This node does not lead, so it has nothing to lose.
    pub(super) fn follows(&self) {
        self.set_cut_off(false);
    }

    fn set_cut_off(&self, is_cut_off: bool) {
        self.is_cut_off.send_if_modified(|was| std::mem::replace(was, is_cut_off) != is_cut_off);
    }

    /// Looks whether Raft has stopped by itself, and says so to the process. True: it has.
    pub(super) fn has_failed<M: Machine>(&self, raft: &Raft<Config, Driver<M>>) -> bool {
        let state = raft.metrics().borrow_watched().running_state.clone();
        state.is_err_and(|fatal| self.judge(&fatal))
    }

    /// What ended Raft: a stop that was asked for, or (true) a failure after which the process must not go on. The first
    /// reason is kept.
    pub(super) fn judge(&self, fatal: &Fatal<Config>) -> bool {
        if matches!(fatal, Fatal::Stopped) {
            return false;
        }
        self.failed.send_if_modified(|failed| {
            let is_first = failed.is_none();
            if is_first {
                *failed = Some(format!("group {}: {fatal}", self.group.0));
            }
            is_first
        });
        true
    }
}

/// How long no majority has answered this leader. `None`: it needs no answers, or has had none yet.
fn silence<M: Machine>(raft: &Raft<Config, Driver<M>>) -> Option<Duration> {
    let metrics = raft.metrics();
    let metrics = metrics.borrow_watched();
    let is_alone = metrics.membership_config.membership().voter_ids().count() < 2;
    if is_alone { None } else { metrics.last_quorum_acked.as_ref().map(|at| at.elapsed()) }
}
