//! One load generator for RabbitMQ quorum queues, NATS JetStream and Tercet: the same work, the same books, one run.
//!
//! ```text
//!  plan ──> for each repeat, point, system:  nodes (start three) ──> phases ──> a record a line ──> nodes (stop)
//!                                                                       │
//!                        drivers: send, confirm, receive, acknowledge <─┘       records ──> medians ──> goals, report
//! ```
//!
//! Why alternately: the machine is shared and its disk has moods. What is compared was measured within minutes, and a
//! ratio of medians outlives a bad minute.
//!
//! Must never: count what was not confirmed, let two systems run at the same time, or end a process it did not start.

mod args;
mod books;
mod clock;
mod drivers;
mod error;
mod goals;
mod limits;
mod load;
mod medians;
mod nodes;
mod phases;
mod plan;
mod record;
mod report;
mod run;
mod tally;

use std::process::ExitCode;

use clap::Parser as _;

use crate::args::{Args, Verb};
use crate::error::Error;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    clock::begin();
    match act(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn act(args: Args) -> Result<(), Error> {
    match args.verb {
        Verb::Run(plan) => run::run(&plan).await,
        Verb::Report(shown) => report::render(&shown),
    }
}
