//! The meter: what was done and what failed, and how long it took; many clients share one.
//!
//! Must never: lose a slow one; beyond the scale it is counted at its end.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;

/// Longest latency that is told apart: two minutes. Microseconds.
const US_MAX: u64 = 120_000_000;

/// Counts while a run goes on.
#[derive(Debug)]
pub(crate) struct Meter {
    latencies: Mutex<Option<Histogram<u64>>>,
    done: AtomicU64,
    failed: AtomicU64,
}

impl Meter {
    pub(crate) fn new() -> Self {
        let latencies = Histogram::new_with_bounds(1, US_MAX, 3).ok();
        Self { latencies: Mutex::new(latencies), done: AtomicU64::new(0), failed: AtomicU64::new(0) }
    }

    /// One is done.
    pub(crate) fn done(&self, took: Duration) {
        self.done.fetch_add(1, Ordering::Relaxed);
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let mut latencies = self.latencies.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(latencies) = latencies.as_mut() {
            latencies.saturating_record(us.max(1));
        }
    }

    /// One has failed, or its end is not known.
    pub(crate) fn failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    /// Done and failed so far.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.done.load(Ordering::Relaxed), self.failed.load(Ordering::Relaxed))
    }

    /// Half were faster, and 99 of 100. Microseconds.
    pub(crate) fn quantiles_us(&self) -> (u64, u64) {
        let latencies = self.latencies.lock().unwrap_or_else(PoisonError::into_inner);
        latencies.as_ref().map_or((0, 0), |all| (all.value_at_quantile(0.5), all.value_at_quantile(0.99)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_is_not_done_and_the_slowest_stays_on_the_scale() {
        let meter = Meter::new();
        for ms in 1..=100 {
            meter.done(Duration::from_millis(ms));
        }
        meter.done(Duration::from_secs(86_400));
        meter.failed();
        assert_eq!(meter.counts(), (101, 1));
        let (p50, p99) = meter.quantiles_us();
        assert!((50_000..52_000).contains(&p50) && p99 >= 99_000, "{p50} {p99}");
    }
}
