//! `cluster`: the operators' command. Local clusters, faults, health, audit, load, and the demo.
//!
//! ```text
//!  args ──> nodes    processes of this machine: up, kill, start, down
//!      ├──> status   Admin.Status of every node ──> verdict (pure)
//!      ├──> top      the same, drawn again and again
//!      ├──> members  nodes come and go, and share the leads
//!      ├──> audit    the invariants of the money
//!      ├──> switch   what the app gives up so that the rest holds
//!      ├──> parked   credits that wait for an operator
//!      ├──> verify   the copies, by the hash of their rows
//!      ├──> backup   every group as files, with hashes
//!      ├──> recover  one node goes on alone, after a majority was lost for good
//!      ├──> queues   queues and topics by hand
//!      ├──> context  names for clusters elsewhere (reach: which one is meant)
//!      ├──> manual   the page for `man`
//!      ├──> bundle   what a fault's finder needs
//!      ├──> keys     key pairs and their rights
//!      ├──> certs    certificates of nodes and clients
//!      ├──> bench    load with latencies
//!      ├──> evening  tens of thousands of phones, and a peak beyond what the app can do
//!      ├──> capacity what an action costs, and what a peak of many more would need
//!      ├──> demo     an evening of red packets, with faults, checked to the fen
//!      ├──> chaos    a load that accounts for every message while others break the cluster
//!      ├──> sim      seeds of the simulation
//!      └──> link     how each of these speaks to nodes: signed, and over TLS where there are certificates
//! ```
//!
//! Why: operators and scripts need one door to a whole cluster; a node knows only itself.
//!
//! Must never: reach past the doors that everybody uses, or signal a process that is not a node of the named cluster.

mod admin;
mod args;
mod audit;
mod backup;
mod bench;
mod bundle;
mod capacity;
mod certs;
mod chaos;
mod context;
mod demo;
mod doors;
mod draw;
mod error;
mod evening;
mod examples;
mod file;
mod interrupt;
mod keys;
mod limits;
mod link;
mod manual;
mod members;
mod nodes;
mod parked;
mod phone;
mod queues;
mod reach;
mod recover;
mod replicas;
mod screen;
mod sim;
mod status;
mod switch;
mod top;
mod verify;

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _};

use crate::args::{Args, Verb};
use crate::error::Error;
use crate::file::Folder;

/// The exit code of what could not be done; "no" is 1, and a command line that is not understood 2.
const COULD_NOT: u8 = 3;

fn main() -> ExitCode {
    let matches = examples::with_examples(Args::command()).get_matches();
    let args = Args::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    link::say(args.asker);
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "error".into()))
        .with_writer(std::io::stderr)
        .init();
    let ended = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|source| Error::Io { what: "the runtime does not start".to_owned(), source })
        .and_then(|runtime| runtime.block_on(run(args.verb)));
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            screen::note(&format!("error: {error}"));
            ExitCode::from(COULD_NOT)
        }
    }
}

/// Does what was asked. `false`: it was done, and the answer is "no" (not healthy, an invariant broken).
async fn run(verb: Verb) -> Result<bool, Error> {
    match verb {
        Verb::Up(up) => {
            let folder = Folder::create(&up.dir)?;
            up.prepare(&folder)?;
            nodes::up(&folder, &up.shape).await.map(|file| screen::out(&nodes::describe(&folder, &file)))?;
            Ok(true)
        }
        Verb::Kill { dir, target, signal } => nodes::kill(&Folder::open(&dir)?, &target, signal).await,
        Verb::Start { dir, node } => nodes::start(&Folder::open(&dir)?, &node).await,
        Verb::Down { dir } => nodes::down(&Folder::open(&dir)?).await,
        Verb::Status { reach, output, watch } => status::status(&reach, output, watch).await,
        Verb::Top(top) => top::top(top).await,
        Verb::Health { reach } => status::health(&reach).await,
        Verb::Backup { reach, out } => backup::backup(&reach, &out).await,
        Verb::Recover(asked) => recover::recover(&asked).await,
        Verb::Lift { reach } => recover::lift(&reach).await,
        Verb::Verify { reach } => verify::verify(&reach).await,
        Verb::Queue(verb) => queues::queue(verb).await,
        Verb::Topic(verb) => queues::topic(verb).await,
        Verb::Context(verb) => context::context(verb),
        Verb::Bundle { reach, out } => bundle::bundle(&reach, &out).await,
        Verb::Completion { shell } => Ok(complete(shell)),
        Verb::Manual => {
            screen::out(&manual::page(examples::with_examples(Args::command())));
            Ok(true)
        }
        Verb::Members(verb) => members::members(verb).await,
        Verb::Audit { dir, output } => audit::audit(&Folder::open(&dir)?, output).await,
        Verb::Parked(verb) => parked::parked(verb).await,
        Verb::Switch(verb) => switch::switch(&verb),
        Verb::Keys(verb) => keys::keys(verb).await,
        Verb::Certs(verb) => certs::certs(verb).await,
        Verb::Bench(bench) => Box::pin(bench::bench(bench)).await,
        Verb::Evening(evening) => Box::pin(evening::evening(evening)).await,
        Verb::Capacity(capacity) => Box::pin(capacity::capacity(capacity)).await,
        Verb::Demo(demo) => Box::pin(demo::demo(demo)).await,
        Verb::Chaos(chaos) => Box::pin(chaos::chaos(chaos)).await,
        Verb::Sim(sim) => sim::sim(&sim),
    }
}

/// Prints what makes a shell complete this command.
fn complete(shell: clap_complete::Shell) -> bool {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "cluster", &mut script);
    screen::out(&String::from_utf8_lossy(&script));
    true
}
