//! The weather of a safety phase: faults on a changing part of the cluster, a quarter of the time quiet.
//!
//! Must never: do what no cluster survives (lose synced writes on a majority).

use std::time::Duration;

use rand::Rng as _;
use rand::rngs::StdRng;
use tokio::time::Instant;

use crate::play::Run;

/// How long it lasts, in simulated time.
const STORM: Duration = Duration::from_secs(12);
/// How long still air lasts.
const STILL: Duration = Duration::from_secs(5);
const HOUR_MS: i64 = 3_600_000;

/// Kinds of faults, and of their ends.
const FAULTS: u32 = 18;

/// A storm of everything.
pub(crate) async fn of_faults(run: &Run, dice: &mut StdRng) {
    let until = Instant::now() + STORM;
    let wrong_clock = dice.random_range(1..=3);
    while Instant::now() < until {
        let pause = if dice.random_range(0..4) == 0 { 2_000 } else { dice.random_range(50..700) };
        tokio::time::sleep(Duration::from_millis(pause)).await;
        bury(run).await;
        fault(run, dice, wrong_clock).await;
    }
}

/// Still air, for a bug that needs no fault to be seen.
pub(crate) async fn of_nothing(_: &Run, _: &mut StdRng) {
    tokio::time::sleep(STILL).await;
}

/// A process that says it has failed ends.
async fn bury(run: &Run) {
    for node in 1..=3 {
        if run.cluster.failed(node).is_some() {
            run.cluster.kill(node).await;
        }
    }
}

/// One fault, or the end of one.
async fn fault(run: &Run, dice: &mut StdRng, wrong_clock: u64) {
    let (node, other) = (dice.random_range(1..=3), dice.random_range(1..=3));
    let (cluster, weather) = (&run.cluster, run.cluster.weather());
    match dice.random_range(0..FAULTS) {
        0 => cluster.kill(node).await,
        1 => cluster.lose(node).await,
        2 => cluster.kill(cluster.leader().unwrap_or(node)).await,
        3 => cluster.tear(node, dice.random_range(0..=100)).await,
        4 => cluster.tear(cluster.leader().unwrap_or(node), dice.random_range(0..=100)).await,
        5..=8 => run.restart(node).await,
        9 => weather.cut(node, other),
        10 => {
            weather.cut(node, other);
            weather.cut(other, node);
        }
        11 => {
            // A ring: each node is heard by one of the others only.
            for from in 1..=3 {
                weather.cut(from, from % 3 + 1);
            }
        }
        12 => weather.hang(node),
        13 => weather.heal(),
        14 => weather.change(dice.random_range(100..50_000), dice.random_range(0..30)),
        15 => {
            let slowest = dice.random_range(200..250_000);
            weather.change_disks(100..slowest);
        }
        16 => cluster.jump_clock(wrong_clock, dice.random_range(-HOUR_MS..HOUR_MS)),
        _ => match dice.random_range(0..3) {
            0 => cluster.break_log(node),
            1 => cluster.break_rows(node),
            _ => {
                // A refusal (it does not lead, the other is away) is no fault.
                let _ = cluster.transfer_leader(node).await;
            }
        },
    }
}
