//! Every law is broken once on purpose: a bug is planted, and the law that it breaks must say so.

use std::time::Duration;

use rand::rngs::StdRng;

use crate::play::{Run, in_simulated_time, play};
use crate::storm;
use crate::subject::{Bug, plant};

/// A planted bug may keep a queue from running dry: that is not waited for.
const SHORT: Duration = Duration::from_secs(10);

/// Seeds until the bug is met: Raft draws its time-outs from the system, so one seed may pass it by.
const SEEDS: std::ops::Range<u64> = 5..10;

fn check(name: &str, bug: Bug, expected: &str) {
    plant(bug);
    let run = |seed| in_simulated_time(seed, play(seed, SHORT, storm::of_nothing)).err();
    let broken = SEEDS.into_iter().find_map(run);
    plant(Bug::None);
    let Some(broken) = broken else { panic!("{name}: no law was broken") };
    assert!(broken.lines().any(|line| line.starts_with(expected)), "{name}: the laws said:\n{broken}");
}

macro_rules! planted {
    ($($name:ident: $bug:ident, $law:literal;)*) => {
        $(#[test]
        fn $name() {
            check(stringify!($name), Bug::$bug, $law);
        })*
    };
}

planted! {
    a_machine_that_loses_sends_is_seen: LosesSends, "lost";
    a_machine_that_forgets_acks_is_seen: ForgetsAcks, "returned";
    a_machine_that_cuts_leases_is_seen: CutsLeases, "shared";
    a_machine_that_repeats_delivery_numbers_is_seen: RepeatsNumbers, "numbers";
    a_machine_that_cuts_delays_is_seen: CutsDelays, "early";
    a_machine_that_forgets_ordered_groups_is_seen: ForgetsGroups, "order";
    a_machine_that_doubles_sends_is_seen: DoublesSends, "doubled";
    a_machine_that_looks_outside_the_log_is_seen: Drifts, "the replicas differ";
    a_machine_that_drops_dead_letters_is_seen: DropsDeadLetters, "lost";
}

#[test]
fn a_majority_of_disks_that_forget_is_seen() {
    let forget = async |run: &Run, _: &mut StdRng| {
        tokio::time::sleep(Duration::from_secs(4)).await;
        for node in 1..=3 {
            run.stage.cluster.kill(node).await;
        }
        for node in 1..=3 {
            run.stage.cluster.forget(node, 40);
        }
    };
    let broken = in_simulated_time(9, play(9, SHORT, forget)).expect_err("all disks forgot and no law was broken");
    assert!(broken.lines().any(|line| line.starts_with("lost")), "{broken}");
}
