//! The load generators: what a cluster bears, and how long its callers wait.
//!
//! ```text
//!  plan ──> load (closed loop: a window of calls; open loop: at a rate) ──> meter ──> phases ──> table or JSON
//! ```
//!
//! Must never: count what was not confirmed, or measure from a moment later than a caller would.

mod ledger;
mod load;
mod meter;
mod packets;
mod print;
mod queue;
pub(crate) mod usage;

use std::time::Duration;

use clap::Subcommand;

use crate::args::{Dir, Output};
use crate::error::Error;
use crate::file::Folder;
use crate::limits::{COPIES_ON_DISK, MESSAGE_ROW_BYTES};
use crate::screen;

/// Make load and measure it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cluster bench queue --dir /tmp/evening --producers 4 --window 64 --secs 10
  cluster bench queue --dir /tmp/evening --rate 2000        open loop: latency from the intended start
  cluster bench queue --dir /tmp/evening --backlog 1000000  what a deep queue costs
  cluster bench queue --dir /tmp/evening --delayed 1000000  what a year of delayed messages costs
  cluster bench ledger --dir /tmp/evening --batch 500 -o json")]
pub(crate) struct Bench {
    #[command(subcommand)]
    subject: Subject,
}

#[derive(Debug, Subcommand)]
enum Subject {
    /// Send messages; drain them; then send and receive at the same time, to the confirmed acknowledgement (e2e).
    /// With a backlog: fill the queue, send on top of it, drain it. With delayed ones: only these are sent.
    Queue(QueuePlan),
    /// Transfer between accounts of one group, or across groups; with any spread, and with one hot account.
    Ledger(LedgerPlan),
    /// Send packets, then open their shares.
    Packets(Plan),
}

/// How much load, and for how long.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Plan {
    #[command(flatten)]
    dir: Dir,
    /// Clients that send, each with its own connections.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=1024))]
    producers: u64,
    /// Calls under way of each of them.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=8192))]
    window: u64,
    /// Messages or transfers handed over in one call.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=8192))]
    batch: u64,
    /// Bytes of a message.
    #[arg(long, default_value_t = 1024, value_parser = clap::value_parser!(u64).range(8..=1_048_576))]
    size: u64,
    /// Seconds of each phase.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3600))]
    secs: u64,
    /// Calls a second of all producers together, whatever the answers take; 0 = as fast as answers come.
    #[arg(long, default_value_t = 0)]
    rate: u64,
    /// Clients that receive; 0 = as many as producers.
    #[arg(long, default_value_t = 0)]
    consumers: u64,
    /// How to print the result.
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

/// Load on a queue.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct QueuePlan {
    #[command(flatten)]
    plan: Plan,
    /// Messages that wait in the queue before the senders are measured; 0 = none.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=100_000_000))]
    backlog: u64,
    /// Messages with random delays up to a year that are put into the queue instead of all else; 0 = none.
    #[arg(long, default_value_t = 0, conflicts_with = "backlog", value_parser = clap::value_parser!(u64).range(0..=100_000_000))]
    delayed: u64,
}

/// Load on the ledger.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct LedgerPlan {
    #[command(flatten)]
    plan: Plan,
    /// Accounts that transfers are made between, in each group that takes part.
    #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u64).range(4..=100_000))]
    accounts: u64,
    /// Of 100 transfers of the second phase so many are paid to the hot account.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=100))]
    hot_percent: u64,
    /// From accounts of the first group to accounts of the second: each leaves the one and is carried to the other. A
    /// phase ends when all have arrived.
    #[arg(long)]
    across: bool,
    /// Each transfer of batches of one is a call of its own, instead of sharing calls with those of the same producer that
    /// wait at the same time.
    #[arg(long)]
    own_calls: bool,
}

impl Plan {
    fn duration(&self) -> Duration {
        Duration::from_secs(self.secs)
    }

    fn consumers(&self) -> u64 {
        if self.consumers == 0 { self.producers } else { self.consumers }
    }

    fn batch(&self) -> usize {
        usize::try_from(self.batch).unwrap_or(usize::MAX)
    }

    fn size(&self) -> usize {
        usize::try_from(self.size).unwrap_or(usize::MAX)
    }
}

/// Makes the load and prints what was measured; `false` if a phase got nothing done.
pub(crate) async fn bench(bench: Bench) -> Result<bool, Error> {
    let (subject, plan) = match &bench.subject {
        Subject::Queue(queue) => ("queue", &queue.plan),
        Subject::Ledger(ledger) => ("ledger", &ledger.plan),
        Subject::Packets(plan) => ("packets", plan),
    };
    let cluster = Folder::open(&plan.dir)?.cluster()?;
    let phases = match &bench.subject {
        Subject::Queue(plan) => {
            room_for(plan)?;
            queue::run(&cluster, plan).await?
        }
        Subject::Ledger(plan) => ledger::run(&cluster, plan).await?,
        Subject::Packets(plan) => packets::run(&cluster, plan).await?,
    };
    screen::out(&match plan.output {
        Output::Text => print::table(&phases, plan.size),
        Output::Json => print::json(subject, plan, &phases).to_string(),
    });
    Ok(phases.iter().all(|phase| phase.operations > 0))
}

/// A backlog is not begun that the disk cannot hold: each node keeps a copy, and may hold it twice for a while.
fn room_for(plan: &QueuePlan) -> Result<(), Error> {
    let needed = (plan.backlog + plan.delayed).saturating_mul(plan.plan.size + MESSAGE_ROW_BYTES) * COPIES_ON_DISK;
    let folder = Folder::open(&plan.plan.dir)?;
    let disk = rustix::fs::statvfs(folder.path()).map_err(Error::call("free disk space"))?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    if needed > free {
        let mib = |bytes: u64| bytes / (1024 * 1024);
        let text = format!("the backlog needs up to {} MiB of disk, and {} MiB are free", mib(needed), mib(free));
        return Err(Error::Impossible(text));
    }
    Ok(())
}
