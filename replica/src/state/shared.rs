//! What the apply loop and the readers of a group share: the machine, its rows and how far they have come.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use machine::{Format, GroupId, Host, LoadError, Machine, Parked};
use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;

use super::engine::{Position, RowEngine};
use crate::identity::Knowledge;
use crate::limits::{LOG_BYTES_KEPT, LOG_BYTES_SLACK, LOG_ENTRIES_KEPT, LOG_ENTRIES_SLACK, LOG_SLACK_PART};
use crate::log::GroupLog;

/// The applied state of a group.
///
/// Invariant: whoever holds the host's read lock sees host and rows at the same position.
pub(crate) struct Applied<M: Machine> {
    pub group: GroupId,
    pub host: RwLock<Host<M>>,
    pub rows: Arc<dyn RowEngine>,
    pub position: Mutex<Position>,
    /// Set for good when a committed entry cannot be applied by this build.
    pub parked: Mutex<Option<Parked>>,
    /// What this process knows.
    pub knowledge: Knowledge,
    /// The group's format, for who does not hold the host.
    pub format: AtomicU32,
    /// Log bytes applied since rows were last flushed.
    pub unflushed_bytes: AtomicU64,
    /// No flushed row names a body of an entry up to this one: the log may be purged that far.
    pub settled: AtomicU64,
    /// How many of the newest entries the next flush leaves unsettled at most; `u64::MAX` if nobody asked.
    pub keep: AtomicU64,
    /// The index applied last; waiters of reads and long polls watch it.
    pub index: watch::Sender<u64>,
}

impl<M: Machine> Applied<M> {
    /// Loads the machine from its rows. Errors: rows cannot be read; the replica must not start.
    pub(crate) fn load(group: GroupId, rows: Arc<dyn RowEngine>, knowledge: Knowledge) -> Result<Self, LoadError> {
        let position = rows.position()?;
        let host = Host::load(group, &*rows, knowledge.format)?;
        let index = watch::Sender::new(position.applied.as_ref().map_or(0, |id| id.index));
        Ok(Self {
            group,
            format: AtomicU32::new(host.format().0),
            host: RwLock::new(host),
            knowledge,
            rows,
            position: Mutex::new(position),
            parked: Mutex::new(None),
            unflushed_bytes: AtomicU64::new(0),
            settled: AtomicU64::new(0),
            keep: AtomicU64::new(u64::MAX),
            index,
        })
    }

    /// The group's format.
    pub(crate) fn format(&self) -> Format {
        Format(self.format.load(Ordering::Relaxed))
    }

    /// Notes the group's format, in the folder before in memory: rows of it come after. Errors: the disk fails.
    pub(crate) fn note_format(&self, format: Format) -> std::io::Result<()> {
        if format > self.format() {
            (self.knowledge.mark)(format)?;
            self.format.store(format.0, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Bytes of the log that are kept. `None`: nobody knows yet what is alive.
    fn kept_bytes(&self) -> Option<u64> {
        self.rows.bytes_in_log().map(kept_for)
    }

    /// The last entry behind what is kept of the log; 0 if there is none.
    pub(crate) fn kept_behind(&self, log: &GroupLog) -> u64 {
        log.behind(self.kept_bytes().unwrap_or(u64::MAX), LOG_ENTRIES_KEPT).unwrap_or(0)
    }

    /// Whether so much lies behind what is kept that bodies are to be moved out of it, and the log be purged.
    pub(crate) fn is_to_settle(&self, log: &GroupLog) -> bool {
        let Some(kept) = self.kept_bytes() else { return false };
        let slack = LOG_BYTES_SLACK.max(kept / LOG_SLACK_PART);
        let far = log.behind(kept.saturating_add(slack), LOG_ENTRIES_KEPT + LOG_ENTRIES_SLACK);
        far.unwrap_or(0) > self.settled.load(Ordering::Relaxed)
    }

    /// The last damaged entry: the log is let go up to it, so that nobody needs it. `None`: there is none, or so much of the
    /// log is alive that it stays where it is.
    pub(crate) fn to_let_go(&self, log: &GroupLog) -> Option<u64> {
        log.damaged().filter(|_| self.rows.bytes_in_log().is_some_and(|alive| alive <= LOG_BYTES_KEPT))
    }

    /// Whether nobody knows what of the log is alive, and until then nothing of it may go.
    pub(crate) fn is_to_count(&self) -> bool {
        self.rows.bytes_in_log().is_none()
    }
}

/// Bytes of the log that are kept for so many bytes of bodies: half of them may be dead.
const fn kept_for(alive: u64) -> u64 {
    let wanted = alive.saturating_mul(2);
    if wanted > LOG_BYTES_KEPT { wanted } else { LOG_BYTES_KEPT }
}

// A log that is all alive, with what stands around the bodies, is never moved; a few old messages in it always are.
const _: () = assert!(kept_for(100 * LOG_BYTES_KEPT) > 110 * LOG_BYTES_KEPT);
const _: () = assert!(kept_for(LOG_BYTES_KEPT / 2) == LOG_BYTES_KEPT);
