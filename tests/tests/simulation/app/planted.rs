//! Every law of the money is broken once on purpose: a flaw is planted, and the law that it breaks must say so.

use std::time::Duration;

use rand::rngs::StdRng;

use super::machines::{Flaw, plant};
use super::play::{of_nothing, play};
use super::world::{LEDGERS, World};
use crate::play::in_simulated_time;
use crate::stage::MEMBERS;

/// A flaw may keep promises from being kept: that is not waited for.
const SHORT: Duration = Duration::from_secs(8);

/// Seeds until the flaw is met: Raft draws its time-outs from the system, so one seed may pass it by.
const SEEDS: std::ops::Range<u64> = 5..10;

fn check(name: &str, flaw: Flaw, expected: &[&str]) {
    let mut said = Vec::new();
    for seed in SEEDS {
        plant(flaw);
        let broken = in_simulated_time(seed, play(seed, SHORT, of_nothing)).err();
        plant(Flaw::None);
        let says = |law: &&str| broken.iter().flat_map(|broken| broken.lines()).any(|line| line.starts_with(law));
        if expected.iter().all(says) {
            return;
        }
        said.extend(broken);
    }
    panic!("{name}: the laws did not say {expected:?}, but:\n{}", said.join("\n\n"));
}

macro_rules! planted {
    ($($name:ident: $flaw:ident, [$($law:literal),+];)*) => {
        $(#[test]
        fn $name() {
            check(stringify!($name), Flaw::$flaw, &[$($law),+]);
        })*
    };
}

planted! {
    a_ledger_that_loses_transfers_is_seen: LosesTransfers, ["lost"];
    a_ledger_that_forgets_ids_is_seen: ForgetsIds, ["doubled"];
    a_ledger_that_makes_money_is_seen: MakesMoney, ["sum", "balance", "audit"];
    a_ledger_that_overdraws_is_seen: Overdraws, ["overdraw"];
    a_ledger_that_books_a_part_of_a_chain_is_seen: LeavesTraces, ["trace", "chain"];
    a_ledger_that_drops_credits_is_seen: DropsCredits, ["credit", "refund"];
    packets_that_give_a_user_two_shares_are_seen: SharesTwice, ["packet"];
    packets_that_exaggerate_a_share_are_seen: Exaggerates, ["told"];
    a_ledger_that_looks_outside_the_log_is_seen: Drifts, ["the replicas differ"];
}

#[test]
fn a_majority_of_disks_that_forget_is_seen() {
    let forget = async |world: &World, _: &mut StdRng| {
        tokio::time::sleep(Duration::from_secs(4)).await;
        for group in LEDGERS {
            let cluster = &world.ledger(group).cluster;
            for node in 1..=MEMBERS {
                cluster.kill(node).await;
            }
            (1..=MEMBERS).for_each(|node| cluster.forget(node, 40));
        }
    };
    let broken = in_simulated_time(9, play(9, SHORT, forget)).expect_err("all disks forgot and no law was broken");
    assert!(broken.lines().any(|line| line.starts_with("lost")), "{broken}");
}
