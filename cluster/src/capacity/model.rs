//! The model: processors that work off what arrives, the more urgent class first, and send away what would wait too long.
//!
//! ```text
//!  arrivals (Poisson, by kind) ─> would it wait > 20 ms? ─yes─> shed
//!                                        └no─> work queued by class ─> processors x 5 ms a step, money first
//! ```
//!
//! Why no network and no disk: what was measured on one machine is bound by its processors; what the disks take is counted
//! beside (`plan`), and a model of more than was measured would be a model of guesses.
//!
//! Must never: read a clock, a file, or a figure that it was not given. One seed is one run.

use rand::Rng as _;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

/// Kinds of actions, the most urgent first.
pub(crate) const KINDS: usize = 4;
/// Length of a step. Seconds.
const STEP_S: f64 = 0.005;
/// What would wait longer than this is sent away: the admission's own limit. Seconds.
const WAIT_MAX_S: f64 = 0.02;
/// Above this mean a Poisson draw is taken from the normal distribution.
const NORMAL_FROM: f64 = 12.0;
/// The search for a capacity begins here, actions a second: below it chance alone looks like an overload.
const FIRST_RATE: f64 = 500.0;

/// What works, and what one action of each kind takes of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cell {
    /// Processors.
    pub(crate) cores: f64,
    /// Processor time of one action. Microseconds.
    pub(crate) cost_us: [f64; KINDS],
}

/// What came of a load.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Outcome {
    /// Actions a second that were done, by kind.
    pub(crate) done: [f64; KINDS],
    /// Actions a second that were sent away, by kind.
    pub(crate) shed: [f64; KINDS],
    /// Mean of what an action of the least urgent kind would have waited. Milliseconds.
    pub(crate) wait_ms: f64,
    /// The part of the processors' time that was used.
    pub(crate) busy: f64,
}

impl Outcome {
    /// Actions a second that were done.
    pub(crate) fn goodput(&self) -> f64 {
        self.done.iter().sum()
    }
}

impl Cell {
    /// Lets so many of each kind arrive in a second, for `secs`.
    pub(crate) fn run(&self, rates: [f64; KINDS], secs: f64, seed: u64) -> Outcome {
        let mut rng = StdRng::seed_from_u64(seed);
        let (mut queued, mut done, mut shed) = ([0.0_f64; KINDS], [0.0; KINDS], [0.0; KINDS]);
        let (mut waited, mut used, mut steps) = (0.0, 0.0, 0_u32);
        let room = self.cores * STEP_S;
        while f64::from(steps) * STEP_S < secs {
            for kind in 0..KINDS {
                let came = poisson(rates[kind] * STEP_S, &mut rng);
                let work = self.cost_us[kind] / 1e6;
                let before: f64 = queued[..=kind].iter().sum();
                let fits = ((self.cores * WAIT_MAX_S + room - before) / work.max(f64::MIN_POSITIVE)).max(0.0).floor();
                let taken = came.min(fits);
                queued[kind] += taken * work;
                shed[kind] += came - taken;
            }
            let mut left = room;
            for kind in 0..KINDS {
                let worked = queued[kind].min(left);
                queued[kind] -= worked;
                left -= worked;
                done[kind] += worked / (self.cost_us[kind] / 1e6).max(f64::MIN_POSITIVE);
            }
            used += room - left;
            waited += queued.iter().sum::<f64>() / self.cores;
            steps += 1;
        }
        let count = f64::from(steps).max(1.0);
        let per_s = |all: [f64; KINDS]| all.map(|one| one / (count * STEP_S));
        Outcome { done: per_s(done), shed: per_s(shed), wait_ms: waited / count * 1e3, busy: used / (count * room) }
    }

    /// The most of a mix that gets done in a second, found as the evening finds it: the rate doubles while answers follow.
    pub(crate) fn capacity(&self, mix: [f64; KINDS], secs: f64, seed: u64) -> f64 {
        let (mut rate, mut best, mut followed, mut beyond) = (FIRST_RATE, 0.0_f64, 0.0, None);
        for _ in 0..32 {
            let goodput = self.run(mix.map(|part| part * rate), secs, seed).goodput();
            best = best.max(goodput);
            if goodput >= rate * 0.9 {
                followed = rate;
            } else {
                beyond = Some(rate);
            }
            rate = match beyond {
                None => rate * 2.0,
                Some(beyond) if beyond - followed < beyond * 0.02 => break,
                Some(beyond) => f64::midpoint(followed, beyond),
            };
        }
        best
    }
}

/// A draw from a Poisson distribution: by products of uniform draws (Knuth), or from the normal one where it is large.
fn poisson(mean: f64, rng: &mut StdRng) -> f64 {
    if mean <= 0.0 {
        return 0.0;
    }
    if mean > NORMAL_FROM {
        // Box and Muller.
        let (one, two): (f64, f64) = (rng.random_range(f64::MIN_POSITIVE..1.0), rng.random());
        let normal = (-2.0 * one.ln()).sqrt() * (std::f64::consts::TAU * two).cos();
        return (mean + normal * mean.sqrt()).round().max(0.0);
    }
    let (limit, mut product, mut count) = ((-mean).exp(), rng.random::<f64>(), 0.0);
    while product > limit {
        product *= rng.random::<f64>();
        count += 1.0;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    const COST_US: [f64; KINDS] = [1000.0, 500.0, 50.0, 100.0];

    fn cell() -> Cell {
        Cell { cores: 2.0, cost_us: COST_US }
    }

    #[test]
    fn one_seed_is_one_run() {
        let run = |seed| cell().run([100.0, 300.0, 6000.0, 3000.0], 5.0, seed);
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
    }

    #[test]
    fn a_draw_has_the_mean_it_was_asked_for() {
        let mut rng = StdRng::seed_from_u64(1);
        for mean in [0.0, 0.3, 4.0, 29.0, 400.0] {
            let sum: f64 = (0..20_000).map(|_| poisson(mean, &mut rng)).sum();
            assert!((sum / 20_000.0 - mean).abs() <= 0.02 * mean + 0.001, "{mean}: {}", sum / 20_000.0);
        }
    }

    #[test]
    fn below_its_capacity_a_cell_does_all_and_beyond_it_what_is_least_urgent_goes_first() {
        // Half: 0.2 + 0.3 + 0.3 + 0.2 = 1 of 2 processors.
        let rates = [200.0, 600.0, 6000.0, 2000.0];
        let half = cell().run(rates, 5.0, 7);
        assert!(half.shed.iter().sum::<f64>() < 0.001 * half.goodput(), "{half:?}");
        assert!((half.busy - 0.5).abs() < 0.02 && half.wait_ms < 1.0, "{half:?}");
        // Three times that: sends and opens take 1.5, grabs get the rest, lists nothing.
        let beyond = cell().run(rates.map(|rate| rate * 3.0), 5.0, 7);
        assert!(beyond.shed[0] + beyond.shed[1] < 20.0, "{beyond:?}");
        assert!(beyond.done[2] > 9_000.0 && beyond.done[3] < 100.0, "{beyond:?}");
        assert!(beyond.busy > 0.99 && beyond.wait_ms <= 2.0 * WAIT_MAX_S * 1e3, "{beyond:?}");
    }

    #[test]
    fn the_capacity_of_a_mix_is_what_its_processors_allow() {
        // A tenth send, the rest grabs: 145 µs each on the mean. Beyond that grabs are sent away and sends go on.
        let capacity = cell().capacity([0.1, 0.0, 0.9, 0.0], 5.0, 3);
        let allowed = 2e6 / 145.0;
        assert!((capacity / allowed - 1.0).abs() < 0.05, "{capacity}, not about {allowed}");
    }
}
