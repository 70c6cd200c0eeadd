//! Admission: which requests are taken when more is asked than can be done.
//!
//! ```text
//!  level = class | shuffled user          low passes first
//!  a window ends after 1 s or 2,000 requests:  mean wait > 20 ms ─> the limit falls to 95 % of what was admitted
//!                                              else              ─> it rises by 1 % of all levels
//! ```
//!
//! Why waiting time and not CPU: it is what overload feels like to a phone, and it is the same on every machine. Users
//! are reshuffled every hour, so that nobody is sent away for ever.
//!
//! Must never: see a credit or a refund; those do not pass here and are never shed.
//! Source: Zhou and others, "Overload control for scaling WeChat microservices", SoCC 2018 (DAGOR).

/// What a phone asks for; the earlier passes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Class {
    /// Paying, and asking what became of money.
    Money = 0,
    /// Opening a packet.
    Open = 1,
    /// Asking whether a share is left.
    Grab = 2,
    /// Lists and looks.
    List = 3,
}

const USER_LEVELS: u32 = 128;
const LEVELS: u32 = 4 * USER_LEVELS;
const WINDOW_REQUESTS: u32 = 2000;
const WINDOW_MS: u64 = 1000;
const WAIT_US_MAX: u64 = 20_000;
const FALL_PERCENT: u64 = 95;
const RISE_LEVELS: u32 = LEVELS / 100;
const SHUFFLE_MS: u64 = 3_600_000;

/// The level of a request: its class first, then the user's place in this hour's shuffle.
pub(crate) fn level(class: Class, user: u128, now_ms: u64) -> u32 {
    let hour = now_ms / SHUFFLE_MS;
    let halves = [u64::try_from(user >> 64).unwrap_or(0), u64::try_from(user & u128::from(u64::MAX)).unwrap_or(0)];
    let mixed = halves.iter().fold(mix(hour), |sum, half| mix(sum ^ half));
    let place = u32::try_from(mixed % u64::from(USER_LEVELS)).unwrap_or(0);
    class as u32 * USER_LEVELS + place
}

/// The finishing step of SplitMix64 (Steele, Lea, Flood 2014): every bit of `z` moves every bit of the result.
const fn mix(z: u64) -> u64 {
    let z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The controller of one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Admission {
    /// Levels below it pass.
    limit: u32,
    began_ms: u64,
    waited_us: u64,
    requests: u32,
    /// Requests of this window that were admitted, by level.
    admitted: Vec<u32>,
}

impl Default for Admission {
    fn default() -> Self {
        Self { limit: LEVELS, began_ms: 0, waited_us: 0, requests: 0, admitted: vec![0; LEVELS as usize] }
    }
}

impl Admission {
    /// Whether a request of `level` is taken.
    pub(crate) fn admits(&mut self, level: u32) -> bool {
        let is_admitted = level < self.limit;
        if is_admitted && let Some(count) = self.admitted.get_mut(level as usize) {
            *count = count.saturating_add(1);
        }
        is_admitted
    }

    /// An admitted request has waited this long for its turn. Units: microseconds; milliseconds of any steady clock.
    pub(crate) fn waited(&mut self, wait_us: u64, now_ms: u64) {
        self.waited_us = self.waited_us.saturating_add(wait_us);
        self.requests = self.requests.saturating_add(1);
        if self.requests >= WINDOW_REQUESTS || now_ms.saturating_sub(self.began_ms) >= WINDOW_MS {
            self.end_window(now_ms);
        }
    }

    /// The limit now, out of [`LEVELS`], as a part of a thousand: for metrics.
    pub(crate) const fn per_mille(&self) -> u32 {
        self.limit * 1000 / LEVELS
    }

    fn end_window(&mut self, now_ms: u64) {
        let mean = self.waited_us / u64::from(self.requests.max(1));
        self.limit = if mean > WAIT_US_MAX { self.lower() } else { (self.limit + RISE_LEVELS).min(LEVELS) };
        (self.began_ms, self.waited_us, self.requests) = (now_ms, 0, 0);
        self.admitted.fill(0);
    }

    /// The limit under which 95 of 100 requests of this window would have passed; money always passes.
    fn lower(&self) -> u32 {
        let admitted: u64 = self.admitted.iter().map(|count| u64::from(*count)).sum();
        let target = admitted * FALL_PERCENT / 100;
        let mut passed = 0;
        for (level, count) in (0_u32..).zip(&self.admitted) {
            passed += u64::from(*count);
            if passed > target {
                return level.max(USER_LEVELS);
            }
        }
        self.limit.max(USER_LEVELS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(admission: &mut Admission, wait_us: u64, now_ms: &mut u64) {
        for user in 0..200_u128 {
            for class in [Class::Money, Class::Open, Class::Grab, Class::List] {
                admission.admits(level(class, user, 0));
            }
        }
        *now_ms += WINDOW_MS;
        admission.waited(wait_us, *now_ms);
    }

    #[test]
    fn overload_sheds_lists_first_and_money_never() {
        let (mut admission, mut now) = (Admission::default(), 0);
        let lists =
            |admission: &mut Admission| (0..200).filter(|user| admission.admits(level(Class::List, *user, 0))).count();
        assert_eq!(lists(&mut admission), 200);
        for _ in 0..8 {
            window(&mut admission, WAIT_US_MAX + 1, &mut now);
        }
        assert!(lists(&mut admission) < 100, "lists are shed");
        assert!((0..200).all(|user| admission.admits(level(Class::Open, user, 0))), "opens are not shed yet");
        for _ in 0..500 {
            window(&mut admission, u64::MAX / 4096, &mut now);
        }
        assert!((0..200).all(|user| admission.admits(level(Class::Money, user, 0))), "money passes always");
    }

    #[test]
    fn what_was_shed_comes_back_when_waiting_is_short() {
        let (mut admission, mut now) = (Admission::default(), 0);
        for _ in 0..20 {
            window(&mut admission, WAIT_US_MAX + 1, &mut now);
        }
        assert!(admission.per_mille() < 1000);
        for _ in 0..200 {
            window(&mut admission, 100, &mut now);
        }
        assert_eq!(admission.per_mille(), 1000);
    }

    #[test]
    fn users_are_reshuffled_every_hour() {
        let moved =
            (0..100).filter(|user| level(Class::List, *user, 0) != level(Class::List, *user, SHUFFLE_MS)).count();
        assert!(moved > 90, "{moved}");
    }
}
