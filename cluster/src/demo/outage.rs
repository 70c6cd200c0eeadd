//! Outages: how long no operation succeeded, seen from outside.
//!
//! Must never: call the time outside the window an outage; a slow start or a stopped probe is none.

use std::time::Duration;

/// The longest time between two successes that reaches into the window from `begin` to `end`. `successes` are times
/// since one start, in order. A success that never came counts as one at `end`.
pub(crate) fn longest(successes: &[Duration], begin: Duration, end: Duration) -> Duration {
    let before = successes.partition_point(|success| *success <= begin);
    let from = before.checked_sub(1).map_or(begin, |last| successes[last]);
    let within = successes[before..].iter().copied().take_while(|success| *success < end);
    // The gap that the window's end falls into ends with the first success after it, if one came.
    let after = successes.iter().copied().find(|success| *success >= end).unwrap_or(end);
    let mut last = from;
    let mut longest = Duration::ZERO;
    for success in within.chain(std::iter::once(after)) {
        longest = longest.max(success.saturating_sub(last));
        last = success;
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_gap_that_reaches_into_the_window_counts() {
        let table: [(&[u64], u64, u64, u64); 7] = [
            // successes, begin, end, longest
            (&[10, 20, 30, 40, 50], 25, 45, 10),
            (&[10, 20, 400, 410], 25, 405, 380),
            // A gap before the window does not count, the part before its begin does.
            (&[0, 300, 310, 320, 330], 305, 325, 10),
            (&[10, 20, 500], 100, 450, 480),
            // Nothing came any more.
            (&[10, 20], 20, 600, 580),
            (&[], 20, 600, 580),
            // The gap goes on behind the window.
            (&[10, 20, 900], 30, 600, 880),
        ];
        let ms = Duration::from_millis;
        for (successes, begin, end, expected) in table {
            let times: Vec<Duration> = successes.iter().copied().map(ms).collect();
            assert_eq!(longest(&times, ms(begin), ms(end)), ms(expected), "{successes:?} from {begin} to {end}");
        }
    }
}
