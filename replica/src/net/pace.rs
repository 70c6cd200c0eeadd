//! How fast a follower that is far behind is sent what it missed: beside those who send now, not before them.
//!
//! ```text
//!  behind, and commits go on without it   CATCH_UP_BYTES_PER_S, or twice what comes in, if that is more
//!  behind, and nothing is committed       as fast as it takes: nobody is in the way, or all wait for it
//! ```
//!
//! Must never: hold up a follower that a commit waits for.

use std::time::Duration;

use tokio::time::Instant;

use crate::limits::{CATCH_UP_BYTES_PER_S, CATCH_UP_ENTRIES, CATCH_UP_LOOK_EVERY};

/// What one request of entries says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub bytes: u64,
    pub entries: u64,
    /// The last entry in it.
    pub last: u64,
    pub committed: u64,
}

/// The pace of one stream of entries.
#[derive(Debug)]
pub(super) struct Pace {
    /// The next request of one that is far behind goes then.
    next: Instant,
    /// The last look, and what was committed then.
    looked: Option<(Instant, u64)>,
    /// Entries committed in a second, as seen at the last look. `None`: nobody knows yet, and perhaps it is waited for.
    inflow: Option<u64>,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        Self { next: now, looked: None, inflow: None }
    }

    /// When a request may go.
    pub(super) fn due(&mut self, load: Load, now: Instant) -> Instant {
        self.look(load.committed, now);
        if load.committed.saturating_sub(load.last) < CATCH_UP_ENTRIES || self.inflow.unwrap_or(0) == 0 {
            self.next = now;
            return now;
        }
        let entry_bytes = load.bytes / load.entries.max(1);
        let rate = CATCH_UP_BYTES_PER_S.max(self.inflow.unwrap_or(0).saturating_mul(2).saturating_mul(entry_bytes));
        let due = self.next.max(now);
        self.next = due + Duration::from_micros(load.bytes.saturating_mul(1_000_000) / rate);
        due
    }

    /// Measures what is committed meanwhile.
    fn look(&mut self, committed: u64, now: Instant) {
        let (looked, before) = *self.looked.get_or_insert((now, committed));
        let passed = now.saturating_duration_since(looked);
        if passed < CATCH_UP_LOOK_EVERY {
            return;
        }
        let more = committed.saturating_sub(before).saturating_mul(1000);
        self.inflow = more.checked_div(u64::try_from(passed.as_millis()).unwrap_or(u64::MAX));
        self.looked = Some((now, committed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY_BYTES: u64 = 1024;

    /// Sends requests of a hundred entries to one far behind, each as soon as it may. Returns the bytes sent in the
    /// second to the tenth second.
    fn sent_in_nine_seconds(commits_per_s: u64) -> u64 {
        let begin = Instant::now();
        let (mut pace, mut now, mut sent, mut last) = (Pace::new(begin), begin, 0, 0);
        while now < begin + Duration::from_secs(10) {
            let passed = u64::try_from(now.saturating_duration_since(begin).as_millis()).expect("short");
            last += 100;
            let committed = 100_000_000 + passed * commits_per_s / 1000;
            let load = Load { bytes: 100 * ENTRY_BYTES, entries: 100, last, committed };
            now = pace.due(load, now + Duration::from_micros(100));
            sent += if passed < 1000 { 0 } else { load.bytes };
        }
        sent
    }

    #[test]
    fn who_is_far_behind_gives_way_to_those_who_send_and_still_catches_up() {
        let slow = sent_in_nine_seconds(100);
        assert!((8..=10).contains(&(slow / CATCH_UP_BYTES_PER_S)), "{slow} bytes");
        let inflow = 2 * CATCH_UP_BYTES_PER_S / ENTRY_BYTES;
        let fast = sent_in_nine_seconds(inflow);
        assert!(fast > 15 * inflow * ENTRY_BYTES, "{fast} bytes: faster than what comes in");
    }

    #[test]
    fn who_is_waited_for_and_who_is_near_is_not_held_up() {
        let begin = Instant::now();
        let mut pace = Pace::new(begin);
        for step in 0..1000 {
            let now = begin + Duration::from_millis(step);
            let waited_for = Load { bytes: 1 << 20, entries: 100, last: step, committed: 10 * CATCH_UP_ENTRIES };
            assert_eq!(pace.due(waited_for, now), now, "nothing is committed without it");
        }
        for step in 1000..3000 {
            let now = begin + Duration::from_millis(step);
            let near = Load { bytes: 1 << 20, entries: 1, last: 1_000_000 + step, committed: 1_000_010 + step };
            assert_eq!(pace.due(near, now), now, "it is as far as the others");
        }
    }
}
