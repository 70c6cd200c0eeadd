//! The evening at scale: phones over HTTP, a rise, a peak many times what the app can do, a fault in it, and the audit.
//!
//! ```text
//!  settle in ──> capacity (the rate rises until answers stay behind) ──> tide ──> credits arrive ──> audit ──> report
//! ```
//!
//! Must never: slow down because answers are late. What the crowd wants is decided by the tide alone.

mod crowd;
mod http;
mod report;
mod series;
mod tide;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use proto::admin::v1::QueuesRequest;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use rustix::process::Signal;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until};

use self::crowd::Crowd;
use self::http::Lines;
use self::report::Report;
use self::series::{End, Series};
use self::tide::{Meter, Part, Tide};
use crate::args::{Dir, Output};
use crate::draw;
use crate::error::Error;
use crate::file::{ClusterFile, Folder, Kind};
use crate::limits::{PHONES_WAITING_MAX, SETTLE_MAX};
use crate::nodes::{self, Target};
use crate::screen::{self, Progress, bar};
use crate::{admin, audit};

/// The queue of credits.
const CREDITS: &str = "credits";
/// Arrivals are drawn this often.
const TICK: Duration = Duration::from_millis(10);
/// The search for the capacity begins here, actions a second, and rises by a quarter each step.
const FIRST_RATE: f64 = 400.0;
const RISE: f64 = 1.25;
const STEP: Duration = Duration::from_secs(3);
const STEPS_MAX: u32 = 24;
/// A step whose answers are fewer than this part of what was wanted is beyond the capacity.
const KEPT_UP: f64 = 0.9;
/// The evening before midnight runs at this part of the capacity.
const BASE: f64 = 0.8;
/// How long a killed node stays away.
const AWAY: Duration = Duration::from_secs(3);

/// Play an evening of tens of thousands of phones, with a peak beyond what the app can do.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cluster up --dir /tmp/evening --app && cluster evening --dir /tmp/evening --report evening.html
  cluster evening --dir /tmp/evening --phones 50000 --secs 120 --overload 10 --fault")]
pub(crate) struct Evening {
    #[command(flatten)]
    dir: Dir,
    /// Phones.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(100..=1_000_000))]
    phones: u64,
    /// Seconds of the evening; a third of it is midnight.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(20..=7200))]
    secs: u64,
    /// Midnight, as a multiple of the capacity.
    #[arg(long, default_value_t = 10.0)]
    overload: f64,
    /// The capacity, actions a second [default: it is measured first].
    #[arg(long)]
    capacity: Option<f64>,
    /// Kill the leader of the first ledger group at midnight, and start it again.
    #[arg(long)]
    fault: bool,
    /// Write a report with plots there (HTML).
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// How to print the result.
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
    /// Draws the same crowd again.
    #[arg(long)]
    seed: Option<u64>,
}

/// Plays it; `true` if the audit holds.
pub(crate) async fn evening(plan: Evening) -> Result<bool, Error> {
    let folder = Folder::open(&plan.dir)?;
    let cluster = folder.cluster()?;
    let mut rng = StdRng::seed_from_u64(plan.seed.unwrap_or_else(rand::random));
    let lines = Lines::new(cluster.of(Kind::App).iter().map(|node| node.http.clone()));
    let phones = usize::try_from(plan.phones).unwrap_or(usize::MAX);
    let crowd = Arc::new(Crowd::settle_in(lines, phones, &mut rng).await?);
    let (capacity, opens) = match plan.capacity {
        Some(capacity) => (capacity, None),
        None => measure(&crowd, &mut rng).await,
    };
    screen::note(&format!("the capacity is about {capacity:.0} actions a second; the evening begins"));
    let length = Duration::from_secs(plan.secs);
    let tide = Tide { base: capacity * BASE, overload: plan.overload / BASE, length };
    let series = Arc::new(Series::start());
    let killed = play(&folder, &cluster, (&plan, tide), (&crowd, &series), &mut rng).await?;
    screen::note("the evening is over; waiting until every credit has arrived");
    let settled = drained(&cluster).await;
    let audit = audit::ask(&cluster).await?;
    let seconds = series.all();
    let report = Report { capacity, opens, tide, seconds, killed, waiting: crowd.waiting(), settled, audit };
    if let Some(path) = &plan.report {
        fs::write(path, report.html()).map_err(Error::on(path))?;
        screen::note(&format!("the report is in {}", path.display()));
    }
    screen::out(&match plan.output {
        Output::Text => report.text(),
        Output::Json => report.json().to_string(),
    });
    Ok(audit::holds(&report.audit))
}

/// Raises the rate until answers stay behind. Says what was answered at most, of all kinds and of opens, a second.
async fn measure(crowd: &Arc<Crowd>, rng: &mut StdRng) -> (f64, Option<f64>) {
    let (mut best, mut opens, mut rate) = (0.0_f64, 0.0_f64, FIRST_RATE);
    let mut progress = Progress::new();
    for _ in 0..STEPS_MAX {
        let series = Arc::new(Series::start());
        let tide = Tide { base: rate, overload: 1.0, length: STEP * 100 };
        arrivals(crowd, &series, |_| tide.base, STEP, rng).await;
        let secs = series.elapsed().max(STEP).as_secs_f64();
        let (answered, opened) = series.answered(Duration::ZERO, Duration::from_secs(3600));
        let goodput = answered as f64 / secs;
        progress.show(&format!("measuring: {rate:.0} wanted a second, {goodput:.0} answered"));
        if goodput > best {
            (best, opens) = (goodput, opened as f64 / secs);
        }
        if goodput < rate * KEPT_UP {
            break;
        }
        rate *= RISE;
    }
    (best, Some(opens))
}

/// Draws what the crowd wants, tick by tick, and lets it act; returns when the last action has ended.
async fn arrivals(
    crowd: &Arc<Crowd>,
    series: &Arc<Series>,
    rate: impl Fn(Duration) -> f64,
    length: Duration,
    rng: &mut StdRng,
) {
    let (mut meter, mut acts) = (Meter::default(), JoinSet::new());
    let places = Arc::new(Semaphore::new(PHONES_WAITING_MAX));
    let (begun, mut at) = (Instant::now(), Duration::ZERO);
    while at < length {
        sleep_until(begun + at).await;
        for _ in 0..meter.tick(rate(at), TICK) {
            let (action, seed) = (draw::action(rng), rng.random());
            series.wanted(action, at);
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                series.ended(action, at, End::Failed);
                continue;
            };
            let (crowd, series) = (Arc::clone(crowd), Arc::clone(series));
            acts.spawn(async move {
                crowd.act(action, seed, at, &series).await;
                drop(place);
            });
        }
        while acts.try_join_next().is_some() {}
        at += TICK;
    }
    while acts.join_next().await.is_some() {}
}

/// The evening itself. Says which node was killed.
async fn play(
    folder: &Folder,
    cluster: &ClusterFile,
    (plan, tide): (&Evening, Tide),
    (crowd, series): (&Arc<Crowd>, &Arc<Series>),
    rng: &mut StdRng,
) -> Result<Option<String>, Error> {
    let strike = async {
        if !plan.fault {
            return std::future::pending().await;
        }
        let (begin, end) = tide.span(Part::Midnight);
        sleep(begin + (end - begin) / 3).await;
        let node = nodes::kill_node(folder, &Target::LedgerLeader, Signal::KILL).await?;
        sleep(AWAY).await;
        nodes::start_node(folder, &node).await?;
        Ok(node)
    };
    let watch = watch(cluster, &tide, series);
    let acts = arrivals(crowd, series, |at| tide.rate(at), tide.length, rng);
    tokio::pin!(strike, watch, acts);
    let mut killed = None;
    loop {
        tokio::select! {
            node = &mut strike, if killed.is_none() => killed = Some(node?),
            () = &mut watch => {}
            () = &mut acts => return Ok(killed),
        }
    }
}

/// Looks at the queue of credits each second, and shows where the evening stands. Never ends.
async fn watch(cluster: &ClusterFile, tide: &Tide, series: &Series) {
    let mut progress = Progress::new();
    let mut ticks = interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        let (queued, oldest_ms) = queued(cluster).await;
        series.queued(queued, oldest_ms);
        let now = series.elapsed();
        let (answered, opens) = series.answered(now.saturating_sub(Duration::from_secs(2)), now);
        let bar = bar(now.as_secs(), tide.length.as_secs(), 20);
        progress.show(&format!(
            "{:>4} s  {bar} {:<8} {:.0} wanted, {} answered, {} opens a second; {queued} credits queued",
            now.as_secs(),
            tide.part(now).name(),
            tide.rate(now),
            answered / 2,
            opens / 2,
        ));
    }
}

/// Credits in the queue, and the age of the oldest in milliseconds.
async fn queued(cluster: &ClusterFile) -> (u64, u64) {
    let (mut most, mut oldest) = (0, 0);
    for address in cluster.addresses(Kind::Queue) {
        let Ok(mut client) = admin::client(&address) else { continue };
        let Ok(reply) = client.queues(QueuesRequest {}).await else { continue };
        for queue in reply.into_inner().queues.iter().filter(|queue| queue.queue.starts_with(CREDITS)) {
            most = most.max(queue.visible + queue.leased + queue.delayed);
            oldest = oldest.max(queue.oldest_ms);
        }
    }
    (most, oldest)
}

/// Waits until no credit is in the queue. `None`: some were still there in the end.
async fn drained(cluster: &ClusterFile) -> Option<Duration> {
    let begun = Instant::now();
    while begun.elapsed() < SETTLE_MAX {
        if queued(cluster).await.0 == 0 {
            return Some(begun.elapsed());
        }
        sleep(Duration::from_millis(500)).await;
    }
    None
}
