//! Machine time: the last committed stamp plus the leader's monotonic time, slewed towards the wall clock.
//!
//! Why: leases, delays and expiries must neither end early because a leader's wall clock is an hour ahead, nor freeze
//! because it is behind. This is the only file that names the wall clock.
//!
//! ```text
//!  stamp = last stamp + elapsed ± at most a tenth of elapsed     (towards the wall clock)
//!  far behind (cold start, suspended machine): step to the lowest clock among the highest majority of members
//! ```

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use machine::TimestampMs;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

/// Reads a wall clock. Units: milliseconds since the Unix epoch. The simulation gives each node its own.
pub type WallClock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// Behind the wall clock by more than this, time steps instead of slewing.
pub(crate) const STEP_AFTER_MS: u64 = 5_000;
const SLEW_PART: u64 = 10;

/// The machine's own wall clock.
#[must_use]
pub fn system_wall_clock() -> WallClock {
    Arc::new(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

/// The wall clock in nanoseconds since the Unix epoch, for what is shown beside the deeds of other systems.
#[must_use]
pub fn system_wall_nanos() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

struct Reading {
    micros: u64,
    at: Instant,
}

/// Stamps the entries of one group while this node leads it.
pub(crate) struct MachineClock {
    wall: WallClock,
    reading: Mutex<Reading>,
    running: watch::Sender<bool>,
}

impl MachineClock {
    pub(crate) fn new(wall: WallClock) -> Self {
        let reading = Mutex::new(Reading { micros: 0, at: Instant::now() });
        Self { wall, reading, running: watch::Sender::new(false) }
    }

    /// The node's wall clock.
    pub(crate) fn wall_ms(&self) -> u64 {
        (self.wall)()
    }

    /// Whether entries may be stamped: true while this node leads, once it has taken over machine time.
    pub(crate) fn running(&self) -> watch::Receiver<bool> {
        self.running.subscribe()
    }

    /// Lets entries be stamped, or no longer.
    pub(crate) fn set_running(&self, is_running: bool) {
        self.running.send_if_modified(|was| std::mem::replace(was, is_running) != is_running);
    }

    /// Goes on from the stamp applied last: called when this node begins to lead.
    pub(crate) fn restart(&self, last: TimestampMs) {
        *self.reading.lock() = Reading { micros: last.0.saturating_mul(1000), at: Instant::now() };
    }

    /// Machine time now; never less than before.
    pub(crate) fn now(&self) -> TimestampMs {
        let mut reading = self.reading.lock();
        let now = Instant::now();
        let elapsed = u64::try_from(now.duration_since(reading.at).as_micros()).unwrap_or(u64::MAX);
        let wall = self.wall_ms().saturating_mul(1000);
        *reading = Reading { micros: slewed(reading.micros, elapsed, wall), at: now };
        TimestampMs(reading.micros / 1000)
    }

    /// How far the wall clock is ahead of machine time.
    pub(crate) fn behind_ms(&self) -> u64 {
        self.wall_ms().saturating_sub(self.now().0)
    }

    /// Steps forward to what a majority of `members` members' clocks have reached, if that is far ahead. Too few
    /// readings: nothing happens.
    pub(crate) fn step(&self, readings: &[u64], members: usize) {
        let now = self.now();
        if let Some(target) = majority_clock(readings, members)
            && target.saturating_sub(now.0) > STEP_AFTER_MS
        {
            let mut reading = self.reading.lock();
            reading.micros = reading.micros.max(target.saturating_mul(1000));
        }
    }
}

/// Machine time after `elapsed`, moved towards `wall` by at most a tenth of it. Units: microseconds.
fn slewed(last: u64, elapsed: u64, wall: u64) -> u64 {
    let even = last.saturating_add(elapsed);
    let most = elapsed / SLEW_PART;
    if wall > even {
        even.saturating_add((wall - even).min(most))
    } else {
        even.saturating_sub((even - wall).min(most))
    }
}

/// The smallest clock of the majority that is furthest ahead: one wrong clock, early or late, does not decide.
fn majority_clock(readings: &[u64], members: usize) -> Option<u64> {
    let mut sorted = readings.to_vec();
    sorted.sort_unstable_by(|a, b| b.cmp(a));
    sorted.get(members / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_slewed_by_at_most_a_tenth_and_never_goes_back() {
        // last, elapsed, wall, expected
        let table = [
            (1_000, 100, 1_100, 1_100),
            (1_000, 100, 3_600_000_000, 1_110),
            (1_000, 100, 0, 1_090),
            (1_000, 100, 1_105, 1_105),
            (1_000, 0, 9_999, 1_000),
        ];
        for (last, elapsed, wall, expected) in table {
            assert_eq!(slewed(last, elapsed, wall), expected, "from {last} after {elapsed} with wall {wall}");
        }
    }

    #[test]
    fn one_wrong_clock_does_not_decide_a_step() {
        let table: [(&[u64], usize, Option<u64>); 5] = [
            (&[100, 101, 3_600_100], 3, Some(101)),
            (&[100, 101, 5], 3, Some(100)),
            (&[3_600_100, 100], 3, Some(100)),
            (&[100], 3, None),
            (&[7], 1, Some(7)),
        ];
        for (readings, members, expected) in table {
            assert_eq!(majority_clock(readings, members), expected, "{readings:?}");
        }
    }
}
