//! The phases of a deep queue: what a backlog costs those who send, those who drain it, and a restart.
//!
//! Must never: begin what the disk cannot hold.

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::{Instant, sleep, timeout};

use super::{Bench, Round, mib, prepare};
use crate::books::{Books, MemoryWatch};
use crate::clock::now_ns;
use crate::drivers::Site;
use crate::error::Error;
use crate::limits::{BACKLOG_MAX, CONNECT_MAX, CONNECT_PAUSE, READY_MAX};
use crate::nodes::Fleet;
use crate::record::{Figures, Phase, RESIDENT, RESTART, Record};
use crate::tally::Tally;

pub(super) async fn carry_out(
    fleet: &mut Fleet,
    round: &Round,
    keep: &mut (dyn FnMut(Record) -> Result<(), Error> + Send),
) -> Result<(), Error> {
    let (site, leader) = prepare(fleet, round).await?;
    let mut bench = Bench { site, leader, round };
    let (record, sent) = bench.send(fleet.pids(), Phase::Send).await?;
    keep(record)?;
    let (record, filled) = bench.fill(fleet.pids(), round.backlog.saturating_sub(sent)).await?;
    keep(record)?;
    let (record, sent_deep) = bench.send(fleet.pids(), Phase::DeepSend).await?;
    keep(record)?;
    keep(restart(fleet, &mut bench).await?)?;
    keep(bench.drain(fleet.pids(), Phase::DeepDrain, sent + filled + sent_deep).await?)
}

impl Bench<'_> {
    /// Puts `count` messages into the queue; also says how many it were.
    async fn fill(&self, pids: &[u32], count: u64) -> Result<(Record, u64), Error> {
        let tally = Arc::new(Tally::new()?.with_limit(count.max(1)));
        let (memory, before, begun_ns) = (MemoryWatch::begin(pids), Books::of(pids), now_ns());
        tally.measure(true);
        let mut producers = self.producers(self.round.point.load(), &tally, false);
        let all_done = async { while producers.join_next().await.is_some() {} };
        // What was not sent by then is missing in the count.
        let _ = timeout(BACKLOG_MAX, all_done).await;
        let (after, took_ns) = (Books::of(pids), now_ns() - begun_ns);
        let filled = tally.confirmed();
        let mut figures = Figures::rate(filled, took_ns);
        figures.cost(before.and_then(|before| after?.since(&before)), filled, self.round.size);
        figures.latencies(&tally);
        figures.put(RESIDENT, mib(memory.most_bytes()));
        tally.end();
        producers.join_all().await;
        Ok((self.round.record(Phase::Fill, figures, &tally), filled))
    }
}

/// Stops all nodes and starts them again; counts from their start to the first confirmed send.
async fn restart(fleet: &mut Fleet, bench: &mut Bench<'_>) -> Result<Record, Error> {
    fleet.stop().await;
    let (tally, begun) = (Tally::new()?, Instant::now());
    fleet.start_again().await?;
    bench.site = Arc::new(fleet.site());
    timeout(READY_MAX, first_send(&bench.site)).await.map_err(|_| Error::call("restart")("no send was confirmed"))?;
    let took = begun.elapsed();
    bench.leader = bench.site.leader().await?;
    let mut figures = Figures::default();
    figures.put(RESTART, took.as_secs_f64());
    Ok(bench.round.record(Phase::Restart, figures, &tally))
}

/// Sends one message, whatever it takes. It is none of those that are counted.
async fn first_send(site: &Site) {
    for node in 0.. {
        let attempt = async {
            let confirm = site.outlet(node).await?.start(vec![Bytes::from(u64::MAX.to_le_bytes().repeat(2))]).await?;
            confirm.await
        };
        if matches!(timeout(CONNECT_MAX, attempt).await, Ok(Ok(()))) {
            return;
        }
        sleep(CONNECT_PAUSE).await;
    }
}

/// Whether a disk with `free` bytes may take a backlog.
pub(crate) fn fits(messages: u64, size: u64, free: u64) -> bool {
    messages.saturating_mul(size).saturating_mul(crate::limits::BACKLOG_DISK_FACTOR) <= free
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backlog_must_fit_the_disk_with_all_its_copies() {
        assert!(fits(1_000_000, 1000, 9_000_000_000));
        assert!(!fits(1_000_000, 1000, 8_999_999_999));
        assert!(!fits(u64::MAX, 2, u64::MAX - 1));
    }
}
