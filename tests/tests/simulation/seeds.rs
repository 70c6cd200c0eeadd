//! The seeds that are played.

use std::ops::AddAssign;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::play::{PATIENCE, Tally, in_simulated_time, play};
use crate::{app, storm};

/// Seeds that once showed a fault, or show something worth seeing.
const PASTED: [(&str, u64); 2] = [("a ring, and torn writes", 1), ("a full disk and a clock an hour behind", 2)];
/// Seeds of the app that show something worth seeing.
const PASTED_APP: [(&str, u64); 2] = [("a member is replaced in the storm", 1), ("records are lost on their way", 2)];
/// Runs of one test where nobody says how many, and the real time after which no new one is begun.
const RUNS: u64 = 300;
const RUNS_MAX: Duration = Duration::from_secs(40);
const RUNS_OF_APP_MAX: Duration = Duration::from_secs(12);

fn told(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text:?}")))
}

fn cores() -> u64 {
    std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64)
}

fn check(name: &str, seed: u64) -> Result<Tally, String> {
    let verdict = in_simulated_time(seed, play(seed, PATIENCE, storm::of_faults));
    verdict.map_err(|broken| format!("seed {seed} ({name}); repeat it: cluster sim --seeds 1 --from {seed}\n{broken}"))
}

fn check_app(name: &str, seed: u64) -> Result<app::play::Tally, String> {
    let verdict = in_simulated_time(seed, app::play::play(seed, PATIENCE, app::play::of_faults));
    let again = format!("cluster sim --app --seeds 1 --from {seed}");
    verdict.map_err(|broken| format!("seed {seed} ({name}); repeat it: {again}\n{broken}"))
}

/// What many runs came to.
#[derive(Default)]
struct Results<T> {
    runs: u64,
    tally: T,
    broken: Vec<String>,
}

/// Plays as many seeds as the environment says, from the one that it says on, so many at a time; where it says nothing, begins
/// no new one when `within` is over.
fn check_many<T: Default + AddAssign + Send>(
    within: Duration,
    check: impl Fn(&str, u64) -> Result<T, String> + Sync,
) -> Results<T> {
    let (from, asked) = (told("TERCET_FROM").unwrap_or_else(rand::random), told("TERCET_SEEDS"));
    let (count, jobs) = (asked.unwrap_or(RUNS), told("TERCET_JOBS").unwrap_or_else(cores));
    let (started, next) = (Instant::now(), AtomicU64::new(0));
    let results = Mutex::new(Results::default());
    let work = || {
        while asked.is_some() || started.elapsed() < within {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return;
            }
            let verdict = check("random", from.wrapping_add(number));
            let mut results = results.lock();
            results.runs += 1;
            match verdict {
                Ok(tally) => results.tally += tally,
                Err(broken) => {
                    eprintln!("{broken}");
                    results.broken.push(broken);
                }
            }
            if results.runs.is_multiple_of(500) {
                eprintln!("{} runs, {} broken, {:?}", results.runs, results.broken.len(), started.elapsed());
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(work);
        }
    });
    eprintln!("from seed {from} on, in {:?}", started.elapsed());
    results.into_inner()
}

#[test]
fn pasted_seeds_keep_every_law() {
    for (name, seed) in PASTED {
        if let Err(broken) = check(name, seed) {
            panic!("{broken}");
        }
    }
}

#[test]
fn pasted_seeds_of_the_app_keep_every_law() {
    for (name, seed) in PASTED_APP {
        if let Err(broken) = check_app(name, seed) {
            panic!("{broken}");
        }
    }
}

#[test]
fn random_seeds_keep_every_law() {
    let Results { runs, tally: Tally { sent, delivered, dead, unknown }, broken } = check_many(RUNS_MAX, check);
    eprintln!(
        "{runs} runs: {sent} acknowledged messages, {delivered} deliveries, {dead} of dead letters, {unknown} outcomes \
         nobody learned, {} runs broken",
        broken.len()
    );
    assert!(broken.is_empty(), "{}", broken.join("\n\n"));
    assert!(sent > 0 && dead > 0, "too little happened to show anything");
}

#[test]
fn random_seeds_of_the_app_keep_every_law() {
    let Results { runs, tally, broken } = check_many(RUNS_OF_APP_MAX, check_app);
    let app::play::Tally { postings, packets, claims, unknown } = tally;
    eprintln!(
        "{runs} runs of the app: {postings} postings, {packets} packets, {claims} shares, {unknown} outcomes nobody learned, \
         {} runs broken",
        broken.len()
    );
    assert!(broken.is_empty(), "{}", broken.join("\n\n"));
    assert!(postings > 0 && claims > 0, "too little happened to show anything");
}
