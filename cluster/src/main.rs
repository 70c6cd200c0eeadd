//! `cluster`: the operators' command. Local clusters, faults, health, audit, load, and the demo.
//!
//! ```text
//!  args ──> nodes    processes of this machine: up, kill, start, down
//!      ├──> status   Admin.Status of every node ──> verdict (pure)
//!      ├──> audit    the invariants of the money
//!      ├──> parked   credits that wait for an operator
//!      ├──> keys     key pairs and their rights
//!      ├──> bench    load with latencies
//!      ├──> evening  tens of thousands of phones, and a peak beyond what the app can do
//!      └──> demo     an evening of red packets, with faults, checked to the fen
//! ```
//!
//! Why: operators and scripts need one door to a whole cluster; a node knows only itself.
//!
//! Must never: reach past the doors that everybody uses, or signal a process that is not a node of the named cluster.

mod admin;
mod args;
mod audit;
mod bench;
mod demo;
mod doors;
mod draw;
mod error;
mod evening;
mod file;
mod keys;
mod limits;
mod nodes;
mod parked;
mod phone;
mod replicas;
mod screen;
mod status;

use std::process::ExitCode;

use clap::Parser as _;

use crate::args::{Args, Verb};
use crate::error::Error;
use crate::file::Folder;

fn main() -> ExitCode {
    let args = Args::parse();
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
            ExitCode::FAILURE
        }
    }
}

/// Does what was asked. `false`: it was done, and the answer is "no" (not healthy, an invariant broken).
async fn run(verb: Verb) -> Result<bool, Error> {
    match verb {
        Verb::Up(up) => {
            let folder = Folder::create(&up.dir)?;
            nodes::up(&folder, &up.shape).await.map(|file| screen::out(&nodes::describe(&folder, &file)))?;
            Ok(true)
        }
        Verb::Kill { dir, target, signal } => nodes::kill(&Folder::open(&dir)?, &target, signal).await,
        Verb::Start { dir, node } => nodes::start(&Folder::open(&dir)?, &node).await,
        Verb::Down { dir } => nodes::down(&Folder::open(&dir)?).await,
        Verb::Status { dir, output } => status::status(&Folder::open(&dir)?, output).await,
        Verb::Health { dir } => status::health(&Folder::open(&dir)?).await,
        Verb::Audit { dir, output } => audit::audit(&Folder::open(&dir)?, output).await,
        Verb::Parked(verb) => parked::parked(verb).await,
        Verb::Keys(verb) => keys::keys(verb).await,
        Verb::Bench(bench) => Box::pin(bench::bench(bench)).await,
        Verb::Evening(evening) => Box::pin(evening::evening(evening)).await,
        Verb::Demo(demo) => Box::pin(demo::demo(demo)).await,
    }
}
