//! Retry: when a push that failed is made again, and when it is given up.
//!
//! Source: CMQ documentation 406/4552.
//!
//! Must never: draw the random number itself. Whoever pushes brings it; the machine only counts.

use machine::{DecodeError, Layout, Reader, Writer};

use crate::limits::{BACKOFF_MS, BACKOFF_RETRIES, DECAY_MS_MAX, DECAY_RETRIES};

/// How pushes that fail are repeated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RetryStrategy {
    /// Three times, after 10 to 20 s.
    Backoff,
    /// 176 times in about a day, after 1, 2, 4 ... 512, 512 ... s.
    #[default]
    ExponentialDecay,
}

impl RetryStrategy {
    /// Retries until a message is given up.
    #[must_use]
    pub const fn retries(self) -> u32 {
        match self {
            Self::Backoff => BACKOFF_RETRIES,
            Self::ExponentialDecay => DECAY_RETRIES,
        }
    }

    /// Attempts until a message is given up: the first, and the retries.
    pub(crate) const fn attempts(self) -> u32 {
        self.retries().saturating_add(1)
    }
}

/// How long a message waits that has now failed `times_failed` times. `None`: it is given up. Units: milliseconds.
#[must_use]
pub fn next_retry(strategy: RetryStrategy, times_failed: u32, random: u64) -> Option<u64> {
    let steps = times_failed.checked_sub(1)?;
    if steps >= strategy.retries() {
        return None;
    }
    Some(match strategy {
        RetryStrategy::Backoff => {
            let (least, most) = BACKOFF_MS;
            let choices = most.saturating_sub(least).saturating_add(1);
            least.saturating_add(random.checked_rem(choices).unwrap_or(0))
        }
        RetryStrategy::ExponentialDecay => 2_u64.saturating_pow(steps).saturating_mul(1_000).min(DECAY_MS_MAX),
    })
}

impl Layout for RetryStrategy {
    fn encode(&self, out: &mut Writer) {
        out.u8(match self {
            Self::Backoff => 1,
            Self::ExponentialDecay => 2,
        });
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        match input.u8()? {
            1 => Ok(Self::Backoff),
            2 => Ok(Self::ExponentialDecay),
            tag => Err(DecodeError::Unknown { what: "retry strategy", tag }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{RetryStrategy, next_retry};

    #[test]
    fn retries_wait_as_their_strategy_says_until_they_are_given_up() {
        use RetryStrategy::{Backoff, ExponentialDecay};
        let table = [
            (Backoff, 0, 0, None),
            (Backoff, 1, 0, Some(10_000)),
            (Backoff, 2, 10_000, Some(20_000)),
            (Backoff, 3, 10_001, Some(10_000)),
            (Backoff, 4, 0, None),
            (ExponentialDecay, 1, 7, Some(1_000)),
            (ExponentialDecay, 2, 7, Some(2_000)),
            (ExponentialDecay, 10, 7, Some(512_000)),
            (ExponentialDecay, 11, 7, Some(512_000)),
            (ExponentialDecay, 176, 7, Some(512_000)),
            (ExponentialDecay, 177, 7, None),
            (ExponentialDecay, u32::MAX, 7, None),
        ];
        for (strategy, failed, random, expected) in table {
            assert_eq!(next_retry(strategy, failed, random), expected, "{strategy:?} {failed}");
        }
    }

    #[test]
    fn the_retries_of_a_day_end_within_a_day() {
        let all: u64 = (1..).map_while(|failed| next_retry(RetryStrategy::ExponentialDecay, failed, 0)).sum();
        assert!((82_800_000..86_400_000).contains(&all), "{all} ms");
    }
}
