//! Callees: the groups behind access, and what their leaders take at present.
//!
//! ```text
//!  door ─> lets? ─no─> come back later, and nothing was asked of anybody
//!            └yes─> command with a note: level, and how many were sent away here since the last one ──> leader's admission
//!  reply with the leader's word: its limit, and its pauses <──────────────────────────────────────────┘   shed there, too
//! ```
//!
//! Why each group by itself: a hot packet makes one group's road long. Who opens another packet must not pay for it, and
//! the node's own admission sees only what waits at the node. Why at the door: an open that its group would turn away has
//! cost a look, a trip and a refusal by then.
//!
//! Must never: send away what has no level, which is all that moves money; or believe for long what was heard.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use replica::Usher;
use tokio::time::Instant;

use crate::access::admission::{Admission, CLASSES, Class, Taken, class_of};
use crate::failure::Failure;
use crate::limits::HEARD_FOR;

/// Classes that may be sent away.
const SHED_CLASSES: usize = CLASSES - 1;

/// A group of this node, as the one who calls it, and as its leader.
pub(crate) struct Callee {
    opened: Instant,
    /// What the leader has said last, and when.
    heard: Mutex<Option<(Taken, Instant)>>,
    /// Sent away here, and not told yet; by class, money left out.
    untold: [AtomicU32; SHED_CLASSES],
    /// Sent away here since the start.
    shed: AtomicU32,
    /// Where this node leads.
    admission: Mutex<Admission>,
}

impl Callee {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            opened: now,
            heard: Mutex::default(),
            untold: Default::default(),
            shed: AtomicU32::new(0),
            admission: Mutex::default(),
        }
    }

    /// Whether a request of `level` would be taken, as far as is known. Errors: `Busy`.
    pub(crate) fn lets(&self, level: u32, now: Instant) -> Result<(), Failure> {
        let Some((taken, at)) = *self.heard.lock() else { return Ok(()) };
        if level < taken.limit || now.saturating_duration_since(at) >= HEARD_FOR {
            return Ok(());
        }
        if let Some(untold) = class_of(level).checked_sub(1).and_then(|class| self.untold.get(class)) {
            untold.fetch_add(1, Ordering::Relaxed);
        }
        self.shed.fetch_add(1, Ordering::Relaxed);
        Err(Failure::Busy { after_ms: taken.come_back_ms(level) })
    }

    /// What is said with a command of `level`.
    ///
    /// Shape: u64 = level u16, from the lowest bits; then a u16 for each class but money: how many were sent away.
    pub(crate) fn note(&self, level: u32) -> u64 {
        let told = self.untold.iter().rev().fold(0, |note, untold| {
            let told = untold.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
                Some(count.saturating_sub(u32::from(u16::MAX)))
            });
            (note << 16) | u64::from(told.unwrap_or(0).min(u32::from(u16::MAX)))
        });
        (told << 16) | u64::from(u16::try_from(level).unwrap_or(u16::MAX))
    }

    /// The leader has said this.
    pub(crate) fn heard(&self, word: u64, now: Instant) {
        if let Some(taken) = Taken::of_word(word) {
            *self.heard.lock() = Some((taken, now));
        }
    }

    /// The pause of somebody whom the leader has turned away with this word. Units: milliseconds.
    pub(crate) fn come_back_ms(word: u64, level: u32) -> u64 {
        let taken = Taken::of_word(word).unwrap_or_else(|| Admission::default().told());
        taken.come_back_ms(level)
    }

    /// Requests sent away here since the start, before anything was asked of the callee.
    pub(crate) fn shed(&self) -> u32 {
        self.shed.load(Ordering::Relaxed)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Usher for Callee {
    fn admits(&self, note: u64) -> bool {
        let [low, high, told @ ..] = note.to_le_bytes();
        let mut admission = self.admission.lock();
        for (class, told) in (Class::Open as usize..).zip(told.chunks(2)) {
            let count = told.iter().rev().fold(0, |count, byte| (count << 8) | u32::from(*byte));
            if count > 0 {
                admission.was_shed(class, count);
            }
        }
        admission.admits(u32::from(u16::from_le_bytes([low, high])), self.now_ms())
    }

    fn waited(&self, wait: Duration) {
        let wait_us = u64::try_from(wait.as_micros()).unwrap_or(u64::MAX);
        self.admission.lock().waited(wait_us, self.now_ms());
    }

    fn word(&self) -> u64 {
        self.admission.lock().told().word()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::admission::level;

    const fn of(class: Class) -> u32 {
        class as u32 * 128
    }

    /// A leader that has been overloaded by opens for a while.
    fn pressed() -> Callee {
        let leader = Callee::new(Instant::now());
        for _ in 0..3 {
            for user in 0..2000 {
                leader.admits(u64::from(level(Class::Open, user, 0)));
            }
            for _ in 0..2000 {
                leader.waited(Duration::from_millis(500));
            }
        }
        leader
    }

    #[test]
    fn a_caller_sends_away_what_its_callee_would_and_says_so_with_the_next_call() {
        let (leader, caller, now) = (pressed(), Callee::new(Instant::now()), Instant::now());
        let last = of(Class::Grab) - 1;
        assert_eq!(caller.lets(last, now), Ok(()), "nothing was heard yet");
        caller.heard(leader.word(), now);
        assert!(!leader.admits(u64::from(last)), "the callee would turn it away");
        assert!(matches!(caller.lets(last, now), Err(Failure::Busy { after_ms }) if after_ms >= 1000));
        assert!(caller.lets(of(Class::List), now).is_err());
        for level in [0, of(Class::Money), of(Class::Open) - 1] {
            assert_eq!(caller.lets(level, now), Ok(()), "money is never sent away: {level}");
        }
        assert_eq!(caller.shed(), 2);
        assert_eq!(caller.note(130), 130 | (1 << 16) | (1 << 48), "one open and one look");
        assert_eq!(caller.note(130), 130, "it is told once");
        assert_eq!(caller.lets(last, now + HEARD_FOR), Ok(()), "what was heard is forgotten");
        caller.heard(0, now);
        assert!(caller.lets(last, now).is_err(), "who says nothing changes nothing");
    }

    #[test]
    fn a_word_is_understood_as_it_was_meant() {
        let told = pressed().admission.lock().told();
        assert_eq!(Taken::of_word(told.word()), Some(told));
        let open = Admission::default().told();
        assert_eq!((open.limit, Taken::of_word(open.word())), (512, Some(open)));
        for none in [0, 1, 127, 513, u64::MAX] {
            assert_eq!(Taken::of_word(none), None, "{none}");
        }
    }
}
