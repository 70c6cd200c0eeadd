//! The calendar: in which year an instant lies, for the totals that phones show by year.
//!
//! Must never: ask an operating system for a time zone. The zone is a limit of the machine.

use machine::TimestampMs;

use crate::limits::YEAR_ZONE_MS;

const DAY_MS: u64 = 86_400_000;
/// Days of 400 Gregorian years, after which the calendar repeats.
const CYCLE_DAYS: u64 = 146_097;
/// Days from 1 March of the year 0 to 1 January 1970.
const EPOCH_DAYS: u64 = 719_468;
/// First day of January in a year that begins on 1 March.
const JANUARY: u64 = 306;

/// The year of `at` in the zone of the totals.
///
/// Source: Howard Hinnant, "chrono-compatible low-level date algorithms", `civil_from_days`.
#[must_use]
pub fn year_of(at: TimestampMs) -> u16 {
    let days = (at.plus(YEAR_ZONE_MS).0 / DAY_MS).saturating_add(EPOCH_DAYS);
    let (cycle, day) = (days / CYCLE_DAYS, days % CYCLE_DAYS);
    // Years begin on 1 March, so that the leap day is the last: drop the leap days before `day`.
    let leaps = (day / 1_460).saturating_add(day / 146_096).saturating_sub(day / 36_524);
    let year = day.saturating_sub(leaps) / 365;
    let before = year.saturating_mul(365).saturating_add(year / 4).saturating_sub(year / 100);
    let day_of_year = day.saturating_sub(before);
    let year = cycle.saturating_mul(400).saturating_add(year).saturating_add(u64::from(day_of_year >= JANUARY));
    u16::try_from(year).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_year_begins_at_midnight_in_beijing() {
        let table = [
            (0, 1970),
            (946_655_999_999, 1999),
            (946_656_000_000, 2000),
            (951_753_600_000, 2000),
            (1_767_196_799_999, 2025),
            (1_767_196_800_000, 2026),
            (4_102_415_999_999, 2099),
            (4_102_416_000_000, 2100),
        ];
        for (ms, year) in table {
            assert_eq!(year_of(TimestampMs(ms)), year, "{ms} ms");
        }
    }

    #[test]
    fn every_instant_has_a_year() {
        assert_eq!(year_of(TimestampMs(u64::MAX)), u16::MAX);
    }
}
