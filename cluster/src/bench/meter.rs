//! The meter: how many operations were confirmed, how many failed, and how long they took.
//!
//! Must never: lose a slow one. A latency beyond the scale is counted at its end.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use tokio::time::Instant;

use super::usage::Usage;
use crate::error::Error;
use crate::limits::{LATENCY_DIGITS, LATENCY_US_MAX};

/// Counts while a phase runs. Many tasks share one.
#[derive(Debug)]
pub(crate) struct Meter {
    name: &'static str,
    started: Instant,
    tally: Mutex<Tally>,
}

#[derive(Debug)]
struct Tally {
    latencies: Histogram<u64>,
    operations: u64,
    errors: u64,
    last_error: Option<String>,
    /// When the last answer came, since the start.
    last_answer: Duration,
}

/// A phase that is over.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Phase {
    /// What was done.
    pub(crate) name: &'static str,
    /// How long, to the last answer.
    pub(crate) secs: f64,
    /// Messages, transfers or calls that were confirmed.
    pub(crate) operations: u64,
    /// Calls that failed.
    pub(crate) errors: u64,
    /// What the last of them said.
    pub(crate) last_error: Option<String>,
    /// Of 100 operations 50 were faster; then 99, and 999 of 1000. Microseconds.
    pub(crate) quantiles_us: [u64; 3],
    /// What it cost the servers, if that was looked at.
    pub(crate) usage: Option<Usage>,
}

impl Meter {
    /// A meter that starts now. Errors: none that a valid scale can cause.
    pub(crate) fn start(name: &'static str) -> Result<Self, Error> {
        let latencies =
            Histogram::new_with_bounds(1, LATENCY_US_MAX, LATENCY_DIGITS).map_err(Error::call("histogram"))?;
        let tally =
            Mutex::new(Tally { latencies, operations: 0, errors: 0, last_error: None, last_answer: Duration::ZERO });
        Ok(Self { name, started: Instant::now(), tally })
    }

    /// `count` operations were confirmed, `latency` after they should have begun.
    pub(crate) fn done(&self, latency: Duration, count: u64) {
        let mut tally = self.tally();
        let us = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        tally.latencies.saturating_record_n(us.max(1), count);
        tally.operations += count;
        tally.last_answer = self.started.elapsed();
    }

    /// A call failed.
    pub(crate) fn failed(&self, reason: String) {
        let mut tally = self.tally();
        tally.errors += 1;
        tally.last_error = Some(reason);
        tally.last_answer = self.started.elapsed();
    }

    /// What was confirmed is done only now: the phase lasts until here.
    pub(crate) fn settled(&self) {
        self.tally().last_answer = self.started.elapsed();
    }

    /// What is measured.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// How long it has been running.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Operations confirmed so far.
    pub(crate) fn operations(&self) -> u64 {
        self.tally().operations
    }

    /// Ends the phase.
    pub(crate) fn phase(&self) -> Phase {
        let tally = self.tally();
        let secs = tally.last_answer.as_secs_f64();
        let quantiles_us = [0.5, 0.99, 0.999].map(|quantile| tally.latencies.value_at_quantile(quantile));
        let (operations, errors, last_error) = (tally.operations, tally.errors, tally.last_error.clone());
        Phase { name: self.name, secs, operations, errors, last_error, quantiles_us, usage: None }
    }

    fn tally(&self) -> std::sync::MutexGuard<'_, Tally> {
        // A task that panicked has left whole numbers behind.
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Phase {
    /// Processor time of all servers for 1000 operations. Units: milliseconds.
    pub(crate) fn cpu_ms_per_1000(&self) -> Option<f64> {
        self.usage.map(|usage| usage.cpu_ms as f64 * 1000.0 / self.operations.max(1) as f64)
    }

    /// Bytes that a server wrote for each byte of payload, of which an operation carries `size`.
    pub(crate) fn written_per_byte(&self, size: u64) -> Option<f64> {
        let payload = |usage: Usage| (self.operations * size * usage.nodes).max(1) as f64;
        self.usage.map(|usage| usage.written_bytes as f64 / payload(usage))
    }

    /// Bytes that a server wrote for each operation.
    pub(crate) fn written_per_operation(&self) -> Option<f64> {
        self.usage.map(|usage| usage.written_bytes as f64 / (self.operations * usage.nodes).max(1) as f64)
    }

    /// Operations a second.
    pub(crate) fn throughput(&self) -> f64 {
        // Counts stay far below the 2^53 up to which f64 holds every whole number.
        self.operations as f64 / self.secs.max(f64::MIN_POSITIVE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_what_was_recorded() {
        let meter = Meter::start("send").expect("the scale is valid");
        for us in 1..=1000 {
            meter.done(Duration::from_micros(us), 1);
        }
        meter.failed("late".to_owned());
        let phase = meter.phase();
        assert_eq!((phase.operations, phase.errors, phase.last_error.as_deref()), (1000, 1, Some("late")));
        assert_eq!(phase.quantiles_us, [500, 990, 999]);
    }

    #[test]
    fn a_batch_counts_each_of_its_messages_and_the_slowest_stays_on_the_scale() {
        let meter = Meter::start("send").expect("the scale is valid");
        meter.done(Duration::from_secs(86_400), 128);
        let phase = meter.phase();
        assert_eq!(phase.operations, 128);
        assert!(phase.quantiles_us[0] >= LATENCY_US_MAX, "{phase:?}");
    }
}
