//! Histograms that count nothing, in the place of those that openraft keeps and nobody can ask for.
//!
//! Why: the crate that has this name makes tables for sixteen widths when the first histogram is made, 27 MiB in every
//! process, and openraft uses one of them. What it counts can be read by its feature `runtime-stats` alone, which is off here.
//!
//! Must never: be used by a crate of ours; times and sizes that somebody reads are measured elsewhere.

use std::fmt;
use std::marker::PhantomData;

/// Takes samples and keeps none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histogram<T = ()>(PhantomData<T>);

impl<T> Histogram<T> {
    /// A histogram without samples.
    #[must_use]
    pub const fn new() -> Self {
        Self(PhantomData)
    }

    /// Forgets a sample.
    pub const fn record(&mut self, _value: u64) {}

    /// Forgets samples.
    pub const fn record_n(&mut self, _value: u64, _count: u64) {}

    /// Samples it holds: none.
    #[must_use]
    pub const fn total(&self) -> u64 {
        0
    }

    /// Percentiles of no samples.
    #[must_use]
    pub const fn percentile_stats(&self) -> PercentileStats {
        PercentileStats { samples: 0, p0_1: 0, p1: 0, p5: 0, p10: 0, p50: 0, p90: 0, p99: 0, p99_9: 0 }
    }
}

impl<T> Default for Histogram<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// Percentiles of the samples of a histogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PercentileStats {
    /// How many there are.
    pub samples: u64,
    /// One of a thousand is below.
    pub p0_1: u64,
    /// One of a hundred is below.
    pub p1: u64,
    /// Five of a hundred are below.
    pub p5: u64,
    /// One of ten is below.
    pub p10: u64,
    /// The median.
    pub p50: u64,
    /// One of ten is above.
    pub p90: u64,
    /// One of a hundred is above.
    pub p99: u64,
    /// One of a thousand is above.
    pub p99_9: u64,
}

impl fmt::Display for PercentileStats {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "[samples: {}, P50: {}, P99: {}, P99.9: {}]", self.samples, self.p50, self.p99, self.p99_9)
    }
}

/// A picture of no histogram.
#[derive(Debug, Clone, Default)]
pub struct AsciiChart;

impl AsciiChart {
    /// An empty picture.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }

    /// The same picture.
    #[must_use]
    pub fn add(self, _name: impl Into<String>, _histogram: Histogram) -> Self {
        self
    }
}

impl fmt::Display for AsciiChart {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("no samples are kept")
    }
}
