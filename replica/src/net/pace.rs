//! How fast followers that are far behind are sent what they missed: beside those who send now, not before them.
//!
//! ```text
//!  behind, while fresh entries travel    CATCH_UP_BYTES_PER_S for all groups of the node together, or twice the fresh bytes
//!  behind, and the node is quiet         as fast as it takes: nobody is in the way
//!  behind, and a commit waits for it     as fast as it takes
//! ```
//!
//! Must never: hold up a follower that a commit waits for.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::limits::{
    CATCH_UP_BYTES, CATCH_UP_BYTES_PER_S, CATCH_UP_ENTRIES, CATCH_UP_LOOK_EVERY, CATCH_UP_QUIET_BYTES_PER_S,
    CATCH_UP_SLEEP_MAX,
};

/// What all groups of a node send to followers that are far behind, and what they send to those that keep up.
#[derive(Debug)]
pub(crate) struct CatchUp(Mutex<Sent>);

#[derive(Debug)]
struct Sent {
    /// The next request to one that is far behind goes then.
    next: Instant,
    /// Bytes of fresh entries since the last look, and in a second before it.
    fresh: u64,
    fresh_a_second: u64,
    looked: Instant,
}

impl Default for CatchUp {
    fn default() -> Self {
        let now = Instant::now();
        Self(Mutex::new(Sent { next: now, fresh: 0, fresh_a_second: 0, looked: now }))
    }
}

impl CatchUp {
    /// Counts what goes to a follower that keeps up.
    fn keeps_up(&self, bytes: u64, now: Instant) {
        let mut sent = self.0.lock();
        sent.fresh += bytes;
        sent.look(now);
    }

    /// When so much may go to one that is far behind.
    fn due(&self, bytes: u64, now: Instant) -> Instant {
        let mut sent = self.0.lock();
        sent.look(now);
        if sent.fresh_a_second < CATCH_UP_QUIET_BYTES_PER_S {
            return now;
        }
        let rate = CATCH_UP_BYTES_PER_S.max(sent.fresh_a_second.saturating_mul(2));
        let due = sent.next.max(now);
        // One whose turn is far off may be waited for before it comes.
        let next = due + Duration::from_micros(bytes.saturating_mul(1_000_000) / rate);
        sent.next = next.min(now + CATCH_UP_SLEEP_MAX);
        due
    }
}

impl Sent {
    fn look(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.looked);
        if passed >= CATCH_UP_LOOK_EVERY {
            let ms = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX).max(1);
            self.fresh_a_second = self.fresh.saturating_mul(1000) / ms;
            (self.fresh, self.looked) = (0, now);
        }
    }
}

/// What one request of entries says, and the leader's log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub bytes: u64,
    pub entries: u64,
    /// The last entry in it.
    pub last: u64,
    pub committed: u64,
    /// The last entry of the leader's log.
    pub tip: u64,
}

impl Load {
    /// Whether its follower keeps up: it misses few entries, and few bytes if they are as large as these.
    fn is_near(&self) -> bool {
        let missing = self.committed.saturating_sub(self.last);
        missing < CATCH_UP_ENTRIES && missing.saturating_mul(self.bytes) < CATCH_UP_BYTES * self.entries.max(1)
    }
}

/// The pace of one stream of entries.
#[derive(Debug)]
pub(super) struct Pace {
    catch_up: Arc<CatchUp>,
    /// The last look, and what was committed then.
    looked: Option<(Instant, u64)>,
    /// Nothing was committed between the last two looks, though there was something to commit.
    is_waited_for: bool,
}

impl Pace {
    pub(super) const fn new(catch_up: Arc<CatchUp>) -> Self {
        Self { catch_up, looked: None, is_waited_for: false }
    }

    /// When a request may go.
    pub(super) fn due(&mut self, load: Load, now: Instant) -> Instant {
        self.look(load, now);
        if load.is_near() {
            self.catch_up.keeps_up(load.bytes, now);
            return now;
        }
        if self.is_waited_for { now } else { self.catch_up.due(load.bytes, now) }
    }

    fn look(&mut self, load: Load, now: Instant) {
        let (looked, before) = *self.looked.get_or_insert((now, load.committed));
        if now.saturating_duration_since(looked) >= CATCH_UP_LOOK_EVERY {
            self.is_waited_for = load.tip > load.committed && load.committed == before;
            self.looked = Some((now, load.committed));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST_BYTES: u64 = 100 * 1024;
    const FAR: u64 = 100_000_000;

    /// Sends requests to followers of so many groups that are all far behind, each as soon as it may, while followers that
    /// keep up are sent `fresh` bytes a second. Returns the bytes sent to the first ones in the second to the tenth second.
    fn sent_in_nine_seconds(groups: usize, fresh: u64) -> u64 {
        let (begin, catch_up) = (Instant::now(), Arc::new(CatchUp::default()));
        let mut behind: Vec<(Pace, Instant)> = (0..groups).map(|_| (Pace::new(Arc::clone(&catch_up)), begin)).collect();
        let mut near = Pace::new(catch_up);
        let mut sent = 0;
        for ms in 0..10_000 {
            let now = begin + Duration::from_millis(ms);
            let load = Load { bytes: fresh / 1000, entries: 1, last: FAR + ms, committed: FAR + ms, tip: FAR + ms + 1 };
            assert_eq!(near.due(load, now), now, "it keeps up");
            for (pace, next) in &mut behind {
                let load = Load { bytes: REQUEST_BYTES, last: ms, ..load };
                while *next <= now {
                    // A tenth of a millisecond is the least that a request takes.
                    *next = pace.due(load, *next).max(*next + Duration::from_micros(100));
                    sent += if ms < 1000 { 0 } else { REQUEST_BYTES };
                }
            }
        }
        sent
    }

    #[test]
    fn who_is_far_behind_gives_way_to_those_who_send_and_still_catches_up() {
        for groups in [1, 8] {
            let slow = sent_in_nine_seconds(groups, 1024 * 1024);
            assert!((8..=10).contains(&(slow / CATCH_UP_BYTES_PER_S)), "{groups} groups: {slow} bytes");
        }
        let fresh = 2 * CATCH_UP_BYTES_PER_S;
        let fast = sent_in_nine_seconds(2, fresh);
        assert!((15..=20).contains(&(fast / fresh)), "{fast} bytes: faster than what comes in");
        let free = sent_in_nine_seconds(1, 0);
        assert!(free > 20 * CATCH_UP_BYTES_PER_S, "{free} bytes: nobody is in the way");
    }

    #[test]
    fn few_entries_that_are_large_are_far_behind_too() {
        let load = |bytes, missing| Load { bytes, entries: 2, last: FAR, committed: FAR + missing, tip: FAR + missing };
        let table = [(1 << 10, 127, true), (1 << 10, 128, false), (2 << 20, 15, true), (2 << 20, 16, false)];
        for (bytes, missing, is_near) in table {
            assert_eq!(load(bytes, missing).is_near(), is_near, "{missing} entries, two of {bytes} bytes");
        }
    }

    #[test]
    fn who_is_waited_for_is_not_held_up() {
        let (begin, catch_up) = (Instant::now(), Arc::new(CatchUp::default()));
        let (mut near, mut pace) = (Pace::new(Arc::clone(&catch_up)), Pace::new(catch_up));
        for step in 0..2000 {
            let now = begin + Duration::from_millis(step);
            // Another group has much to do meanwhile.
            near.due(
                Load { bytes: 1 << 20, entries: 1, last: FAR + step, committed: FAR + step, tip: FAR + step },
                now,
            );
            let due = pace.due(Load { bytes: 1 << 20, entries: 1, last: step, committed: FAR, tip: FAR + 1 }, now);
            assert!(step < 1000 || due == now, "nothing is committed without it");
        }
    }
}
