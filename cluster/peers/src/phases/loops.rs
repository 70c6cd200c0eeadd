//! The phases of a steady load: send, drain, and both at the same time.
//!
//! Must never: count what was sent before the measurement or acknowledged after it.

use std::sync::Arc;

use tokio::time::{Instant, sleep, timeout};

use super::{Bench, Round, measure, mib, prepare, until};
use crate::books::{Books, MemoryWatch};
use crate::clock::now_ns;
use crate::error::Error;
use crate::limits::{CONFIRM_MAX, CONSUMERS_AHEAD, DRAIN_MAX, DRAINED_AFTER, WARM_UP};
use crate::nodes::Fleet;
use crate::record::{DUPLICATES, Figures, LOST, Phase, REDELIVERED, RESIDENT, Record};
use crate::tally::Tally;

impl Bench<'_> {
    /// Sends for a while; also says how many messages are in the queue then.
    pub(super) async fn send(&self, pids: &[u32], phase: Phase) -> Result<(Record, u64), Error> {
        let tally = Arc::new(Tally::new()?);
        let producers = self.producers(self.round.point.load(), &tally, false);
        sleep(WARM_UP).await;
        let figures = measure(self.round, pids, &tally, Tally::confirmed).await;
        tally.end();
        producers.join_all().await;
        Ok((self.round.record(phase, figures, &tally), tally.confirmed()))
    }

    /// Receives and acknowledges `expected` messages, or as many as there is time for.
    pub(super) async fn drain(&self, pids: &[u32], phase: Phase, expected: u64) -> Result<Record, Error> {
        let most = if phase == Phase::DeepDrain { crate::limits::BACKLOG_MAX } else { DRAIN_MAX };
        let tally = Arc::new(Tally::new()?);
        let (memory, before) = (MemoryWatch::begin(pids), Books::of(pids));
        let begun_ns = now_ns();
        let consumers = self.consumers(self.round.point.load(), &tally, self.leader);
        let is_done = || tally.acked() >= expected || is_idle(&tally, begun_ns);
        until(Instant::now() + most, is_done).await;
        let (after, acked) = (Books::of(pids), tally.acked());
        let took_ns = tally.last_ack_ns().saturating_sub(begun_ns);
        tally.end();
        // A consumer that does not end by itself is dropped.
        let _ = timeout(CONFIRM_MAX, consumers.join_all()).await;
        let mut figures = Figures::rate(acked, took_ns);
        figures.cost(before.and_then(|before| after?.since(&before)), acked, self.round.size);
        figures.put(RESIDENT, mib(memory.most_bytes()));
        let seen = Seen::of(tally.seen());
        figures.put(DUPLICATES, seen.duplicates as f64);
        figures.put(REDELIVERED, tally.redelivered() as f64);
        if acked >= expected {
            figures.put(LOST, expected.saturating_sub(seen.unique) as f64);
        }
        Ok(self.round.record(phase, figures, &tally))
    }
}

/// Whether nothing was acknowledged for a while, the time of the first connections granted.
fn is_idle(tally: &Tally, begun_ns: u64) -> bool {
    let pause_ns = u64::try_from(DRAINED_AFTER.as_nanos()).unwrap_or(u64::MAX);
    now_ns() > tally.last_ack_ns().max(begun_ns.saturating_add(pause_ns)).saturating_add(pause_ns)
}

/// Sends and receives at the same time, on a new queue.
pub(super) async fn end_to_end(fleet: &Fleet, round: &Round) -> Result<Record, Error> {
    let (site, leader) = prepare(fleet, round).await?;
    let (bench, load) = (Bench { site, leader, round }, round.point.load());
    let tally = Tally::new()?;
    let tally = Arc::new(if load.rate == 0 { tally.with_places(load.in_flight()) } else { tally });
    let consumers = bench.consumers(load, &tally, leader);
    sleep(CONSUMERS_AHEAD).await;
    let producers = bench.producers(load, &tally, false);
    sleep(WARM_UP).await;
    let mut figures = measure(round, fleet.pids(), &tally, Tally::acked).await;
    tally.end();
    producers.join_all().await;
    let _ = timeout(CONFIRM_MAX, consumers.join_all()).await;
    let seen = Seen::of(tally.seen());
    figures.put(DUPLICATES, seen.duplicates as f64);
    figures.put(REDELIVERED, tally.redelivered() as f64);
    figures.put(LOST, tally.confirmed().saturating_sub(seen.unique) as f64);
    Ok(round.record(Phase::E2e, figures, &tally))
}

/// What was delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) unique: u64,
    pub(super) duplicates: u64,
}

impl Seen {
    pub(super) fn of(mut ids: Vec<u64>) -> Self {
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
        Self { unique: count(ids.len()), duplicates: count(all - ids.len()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_delivered_twice_is_a_duplicate() {
        assert_eq!(Seen::of(vec![3, 1, 3, 2, 3]), Seen { unique: 3, duplicates: 2 });
        assert_eq!(Seen::of(Vec::new()), Seen { unique: 0, duplicates: 0 });
    }
}
