//! What a replica keeps: rows are flushed when enough was applied, and the log is purged behind them, by its bytes.
//!
//! ```text
//!  log:  purged | …… LOG_BYTES_KEPT, for followers away for a moment; more while half is alive ……  | newest
//!               | settled: no flushed row names a body before here
//!               └ up to LOG_BYTES_SLACK more, until a flush moves the bodies that are left there
//! ```
//! Where an entry is damaged on the disk, all up to it is let go at once: bodies are moved or brought by peers, and a follower
//! that needs the entries is sent the rows.
//!
//! The bytes are those of all groups together: a group that was idle while others filled the log is flushed and purged too,
//! or its few old entries would keep every segment behind them.
//!
//! Must never: purge what is not in flushed rows, or an entry that holds a body they name.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use machine::Machine;
use openraft::async_runtime::watch::WatchReceiver as _;
use tokio::time::Instant;

use super::handle::Group;
use crate::limits::FLUSH_AFTER_LOG_BYTES;

/// How often a replica looks what it may purge.
const PURGE_EVERY: Duration = Duration::from_secs(1);

/// Flushes and purges one group.
pub(super) struct Keeping {
    purge_after: Instant,
    has_stopped: bool,
}

impl Default for Keeping {
    fn default() -> Self {
        Self { purge_after: Instant::now() + PURGE_EVERY, has_stopped: false }
    }
}

impl Keeping {
    /// Does what is due.
    pub(super) async fn look<M: Machine>(&mut self, group: &Group<M>) {
        if self.has_stopped {
            return;
        }
        if let Some(damage) = group.0.state.rows.damage() {
            self.has_stopped = true;
            stop(group, &damage).await;
            return;
        }
        if group.0.state.unflushed_bytes.load(Ordering::Relaxed) > FLUSH_AFTER_LOG_BYTES {
            flush(group).await;
        }
        if Instant::now() < self.purge_after {
            return;
        }
        self.purge_after = Instant::now() + PURGE_EVERY;
        group.0.log.look();
        let (applied, flushed, purged) = {
            let metrics = group.0.raft.metrics();
            let metrics = metrics.borrow_watched();
            let index = |id: &Option<crate::raft_types::LogId>| id.as_ref().map_or(0, |id| id.index);
            (index(&metrics.last_applied), index(&metrics.snapshot), index(&metrics.purged))
        };
        if group.0.state.is_to_count() {
            count_in_log(group);
        }
        let settled = group.0.state.settled.load(Ordering::Relaxed);
        if group.0.state.is_to_settle(&group.0.log) {
            flush(group).await;
        }
        let damaged = group.0.state.to_let_go(&group.0.log).filter(|damaged| *damaged <= applied);
        if let Some(damaged) = damaged.filter(|damaged| *damaged > settled) {
            group.0.state.keep.fetch_min(applied - damaged, Ordering::Relaxed);
            flush(group).await;
        }
        let upto = group.0.state.kept_behind(&group.0.log).max(damaged.unwrap_or(0));
        let upto = upto.min(applied).min(flushed).min(settled);
        if upto > purged
            && !group.0.log.is_held()
            && let Err(error) = group.0.raft.trigger().purge_log(upto).await
        {
            tracing::warn!(group = group.0.id.0, %error, "the log could not be purged");
        }
    }
}

/// Counts what of the log is alive, beside all else.
fn count_in_log<M: Machine>(group: &Group<M>) {
    let (id, rows) = (group.0.id.0, Arc::clone(&group.0.state.rows));
    tokio::task::spawn_blocking(move || {
        if let Err(error) = rows.count_in_log() {
            tracing::warn!(group = id, %error, "the bodies in the log could not be counted");
        }
    });
}

/// A replica whose disk has lost what it promised, and that no peer could repair, takes no further part: the others have it.
pub(super) async fn stop<M: Machine>(group: &Group<M>, damage: &str) {
    tracing::error!(group = group.0.id.0, damage, "the replica stops: its data is damaged, it must be replaced");
    if let Err(error) = group.0.raft.shutdown().await {
        tracing::warn!(group = group.0.id.0, %error, "the group did not stop cleanly");
    }
}

/// Makes what was applied and repaired so far outlive a crash.
pub(super) async fn flush<M: Machine>(group: &Group<M>) {
    group.0.state.unflushed_bytes.store(0, Ordering::Relaxed);
    if let Err(error) = group.0.raft.trigger().snapshot().await {
        tracing::warn!(group = group.0.id.0, %error, "rows could not be flushed");
    }
}
