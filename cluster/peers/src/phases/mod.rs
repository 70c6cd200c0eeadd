//! Phases: what is done with a running system, each from an empty or a known queue to a record.
//!
//! ```text
//!  loops     send ─ drain ─ send + receive + ack
//!  backlog   send ─ fill ─ send on top of it ─ restart ─ drain
//!  fault     send ─ kill or stop the leader ─ send ─ read everything back
//! ```
//!
//! Must never: report a phase as measured whose books could not be read; then the figure is absent.

mod backlog;
mod fault;
mod loops;

use std::sync::Arc;

use tokio::task::JoinSet;
use tokio::time::{Duration, Instant, sleep};

use crate::books::{Books, MemoryWatch};
use crate::drivers::{Intake, Site};
use crate::error::Error;
use crate::limits::POLL_PAUSE;
use crate::load::Producer;
use crate::nodes::Fleet;
use crate::plan::{Load, Point, System};
use crate::record::{Figures, Phase, RESIDENT, Record};
use crate::tally::Tally;

pub(crate) use backlog::fits;

/// What is measured now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Round {
    pub(crate) system: System,
    pub(crate) point: Point,
    pub(crate) repeat: u32,
    /// How long each phase is measured.
    pub(crate) length: Duration,
    /// Bytes of a body.
    pub(crate) size: u64,
    /// Messages of the backlog.
    pub(crate) backlog: u64,
}

impl Round {
    fn record(&self, phase: Phase, figures: Figures, tally: &Tally) -> Record {
        let (errors, last_error) = tally.errors();
        let (system, point, repeat) = (self.system, self.point, self.repeat);
        Record { system, point, phase, repeat, figures: figures.done(), errors, last_error }
    }
}

/// Carries out a point; every record is handed to `keep` as soon as it is there.
pub(crate) async fn carry_out(
    fleet: &mut Fleet,
    round: &Round,
    keep: &mut (dyn FnMut(Record) -> Result<(), Error> + Send),
) -> Result<(), Error> {
    match round.point {
        Point::Backlog => backlog::carry_out(fleet, round, keep).await,
        Point::Kill | Point::Hang => keep(fault::carry_out(fleet, round).await?),
        Point::Open => keep(loops::end_to_end(fleet, round).await?),
        _ => {
            let (site, leader) = prepare(fleet, round).await?;
            let bench = Bench { site, leader, round };
            let (record, sent) = bench.send(fleet.pids(), Phase::Send).await?;
            keep(record)?;
            keep(bench.drain(fleet.pids(), Phase::Drain, sent).await?)?;
            keep(loops::end_to_end(fleet, round).await?)
        }
    }
}

/// A new queue, and who leads it.
async fn prepare(fleet: &Fleet, round: &Round) -> Result<(Arc<Site>, usize), Error> {
    let site = Arc::new(fleet.site());
    let leader = site.create(round.point.load().batch > 1).await?;
    Ok((site, leader))
}

/// A queue under measurement.
struct Bench<'a> {
    site: Arc<Site>,
    leader: usize,
    round: &'a Round,
}

impl Bench<'_> {
    /// Starts the producers; `spread`: each at another node, else all at the leader.
    fn producers(&self, load: Load, tally: &Arc<Tally>, spread: bool) -> JoinSet<()> {
        let size = usize::try_from(self.round.size).unwrap_or(usize::MAX);
        let mut producers = JoinSet::new();
        for number in 0..load.producers {
            let home = if spread { number } else { self.leader };
            let producer =
                Producer { number, home, site: Arc::clone(&self.site), load, size, tally: Arc::clone(tally) };
            producers.spawn(producer.run());
        }
        producers
    }

    /// Starts the consumers at a node.
    fn consumers(&self, load: Load, tally: &Arc<Tally>, node: usize) -> JoinSet<()> {
        let mut consumers = JoinSet::new();
        for _ in 0..load.producers {
            let (site, tally) = (Arc::clone(&self.site), Arc::clone(tally));
            let intake = Intake { tally: Arc::clone(&tally), prefetch: load.prefetch(), batch: load.batch };
            consumers.spawn(async move {
                if let Err(error) = site.consume(node, intake).await {
                    tally.fail(error);
                }
            });
        }
        consumers
    }
}

/// Measures for a while what is going on: `count` tells how many messages are done.
async fn measure(round: &Round, pids: &[u32], tally: &Tally, count: impl Fn(&Tally) -> u64) -> Figures {
    let memory = MemoryWatch::begin(pids);
    let (before, began, first) = (Books::of(pids), Instant::now(), count(tally));
    tally.measure(true);
    sleep(round.length).await;
    let (after, took, last) = (Books::of(pids), began.elapsed(), count(tally));
    tally.measure(false);
    let spent = before.and_then(|before| after?.since(&before));
    let mut figures = Figures::rate(last - first, u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    figures.cost(spent, last - first, round.size);
    figures.latencies(tally);
    figures.put(RESIDENT, mib(memory.most_bytes()));
    figures
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / (1024.0 * 1024.0)
}

/// Waits until `is_done`, at most until `deadline`; whether it was.
async fn until(deadline: Instant, is_done: impl Fn() -> bool) -> bool {
    while !is_done() {
        if Instant::now() > deadline {
            return false;
        }
        sleep(POLL_PAUSE).await;
    }
    true
}
