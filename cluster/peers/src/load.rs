//! A producer: messages in a closed loop (a window of calls, each followed by the next) or in an open one (at a rate,
//! whatever the answers take).
//!
//! Must never: measure an open loop from the moment a call could be made. It is measured from the moment it should have
//! been, or a stalled server would look fast.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use rand::rngs::SmallRng;
use rand::{Rng as _, RngCore as _, SeedableRng as _};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{sleep, timeout};

use crate::clock::now_ns;
use crate::drivers::{Outlet, Site};
use crate::limits::{
    BODIES, CONFIRM_MAX, CONNECT_MAX, CONNECT_PAUSE, FAILOVER_CONFIRM_MAX, HEAD_BYTES, OPEN_LOOP_WINDOW,
    RECONNECT_PAUSE,
};
use crate::plan::Load;
use crate::tally::Tally;

/// Where a message's intended time and its id stand in its body.
pub(crate) fn head_of(body: &[u8]) -> Option<(u64, u64)> {
    let (intended, rest) = body.split_first_chunk()?;
    let (id, _) = rest.split_first_chunk()?;
    Some((u64::from_le_bytes(*intended), u64::from_le_bytes(*id)))
}

/// The last id of this run: what one phase leaves in a queue is told from what the next one sends.
static LAST_ID: AtomicU64 = AtomicU64::new(0);

/// Bodies of random bytes under fresh heads.
struct Bodies {
    random: SmallRng,
    pool: Vec<Vec<u8>>,
}

impl Bodies {
    fn new(producer: usize, size: usize) -> Self {
        let mut random = SmallRng::seed_from_u64(u64::try_from(producer).unwrap_or(u64::MAX));
        let pool = (0..BODIES).map(|_| {
            let mut body = vec![0; size.max(HEAD_BYTES)];
            random.fill_bytes(&mut body);
            body
        });
        let pool = pool.collect();
        Self { random, pool }
    }

    /// The next body and its id.
    fn next(&mut self, intended_ns: u64) -> (u64, Bytes) {
        let id = LAST_ID.fetch_add(1, Ordering::Relaxed) + 1;
        let mut body = self.pool[self.random.random_range(0..BODIES)].clone();
        body[..8].copy_from_slice(&intended_ns.to_le_bytes());
        body[8..HEAD_BYTES].copy_from_slice(&id.to_le_bytes());
        (id, Bytes::from(body))
    }
}

/// When calls should be made.
enum Pace {
    /// As soon as there is room.
    Closed,
    /// At these moments; a thread of its own hands them out, since a runtime's timer is a millisecond coarse.
    Open(mpsc::UnboundedReceiver<u64>),
}

impl Pace {
    fn of(load: &Load, producer: usize, tally: &Arc<Tally>) -> Self {
        if load.rate == 0 {
            return Self::Closed;
        }
        let (moments, pace) = mpsc::unbounded_channel();
        let producers = u64::try_from(load.producers).unwrap_or(u64::MAX);
        let interval_ns = interval_ns(load.rate, producers);
        let offset_ns = interval_ns / producers.max(1) * u64::try_from(producer).unwrap_or(0);
        let tally = Arc::clone(tally);
        std::thread::spawn(move || {
            let mut moment = now_ns() + offset_ns;
            while !tally.is_over() {
                std::thread::sleep(Duration::from_nanos(moment.saturating_sub(now_ns())));
                if moments.send(moment).is_err() {
                    return;
                }
                moment += interval_ns;
            }
        });
        Self::Open(pace)
    }

    /// Waits for the next moment. `None`: there is none any more.
    async fn next_ns(&mut self) -> Option<u64> {
        match self {
            Self::Closed => Some(now_ns()),
            Self::Open(moments) => moments.recv().await,
        }
    }
}

/// Time between two calls of one of `producers` that make `rate` calls a second together.
fn interval_ns(rate: u64, producers: u64) -> u64 {
    (1_000_000_000_u64.saturating_mul(producers) / rate.max(1)).max(1)
}

/// One producer.
pub(crate) struct Producer {
    /// Its number, from 0.
    pub(crate) number: usize,
    /// The node it connects to first.
    pub(crate) home: usize,
    /// The system, its nodes and the queue.
    pub(crate) site: Arc<Site>,
    /// What it sends.
    pub(crate) load: Load,
    /// Bytes of a body.
    pub(crate) size: usize,
    /// Where it counts.
    pub(crate) tally: Arc<Tally>,
}

/// Why a producer stopped feeding an outlet.
enum Stop {
    Over,
    Broken,
}

impl Producer {
    /// Sends until the phase is over, and waits for the last confirms. While confirms are kept a fault is expected: a
    /// broken outlet is replaced by one at the next node, unless the system's client does that itself.
    pub(crate) async fn run(self) {
        let slots = if self.load.rate > 0 { OPEN_LOOP_WINDOW } else { self.load.window };
        let window = Arc::new(Semaphore::new(slots));
        let mut pace = Pace::of(&self.load, self.number, &self.tally);
        let mut bodies = Bodies::new(self.number, self.size);
        // Every outlet lives until the last confirm is in.
        let mut outlets = Vec::new();
        let mut node = self.home;
        while !self.tally.is_over() {
            match timeout(CONNECT_MAX, self.site.outlet(node)).await {
                Ok(Ok(outlet)) => outlets.push(outlet),
                failed => {
                    let reason = failed.map_or_else(|_| "no connection in time".to_owned(), describe);
                    self.tally.fail(format!("connect: {reason}"));
                    if !self.reconnects() {
                        return;
                    }
                    node += 1;
                    sleep(CONNECT_PAUSE).await;
                    continue;
                }
            }
            let Some(outlet) = outlets.last() else { break };
            match self.feed(outlet, &window, &mut pace, &mut bodies).await {
                Stop::Broken if self.reconnects() => {
                    node += 1;
                    sleep(RECONNECT_PAUSE).await;
                }
                Stop::Broken | Stop::Over => break,
            }
        }
        let all = u32::try_from(slots).unwrap_or(u32::MAX);
        // What is not confirmed by then has counted as an error already.
        let _ = timeout(CONFIRM_MAX, window.acquire_many(all)).await;
    }

    fn reconnects(&self) -> bool {
        self.tally.keeps_confirms() && !self.site.system.heals_itself()
    }

    async fn feed(&self, outlet: &Outlet, window: &Arc<Semaphore>, pace: &mut Pace, bodies: &mut Bodies) -> Stop {
        let broken = Arc::new(AtomicBool::new(false));
        let batch = u64::try_from(self.load.batch).unwrap_or(u64::MAX);
        loop {
            if broken.load(Ordering::Relaxed) && self.reconnects() {
                return Stop::Broken;
            }
            let Ok(permit) = Arc::clone(window).acquire_owned().await else { return Stop::Over };
            if !self.tally.may_start(batch).await {
                return Stop::Over;
            }
            let Some(intended_ns) = pace.next_ns().await else { return Stop::Over };
            let (ids, messages) = (0..self.load.batch).map(|_| bodies.next(intended_ns)).unzip();
            match outlet.start(messages).await {
                Ok(confirm) => {
                    let call = Call { intended_ns, ids, broken: Arc::clone(&broken), permit };
                    self.spawn(call, confirm);
                }
                Err(error) => {
                    self.tally.fail(error);
                    return Stop::Broken;
                }
            }
        }
    }

    fn spawn(&self, call: Call, confirm: crate::drivers::Confirm) {
        let tally = Arc::clone(&self.tally);
        let most = if self.reconnects() { FAILOVER_CONFIRM_MAX } else { CONFIRM_MAX };
        tokio::spawn(async move {
            match timeout(most, confirm).await {
                Ok(Ok(())) => tally.confirm(call.intended_ns, &call.ids),
                failed => {
                    tally.fail(failed.map_or_else(|_| "no confirm in time".to_owned(), describe));
                    call.broken.store(true, Ordering::Relaxed);
                }
            }
            drop(call.permit);
        });
    }
}

/// One call under way.
struct Call {
    intended_ns: u64,
    ids: Vec<u64>,
    broken: Arc<AtomicBool>,
    permit: OwnedSemaphorePermit,
}

fn describe<T>(result: Result<T, crate::error::Error>) -> String {
    result.err().map(|error| error.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_has_its_size_and_carries_its_head() {
        let mut bodies = Bodies::new(2, 1024);
        let (first, body) = bodies.next(7_000);
        assert_eq!((body.len(), head_of(&body)), (1024, Some((7_000, first))));
        assert_ne!(bodies.next(7_000).0, first);
        assert!(Bodies::new(2, 1024).next(7_000).0 > first, "a later phase begins where the former has ended");
        assert_eq!(head_of(&body[..15]), None);
    }

    #[test]
    fn an_open_loop_divides_its_rate_among_the_producers() {
        for (rate, producers, expected_ns) in [(1000, 1, 1_000_000), (1000, 2, 2_000_000), (u64::MAX, 1, 1)] {
            assert_eq!(interval_ns(rate, producers), expected_ns);
        }
    }

    #[tokio::test]
    async fn the_moments_of_an_open_loop_depend_on_the_rate_alone() {
        let tally = Arc::new(Tally::new().expect("the scale is valid"));
        let load = Load { producers: 2, window: 1, batch: 1, rate: 2000 };
        let mut pace = Pace::of(&load, 0, &tally);
        let first = pace.next_ns().await.expect("a moment");
        for step in 1..5 {
            assert_eq!(pace.next_ns().await, Some(first + step * 1_000_000));
        }
        tally.end();
    }
}
