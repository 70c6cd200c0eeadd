//! How long the log's fsyncs take: counts by power of two, read by status and metrics.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const BUCKETS: usize = 32;

/// A histogram of fsync times. Units: bucket i counts times below 2^i microseconds.
#[derive(Debug, Default)]
pub(crate) struct FsyncGauge {
    buckets: [AtomicU64; BUCKETS],
}

impl FsyncGauge {
    pub(crate) fn record(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1);
        let bucket = (64 - micros.leading_zeros() as usize).min(BUCKETS - 1);
        if let Some(counter) = self.buckets.get(bucket) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
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
}
