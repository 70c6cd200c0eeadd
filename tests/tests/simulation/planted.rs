//! Every law is broken once on purpose: a bug is planted, and the law that it breaks must say so.

use std::time::Duration;

use rand::rngs::StdRng;

use crate::play::{Run, in_simulated_time, play};
use crate::storm;
use crate::subject::{
    CUTS_DELAYS, CUTS_LEASES, DOUBLES_SENDS, DRIFTS, DROPS_DEAD_LETTERS, FORGETS_ACKS, FORGETS_GROUPS, LOSES_SENDS,
    Planted, REPEATS_NUMBERS,
};

/// A planted bug may keep a queue from running dry: that is not waited for.
const SHORT: Duration = Duration::from_secs(10);

/// Seeds until the bug is met: Raft draws its time-outs from the system, so one seed may pass it by.
const SEEDS: std::ops::Range<u64> = 5..10;

fn check<const BUG: u8>(name: &str, expected: &str) {
    let run = |seed| in_simulated_time(seed, play::<Planted<BUG>>(seed, SHORT, storm::of_nothing)).err();
    let Some(broken) = SEEDS.into_iter().find_map(run) else { panic!("{name}: no law was broken") };
    assert!(broken.lines().any(|line| line.starts_with(expected)), "{name}: the laws said:\n{broken}");
}

macro_rules! planted {
    ($($name:ident: $bug:ident, $law:literal;)*) => {
        $(#[test]
        fn $name() {
            check::<$bug>(stringify!($name), $law);
        })*
    };
}

planted! {
    a_machine_that_loses_sends_is_seen: LOSES_SENDS, "lost";
    a_machine_that_forgets_acks_is_seen: FORGETS_ACKS, "returned";
    a_machine_that_cuts_leases_is_seen: CUTS_LEASES, "shared";
    a_machine_that_repeats_delivery_numbers_is_seen: REPEATS_NUMBERS, "numbers";
    a_machine_that_cuts_delays_is_seen: CUTS_DELAYS, "early";
    a_machine_that_forgets_ordered_groups_is_seen: FORGETS_GROUPS, "order";
    a_machine_that_doubles_sends_is_seen: DOUBLES_SENDS, "doubled";
    a_machine_that_looks_outside_the_log_is_seen: DRIFTS, "the replicas differ";
    a_machine_that_drops_dead_letters_is_seen: DROPS_DEAD_LETTERS, "lost";
}

#[test]
fn a_majority_of_disks_that_forget_is_seen() {
    let forget = async |run: &Run<queue_core::QueueMachine>, _: &mut StdRng| {
        tokio::time::sleep(Duration::from_secs(4)).await;
        for node in 1..=3 {
            run.cluster.kill(node).await;
        }
        for node in 1..=3 {
            run.cluster.forget(node, 40);
        }
    };
    let broken = in_simulated_time(9, play(9, SHORT, forget)).expect_err("all disks forgot and no law was broken");
    assert!(broken.lines().any(|line| line.starts_with("lost")), "{broken}");
}
