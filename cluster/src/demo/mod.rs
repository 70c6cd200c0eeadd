//! The demo: a cluster of its own, an evening of red packets, killed leaders, and a book that is right to the fen.
//!
//! ```text
//!  up ──> town (users, chats) ──> evening (players)  ──> settle ──> audit ──> summary
//!                                 probes, faults ─┘       └── every wallet against the book
//! ```
//!
//! Must never: leave a process or a folder behind, unless it was asked to.

mod book;
mod evening;
mod faults;
mod outage;
mod probe;
mod settle;
mod spread;
mod summary;
mod town;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use self::book::Book;
use self::evening::Evening;
use self::faults::{Fault, strike};
use self::probe::{LedgerProbe, QueueProbe};
use self::summary::Summary;
use self::town::Town;
use crate::args::{Dir, Shape};
use crate::error::Error;
use crate::file::{ClusterFile, Folder, Kind};
use crate::interrupt::interruption;
use crate::limits::READY_MAX;
use crate::nodes::{self, Target};
use crate::phone::Phone;
use crate::screen::{self, Progress, bar};
use crate::{audit, status};

/// Players at the same time.
const PLAYERS: usize = 48;

/// Play an evening of red packets on a cluster of its own, kill leaders, and account for every fen.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  cluster demo --keep --json evening.json --secs 30 --seed 7")]
pub(crate) struct Demo {
    /// Leave the cluster running.
    #[arg(long)]
    keep: bool,
    /// Write the result there as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Folder of the cluster [default: a new one under $TMPDIR or /var/tmp, removed in the end].
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Seconds of the evening.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(5..=3600))]
    secs: u64,
    /// Draws the same town and the same players again.
    #[arg(long)]
    seed: Option<u64>,
}

/// Plays the demo; `true` if the audit holds.
pub(crate) async fn demo(demo: Demo) -> Result<bool, Error> {
    let seed = demo.seed.unwrap_or_else(rand::random);
    let path = demo.dir.clone().unwrap_or_else(|| temporary(seed));
    let folder = Folder::create(&Dir { path })?;
    let played = tokio::select! {
        played = play(&folder, &demo, seed) => played,
        interrupted = interruption() => Err(interrupted),
    };
    let is_kept = demo.keep && played.is_ok();
    if !is_kept {
        close(&folder, demo.dir.is_none()).await;
    }
    let (summary, cluster) = played?;
    if let Some(path) = &demo.json {
        fs::write(path, format!("{:#}\n", summary.json())).map_err(Error::on(path))?;
    }
    screen::out(&summary.text());
    screen::out(&summary::addresses(&cluster));
    screen::out(&if is_kept {
        format!("  running  cluster status --dir {0}; stop it with cluster down --dir {0}", folder.path().display())
    } else {
        "  stopped  --keep leaves the cluster running".to_owned()
    });
    Ok(summary.holds())
}

/// A folder on a real disk: what is fsynced in memory proves nothing.
fn temporary(seed: u64) -> PathBuf {
    let parent = std::env::var_os("TMPDIR").map_or_else(|| PathBuf::from("/var/tmp"), PathBuf::from);
    parent.join(format!("tercet-demo-{}-{seed:016x}", std::process::id()))
}

/// Ends every node, and removes the folder if it is the demo's own.
async fn close(folder: &Folder, is_own: bool) {
    match nodes::end_all(folder).await {
        Ok(_) | Err(Error::NoCluster { .. }) => {}
        Err(error) => screen::note(&format!("error: {error}")),
    }
    if is_own && let Err(error) = remove(folder.path()) {
        screen::note(&format!("error: {error}"));
    }
}

fn remove(path: &Path) -> Result<(), Error> {
    fs::remove_dir_all(path).map_err(Error::on(path))
}

async fn play(folder: &Folder, demo: &Demo, seed: u64) -> Result<(Summary, ClusterFile), Error> {
    screen::note(&format!("starting three queue nodes and three app nodes in {}", folder.path().display()));
    let cluster = nodes::up(folder, &Shape { app: true, ..Shape::default() }).await?;
    screen::note(&summary::addresses(&cluster));
    spread::spread(cluster.of(Kind::App)).await;
    let mut rng = StdRng::seed_from_u64(seed);
    let (town, mut book) = (Town::draw(&mut rng), Book::default());
    let phone = Phone::new(cluster.addresses(Kind::App))?;
    town.settle_in(&phone, &mut book).await.map_err(Error::call("settle in"))?;
    screen::note(&format!("{} users in {} chats; the evening begins", town.users.len(), town.chats.len()));

    let evening = Arc::new(Evening::new(town, book));
    let (stop, stopped) = watch::channel(false);
    let mut players = JoinSet::new();
    for number in 0..PLAYERS {
        players.spawn(Arc::clone(&evening).play(phone.beside(number)?, rng.random(), stopped.clone()));
    }
    let faults = strikes(folder, &cluster, demo, &evening).await;
    stop.send_replace(true);
    while players.join_next().await.is_some() {}
    let faults = faults?;

    screen::note("the evening is over; waiting until every credit has arrived");
    until_healthy(folder).await?;
    let mut book = std::mem::take(&mut *evening.book());
    settle::settle(&phone, &mut book).await;
    let audit = audit::ask(&cluster).await?;
    Ok((Summary { seed, faults, book, audit }, folder.cluster()?))
}

/// Lets the evening run for its time; a queue leader and a ledger leader fall in it.
async fn strikes(folder: &Folder, cluster: &ClusterFile, demo: &Demo, evening: &Evening) -> Result<Vec<Fault>, Error> {
    let (queue, ledger) = (QueueProbe::new(cluster).await?, LedgerProbe::new(cluster).await?);
    let (queue_pulse, ledger_pulse) = (Arc::clone(&queue.pulse), Arc::clone(&ledger.pulse));
    let (stop, stopped) = watch::channel(false);
    let mut probes = JoinSet::new();
    probes.spawn(queue.run(stopped.clone()));
    probes.spawn(ledger.run(stopped));

    let (begun, planned) = (Instant::now(), Duration::from_secs(demo.secs));
    let notes = std::sync::Mutex::new(Progress::new());
    let note = |text: &str| {
        let at = begun.elapsed().as_secs();
        if let Ok(progress) = notes.lock() {
            progress.note(&format!("{at:>3} s  {text}"));
        }
    };
    let fall = async {
        let first = strike(folder, Target::Leader, begun + planned * 3 / 10, &queue_pulse, note).await?;
        let second = (begun + planned * 6 / 10).max(Instant::now());
        let second = strike(folder, Target::LedgerLeader, second, &ledger_pulse, note).await?;
        tokio::time::sleep_until(begun + planned).await;
        Ok(vec![first, second])
    };
    let show = async {
        loop {
            let counts = evening.book().counts;
            let bar = bar(begun.elapsed().as_secs(), demo.secs, 20);
            let sum = format!("{} sends, {} grabs, {} opens", counts.sends, counts.grabs, counts.opens);
            if let Ok(mut progress) = notes.lock() {
                progress.show(&format!("{:>3} s  {bar} {sum}, {} to wait", begun.elapsed().as_secs(), counts.waiting));
            }
            sleep(Duration::from_secs(1)).await;
        }
    };
    let faults = tokio::select! {
        faults = fall => faults,
        () = show => Ok(Vec::new()),
    };
    stop.send_replace(true);
    while probes.join_next().await.is_some() {}
    faults
}

/// Waits until every member is up and caught up. Errors: the reasons why not, after the time to get ready.
async fn until_healthy(folder: &Folder) -> Result<(), Error> {
    let until = Instant::now() + READY_MAX;
    loop {
        let verdict = status::look(folder).await?;
        if verdict.spoken.is_healthy() {
            return Ok(());
        }
        if Instant::now() >= until {
            return Err(Error::Call {
                what: "the cluster is not healthy".to_owned(),
                reason: verdict.spoken.reasons.join("; "),
            });
        }
        sleep(Duration::from_millis(200)).await;
    }
}
