//! A leader that dies or hangs: the longest time in which no send was confirmed to anybody, and whether all that was
//! confirmed is still there.
//!
//! Must never: leave a node that hangs behind.

use std::collections::BTreeSet;
use std::sync::Arc;

use rustix::process::Signal;
use tokio::time::{Instant, sleep, timeout};

use super::{Bench, Round, prepare, until};
use crate::clock::now_ns;
use crate::error::Error;
use crate::limits::{AFTER_FAULT, BACKLOG_MAX, BEFORE_FAULT, CONFIRM_MAX, DRAINED_AFTER, NODES, SETTLE};
use crate::nodes::Fleet;
use crate::plan::{Load, Point};
use crate::record::{DUPLICATES, Figures, GAP, LOST, Phase, Record};
use crate::tally::Tally;

/// Reading back takes larger windows than sending.
const READ_BACK: Load = Load { producers: 4, window: 256, batch: 1, rate: 0 };

pub(super) async fn carry_out(fleet: &mut Fleet, round: &Round) -> Result<Record, Error> {
    let (site, leader) = prepare(fleet, round).await?;
    let bench = Bench { site, leader, round };
    let tally = Arc::new(Tally::new()?.with_confirms());
    // The producers are spread over the nodes: those at the survivors need no new connection.
    let producers = bench.producers(round.point.load(), &tally, true);
    sleep(BEFORE_FAULT).await;
    let fault_ns = now_ns();
    fleet.signal(leader, if round.point == Point::Hang { Signal::STOP } else { Signal::KILL })?;
    sleep(AFTER_FAULT).await;
    let end_ns = now_ns();
    tally.end();
    if round.point == Point::Hang {
        fleet.signal(leader, Signal::CONT)?;
    }
    // A producer that does not end by itself is dropped.
    let _ = timeout(CONFIRM_MAX, producers.join_all()).await;
    sleep(SETTLE).await;

    let confirms = tally.confirms();
    let before = confirms.iter().filter(|(at_ns, _)| *at_ns < fault_ns).count();
    let mut figures = Figures::default();
    figures.put("rate_before_per_s", before as f64 / BEFORE_FAULT.as_secs_f64());
    figures.put(GAP, longest_gap_ns(&confirms, fault_ns, end_ns) as f64 / 1e6);
    let seen = read_back(&bench, (leader + 1) % NODES).await?;
    let unique: BTreeSet<u64> = seen.iter().copied().collect();
    let lost = confirms.iter().filter(|(_, id)| !unique.contains(id)).count();
    figures.put(LOST, lost as f64);
    figures.put(DUPLICATES, (seen.len() - unique.len()) as f64);
    Ok(round.record(Phase::Fault, figures, &tally))
}

/// The longest time between two confirms, or between the fault, the end and the next one.
fn longest_gap_ns(confirms: &[(u64, u64)], fault_ns: u64, end_ns: u64) -> u64 {
    let within = confirms.iter().map(|(at_ns, _)| *at_ns).filter(|at_ns| (fault_ns..end_ns).contains(at_ns));
    let mut last = fault_ns;
    let mut longest = 0;
    for at_ns in within.chain(std::iter::once(end_ns)) {
        longest = longest.max(at_ns - last);
        last = at_ns;
    }
    longest
}

/// Takes everything out of the queue at a survivor; says the ids.
async fn read_back(bench: &Bench<'_>, node: usize) -> Result<Vec<u64>, Error> {
    let tally = Arc::new(Tally::new()?);
    let begun_ns = now_ns();
    let consumers = bench.consumers(READ_BACK, &tally, node);
    let idle_ns = u64::try_from(DRAINED_AFTER.as_nanos()).unwrap_or(u64::MAX);
    let is_done = || now_ns() > tally.last_ack_ns().max(begun_ns + idle_ns) + idle_ns;
    until(Instant::now() + BACKLOG_MAX, is_done).await;
    tally.end();
    let _ = timeout(CONFIRM_MAX, consumers.join_all()).await;
    Ok(tally.seen())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gap_is_the_longest_time_without_a_confirm() {
        for (confirms, expected) in [
            (&[5, 12, 15, 40, 42, 60, 80, 95][..], 25),
            // Nothing at all, nothing after the fault, nothing before the end.
            (&[][..], 90),
            (&[3, 5][..], 90),
            (&[11, 12, 13][..], 87),
            // What came after the end does not count.
            (&[20, 60, 200][..], 40),
        ] {
            let confirms: Vec<(u64, u64)> = confirms.iter().map(|at| (*at, 0)).collect();
            assert_eq!(longest_gap_ns(&confirms, 10, 100), expected, "{confirms:?}");
        }
    }
}
