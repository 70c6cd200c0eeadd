//! Admission: which requests are taken when more is asked than can be done.
//!
//! ```text
//!  level = class | shuffled user          low passes first: levels below the limit are taken
//!  a window ends after 1 s or 2,000 requests
//!    mean wait > 20 ms ─> the limit falls until 95 % of what was taken would have passed
//!    else              ─> it rises until 1 % more of what was asked would have passed
//! ```
//!
//! Why waiting time and not CPU: it is what overload feels like to a phone, and it is the same on every machine. Why by
//! counts of requests and not by levels: at ten times the capacity a step of a few levels would be half of it. Users
//! are reshuffled every hour, so that nobody is sent away for ever.
//!
//! Must never: see a credit or a refund; those do not pass here and are never shed.
//! Source: Zhou and others, "Overload control for scaling WeChat microservices", SoCC 2018 (DAGOR).

#[cfg(test)]
mod tests;

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

/// Classes.
pub(crate) const CLASSES: usize = 4;

const USER_LEVELS: u32 = 128;
const LEVELS: u32 = (Class::List as u32 + 1) * USER_LEVELS;
const WINDOW_REQUESTS: u32 = 2000;
const WINDOW_MS: u64 = 1000;
const WAIT_US_MAX: u64 = 20_000;
const FALL_PERCENT: u64 = 95;
const RISE_PERCENT: u64 = 1;
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
    /// Requests of this window that have waited.
    requests: u32,
    /// Requests of this window, by level, taken or not.
    asked: Vec<u32>,
    /// Those that were taken.
    taken: u64,
    /// Requests sent away since the start, by class.
    shed: [u64; CLASSES],
}

impl Default for Admission {
    fn default() -> Self {
        let asked = vec![0; LEVELS as usize];
        Self { limit: LEVELS, began_ms: 0, waited_us: 0, requests: 0, asked, taken: 0, shed: [0; CLASSES] }
    }
}

impl Admission {
    /// Whether a request of `level` is taken. Units: milliseconds of any steady clock.
    pub(crate) fn admits(&mut self, level: u32, now_ms: u64) -> bool {
        // Here, too: where nothing is taken nothing waits, and the limit would never rise again.
        if now_ms.saturating_sub(self.began_ms) >= WINDOW_MS {
            self.end_window(now_ms);
        }
        if let Some(count) = self.asked.get_mut(level as usize) {
            *count = count.saturating_add(1);
        }
        let is_taken = level < self.limit;
        if is_taken {
            self.taken = self.taken.saturating_add(1);
        } else if let Some(count) = self.shed.get_mut((level / USER_LEVELS) as usize) {
            *count = count.saturating_add(1);
        }
        is_taken
    }

    /// A request that was taken has waited this long for its turn. Units: microseconds; milliseconds of any steady clock.
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

    /// Requests sent away since the start, by class.
    pub(crate) const fn shed(&self) -> [u64; CLASSES] {
        self.shed
    }

    fn end_window(&mut self, now_ms: u64) {
        let mean = self.waited_us / u64::from(self.requests.max(1));
        self.limit = if mean > WAIT_US_MAX {
            // Money always passes.
            self.limit_for(self.taken * FALL_PERCENT / 100).max(USER_LEVELS)
        } else {
            let asked: u64 = self.asked.iter().map(|count| u64::from(*count)).sum();
            // One level at least: it may hold more than a part of a hundred.
            self.limit_for(self.taken + asked * RISE_PERCENT / 100).max(self.limit + 1).min(LEVELS)
        };
        (self.began_ms, self.waited_us, self.requests, self.taken) = (now_ms, 0, 0, 0);
        self.asked.fill(0);
    }

    /// The highest limit under which no more than `most` requests of this window would have passed.
    fn limit_for(&self, most: u64) -> u32 {
        let mut passed = 0;
        for (level, count) in (0_u32..).zip(&self.asked) {
            passed += u64::from(*count);
            if passed > most {
                return level;
            }
        }
        LEVELS
    }
}
