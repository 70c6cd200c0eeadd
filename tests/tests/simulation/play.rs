//! One run: a cluster, its clients, a storm, then calm in which progress is demanded, then the laws.

use std::ops::AddAssign;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use machine::{GroupId, TimestampMs};
use parking_lot::Mutex;
use queue_core::{Attributes, Command, Counts, DeadLetterCount, DeadLetterPolicy, MessageId, QueueId, Reply};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use replica::simulation::Mail;
use tokio::time::Instant;

use crate::caller::Caller;
use crate::clients::{acknowledge, consume, produce, receive};
use crate::history::{History, Line, Number};
use crate::laws;
use crate::stage::Stage;
use crate::subject::Subject;

const PRODUCERS: u64 = 2;
const CONSUMERS: u64 = 3;
/// After everything was healed, what must come comes within this.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
const READ_MAX: Duration = Duration::from_secs(1);
/// Machine time may be ahead of true time by no more than the slew of a run.
const TIME_OFF_MAX_MS: u64 = 15_000;
/// A lease that no wrong clock of a calm cluster ends.
const LONG_LEASE_MS: u64 = 600_000;
/// A message that failed so often is a dead letter.
const TRIES_MAX: u32 = 2;

/// A run under way.
pub(crate) struct Run {
    pub(crate) stage: Stage<Subject>,
    pub(crate) history: Mutex<History>,
    queues: Mutex<Vec<(Line, QueueId)>>,
    is_calm: AtomicBool,
    /// The highest index that was answered.
    latest: AtomicU64,
    /// When patience ends; set when everything is healed.
    until: Mutex<Option<Instant>>,
}

/// What a run that kept every law did.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) sent: u64,
    pub(crate) delivered: u64,
    pub(crate) dead: u64,
    pub(crate) unknown: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.sent += other.sent;
        self.delivered += other.delivered;
        self.dead += other.dead;
        self.unknown += other.unknown;
    }
}

impl Run {
    /// A law was broken.
    pub(crate) fn broke(&self, law: String) {
        let mut history = self.history.lock();
        if !history.broken.contains(&law) {
            history.broken.push(law);
        }
    }

    /// Whether the storm is over.
    pub(crate) fn is_calm(&self) -> bool {
        self.is_calm.load(Ordering::Relaxed)
    }

    /// The highest index that was answered so far: what is called from now on comes behind it.
    pub(crate) fn latest(&self) -> u64 {
        self.latest.load(Ordering::Relaxed)
    }

    /// Entry `index` was answered.
    pub(crate) fn reached(&self, index: u64) {
        self.latest.fetch_max(index, Ordering::Relaxed);
    }

    /// Whether patience is at its end.
    pub(crate) fn is_too_late(&self) -> bool {
        self.until.lock().is_some_and(|until| Instant::now() > until)
    }

    /// A queue's id.
    pub(crate) fn queue(&self, line: Line) -> QueueId {
        let queues = self.queues.lock();
        queues.iter().find(|(known, _)| *known == line).map_or(QueueId(0), |(_, queue)| *queue)
    }

    /// Whether some replica believes that a receive would find something.
    pub(crate) fn has_ready(&self, queue: QueueId) -> bool {
        let groups = self.stage.cluster.running().into_iter().filter_map(|node| self.stage.cluster.group(node));
        groups.into_iter().any(|group| group.read_stale(|view| view.machine.queues().has_ready(queue)).unwrap_or(false))
    }

    /// What the body of a message says that was delivered at `index`, if a replica that has come so far has it still.
    pub(crate) fn number_of(&self, id: MessageId, index: u64) -> Option<Number> {
        let groups = self.stage.cluster.running().into_iter().filter_map(|node| self.stage.cluster.group(node));
        groups.into_iter().find_map(|group| {
            let body = group.read_stale(|view| (view.index >= index).then(|| view.rows.body(id.body())));
            let body = body.ok()??.ok()??;
            body.first_chunk().map(|number| u64::from_be_bytes(*number))
        })
    }

    /// Machine time must not run ahead, whatever one clock says.
    pub(crate) fn check_time(&self, stamp: TimestampMs) {
        let ahead = stamp.0.saturating_sub(self.stage.cluster.true_time_ms());
        if ahead > TIME_OFF_MAX_MS {
            self.broke(format!("machine time is {ahead} ms ahead"));
        }
    }

    async fn heal(&self, patience: Duration) {
        if let Err(broken) = self.stage.heal().await {
            self.broke(broken);
        }
        let until = Instant::now() + patience;
        *self.until.lock() = Some(until);
        self.is_calm.store(true, Ordering::Relaxed);
        if let Err(broken) = self.stage.finish_replacement(until).await {
            self.broke(broken);
        }
    }

    async fn create_queues(&self, caller: &mut Caller) {
        for line in Line::ALL {
            let policy = DeadLetterPolicy {
                group: None,
                queue: Line::Dead.name().to_owned(),
                count: DeadLetterCount::Failed,
                limit: TRIES_MAX,
            };
            let attributes = Attributes {
                dead_letter: (line == Line::Plain).then_some(policy),
                dedup_window_s: if line == Line::Plain { 600 } else { 0 },
                ..Attributes::default()
            };
            let command = Command::CreateQueue { name: line.name().to_owned(), attributes };
            match caller.call(self, &command).await.map(|answered| answered.reply) {
                Some(Reply::Created { queue }) => self.queues.lock().push((line, queue)),
                other => self.broke(format!("a queue was not made: {other:?}")),
            }
        }
    }

    async fn counts(&self, line: Line) -> Option<Counts> {
        let leader = self.stage.cluster.leader()?;
        let queue = self.queue(line);
        let read =
            self.stage.cluster.read(leader, |view| view.machine.queues().status(queue).map(|status| status.counts));
        tokio::time::timeout(READ_MAX, read).await.ok()?.ok()?
    }

    /// Takes everything out: what fails goes to the dead-letter queue first, so that is emptied last.
    async fn drain(&self, caller: &mut Caller) {
        for line in [Line::Plain, Line::Orders, Line::Dead] {
            let queue = self.queue(line);
            loop {
                let came = receive(self, caller, line, 32, LONG_LEASE_MS).await;
                if !came.is_empty() {
                    let held: Vec<_> = came.iter().map(|delivery| (delivery.id, delivery.receipt)).collect();
                    acknowledge(self, caller, queue, &held).await;
                    continue;
                }
                let left = self.counts(line).await;
                if left.is_some_and(|left| left.visible + left.leased + left.delayed == 0) {
                    break;
                }
                if self.is_too_late() {
                    return self.broke(format!("the queue {} does not run dry: {left:?}", line.name()));
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Plays `seed`: what must come after the storm comes within `patience`. Errors: every law that was broken.
pub(crate) async fn play(
    seed: u64,
    patience: Duration,
    storm: impl AsyncFnOnce(&Run, &mut StdRng),
) -> Result<Tally, String> {
    let stage = Stage::open(GroupId(1), seed, Arc::new(Mail::new(seed))).await?;
    let run = Arc::new(Run {
        stage,
        history: Mutex::default(),
        queues: Mutex::default(),
        is_calm: AtomicBool::new(false),
        latest: AtomicU64::new(0),
        until: Mutex::default(),
    });
    let mut owner = Caller::new(seed, false);
    run.create_queues(&mut owner).await;
    let client = |number: u64| Caller::new(seed ^ (number << 40), true);
    let mut clients = Vec::new();
    for me in 1..=PRODUCERS {
        clients.push(tokio::spawn(produce(Arc::clone(&run), me, client(me))));
    }
    for me in 1..=CONSUMERS {
        clients.push(tokio::spawn(consume(Arc::clone(&run), client(PRODUCERS + me))));
    }
    storm(&run, &mut StdRng::seed_from_u64(seed)).await;
    run.heal(patience).await;
    for client in clients {
        client.await.map_err(|error| format!("a client fell: {error}"))?;
    }
    run.drain(&mut owner).await;
    let until = run.until.lock().unwrap_or_else(Instant::now);
    if let Err(broken) = run.stage.demand_equal_replicas(until).await {
        run.broke(broken);
    }
    run.stage.close().await;
    let history = std::mem::take(&mut *run.history.lock());
    laws::judge(&history)
}

/// A whole run on a runtime whose time jumps and whose scheduler is seeded.
pub(crate) fn in_simulated_time<T>(seed: u64, run: impl Future<Output = T>) -> T {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_be_bytes());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .rng_seed(tokio::runtime::RngSeed::from_bytes(&bytes))
        .build();
    runtime.expect("a runtime starts").block_on(run)
}
