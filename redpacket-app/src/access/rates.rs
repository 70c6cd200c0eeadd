//! Rates: how often one user, or one address, may ask; and how often somebody may guess a password.
//!
//! ```text
//!  bucket: full at first, a token leaves with each request, `per_s` come back each second, at most `burst` are held
//! ```
//!
//! Why beside the admission: that one protects the node from everybody together, this one everybody from one.
//!
//! Must never: grow without bound. What it forgets is who has asked little, at worst somebody's last seconds.

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::failure::Failure;
use crate::limits::{GUESSES_MAX, LOCKOUT, RATE_KEYS_MAX};

#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// Thousandths of a token.
    milli: u64,
    at: Instant,
}

/// Buckets of one kind of asker.
#[derive(Debug)]
pub(crate) struct Rates<K> {
    /// Tokens that come back in a second; 0: nobody is limited.
    per_s: u64,
    /// Tokens that a bucket holds.
    burst: u64,
    buckets: Mutex<BTreeMap<K, Bucket>>,
}

impl<K: Ord> Rates<K> {
    /// So many requests a second each, and `burst` seconds of them at once.
    pub(crate) fn new(per_s: u32, burst: Duration) -> Self {
        let per_s = u64::from(per_s);
        Self { per_s, burst: (per_s * burst.as_secs()).max(1), buckets: Mutex::default() }
    }

    /// Takes a token of `who`. Errors: `Busy`, none is left.
    pub(crate) fn take(&self, who: K, now: Instant) -> Result<(), Failure> {
        if self.per_s == 0 {
            return Ok(());
        }
        let full = self.burst * 1000;
        let mut buckets = self.buckets.lock();
        if buckets.len() >= RATE_KEYS_MAX {
            buckets.retain(|_, bucket| self.filled(bucket, now) < full);
            if buckets.len() >= RATE_KEYS_MAX {
                buckets.clear();
            }
        }
        let bucket = buckets.entry(who).or_insert(Bucket { milli: full, at: now });
        *bucket = Bucket { milli: self.filled(bucket, now), at: now };
        match bucket.milli.checked_sub(1000) {
            Some(left) => {
                bucket.milli = left;
                Ok(())
            }
            None => Err(Failure::Busy { after_ms: (1000 - bucket.milli).div_ceil(self.per_s) }),
        }
    }

    fn filled(&self, bucket: &Bucket, now: Instant) -> u64 {
        let ms = u64::try_from(now.saturating_duration_since(bucket.at).as_millis()).unwrap_or(u64::MAX);
        ms.saturating_mul(self.per_s).saturating_add(bucket.milli).min(self.burst * 1000)
    }
}

#[derive(Clone, Copy, Debug)]
struct Guesses {
    wrong: u32,
    last: Instant,
}

/// Who has guessed wrong, and how often.
#[derive(Debug)]
pub(crate) struct Lockouts<K>(Mutex<BTreeMap<K, Guesses>>);

impl<K> Default for Lockouts<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Ord> Lockouts<K> {
    /// Whether `who` has guessed wrong too often, too recently.
    pub(crate) fn is_locked(&self, who: &K, now: Instant) -> bool {
        let known = self.0.lock().get(who).copied();
        known.is_some_and(|known| known.wrong >= GUESSES_MAX && now.saturating_duration_since(known.last) < LOCKOUT)
    }

    /// `who` has guessed wrong.
    pub(crate) fn wrong(&self, who: K, now: Instant) {
        let mut all = self.0.lock();
        let is_past = |known: &Guesses| now.saturating_duration_since(known.last) >= LOCKOUT;
        if all.len() >= RATE_KEYS_MAX {
            all.retain(|_, known| !is_past(known));
        }
        let known = all.entry(who).or_insert(Guesses { wrong: 0, last: now });
        let before = if is_past(known) { 0 } else { known.wrong };
        *known = Guesses { wrong: before.saturating_add(1), last: now };
        // Whoever fills this table has many names; nobody's guesses are worth more memory.
        if all.len() > RATE_KEYS_MAX {
            all.clear();
        }
    }

    /// `who` has guessed right.
    pub(crate) fn right(&self, who: &K) {
        self.0.lock().remove(who);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_burst_then_its_rate_and_each_asker_has_one() {
        let (rates, start) = (Rates::new(10, Duration::from_secs(2)), Instant::now());
        let ms = |ms| start + Duration::from_millis(ms);
        assert!((0..20).all(|_| rates.take(1, ms(0)).is_ok()), "the burst");
        assert_eq!(rates.take(1, ms(0)), Err(Failure::Busy { after_ms: 100 }));
        assert_eq!(rates.take(2, ms(0)), Ok(()), "another asker");
        assert_eq!(rates.take(1, ms(50)), Err(Failure::Busy { after_ms: 50 }));
        assert_eq!(rates.take(1, ms(100)), Ok(()), "one comes back");
        assert!(rates.take(1, ms(100)).is_err());
        assert_eq!((0..100).filter(|_| rates.take(1, ms(600_000)).is_ok()).count(), 20, "no more than the burst");
        let open = Rates::new(0, Duration::from_secs(2));
        assert!((0..100).all(|_| open.take(1, start).is_ok()), "no limit");
    }

    #[test]
    fn many_askers_take_bounded_memory() {
        let (rates, start) = (Rates::new(1, Duration::from_secs(1)), Instant::now());
        let locked = Lockouts::default();
        for who in 0..2 * RATE_KEYS_MAX {
            assert_eq!(rates.take(who, start), Ok(()));
            locked.wrong(who, start);
        }
        assert!(rates.buckets.lock().len() <= RATE_KEYS_MAX && locked.0.lock().len() <= RATE_KEYS_MAX);
    }

    #[test]
    fn wrong_guesses_lock_for_a_while_and_a_right_one_forgives() {
        let (locked, start) = (Lockouts::default(), Instant::now());
        for _ in 1..GUESSES_MAX {
            locked.wrong(1, start);
        }
        assert!(!locked.is_locked(&1, start));
        locked.wrong(1, start);
        assert!(locked.is_locked(&1, start) && !locked.is_locked(&2, start));
        assert!(!locked.is_locked(&1, start + LOCKOUT), "it ends");
        locked.wrong(1, start + LOCKOUT);
        assert!(!locked.is_locked(&1, start + LOCKOUT), "and is counted anew");
        for _ in 0..GUESSES_MAX {
            locked.wrong(3, start);
        }
        locked.right(&3);
        assert!(!locked.is_locked(&3, start));
    }
}
