//! The weather of a safety phase: faults on a changing part of the cluster, a quarter of the time quiet.
//!
//! Must never: do what no cluster survives (lose synced writes on a majority).

use std::time::Duration;

use machine::Machine;
use rand::Rng as _;
use rand::rngs::StdRng;
use tokio::time::Instant;

use crate::play::Run;
use crate::stage::{MEMBERS, Stage};

/// How long it lasts, in simulated time.
pub(crate) const STORM: Duration = Duration::from_secs(12);
/// How long still air lasts.
pub(crate) const STILL: Duration = Duration::from_secs(5);
const HOUR_MS: i64 = 3_600_000;

/// Kinds of faults, and of their ends.
const FAULTS: u32 = 19;

/// A storm of everything.
pub(crate) async fn of_faults(run: &Run, dice: &mut StdRng) {
    let until = Instant::now() + STORM;
    let wrong_clock = dice.random_range(1..=MEMBERS);
    while Instant::now() < until {
        let pause = if dice.random_range(0..4) == 0 { 2_000 } else { dice.random_range(50..700) };
        tokio::time::sleep(Duration::from_millis(pause)).await;
        if let Err(broken) = fault(&run.stage, dice, wrong_clock).await {
            run.broke(broken);
        }
    }
}

/// Still air, for a bug that needs no fault to be seen.
pub(crate) async fn of_nothing(_: &Run, _: &mut StdRng) {
    tokio::time::sleep(STILL).await;
}

/// One fault, or the end of one. Only the clock of `wrong_clock` is ever wrong. Errors: a node does not start again.
pub(crate) async fn fault<M: Machine>(stage: &Stage<M>, dice: &mut StdRng, wrong_clock: u64) -> Result<(), String> {
    stage.bury().await;
    let (node, other) = (stage.any(dice), stage.any(dice));
    let (cluster, weather) = (&stage.cluster, stage.cluster.weather());
    match dice.random_range(0..FAULTS) {
        0 => cluster.kill(node).await,
        1 => cluster.lose(node).await,
        2 => cluster.kill(cluster.leader().unwrap_or(node)).await,
        3 => cluster.tear(node, dice.random_range(0..=100)).await,
        4 => cluster.tear(cluster.leader().unwrap_or(node), dice.random_range(0..=100)).await,
        5..=8 => stage.restart(node).await?,
        9 => weather.cut(node, other),
        10 => {
            weather.cut(node, other);
            weather.cut(other, node);
        }
        11 => {
            // A ring: each node is heard by one of the others only.
            for from in 1..=MEMBERS {
                weather.cut(from, from % MEMBERS + 1);
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
        17 => stage.replace(dice.random_range(1..=MEMBERS)).await,
        _ => match dice.random_range(0..3) {
            0 => cluster.break_log(node),
            1 => cluster.break_rows(node),
            _ => {
                // A refusal (it does not lead, the other is away) is no fault.
                let _ = cluster.transfer_leader(node).await;
            }
        },
    }
    Ok(())
}
