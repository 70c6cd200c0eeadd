//! Admission: which requests are taken when more is asked than can be done.
//!
//! ```text
//!  level = class | shuffled user          low passes first: levels below the limit are taken
//!  a window ends after 1 s or 2,000 requests
//!    mean wait > 20 ms ─> the limit falls until 95 % of what got its turn would have passed, or half of what was taken;
//!                         not where fewer than 50 asked: those wait for something else, and are no crowd
//!    else              ─> it rises by 1 % of what was taken, by twice that after each calm window; at once to where 80 % of
//!                         what got its turn in the last overload would pass: when the crowd has gone, all do
//!
//!  who is sent away comes back after 1 s x (what his class asked / what of it was taken), 15 s at most, users apart
//! ```
//!
//! Why waiting time and not CPU: it is what overload feels like to a phone, and it is the same on every machine. Why by
//! counts of requests and not by levels: at ten times the capacity a step of a few levels would be half of it. Users
//! are reshuffled every hour, so that nobody is sent away for ever.
//!
//! Why it falls to what got its turn: that is what the node can do. A twentieth a window takes most of a minute from ten
//! times the capacity to one, and midnight is over by then. No more than half, because a node that stalls for a moment gives
//! nobody a turn, and is not overloaded.
//!
//! Why a pause that grows: a refusal costs a good part of what an answer costs. At ten times the capacity phones that all
//! come back after a second leave no time for those that are taken.
//!
//! A callee has one, too: a group's leader tells its limit with every reply, and who calls it (`access/callee.rs`) sends
//! away what it would. What callers have sent away they tell with the next call, so the callee knows what is asked for.
//!
//! Must never: see a credit or a refund; those do not pass here and are never shed.
//! Source: Zhou and others, "Overload control for scaling WeChat microservices", SoCC 2018 (DAGOR).

#[cfg(test)]
mod callers;
#[cfg(test)]
mod pressed;
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
/// Requests of a window that are a crowd. Fewer wait for something else, an election say, and sending them away helps nobody.
const CROWD_MIN: u32 = 50;
/// What is kept of what got its turn, and at the least of what was taken.
const FALL_PERCENT: u64 = 95;
const FALL_PERCENT_MIN: u64 = 50;
/// What is taken in addition after the first calm window, and at the most.
const RISE_PERCENT: u64 = 1;
const RISE_PERCENT_MAX: u64 = 4;
/// This part of what a node is able to do is taken again as soon as nothing waits.
const SURE_PERCENT: u64 = 80;
const SHUFFLE_MS: u64 = 3_600_000;
/// When somebody who was sent away should come back, at the least.
const COME_BACK_MS: u64 = 1000;
/// And at the most, by class: who wants to open is not kept away for long, or the node idles when the crowd has gone.
const COME_BACK_MS_MAX: [u64; CLASSES] = [1000, 2000, 15_000, 15_000];
/// What is left of a class's pressure after a window without any.
const PRESSURE_KEPT_PERCENT: u64 = 80;
/// The pressure of a class that is taken whole.
const NO_PRESSURE: u64 = 1000;
/// Beyond this a class is pressed no harder: every pause is the longest.
const PRESSURE_MAX: u64 = 15_000;

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

/// What a callee takes at present, as it tells its callers.
///
/// Shape: u64 = limit u16, from the lowest bits; then a u8 for each class: tenths of a second until who is sent away shall
/// come back. 0: nothing is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    /// Levels below it pass.
    pub(crate) limit: u32,
    pauses: [u8; CLASSES],
}

impl Taken {
    pub(crate) fn word(self) -> u64 {
        let pauses = self.pauses.iter().rev().fold(0, |word, pause| (word << 8) | u64::from(*pause));
        (pauses << 16) | u64::from(self.limit)
    }

    /// `None`: the callee says nothing.
    pub(crate) fn of_word(word: u64) -> Option<Self> {
        let [low, high, pauses @ .., _, _] = word.to_le_bytes();
        let limit = u32::from(u16::from_le_bytes([low, high]));
        // Money always passes; what says otherwise is no callee's word.
        (USER_LEVELS..=LEVELS).contains(&limit).then_some(Self { limit, pauses })
    }

    /// When somebody who was sent away with a request of `level` should come back. Units: milliseconds.
    pub(crate) fn come_back_ms(self, level: u32) -> u64 {
        let pause =
            self.pauses.get((level / USER_LEVELS) as usize).map_or(COME_BACK_MS, |tenths| 100 * u64::from(*tenths));
        apart(pause, level)
    }
}

/// A pause, up to half as long again, so that not all come back at once.
fn apart(pause: u64, level: u32) -> u64 {
    pause + pause * u64::from(level % USER_LEVELS) / u64::from(2 * USER_LEVELS)
}

/// The class of a level.
pub(crate) const fn class_of(level: u32) -> usize {
    (level / USER_LEVELS) as usize
}

/// The controller of one node, or of one callee.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Admission {
    /// Levels below it pass.
    limit: u32,
    began_ms: u64,
    waited_us: u64,
    /// Requests that got their turn in this window.
    requests: u32,
    /// Requests of this window, by level, taken or not.
    asked: Vec<u32>,
    /// Those that were taken, by class.
    taken: [u64; CLASSES],
    /// What got its turn in a second: in the last overload, or after it without one.
    able_per_s: u64,
    /// What is taken in addition after the next calm window. Units: hundredths.
    rise: u64,
    /// How often what was taken was asked for, by class. Units: thousandths.
    pressure: [u64; CLASSES],
    /// Requests sent away since the start, by class.
    shed: [u64; CLASSES],
    /// Where the next request that callers have sent away is put: they say of which class it was, not of which level.
    spread: u32,
}

impl Default for Admission {
    fn default() -> Self {
        let asked = vec![0; LEVELS as usize];
        Self {
            limit: LEVELS,
            began_ms: 0,
            waited_us: 0,
            requests: 0,
            asked,
            taken: [0; CLASSES],
            able_per_s: 0,
            rise: RISE_PERCENT,
            pressure: [NO_PRESSURE; CLASSES],
            shed: [0; CLASSES],
            spread: 0,
        }
    }
}

impl Admission {
    /// Whether a request of `level` is taken. Units: milliseconds of any steady clock.
    pub(crate) fn admits(&mut self, level: u32, now_ms: u64) -> bool {
        // Here, too: where nothing is taken nothing waits, and the limit would never rise again.
        self.turn(now_ms);
        if let Some(count) = self.asked.get_mut(level as usize) {
            *count = count.saturating_add(1);
        }
        let is_taken = level < self.limit;
        let counts = if is_taken { &mut self.taken } else { &mut self.shed };
        if let Some(count) = counts.get_mut(class_of(level)) {
            *count = count.saturating_add(1);
        }
        is_taken
    }

    /// When somebody who was sent away with a request of `level` should come back. Units: milliseconds.
    pub(crate) fn come_back_ms(&self, level: u32) -> u64 {
        apart(self.pauses_ms().get(class_of(level)).copied().unwrap_or(COME_BACK_MS), level)
    }

    /// Without what sets users apart, by class.
    fn pauses_ms(&self) -> [u64; CLASSES] {
        let mut pauses = COME_BACK_MS_MAX;
        for (pause, pressure) in pauses.iter_mut().zip(self.pressure) {
            *pause = (COME_BACK_MS * pressure / NO_PRESSURE).min(*pause);
        }
        pauses
    }

    /// What callers are told.
    pub(crate) fn told(&self) -> Taken {
        let tenths = |ms: u64| u8::try_from(ms / 100).unwrap_or(u8::MAX);
        Taken { limit: self.limit, pauses: self.pauses_ms().map(tenths) }
    }

    /// Callers have sent away so many requests of a class by what they were told: they were asked for, and are spread
    /// evenly over what is not taken, as users are.
    pub(crate) fn was_shed(&mut self, class: usize, count: u32) {
        let end = (u32::try_from(class).unwrap_or(u32::MAX)).saturating_add(1).saturating_mul(USER_LEVELS).min(LEVELS);
        let from = self.limit.clamp(end - USER_LEVELS, end - 1);
        let levels = end - from;
        let (each, rest) = (count / levels, count % levels);
        for place in 0..levels {
            // The rest goes on where the last one ended, so that the lowest levels do not get all of it.
            let is_more = (place + levels - self.spread % levels) % levels < rest;
            if let Some(asked) = self.asked.get_mut((from + place) as usize) {
                *asked = asked.saturating_add(each + u32::from(is_more));
            }
        }
        self.spread = (self.spread % levels + rest) % levels;
        if let Some(shed) = self.shed.get_mut(class) {
            *shed = shed.saturating_add(u64::from(count));
        }
    }

    /// A request that was taken has waited this long for its turn. Units: microseconds; milliseconds of any steady clock.
    pub(crate) fn waited(&mut self, wait_us: u64, now_ms: u64) {
        self.waited_us = self.waited_us.saturating_add(wait_us);
        self.requests = self.requests.saturating_add(1);
        self.turn(now_ms);
    }

    /// Ends the window if it is time.
    fn turn(&mut self, now_ms: u64) {
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
        let taken: u64 = self.taken.iter().sum();
        self.press();
        let passed_ms = now_ms.saturating_sub(self.began_ms).max(1);
        let turned_per_s = u64::from(self.requests) * 1000 / passed_ms;
        let is_crowd = self.asked.iter().fold(0, |sum: u32, count| sum.saturating_add(*count)) >= CROWD_MIN;
        if mean > WAIT_US_MAX && is_crowd {
            let done = taken.min(u64::from(self.requests)) * FALL_PERCENT / 100;
            // Money always passes.
            self.limit = self.limit_for(done.max(taken * FALL_PERCENT_MIN / 100)).max(USER_LEVELS);
            self.rise = RISE_PERCENT;
            self.able_per_s = turned_per_s.max(self.able_per_s / 2);
        } else {
            self.able_per_s = self.able_per_s.max(turned_per_s);
            let able = self.able_per_s * passed_ms / 1000 * SURE_PERCENT / 100;
            // One level at least: it may hold more than that.
            let limit = self.limit_for(able.max(taken + taken * self.rise / 100)).max(self.limit + 1);
            self.limit = limit.min(LEVELS);
            self.rise = (self.rise * 2).min(RISE_PERCENT_MAX);
        }
        (self.began_ms, self.waited_us, self.requests) = (now_ms, 0, 0);
        self.taken = [0; CLASSES];
        self.asked.fill(0);
    }

    /// Sets how hard each class is pressed: at once where it is pressed harder, step by step where it is less.
    fn press(&mut self) {
        let by_class = self.asked.chunks(USER_LEVELS as usize).zip(self.taken);
        for (pressure, (asked, taken)) in self.pressure.iter_mut().zip(by_class) {
            let asked: u64 = asked.iter().map(|count| u64::from(*count)).sum();
            let now = (asked * NO_PRESSURE / taken.max(1)).clamp(NO_PRESSURE, PRESSURE_MAX);
            *pressure = now.max(*pressure * PRESSURE_KEPT_PERCENT / 100);
        }
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
