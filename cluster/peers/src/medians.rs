//! Medians: what is compared. A repeat that met a bad minute of the disk moves no median of three.
//!
//! Must never: mix sizes, systems or points.

use std::collections::BTreeMap;

use crate::plan::{Point, System};
use crate::record::{Phase, Record};

/// What a median is of.
pub(crate) type Place = (Point, Phase, String, System);

/// Medians of all figures of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Medians(BTreeMap<Place, f64>);

impl Medians {
    /// The medians of these records.
    pub(crate) fn of(records: &[Record]) -> Self {
        let mut values: BTreeMap<Place, Vec<f64>> = BTreeMap::new();
        for record in records {
            for (name, value) in &record.figures {
                values.entry((record.point, record.phase, name.clone(), record.system)).or_default().push(*value);
            }
        }
        Self(values.into_iter().filter_map(|(place, values)| Some((place, median(values)?))).collect())
    }

    /// One median, if there is one.
    pub(crate) fn get(&self, system: System, point: Point, phase: Phase, figure: &str) -> Option<f64> {
        self.0.get(&(point, phase, figure.to_owned(), system)).copied()
    }

    /// The largest median of a figure over all points and phases.
    pub(crate) fn largest(&self, system: System, figure: &str, holds: impl Fn(Point) -> bool) -> Option<f64> {
        let of_it =
            self.0.iter().filter(|((point, _, name, whose), _)| *whose == system && name == figure && holds(*point));
        of_it.map(|(_, value)| *value).max_by(f64::total_cmp)
    }

    /// Whether anything was measured there.
    pub(crate) fn has(&self, point: Point, phase: Phase) -> bool {
        self.0.keys().any(|(at, what, _, _)| *at == point && *what == phase)
    }
}

/// The middle value; of an even number, the mean of the two in the middle.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    Some((values.get(middle.checked_sub(1)?)? + upper) / 2.0)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A record of one figure.
    pub(crate) fn record(system: System, place: (Point, Phase), figure: &str, value: f64) -> Record {
        let figures = BTreeMap::from([(figure.to_owned(), value)]);
        Record { system, point: place.0, phase: place.1, repeat: 1, figures, errors: 0, last_error: None }
    }

    #[test]
    fn the_median_is_the_value_in_the_middle() {
        for (values, expected) in [
            (vec![], None),
            (vec![4.0], Some(4.0)),
            (vec![9.0, 1.0, 5.0], Some(5.0)),
            (vec![8.0, 2.0, 4.0, 1.0], Some(3.0)),
        ] {
            assert_eq!(median(values.clone()), expected, "{values:?}");
        }
    }

    #[test]
    fn medians_are_kept_apart_by_system_point_and_phase() {
        let records = [
            record(System::Tercet, (Point::One, Phase::Send), "x", 1.0),
            record(System::Tercet, (Point::One, Phase::Send), "x", 3.0),
            record(System::Tercet, (Point::One, Phase::E2e), "x", 9.0),
            record(System::Rabbit, (Point::One, Phase::Send), "x", 7.0),
        ];
        let medians = Medians::of(&records);
        assert_eq!(medians.get(System::Tercet, Point::One, Phase::Send, "x"), Some(2.0));
        assert_eq!(medians.get(System::Rabbit, Point::One, Phase::Send, "x"), Some(7.0));
        assert_eq!(medians.get(System::Rabbit, Point::Few, Phase::Send, "x"), None);
        assert_eq!(medians.largest(System::Tercet, "x", |_| true), Some(9.0));
        assert!(medians.has(Point::One, Phase::E2e) && !medians.has(Point::One, Phase::Drain));
    }
}
