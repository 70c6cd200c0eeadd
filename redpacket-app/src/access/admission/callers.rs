//! Admission of a callee whose callers hear its limit: two groups behind three doors, one of them asked for far too much.
//!
//! ```text
//!  arrivals ─> door ─heard?─> sent away early, and told with the next call
//!                └──call──> callee: admits? ─no─> turned away, with its word: the trip was wasted
//!                                     └yes─> queue ─> done, with its word, or given up after two seconds
//!  a step is a millisecond; no clock, no chance
//! ```
//!
//! Must never: be tuned until it passes. The goal is the design's.

use std::collections::VecDeque;

use super::*;
use crate::limits::{COMMAND_ATTEMPT, HEARD_FOR};

const DOORS: usize = 3;
/// Requests that a callee does in a millisecond.
const WORK_PER_MS: usize = 2;
const CAPACITY_PER_S: u64 = WORK_PER_MS as u64 * 1000;
const SETTLED_MS: u64 = 20_000;
const END_MS: u64 = 60_000;

struct Waiting {
    door: usize,
    since_ms: u64,
}

/// What one door knows of one callee.
#[derive(Clone, Default)]
struct Heard {
    /// What it said last, and when.
    taken: Option<(Taken, u64)>,
    untold: [u32; CLASSES],
}

#[derive(Default)]
struct Counts {
    done: u64,
    /// Sent away at a door, before anything was asked of the callee.
    early: u64,
    /// Sent away by the callee.
    wasted: u64,
}

struct Callee {
    admission: Admission,
    queue: VecDeque<Waiting>,
    doors: Vec<Heard>,
    is_heard: bool,
    counts: Counts,
}

impl Callee {
    fn new(is_heard: bool) -> Self {
        Self {
            admission: Admission::default(),
            queue: VecDeque::new(),
            doors: vec![Heard::default(); DOORS],
            is_heard,
            counts: Counts::default(),
        }
    }

    fn ask(&mut self, door: usize, level: u32, now_ms: u64) {
        let is_counted = now_ms >= SETTLED_MS;
        let heard = &mut self.doors[door];
        let believed_ms = u64::try_from(HEARD_FOR.as_millis()).expect("seconds fit");
        if heard.taken.is_some_and(|(taken, at)| level >= taken.limit && now_ms - at < believed_ms) {
            heard.untold[class_of(level)] += 1;
            self.counts.early += u64::from(is_counted);
            return;
        }
        for (class, untold) in heard.untold.iter_mut().enumerate().filter(|(_, untold)| **untold > 0) {
            self.admission.was_shed(class, std::mem::take(untold));
        }
        if self.admission.admits(level, now_ms) {
            self.queue.push_back(Waiting { door, since_ms: now_ms });
        } else {
            self.counts.wasted += u64::from(is_counted);
            self.tell(door, now_ms);
        }
    }

    fn tell(&mut self, door: usize, now_ms: u64) {
        if self.is_heard {
            self.doors[door].taken = Taken::of_word(self.admission.told().word()).map(|taken| (taken, now_ms));
        }
    }

    fn work(&mut self, now_ms: u64) {
        // Whoever has given up is passed over, as on the road.
        let most = u64::try_from(COMMAND_ATTEMPT.as_millis()).expect("seconds fit");
        while self.queue.front().is_some_and(|first| now_ms - first.since_ms >= most) {
            self.queue.pop_front();
        }
        for _ in 0..WORK_PER_MS {
            let Some(first) = self.queue.pop_front() else { return };
            self.admission.waited((now_ms - first.since_ms) * 1000, now_ms);
            self.counts.done += u64::from(now_ms >= SETTLED_MS);
            self.tell(first.door, now_ms);
        }
    }
}

/// Opens for a hot group at `times` its capacity until `crowd_ends_ms`, and for a cold one at half of its own.
fn evening(times: u64, is_heard: bool, crowd_ends_ms: u64) -> [Callee; 2] {
    let mut callees = [Callee::new(is_heard), Callee::new(is_heard)];
    let mut numbers = [0_u64; 2];
    for now_ms in 0..END_MS {
        let hot_per_s = if now_ms < crowd_ends_ms { CAPACITY_PER_S * times } else { CAPACITY_PER_S / 2 };
        for ((callee, number), per_s) in callees.iter_mut().zip(&mut numbers).zip([hot_per_s, CAPACITY_PER_S / 2]) {
            for nth in 0..per_s / 1000 {
                let drawn = mix(*number + nth);
                let door = usize::try_from(drawn % 3).expect("three doors");
                // Beside the opens a tenth of money, which has no level.
                let level = if drawn % 100 < 10 / times { 0 } else { level(Class::Open, u128::from(drawn), 0) };
                callee.ask(door, level, now_ms);
            }
            *number += per_s / 1000;
            callee.work(now_ms);
        }
    }
    callees
}

#[test]
fn at_ten_times_its_capacity_a_callee_is_busy_with_what_it_does_and_not_with_refusals() {
    // As for the door: the goal is set at ten times; at twenty a level is a sixth of all that can be done.
    for (times, least) in [(2, 90), (5, 90), (10, 90), (20, 80)] {
        let [hot, cold] = evening(times, true, END_MS);
        let seconds = (END_MS - SETTLED_MS) / 1000;
        let done = hot.counts.done;
        assert!(done * 100 >= CAPACITY_PER_S * seconds * least, "{times} times: {done} done in {seconds} s");
        let (early, wasted) = (hot.counts.early, hot.counts.wasted);
        assert!(
            wasted * 100 <= (early + wasted) * 5,
            "{times} times: {wasted} trips for nothing, {early} sent away early"
        );
        assert_eq!((cold.counts.early, cold.counts.wasted), (0, 0), "{times} times: another group sheds nobody");
        assert_eq!(cold.counts.done, CAPACITY_PER_S / 2 * seconds);
    }
}

#[test]
fn without_its_word_every_request_too_many_makes_the_trip() {
    let [deaf, _] = evening(10, false, END_MS);
    assert_eq!(deaf.counts.early, 0);
    assert!(deaf.counts.wasted > 8 * deaf.counts.done, "{} for nothing", deaf.counts.wasted);
}

#[test]
fn when_the_crowd_has_gone_callers_let_everybody_through_again() {
    let [hot, _] = evening(10, true, SETTLED_MS);
    let asked = CAPACITY_PER_S / 2 * ((END_MS - SETTLED_MS) / 1000);
    assert!(hot.counts.done * 100 >= asked * 97, "{} of {asked} once the crowd has gone", hot.counts.done);
    assert_eq!(hot.admission.told().limit, LEVELS);
}

#[test]
fn what_callers_have_sent_away_is_counted_at_levels_that_are_not_taken() {
    let mut admission = Admission { limit: 150, ..Admission::default() };
    for _ in 0..1060 {
        admission.was_shed(Class::Open as usize, 7);
    }
    let (below, beyond) = admission.asked.split_at(150);
    assert!(below.iter().all(|count| *count == 0));
    assert!(beyond[..106].iter().all(|count| *count == 70), "evenly over the opens: {beyond:?}");
    assert!(beyond[106..].iter().all(|count| *count == 0), "and over nothing else");
    assert_eq!(admission.shed()[Class::Open as usize], 7 * 1060);
    admission.limit = LEVELS;
    admission.was_shed(Class::Open as usize, 3);
    assert_eq!(admission.asked[255], 70 + 3, "what is taken meanwhile counts at its last level");
}
