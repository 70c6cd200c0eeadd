//! Retry budgets: how often a callee that does not answer is asked again, by all callers of this node together.
//!
//! ```text
//!  a repeat takes a token      an answer gives some back, time gives a few      no token: the repeat waits
//! ```
//!
//! Why: a thousand requests that wait for a group would ask it fifty times a second each. What fails because it has too
//! much to do must not get more of it. Answers give back more than they took, so that all who wait are served within a
//! few round trips once the callee is there again.
//!
//! Must never: refuse a repeat; money is asked for until its deadline. It only waits its turn.

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::limits::{RETRIES_AT_ONCE_MAX, RETRIES_PER_ANSWER, RETRIES_PER_S};

#[derive(Clone, Copy, Debug)]
struct Tokens {
    /// Thousandths of a repeat.
    milli: u64,
    at: Instant,
}

/// The budget of one callee.
#[derive(Debug)]
pub(crate) struct Budget(Mutex<Tokens>);

impl Budget {
    /// A full one.
    pub(crate) fn new(now: Instant) -> Self {
        Self(Mutex::new(Tokens { milli: RETRIES_AT_ONCE_MAX * 1000, at: now }))
    }

    /// Whether a repeat may be made now.
    pub(crate) fn take(&self, now: Instant) -> bool {
        let mut tokens = self.0.lock();
        let ms = u64::try_from(now.saturating_duration_since(tokens.at).as_millis()).unwrap_or(u64::MAX);
        let filled = tokens.milli.saturating_add(ms.saturating_mul(RETRIES_PER_S)).min(RETRIES_AT_ONCE_MAX * 1000);
        let left = filled.checked_sub(1000);
        *tokens = Tokens { milli: left.unwrap_or(filled), at: now };
        left.is_some()
    }

    /// The callee has answered.
    pub(crate) fn answered(&self) {
        let mut tokens = self.0.lock();
        tokens.milli = tokens.milli.saturating_add(RETRIES_PER_ANSWER * 1000).min(RETRIES_AT_ONCE_MAX * 1000);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn taken(budget: &Budget, now: Instant) -> u64 {
        std::iter::repeat_with(|| budget.take(now)).take_while(|may| *may).map(|_| 1).sum()
    }

    #[test]
    fn a_silent_callee_is_asked_no_more_than_the_budget() {
        let start = Instant::now();
        let budget = Budget::new(start);
        assert_eq!(taken(&budget, start), RETRIES_AT_ONCE_MAX);
        let waiting = (1..=100).map(|step| taken(&budget, start + Duration::from_millis(10 * step)));
        assert_eq!(waiting.sum::<u64>(), RETRIES_PER_S, "in one second, whoever waits");
    }

    #[test]
    fn a_thousand_who_wait_are_served_within_a_few_rounds_of_answers() {
        let start = Instant::now();
        let budget = Budget::new(start);
        taken(&budget, start);
        let (mut waiting, mut rounds) = (1000, 0);
        let mut asked = 1;
        while waiting > 0 {
            // All that were asked are answered, and so many more may ask.
            (0..asked).for_each(|_| budget.answered());
            waiting -= asked.min(waiting);
            asked = taken(&budget, start).min(waiting.max(1));
            rounds += 1;
            assert!(rounds < 20, "{waiting} still wait");
        }
        assert!(rounds <= 11, "{rounds}");
    }
}
