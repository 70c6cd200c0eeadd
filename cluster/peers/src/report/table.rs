//! Which figures are shown, in which order, in which unit.
//!
//! Must never: leave out a figure that a goal speaks of.

use crate::plan::{Point, System};
use crate::record::{CPU, DUPLICATES, GAP, LOST, Phase, RATE, RESIDENT, RESTART, WRITTEN};

/// Where figures are, in the order of a run.
pub(super) const PLACES: [(Point, Phase); 20] = [
    (Point::One, Phase::Send),
    (Point::One, Phase::Drain),
    (Point::One, Phase::E2e),
    (Point::Few, Phase::Send),
    (Point::Few, Phase::Drain),
    (Point::Few, Phase::E2e),
    (Point::Many, Phase::Send),
    (Point::Many, Phase::Drain),
    (Point::Many, Phase::E2e),
    (Point::Batch, Phase::Send),
    (Point::Batch, Phase::Drain),
    (Point::Batch, Phase::E2e),
    (Point::Open, Phase::E2e),
    (Point::Backlog, Phase::Send),
    (Point::Backlog, Phase::Fill),
    (Point::Backlog, Phase::DeepSend),
    (Point::Backlog, Phase::Restart),
    (Point::Backlog, Phase::DeepDrain),
    (Point::Kill, Phase::Fault),
    (Point::Hang, Phase::Fault),
];

/// A figure as it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) figure: &'static str,
    pub(super) title: &'static str,
    /// Digits behind the point.
    digits: usize,
}

const fn shown(figure: &'static str, title: &'static str, digits: usize) -> Shown {
    Shown { figure, title, digits }
}

/// Figures, in the order in which a row has them.
pub(super) const FIGURES: [Shown; 15] = [
    shown(RATE, "messages/s", 0),
    shown("confirm_p50_ms", "confirm p50, ms", 2),
    shown("confirm_p99_ms", "confirm p99, ms", 2),
    shown("confirm_p999_ms", "confirm p99.9, ms", 2),
    shown("deliver_p50_ms", "deliver p50, ms", 2),
    shown("deliver_p99_ms", "deliver p99, ms", 2),
    shown("ack_p50_ms", "ack p50, ms", 2),
    shown("ack_p99_ms", "ack p99, ms", 2),
    shown(CPU, "server CPU, s per 1,000", 4),
    shown(WRITTEN, "bytes written per payload byte and replica", 2),
    shown(RESIDENT, "resident memory of the largest node, MiB", 0),
    shown(GAP, "longest time without a confirm, ms", 0),
    shown(RESTART, "restart to the first confirm, s", 2),
    shown(LOST, "confirmed and lost", 0),
    shown(DUPLICATES, "delivered twice", 0),
];

impl Shown {
    /// How a figure is shown, by its name.
    pub(super) fn of(figure: &str) -> Option<&'static Self> {
        FIGURES.iter().find(|shown| shown.figure == figure)
    }

    /// A value in its unit, thousands apart.
    pub(super) fn text(&self, value: f64) -> String {
        let plain = format!("{value:.*}", self.digits);
        let (whole, rest) = plain.split_once('.').map_or((plain.as_str(), None), |(whole, rest)| (whole, Some(rest)));
        let mut apart = String::new();
        for (place, digit) in whole.chars().enumerate() {
            if place > 0 && digit.is_ascii_digit() && (whole.len() - place) % 3 == 0 && !apart.ends_with('-') {
                apart.push(',');
            }
            apart.push(digit);
        }
        rest.map_or(apart.clone(), |rest| format!("{apart}.{rest}"))
    }
}

/// The peers in the order of a table.
pub(super) const PEERS: [System; 3] = [System::Rabbit, System::NatsAlways, System::NatsDefault];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::goals::GOALS;

    #[test]
    fn every_goal_is_shown() {
        for goal in GOALS {
            assert!(PLACES.contains(&(goal.point, goal.phase)), "{goal:?}");
            assert!(Shown::of(goal.figure).is_some(), "{goal:?}");
        }
    }

    #[test]
    fn values_are_written_with_their_digits_and_thousands_apart() {
        for (value, digits, expected) in [
            (0.0, 0, "0"),
            (999.4, 0, "999"),
            (1_234_567.0, 0, "1,234,567"),
            (1234.567, 2, "1,234.57"),
            (-123.0, 0, "-123"),
        ] {
            assert_eq!(shown("x", "x", digits).text(value), expected);
        }
    }
}
