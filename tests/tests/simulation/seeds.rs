//! The seeds that are played.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::play::{PATIENCE, Tally, in_simulated_time, play};
use crate::storm;

/// Seeds that once showed a fault, or show something worth seeing.
const PASTED: [(&str, u64); 2] = [("a ring, and torn writes", 1), ("a full disk and a clock an hour behind", 2)];
/// Runs of one test where nobody says how many, and the real time after which no new one is begun.
const RUNS: u64 = 300;
const RUNS_MAX: Duration = Duration::from_secs(40);

fn told(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text:?}")))
}

fn cores() -> u64 {
    std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64)
}

fn check(name: &str, seed: u64) -> Result<Tally, String> {
    let verdict = in_simulated_time(seed, play(seed, PATIENCE, storm::of_faults));
    verdict.map_err(|broken| format!("seed {seed} ({name}); repeat it: TERCET_SEEDS=1 TERCET_FROM={seed}\n{broken}"))
}

/// Plays `count` seeds from `from` on, `jobs` at a time; stops to begin new ones when `within` is over.
fn check_many(from: u64, count: u64, jobs: u64, within: Option<Duration>) -> (u64, Tally, Vec<String>) {
    let (started, next) = (Instant::now(), AtomicU64::new(0));
    let results = Mutex::new((0, Tally::default(), Vec::new()));
    let work = || {
        while within.is_none_or(|within| started.elapsed() < within) {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return;
            }
            let verdict = check("random", from.wrapping_add(number));
            let mut results = results.lock();
            results.0 += 1;
            match verdict {
                Ok(tally) => {
                    results.1.sent += tally.sent;
                    results.1.delivered += tally.delivered;
                    results.1.dead += tally.dead;
                    results.1.unknown += tally.unknown;
                }
                Err(broken) => {
                    eprintln!("{broken}");
                    results.2.push(broken);
                }
            }
            if results.0 % 500 == 0 {
                eprintln!("{} runs, {} broken, {:?}", results.0, results.2.len(), started.elapsed());
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(work);
        }
    });
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
fn random_seeds_keep_every_law() {
    let from = told("TERCET_FROM").unwrap_or_else(rand::random);
    let asked = told("TERCET_SEEDS");
    let within = asked.is_none().then_some(RUNS_MAX);
    let (runs, tally, broken) =
        check_many(from, asked.unwrap_or(RUNS), told("TERCET_JOBS").unwrap_or_else(cores), within);
    let Tally { sent, delivered, dead, unknown } = tally;
    eprintln!(
        "{runs} runs from seed {from}: {sent} acknowledged messages, {delivered} deliveries, {dead} of dead letters, \
         {unknown} outcomes nobody learned, {} runs broken",
        broken.len()
    );
    assert!(broken.is_empty(), "{}", broken.join("\n\n"));
    assert!(sent > 0 && dead > 0, "too little happened to show anything");
}
