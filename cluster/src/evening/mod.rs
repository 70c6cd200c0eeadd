//! The evening at scale: phones over HTTP, a rise, faults, a peak many times what the app can do, a hot packet, the audit.
//!
//! ```text
//!  settle in ──> capacity (the rate rises until answers stay behind) ──> tide ──> hot packet ──> credits arrive ──> audit
//!                                                                       │
//!   crowd: who, and what they see   deeds: what they do   lines: HTTP   └─ watch: queue, books, what the app sheds ──> report
//! ```
//!
//! Must never: slow down because answers are late. What the crowd wants is decided by the tide alone.

mod arrivals;
pub(crate) mod books;
pub(crate) mod costs;
mod crowd;
mod deeds;
mod faults;
mod hot;
mod http;
mod plots;
mod report;
mod search;
mod series;
mod streams;
mod tide;
mod watch;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tokio::time::{Instant, sleep};

use self::arrivals::arrivals;
use self::crowd::{Crowd, Manners};
use self::faults::{Fault, Struck, strike};
use self::http::Lines;
use self::report::Report;
use self::search::Capacity;
use self::series::Series;
use self::streams::Heard;
use self::tide::{Part, Tide};
use self::watch::{queued, watch};
use crate::args::{Dir, Output};
use crate::audit;
use crate::error::Error;
use crate::file::{ClusterFile, Folder, Kind};
use crate::limits::SETTLE_MAX;
use crate::screen;

/// The evening before midnight runs at this part of the capacity.
const BASE: f64 = 0.8;

/// Play an evening of tens of thousands of phones, with a peak beyond what the app can do.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cluster up --dir /tmp/evening --app && cluster evening --dir /tmp/evening --report evening.html
  cluster evening --dir /tmp/evening --phones 50000 --secs 120 --overload 10 --fault --grabbers 50000
  cluster evening --dir /tmp/evening --find-capacity -o json

Exit 0: every goal that was measured is met. Opens get at least 90 % of their best goodput at the overload, no question
about money is shed, a hot packet is decided correctly and slows others by at most 10 %, the audit holds.")]
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
    /// Search for the capacity, and do nothing else.
    #[arg(long, conflicts_with = "capacity")]
    find_capacity: bool,
    /// Faults before midnight: kill-ledger, pause-ledger, kill-queue, pause-queue; they strike whichever node leads.
    #[arg(long, value_name = "WHICH", num_args = 0.., require_equals = true, value_delimiter = ',',
          default_missing_value = "kill-ledger,pause-queue")]
    fault: Vec<Fault>,
    /// After the evening so many ask for one packet of a hundred shares; 0 = none do.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=1_000_000))]
    grabbers: u64,
    /// Phones that hold a stream of their news open.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(0..=10_000))]
    listeners: u64,
    /// Phones that are sent away ask on at once, whatever they were told.
    #[arg(long)]
    stubborn: bool,
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

/// Plays it; `true` if every goal that was measured is met.
pub(crate) async fn evening(plan: Evening) -> Result<bool, Error> {
    let folder = Folder::open(&plan.dir)?;
    let cluster = folder.cluster()?;
    if cluster.app.is_empty() {
        return Err(Error::NoApp);
    }
    let mut rng = StdRng::seed_from_u64(plan.seed.unwrap_or_else(rand::random));
    let lines = Lines::new(cluster.of(Kind::App).iter().map(|node| node.http.clone()));
    let manners = if plan.stubborn { Manners::Stubborn } else { Manners::Patient };
    let crowd = Arc::new(Crowd::settle_in(lines, places(plan.phones), manners, &mut rng).await?);
    let found = match plan.capacity {
        Some(_) => None,
        None => Some(search::find(&folder, &crowd, &mut rng).await?),
    };
    if let (true, Some(found)) = (plan.find_capacity, &found) {
        screen::out(&match plan.output {
            Output::Text => format!("{:.0} actions a second, {:.0} opens", found.per_s(), found.opens()),
            Output::Json => serde_json::json!({ "capacity_per_s": found.per_s(), "steps": found.json() }).to_string(),
        });
        return Ok(true);
    }
    let report = whole(&folder, &plan, (&crowd, found), &mut rng).await?;
    if let Some(path) = &plan.report {
        fs::write(path, plots::page(&report)).map_err(Error::on(path))?;
        screen::note(&format!("the report is in {}", path.display()));
    }
    screen::out(&match plan.output {
        Output::Text => report.text(),
        Output::Json => report.json().to_string(),
    });
    Ok(report.verdicts().iter().all(|(_, is_met)| *is_met))
}

fn places(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// The evening from its first packet to the audit.
async fn whole(
    folder: &Folder,
    plan: &Evening,
    (crowd, found): (&Arc<Crowd>, Option<Capacity>),
    rng: &mut StdRng,
) -> Result<Report, Error> {
    let capacity = plan.capacity.or(found.as_ref().map(Capacity::per_s)).unwrap_or_default();
    screen::note(&format!("the capacity is about {capacity:.0} actions a second; the evening begins"));
    let (_streams, heard) = streams::listen(crowd, places(plan.listeners));
    let tide = Tide { base: capacity * BASE, overload: plan.overload / BASE, length: Duration::from_secs(plan.secs) };
    let series = Arc::new(Series::start());
    let struck = play(folder, (plan, tide), (crowd, &series, &heard), rng).await?;
    let hot = match places(plan.grabbers) {
        0 => None,
        grabbers => Some(hot::play(crowd, capacity, grabbers, rng).await?),
    };
    screen::note("the evening is over; waiting until every credit has arrived");
    let cluster = folder.cluster()?;
    let settled = drained(&cluster).await;
    let audit = audit::ask(&cluster).await?;
    let streams = (places(plan.listeners), heard.counts());
    let seconds = series.all();
    let waiting = crowd.waiting();
    Ok(Report { capacity, found, tide, seconds, struck, streams, hot, waiting, settled, audit })
}

/// The tide, with its faults. Says which nodes were struck.
async fn play(
    folder: &Folder,
    (plan, tide): (&Evening, Tide),
    (crowd, series, heard): (&Arc<Crowd>, &Arc<Series>, &Arc<Heard>),
    rng: &mut StdRng,
) -> Result<Vec<Struck>, Error> {
    let strike = strike(folder, &plan.fault, Instant::now(), tide.span(Part::Trouble));
    let acts = arrivals(crowd, series, |at| tide.rate(at), tide.length, rng);
    // Both to their end: a node that was struck is brought back, whatever the crowd does.
    let evening = async { tokio::join!(strike, acts).0 };
    tokio::select! {
        struck = evening => struck,
        () = watch(folder, crowd, &tide, series, heard) => Ok(Vec::new()),
    }
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
