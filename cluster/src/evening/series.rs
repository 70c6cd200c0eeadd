//! The series: second by second, what the crowd asked, what was answered, and what waited.
//!
//! Must never: count an answer for more than one second, or leave a call out.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::books::Cores;
use super::tide::{Part, Tide};
use crate::draw::Action;

/// The kinds of actions, in the order of the class they are admitted by.
pub(crate) const KINDS: [Action; 4] = [Action::Send, Action::Open, Action::Grab, Action::View];

/// The word for a kind.
pub(crate) const fn kind_name(kind: Action) -> &'static str {
    match kind {
        Action::Send => "send",
        Action::Open => "open",
        Action::Grab => "grab",
        Action::View => "lists",
    }
}

/// How an action ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It was answered: done, or a "no" for good.
    Answered,
    /// It was sent away.
    Shed,
    /// The phone had been told to come back later, or waited for another answer, and did not ask.
    Held,
    /// It found no answer.
    Failed,
}

/// One kind of action in one second.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cell {
    /// What the crowd wanted.
    pub(crate) wanted: u64,
    /// What was answered.
    pub(crate) answered: u64,
    /// What was sent away.
    pub(crate) shed: u64,
    /// What phones did not ask because they had been told to come back later.
    pub(crate) held: u64,
    /// What found no answer.
    pub(crate) failed: u64,
    /// How long the answers took, from the moment they were wanted. Microseconds.
    latencies_us: Vec<u32>,
}

/// One second.
#[derive(Clone, Debug, Default)]
pub(crate) struct Second {
    /// By kind, in the order of [`KINDS`].
    pub(crate) cells: [Cell; 4],
    /// What was looked at.
    pub(crate) look: Look,
    /// How late the generator was at most. Microseconds.
    pub(crate) late_us: u64,
}

/// A look at the cluster.
#[derive(Clone, Debug, Default)]
pub(crate) struct Look {
    /// Credits in the queue.
    pub(crate) queued: u64,
    /// Age of the oldest of them. Milliseconds.
    pub(crate) oldest_ms: u64,
    /// Who used the processors since the last look.
    pub(crate) cores: Cores,
    /// Requests that the app sent away since then, by its own count: money, open, grab, list.
    pub(crate) shed: [u64; 4],
    /// Levels that the most pressed node lets pass, of a thousand.
    pub(crate) admitted: u64,
    /// Streams of news that are open.
    pub(crate) streams: u64,
}

/// All seconds.
#[derive(Debug)]
pub(crate) struct Series {
    started: Instant,
    seconds: Mutex<Vec<Second>>,
}

impl Series {
    /// A series that starts now.
    pub(crate) fn start() -> Self {
        Self { started: Instant::now(), seconds: Mutex::default() }
    }

    /// Time since the start.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    fn seconds(&self) -> MutexGuard<'_, Vec<Second>> {
        self.seconds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn at<T>(&self, moment: Duration, change: impl FnOnce(&mut Second) -> T) -> T {
        let number = usize::try_from(moment.as_secs()).unwrap_or(usize::MAX);
        let mut seconds = self.seconds();
        if seconds.len() <= number {
            seconds.resize(number + 1, Second::default());
        }
        change(&mut seconds[number])
    }

    /// The crowd wants something, at this time since the start.
    pub(crate) fn wanted(&self, kind: Action, moment: Duration) {
        self.at(moment, |second| second.cells[place(kind)].wanted += 1);
    }

    /// What was wanted at `moment` has ended now.
    pub(crate) fn ended(&self, kind: Action, moment: Duration, end: End) {
        let now = self.elapsed();
        self.at(now, |second| {
            let cell = &mut second.cells[place(kind)];
            match end {
                End::Answered => {
                    cell.answered += 1;
                    let us = now.saturating_sub(moment).as_micros();
                    cell.latencies_us.push(u32::try_from(us).unwrap_or(u32::MAX));
                }
                End::Shed => cell.shed += 1,
                End::Held => cell.held += 1,
                End::Failed => cell.failed += 1,
            }
        });
    }

    /// How the cluster stands now.
    pub(crate) fn looked(&self, look: Look) {
        self.at(self.elapsed(), |second| second.look = look);
    }

    /// The generator came to `moment` so much too late.
    pub(crate) fn late(&self, moment: Duration, late: Duration) {
        let us = u64::try_from(late.as_micros()).unwrap_or(u64::MAX);
        self.at(moment, |second| second.late_us = second.late_us.max(us));
    }

    /// All seconds so far.
    pub(crate) fn all(&self) -> Vec<Second> {
        self.seconds().clone()
    }

    /// Answers of all kinds, and of opens alone, from one moment to another.
    pub(crate) fn answered(&self, from: Duration, to: Duration) -> (u64, u64) {
        let seconds = self.seconds();
        let within = seconds.iter().zip(0_u64..).filter(|(_, number)| (from.as_secs()..to.as_secs()).contains(number));
        within.fold((0, 0), |(all, opens), (second, _)| {
            let sum: u64 = second.cells.iter().map(|cell| cell.answered).sum();
            (all + sum, opens + second.cells[place(Action::Open)].answered)
        })
    }
}

/// A kind over a part of the evening.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Sum {
    /// Seconds.
    pub(crate) secs: f64,
    /// What the crowd wanted.
    pub(crate) wanted: u64,
    /// What was answered.
    pub(crate) answered: u64,
    /// What was sent away.
    pub(crate) shed: u64,
    /// What phones did not ask because they had been told to come back later.
    pub(crate) held: u64,
    /// What found no answer.
    pub(crate) failed: u64,
    /// Half of the answers were faster. Microseconds.
    pub(crate) p50_us: u32,
    /// 99 of 100 were.
    pub(crate) p99_us: u32,
}

impl Sum {
    /// Answers a second.
    pub(crate) fn goodput(&self) -> f64 {
        if self.secs > 0.0 { self.answered as f64 / self.secs } else { 0.0 }
    }
}

/// Sums up one kind over whole seconds of a part.
pub(crate) fn sum(seconds: &[Second], tide: &Tide, part: Part, kind: Action) -> Sum {
    sum_of(seconds, tide.span(part), &[kind])
}

/// Sums up these kinds over whole seconds.
pub(crate) fn sum_of(seconds: &[Second], (begin, end): (Duration, Duration), kinds: &[Action]) -> Sum {
    let (from, to) = (begin.as_secs(), end.as_secs());
    let mut sum = Sum { secs: (to - from) as f64, ..Sum::default() };
    let mut latencies = Vec::new();
    for (second, number) in seconds.iter().zip(0_u64..) {
        if !(from..to).contains(&number) {
            continue;
        }
        for kind in kinds {
            let cell = &second.cells[place(*kind)];
            sum.wanted += cell.wanted;
            sum.answered += cell.answered;
            sum.shed += cell.shed;
            sum.held += cell.held;
            sum.failed += cell.failed;
            latencies.extend(&cell.latencies_us);
        }
    }
    latencies.sort_unstable();
    (sum.p50_us, sum.p99_us) = (quantile(&latencies, 50), quantile(&latencies, 99));
    sum
}

/// The time within which so many of a hundred ended; 0 if none did.
pub(crate) fn quantile(sorted: &[u32], of_hundred: usize) -> u32 {
    let place = (sorted.len() * of_hundred).div_ceil(100).max(1) - 1;
    sorted.get(place).copied().unwrap_or(0)
}

impl Cell {
    /// 99 of 100 answers were faster. Microseconds.
    pub(crate) fn p99_us(&self) -> u32 {
        let mut sorted = self.latencies_us.clone();
        sorted.sort_unstable();
        quantile(&sorted, 99)
    }
}

/// Where a kind stands among [`KINDS`].
pub(crate) const fn place(kind: Action) -> usize {
    match kind {
        Action::Send => 0,
        Action::Open => 1,
        Action::Grab => 2,
        Action::View => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_a_time_that_was_measured() {
        let times: Vec<u32> = (1..=200).collect();
        for (of_hundred, expected) in [(50, 100), (99, 198), (100, 200), (0, 1)] {
            assert_eq!(quantile(&times, of_hundred), expected);
        }
        assert_eq!(quantile(&[], 99), 0);
        assert_eq!(quantile(&[7], 50), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_wanted_and_what_ends_are_counted_in_their_own_seconds() {
        let series = Series::start();
        let tide = Tide { base: 1.0, overload: 2.0, length: Duration::from_secs(20) };
        series.wanted(Action::Open, Duration::from_millis(3_500));
        series.wanted(Action::Open, Duration::from_millis(3_900));
        tokio::time::advance(Duration::from_millis(4_500)).await;
        series.ended(Action::Open, Duration::from_millis(3_500), End::Answered);
        series.ended(Action::Open, Duration::from_millis(3_900), End::Shed);
        series.looked(Look { queued: 5, oldest_ms: 70, ..Look::default() });
        series.late(Duration::from_millis(4_100), Duration::from_micros(9));
        series.late(Duration::from_millis(4_900), Duration::from_micros(3));
        let seconds = series.all();
        assert_eq!((seconds[3].cells[1].wanted, seconds[4].cells[1].answered, seconds[4].cells[1].shed), (2, 1, 1));
        assert_eq!((seconds[4].look.queued, seconds[4].look.oldest_ms, seconds[4].late_us), (5, 70, 9));
        let evening = sum(&seconds, &tide, Part::Evening, Action::Open);
        assert_eq!((evening.wanted, evening.answered, evening.shed, evening.p99_us), (2, 1, 1, 1_000_000));
        assert_eq!(series.answered(Duration::from_secs(4), Duration::from_secs(5)), (1, 1));
        assert_eq!(sum(&seconds, &tide, Part::Midnight, Action::Open).wanted, 0);
    }
}
