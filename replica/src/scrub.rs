//! The scrub: what lies on the disk is read in the background, slowly, so that damage is found before it is needed.
//!
//! Why: a flipped bit in a body that is read in a month is found in a month, and its two other copies may be gone by then.
//!
//! ```text
//!  a pass:  sealed segments of the log, then the bodies in each group's store       a step, a rest, a step, a rest …
//!  a damaged entry ─> bodies in it: quarantine, brought by a peer ─> the log is let go up to the entry
//!  a damaged body of the store ─> the replica stops, as it does when somebody reads it
//! ```
//! A scrub is nobody's hurry: its pace is in [`ScrubPace`], and between two steps it holds nothing.
//!
//! Must never: write, hold up the log's writer or an apply, or go on when the process stops.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use machine::GroupId;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep};

use crate::clock::WallClock;
use crate::group::GroupControl;
use crate::limits::{SCRUB_BYTES_PER_S, SCRUB_EVERY, SCRUB_FIRST_AFTER, SCRUB_STEP_BYTES};
use crate::log::{LogEngine, ScrubPlace};

/// How often and how fast a node scrubs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScrubPace {
    /// From the start to the first pass.
    pub first_after: Duration,
    /// From the beginning of a pass to that of the next, if it takes no longer.
    pub every: Duration,
    /// Bytes read a second. At least 1.
    pub bytes_per_s: u64,
}

impl Default for ScrubPace {
    fn default() -> Self {
        Self { first_after: SCRUB_FIRST_AFTER, every: SCRUB_EVERY, bytes_per_s: SCRUB_BYTES_PER_S }
    }
}

impl ScrubPace {
    /// How long a scrub rests that has read so many bytes.
    fn rest(&self, bytes: u64) -> Duration {
        Duration::from_micros(bytes.saturating_mul(1_000_000) / self.bytes_per_s.max(1))
    }
}

/// What was scrubbed since the process started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scrubbed {
    /// Bytes read.
    pub bytes: u64,
    /// Damaged entries of the log, and parts of stores, that were found; one that is still there is found by each pass.
    pub damaged: u64,
    /// When the last whole pass ended, on the node's wall clock. Units: milliseconds since the Unix epoch; 0 = none has.
    pub passed_ms: u64,
}

#[derive(Default)]
struct Gauge {
    bytes: AtomicU64,
    damaged: AtomicU64,
    passed_ms: AtomicU64,
}

/// What a scrub reads, and how.
pub(crate) struct Scrubber {
    pub log: Weak<dyn LogEngine>,
    pub groups: Box<dyn Fn() -> Vec<Arc<dyn GroupControl>> + Send + Sync>,
    pub pace: ScrubPace,
    pub wall: WallClock,
}

/// The scrub of a process. It ends when this is dropped, too.
pub(crate) struct Scrub {
    gauge: Arc<Gauge>,
    stopped: watch::Sender<bool>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Scrub {
    /// Begins to scrub.
    pub(crate) fn start(scrubber: Scrubber) -> Self {
        let (gauge, stopped) = (Arc::<Gauge>::default(), watch::Sender::new(false));
        let walk = Walk { scrubber, gauge: Arc::clone(&gauge), stopped: stopped.subscribe() };
        Self { gauge, stopped, task: Mutex::new(Some(tokio::spawn(walk.run()))) }
    }

    /// What was done so far.
    pub(crate) fn scrubbed(&self) -> Scrubbed {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let Gauge { bytes, damaged, passed_ms } = &*self.gauge;
        Scrubbed { bytes: read(bytes), damaged: read(damaged), passed_ms: read(passed_ms) }
    }

    /// Ends it: nothing is read any more.
    pub(crate) async fn stop(&self) {
        self.stopped.send_replace(true);
        let task = self.task.lock().take();
        if let Some(task) = task
            && let Err(error) = task.await
        {
            tracing::error!(%error, "the scrub did not end well");
        }
    }
}

/// The process stops.
struct Stopped;

struct Walk {
    scrubber: Scrubber,
    gauge: Arc<Gauge>,
    stopped: watch::Receiver<bool>,
}

impl Walk {
    async fn run(mut self) {
        let mut rest = self.scrubber.pace.first_after;
        loop {
            if self.rest(rest).await.is_err() {
                return;
            }
            let began = Instant::now();
            if self.pass().await.is_err() {
                return;
            }
            self.gauge.passed_ms.store((self.scrubber.wall)(), Ordering::Relaxed);
            rest = self.scrubber.pace.every.saturating_sub(began.elapsed());
        }
    }

    /// Rests. Errors: the process stops.
    async fn rest(&mut self, time: Duration) -> Result<(), Stopped> {
        tokio::select! {
            // Nobody is left to say it: that says it, too.
            _ = self.stopped.wait_for(|is_stopped| *is_stopped) => Err(Stopped),
            () = sleep(time) => Ok(()),
        }
    }

    /// So many bytes were read.
    async fn has_read(&mut self, bytes: u64) -> Result<(), Stopped> {
        self.gauge.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.rest(self.scrubber.pace.rest(bytes)).await
    }

    async fn pass(&mut self) -> Result<(), Stopped> {
        let mut next = Some(ScrubPlace::default());
        while let Some(from) = next {
            let log = self.scrubber.log.upgrade().ok_or(Stopped)?;
            let scrubbed = aside(move || log.scrub(from, SCRUB_STEP_BYTES)).await?;
            if !scrubbed.damaged.is_empty() {
                self.found(scrubbed.damaged).await?;
            }
            next = scrubbed.next;
            self.has_read(scrubbed.bytes).await?;
        }
        for group in (self.scrubber.groups)() {
            let mut next = Some(0);
            while let Some(from) = next {
                let read = Arc::clone(&group);
                let scrubbed = aside(move || read.scrub_store(from, SCRUB_STEP_BYTES)).await?;
                let scrubbed = scrubbed.unwrap_or_else(|error| {
                    tracing::error!(group = group.status().group.0, error, "damage was found in the store of bodies");
                    self.gauge.damaged.fetch_add(1, Ordering::Relaxed);
                    crate::state::StoreScrubbed::default()
                });
                next = scrubbed.next;
                self.has_read(scrubbed.bytes).await?;
            }
        }
        Ok(())
    }

    /// Tells each group which of its entries are damaged.
    async fn found(&self, damaged: Vec<(GroupId, u64)>) -> Result<(), Stopped> {
        self.gauge.damaged.fetch_add(damaged.len() as u64, Ordering::Relaxed);
        let mut by_group: BTreeMap<GroupId, BTreeSet<u64>> = BTreeMap::new();
        for (group, entry) in damaged {
            by_group.entry(group).or_default().insert(entry);
        }
        for group in (self.scrubber.groups)() {
            let id = group.status().group;
            let Some(entries) = by_group.remove(&id) else { continue };
            if let Err(error) = aside(move || group.found_damaged(&entries)).await? {
                tracing::error!(group = id.0, error, "the bodies in damaged entries could not be looked at");
            }
        }
        Ok(())
    }
}

/// Does what waits for a disk where nobody else has to wait. Errors: the process stops.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Stopped> {
    spawn_blocking(work).await.map_err(|_| Stopped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scrub_rests_as_long_as_its_pace_says() {
        let pace = ScrubPace { bytes_per_s: 1024, ..ScrubPace::default() };
        for (bytes, rest_ms) in [(0, 0), (512, 500), (1024, 1000), (10 * 1024, 10_000)] {
            assert_eq!(pace.rest(bytes), Duration::from_millis(rest_ms), "{bytes}");
        }
        let stopped = ScrubPace { bytes_per_s: 0, ..pace };
        assert_eq!(stopped.rest(2), Duration::from_secs(2), "one byte a second at least");
    }
}
