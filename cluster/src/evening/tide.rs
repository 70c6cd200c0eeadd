//! The tide: how many actions a second the crowd wants, from the first packets to midnight and after.
//!
//! ```text
//!   rate                                ┌──────────┐ overload x base
//!                                       │ midnight │
//!   base      ┌─────────────────────────┘          └───────────── after
//!         rise  evening  trouble (faults strike)
//! ```
//!
//! Must never: depend on what is answered. A crowd does not wait for the server.

use std::time::Duration;

/// A part of the evening.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// From a fifth of the base to the base.
    Rise,
    /// At the base.
    Evening,
    /// At the base, while faults strike.
    Trouble,
    /// The peak.
    Midnight,
    /// At the base again.
    After,
}

/// The parts in their order, and where each ends. Units: hundredths of the evening.
pub(crate) const PARTS: [(Part, u32); 5] =
    [(Part::Rise, 10), (Part::Evening, 25), (Part::Trouble, 50), (Part::Midnight, 85), (Part::After, 100)];

impl Part {
    /// The word for it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Rise => "rise",
            Self::Evening => "evening",
            Self::Trouble => "trouble",
            Self::Midnight => "midnight",
            Self::After => "after",
        }
    }
}

/// How the evening goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tide {
    /// Actions a second before and after midnight.
    pub(crate) base: f64,
    /// How many times that at midnight.
    pub(crate) overload: f64,
    /// How long all of it takes.
    pub(crate) length: Duration,
}

impl Tide {
    /// The part that `at` falls into.
    pub(crate) fn part(&self, at: Duration) -> Part {
        let place = at.as_secs_f64() / self.length.as_secs_f64().max(f64::MIN_POSITIVE) * 100.0;
        PARTS.iter().find(|(_, end)| place < f64::from(*end)).map_or(Part::After, |(part, _)| *part)
    }

    /// Where `part` begins and ends.
    pub(crate) fn span(&self, part: Part) -> (Duration, Duration) {
        let mut begin = 0;
        for (each, end) in PARTS {
            if each == part {
                return (self.length * begin / 100, self.length * end / 100);
            }
            begin = end;
        }
        (self.length, self.length)
    }

    /// Actions a second at that moment.
    pub(crate) fn rate(&self, at: Duration) -> f64 {
        match self.part(at) {
            Part::Rise => {
                let (begin, end) = self.span(Part::Rise);
                let place = (at - begin).as_secs_f64() / (end - begin).as_secs_f64().max(f64::MIN_POSITIVE);
                self.base * (0.2 + 0.8 * place)
            }
            Part::Evening | Part::Trouble | Part::After => self.base,
            Part::Midnight => self.base * self.overload,
        }
    }
}

/// Turns a rate into whole actions: what is left of one is carried to the next tick.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    owed: f64,
}

impl Meter {
    /// Actions that a tick of `length` at `rate` brings.
    pub(crate) fn tick(&mut self, rate: f64, length: Duration) -> u32 {
        self.owed += rate * length.as_secs_f64();
        let whole = self.owed.floor().clamp(0.0, f64::from(u32::MAX));
        self.owed -= whole;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "floored, and held within a u32")]
        let whole = whole as u32;
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_rises_peaks_and_falls_back() {
        let tide = Tide { base: 100.0, overload: 10.0, length: Duration::from_secs(100) };
        let table = [(0, 20.0), (10, 100.0), (49, 100.0), (50, 1000.0), (84, 1000.0), (85, 100.0), (500, 100.0)];
        for (at, rate) in table {
            let found = tide.rate(Duration::from_secs(at));
            assert!((found - rate).abs() < 1e-9, "{found}, not {rate}, at {at} s");
        }
        assert_eq!(tide.span(Part::Midnight), (Duration::from_secs(50), Duration::from_secs(85)));
    }

    #[test]
    fn no_part_of_an_action_is_lost() {
        let mut meter = Meter::default();
        let sum: u32 = (0..1000).map(|_| meter.tick(333.3, Duration::from_millis(10))).sum();
        assert!((3332..=3333).contains(&sum), "{sum}");
    }
}
