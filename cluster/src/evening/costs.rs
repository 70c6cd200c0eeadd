//! What each kind of action costs: processor time, bytes and fsyncs, each kind by itself, and then what all together reach.
//!
//! ```text
//!  settle in ──> idle ──> sends ──> opens ──> grabs ──> lists ──> the search for the capacity of the mix
//!                         a closed loop each, so that batches are as large as under a full load
//! ```
//!
//! Must never: charge a kind with what the cluster spends when nobody asks anything.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::time::{Instant, sleep};

use super::crowd::{Crowd, Manners, Shown};
use super::deeds::{Deed, SHARES, packet_of};
use super::http::{Answer, Lines};
use super::search;
use super::series::{End, KINDS, kind_name, quantile};
use crate::admin;
use crate::bench::usage::{Books, TICKS_PER_S, ticks_of};
use crate::capacity::costs::{Costs, KindCost, MixMeasured};
use crate::draw::Action;
use crate::error::Error;
use crate::file::{ClusterFile, Folder, Kind};
use crate::limits::GROUPS;
use crate::screen;

/// Actions under way.
const WINDOW: usize = 256;
/// How long each kind is measured.
const LENGTH: Duration = Duration::from_secs(8);
/// What comes after the answer (marks, the journal) is done within this, and is charged too.
const TAIL: Duration = Duration::from_secs(1);
/// Packets that are left to be grabbed and looked at.
const LEFT: usize = 400;

/// What is there to be opened: a packet and a user, one pair a share.
type Stock = Mutex<Vec<(String, usize)>>;

/// Measures everything. Errors: `NoApp`, `Call`.
pub(crate) async fn measure(folder: &Folder, phones: usize, seed: u64) -> Result<Costs, Error> {
    let cluster = folder.cluster()?;
    if cluster.app.is_empty() {
        return Err(Error::NoApp);
    }
    let mut rng = StdRng::seed_from_u64(seed);
    let lines = Lines::new(cluster.of(Kind::App).iter().map(|node| node.http.clone()));
    let crowd = Arc::new(Crowd::settle_in(lines, phones, Manners::Patient, &mut rng).await?);
    let meter = Meter { cluster: &cluster, crowd: &crowd };
    sleep(TAIL).await;
    let idle = meter.idle().await?;
    let (stock, mut kinds) = (Arc::new(Stock::default()), Vec::new());
    for kind in KINDS {
        let cost = meter.kind(kind, &stock, idle, &mut rng).await?;
        screen::note(&format!(
            "{:<6}{:>8.0} a second, {:.0} µs of the servers each",
            cost.kind,
            cost.per_s(),
            cost.server_us()
        ));
        kinds.push(cost);
    }
    let capacity = search::find(folder, &crowd, &mut rng).await?;
    let best = capacity.best();
    let mix = MixMeasured { per_s: capacity.per_s(), cores: best.map(|step| step.cores).unwrap_or_default() };
    let views = admin::look(&cluster.app).await;
    let fsync = views.iter().filter_map(|view| Some(view.answer.as_ref().ok()?.fsync?.p50_us)).max();
    Ok(Costs {
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        groups: GROUPS,
        idle_cores: idle.app + idle.queue,
        fsync_p50_us: fsync.unwrap_or(0),
        kinds,
        mix,
    })
}

struct Meter<'a> {
    cluster: &'a ClusterFile,
    crowd: &'a Arc<Crowd>,
}

/// What has been spent so far.
#[derive(Clone, Copy)]
struct Reading {
    app: Books,
    queue: Books,
    own_ticks: u64,
    fsyncs: u64,
    at: Instant,
}

/// Processors in use while nobody asks anything.
#[derive(Clone, Copy)]
struct Idle {
    app: f64,
    queue: f64,
}

impl Meter<'_> {
    async fn read(&self) -> Result<Reading, Error> {
        let unreadable = || Error::Impossible("the books of a node cannot be read: is it on this machine?".to_owned());
        let (app, queue) = tokio::join!(admin::look(&self.cluster.app), admin::look(&self.cluster.queue));
        let counts = app.iter().chain(&queue).filter_map(|view| Some(view.answer.as_ref().ok()?.fsync?.count));
        Ok(Reading {
            app: Books::of(&self.cluster.app).ok_or_else(unreadable)?,
            queue: Books::of(&self.cluster.queue).ok_or_else(unreadable)?,
            own_ticks: ticks_of(std::process::id()).ok_or_else(unreadable)?,
            fsyncs: counts.sum(),
            at: Instant::now(),
        })
    }

    async fn idle(&self) -> Result<Idle, Error> {
        let before = self.read().await?;
        sleep(LENGTH / 2).await;
        let now = self.read().await?;
        let secs = (now.at - before.at).as_secs_f64();
        let cores = |now: Books, before| now.since(before).map_or(0.0, |usage| usage.cpu_ms as f64 / 1000.0 / secs);
        Ok(Idle { app: cores(now.app, before.app), queue: cores(now.queue, before.queue) })
    }

    async fn kind(&self, kind: Action, stock: &Arc<Stock>, idle: Idle, rng: &mut StdRng) -> Result<KindCost, Error> {
        let before = self.read().await?;
        let (done, latencies) = (Arc::new(AtomicU64::new(0)), Arc::new(Mutex::new(Vec::new())));
        let workers = (0..WINDOW).map(|_| {
            let (crowd, stock) = (Arc::clone(self.crowd), Arc::clone(stock));
            let (done, latencies, mut rng) = (Arc::clone(&done), Arc::clone(&latencies), StdRng::from_rng(rng));
            tokio::spawn(async move {
                let until = Instant::now() + LENGTH;
                while Instant::now() < until {
                    let begun = Instant::now();
                    let Some(is_answered) = act(&crowd, kind, &stock, &mut rng).await else { break };
                    if is_answered {
                        done.fetch_add(1, Ordering::Relaxed);
                        let us = u32::try_from(begun.elapsed().as_micros()).unwrap_or(u32::MAX);
                        latencies.lock().unwrap_or_else(PoisonError::into_inner).push(us);
                    }
                }
            })
        });
        let begun = Instant::now();
        join_all(workers.collect::<Vec<_>>()).await;
        let secs = begun.elapsed().as_secs_f64();
        sleep(TAIL).await;
        let now = self.read().await?;
        if kind == Action::Send {
            self.leave_some(stock, rng);
        }
        let actions = done.load(Ordering::Relaxed);
        let each = |all: f64| all / actions.max(1) as f64;
        let passed = (now.at - before.at).as_secs_f64();
        let us = |now: Books, before, idle: f64| {
            let used = now.since(before).map_or(0.0, |usage| usage.cpu_ms as f64 * 1000.0);
            each((used - idle * passed * 1e6).max(0.0))
        };
        let bytes = |now: Books, before| now.since(before).map_or(0.0, |usage| usage.written_bytes as f64);
        let mut latencies = std::mem::take(&mut *latencies.lock().unwrap_or_else(PoisonError::into_inner));
        latencies.sort_unstable();
        Ok(KindCost {
            kind: kind_name(kind).to_owned(),
            actions,
            secs,
            app_us: us(now.app, before.app, idle.app),
            queue_us: us(now.queue, before.queue, idle.queue),
            generator_us: each((now.own_ticks - before.own_ticks) as f64 * 1e6 / TICKS_PER_S as f64),
            written_bytes: each(bytes(now.app, before.app) + bytes(now.queue, before.queue)),
            fsyncs: each(now.fsyncs.saturating_sub(before.fsyncs) as f64),
            p50_us: quantile(&latencies, 50),
            p99_us: quantile(&latencies, 99),
        })
    }

    /// Of what was sent, some packets are kept from the openers: grabs and looks are for them.
    fn leave_some(&self, stock: &Stock, rng: &mut StdRng) {
        let mut stock = stock.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = stock.len().min(LEFT * SHARES) / 2;
        for (packet, user) in stock.drain(..kept).step_by(SHARES) {
            let to_open = vec![user];
            let chat = (0..self.crowd.chats()).find(|chat| self.crowd.chat(*chat).1.contains(&user)).unwrap_or(0);
            self.crowd.show(Shown { packet, chat, to_open });
        }
        // One packet after the other would be one hot packet after the other.
        for place in (1..stock.len()).rev() {
            let other = rng.random_range(0..=place);
            stock.swap(place, other);
        }
    }
}

/// One action of a kind; whether it was answered. `None`: there is nothing more to do.
async fn act(crowd: &Crowd, kind: Action, stock: &Stock, rng: &mut StdRng) -> Option<bool> {
    match (kind, crowd.draw_a(kind, rng)) {
        (Action::Send, Deed::Send { sender, chat, order, fen, to_open }) => {
            let answer = crowd.send(sender, chat, &order, fen).await;
            if let Some(packet) = packet_of(&answer) {
                let pairs = to_open.iter().take(SHARES).map(|user| (packet.clone(), *user));
                stock.lock().unwrap_or_else(PoisonError::into_inner).extend(pairs);
            }
            Some(matches!(answer, Answer::Done(_)))
        }
        (Action::Open, _) => {
            let (packet, user) = stock.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
            Some(matches!(crowd.open(user, &packet).await, Answer::Done(_)))
        }
        (_, deed) => Some(crowd.attempt(deed).await.0 == End::Answered),
    }
}
