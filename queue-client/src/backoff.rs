//! Pauses between tries: doubled each time up to a cap, and jittered, so that clients do not come back in step.
//!
//! Must never: draw its own random number; whoever pauses brings one, so that a pause can be tested.

use std::time::Duration;

/// A growing pause. Invariant: the pause after `n` tries lies between half of `first * 2^n`, capped, and all of it.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    first: Duration,
    cap: Duration,
    tries: u32,
}

impl Backoff {
    /// Starts with `first` and never exceeds `cap`.
    #[must_use]
    pub const fn new(first: Duration, cap: Duration) -> Self {
        Self { first, cap, tries: 0 }
    }

    /// The same pauses, as if `tries` of them had been made.
    #[must_use]
    pub const fn after(mut self, tries: u32) -> Self {
        self.tries = tries;
        self
    }

    /// The next pause. `random`: any 64 random bits.
    pub fn pause(&mut self, random: u64) -> Duration {
        let doubled = 1_u32.checked_shl(self.tries).and_then(|times| self.first.checked_mul(times));
        let full = micros(doubled.map_or(self.cap, |pause| pause.min(self.cap)));
        self.tries = self.tries.saturating_add(1);
        let half = full / 2;
        Duration::from_micros(half + random % (full - half + 1))
    }

    /// Starts anew, after a success.
    pub const fn reset(&mut self) {
        self.tries = 0;
    }
}

/// Held at half of the largest number, so that the arithmetic above cannot overflow.
fn micros(pause: Duration) -> u64 {
    u64::try_from(pause.as_micros()).map_or(u64::MAX / 2, |micros| micros.min(u64::MAX / 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn pause_doubles_up_to_the_cap_and_keeps_within_its_jitter() {
        let full = [10, 20, 40, 80, 100, 100, 100];
        for random in [0, 1, 12_345, u64::MAX / 3, u64::MAX] {
            let mut backoff = Backoff::new(ms(10), ms(100));
            for full in full {
                let pause = backoff.pause(random);
                assert!(ms(full) / 2 <= pause && pause <= ms(full), "{pause:?} of {full} ms");
            }
        }
    }

    #[test]
    fn both_ends_of_the_jitter_are_reached() {
        assert_eq!(Backoff::new(ms(10), ms(100)).pause(0), ms(5));
        assert_eq!(Backoff::new(ms(10), ms(100)).pause(5_000), ms(10));
    }

    #[test]
    fn reset_starts_anew() {
        let mut backoff = Backoff::new(ms(10), ms(100)).after(3);
        assert!(backoff.pause(0) >= ms(40));
        backoff.reset();
        assert!(backoff.pause(u64::MAX) <= ms(10));
    }

    #[test]
    fn extremes_do_not_overflow() {
        for (first, cap) in [(Duration::ZERO, Duration::ZERO), (Duration::MAX, Duration::MAX), (ms(1), Duration::MAX)] {
            for tries in [0, 31, 32, u32::MAX] {
                let pause = Backoff::new(first, cap).after(tries).pause(u64::MAX);
                assert!(pause <= cap);
            }
        }
    }
}
