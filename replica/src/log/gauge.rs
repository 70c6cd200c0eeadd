//! How long the log's fsyncs take: counts by power of two, read by status and metrics; and, where somebody asks for it, when
//! the last ones were and what they made durable.

use std::collections::VecDeque;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use machine::GroupId;
use parking_lot::Mutex;

const BUCKETS: usize = 32;
/// Fsyncs that are remembered: an entry is answered within a few of its own.
const REMEMBERED: usize = 256;

/// An fsync of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fsync {
    /// When its write began.
    pub began: Instant,
    /// When it was over.
    pub ended: Instant,
}

/// An fsync, and the last entry of each group in it.
#[derive(Debug)]
struct Remembered {
    fsync: Fsync,
    last: Vec<(GroupId, u64)>,
}

/// A histogram of fsync times. Units: bucket i counts times below 2^i microseconds.
#[derive(Debug, Default)]
pub(crate) struct FsyncGauge {
    buckets: [AtomicU64; BUCKETS],
    /// The last ones, oldest first, where they are watched.
    watched: OnceLock<Mutex<VecDeque<Remembered>>>,
}

impl FsyncGauge {
    pub(crate) fn record(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1);
        let bucket = (64 - micros.leading_zeros() as usize).min(BUCKETS - 1);
        if let Some(counter) = self.buckets.get(bucket) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Remembers the next fsyncs, too.
    pub(crate) fn watch(&self) {
        let _ = self.watched.get_or_init(Mutex::default);
    }

    /// Remembers an fsync and the entries in it, if they are watched.
    pub(crate) fn remember(&self, fsync: Fsync, entries: impl Iterator<Item = (GroupId, u64)>) {
        let Some(watched) = self.watched.get() else { return };
        let mut last: Vec<(GroupId, u64)> = Vec::new();
        for (group, index) in entries {
            match last.iter_mut().find(|(known, _)| *known == group) {
                Some((_, known)) => *known = index,
                None => last.push((group, index)),
            }
        }
        let mut watched = watched.lock();
        if watched.len() == REMEMBERED {
            watched.pop_front();
        }
        watched.push_back(Remembered { fsync, last });
    }

    /// The fsync that made an entry durable here, if it is remembered.
    pub(crate) fn of(&self, group: GroupId, index: u64) -> Option<Fsync> {
        let watched = self.watched.get()?.lock();
        let holds = |one: &&Remembered| one.last.iter().any(|(of, last)| *of == group && *last >= index);
        let first = watched.iter().position(|one| holds(&one))?;
        // The oldest that is remembered may hold what was durable before it.
        watched.get(first).filter(|_| first > 0 || watched.len() < REMEMBERED).map(|one| one.fsync)
    }

    /// The upper bound of the bucket that holds the quantile (0.0 to 1.0). 0 if nothing was recorded.
    pub(crate) fn quantile_us(&self, quantile: f64) -> u64 {
        let counts: Vec<u64> = self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect();
        let total: u64 = counts.iter().sum();
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rank within a count of fsyncs; a gauge needs no more than 52 bits"
        )]
        let rank = (total as f64 * quantile).ceil() as u64;
        let mut seen = 0;
        for (bucket, count) in counts.iter().enumerate() {
            seen += count;
            if *count > 0 && seen >= rank {
                return 1 << bucket;
            }
        }
        0
    }

    /// Fsyncs so far.
    pub(crate) fn count(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_the_upper_bounds_of_their_buckets() {
        let gauge = FsyncGauge::default();
        for _ in 0..99 {
            gauge.record(Duration::from_micros(200));
        }
        gauge.record(Duration::from_millis(5));
        assert_eq!((gauge.quantile_us(0.5), gauge.quantile_us(0.999), gauge.count()), (256, 8192, 100));
    }

    #[test]
    fn an_entry_is_durable_by_the_first_fsync_that_reaches_it() {
        let (gauge, start) = (FsyncGauge::default(), Instant::now());
        let at = |ms| Fsync { began: start + Duration::from_millis(ms), ended: start + Duration::from_millis(ms + 1) };
        gauge.remember(at(0), [(GroupId(1), 9)].into_iter());
        assert_eq!(gauge.of(GroupId(1), 1), None, "nobody watches");
        gauge.watch();
        gauge.remember(at(10), [(GroupId(1), 3), (GroupId(1), 4), (GroupId(2), 7)].into_iter());
        gauge.remember(at(20), [(GroupId(1), 5)].into_iter());
        for (group, index, expected) in
            [(1, 4, Some(at(10))), (1, 5, Some(at(20))), (2, 7, Some(at(10))), (2, 8, None), (3, 1, None)]
        {
            assert_eq!(gauge.of(GroupId(group), index), expected, "{group} {index}");
        }
        (0..1000).for_each(|ms| gauge.remember(at(ms), std::iter::empty()));
        assert_eq!(gauge.of(GroupId(1), 5), None, "what is long ago is forgotten");
    }
}
