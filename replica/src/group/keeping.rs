//! What a replica keeps: rows are flushed when enough was applied, and the log is purged behind them, by entries and bytes.
//!
//! ```text
//!  log:  purged | ……… kept for followers away for a moment ……… | applied and not flushed | newest
//!               └ at most LOG_ENTRIES_KEPT, and no further back than LOG_BYTES_KEPT of the log of all groups
//! ```
//! The bytes are those of all groups together: a group that was idle while others filled the log is flushed and purged too,
//! or its few old entries would keep every segment behind them.
//!
//! Must never: purge what is not in flushed rows.

use std::sync::atomic::Ordering;
use std::time::Duration;

use machine::Machine;
use openraft::async_runtime::watch::WatchReceiver as _;
use tokio::time::Instant;

use super::handle::Group;
use crate::limits::{FLUSH_AFTER_LOG_BYTES, LOG_BYTES_KEPT, LOG_ENTRIES_KEPT};

/// How often a replica looks what it may purge.
const PURGE_EVERY: Duration = Duration::from_secs(1);

/// Flushes and purges one group.
pub(super) struct Keeping {
    purge_after: Instant,
}

impl Default for Keeping {
    fn default() -> Self {
        Self { purge_after: Instant::now() + PURGE_EVERY }
    }
}

impl Keeping {
    /// Does what is due.
    pub(super) async fn look<M: Machine>(&mut self, group: &Group<M>) {
        if group.0.state.unflushed_bytes.load(Ordering::Relaxed) > FLUSH_AFTER_LOG_BYTES {
            flush(group).await;
        }
        if Instant::now() < self.purge_after {
            return;
        }
        self.purge_after = Instant::now() + PURGE_EVERY;
        let (applied, flushed, purged) = {
            let metrics = group.0.raft.metrics();
            let metrics = metrics.borrow_watched();
            let index = |id: &Option<crate::raft_types::LogId>| id.as_ref().map_or(0, |id| id.index);
            (index(&metrics.last_applied), index(&metrics.snapshot), index(&metrics.purged))
        };
        let behind = group.0.log.behind(LOG_BYTES_KEPT).map_or(0, |behind| behind.min(applied));
        if behind > flushed {
            flush(group).await;
        }
        let upto = behind.max(flushed.saturating_sub(LOG_ENTRIES_KEPT)).min(flushed);
        if upto > purged
            && let Err(error) = group.0.raft.trigger().purge_log(upto).await
        {
            tracing::warn!(group = group.0.id.0, %error, "the log could not be purged");
        }
    }
}

async fn flush<M: Machine>(group: &Group<M>) {
    group.0.state.unflushed_bytes.store(0, Ordering::Relaxed);
    if let Err(error) = group.0.raft.trigger().snapshot().await {
        tracing::warn!(group = group.0.id.0, %error, "rows could not be flushed");
    }
}
