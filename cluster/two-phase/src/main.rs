//! `two-phase`: the same evening's credits done in three ways on one machine, and Tenpay's goals beside PostgreSQL.
//!
//! ```text
//!  evening   seven steps with PREPARE TRANSACTION over two databases │ a polled table of pending credits │ Tenpay
//!  goals     one PostgreSQL, pgbench │ Tenpay, `cluster bench ledger`                        ─> table, or JSON
//! ```
//!
//! Why: that two-phase commit with row locks falls over under load, and that polling a table is no way out, is the claim
//! on which the whole house stands. A claim is measured, on the same disk, in the same minutes.
//!
//! Must never: measure one way with a weaker promise than the others: fsync is on everywhere.

mod evening;
mod failure;
mod goals;
mod meter;
mod outcome;
mod polled;
mod server;
mod seven_steps;
mod table;
mod tenpay;
mod two;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};

use crate::failure::Failure;
use crate::table::Table;
use crate::tenpay::Tenpay;

#[derive(Debug, Parser)]
#[command(name = "two-phase", version, about = "Other ways to credit money, measured beside Tenpay")]
struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// The same credits in three ways: uniform, one hot account, one database killed in the middle.
    Evening(Plan),
    /// Tenpay's goals against one PostgreSQL in the same minutes.
    Goals(Plan),
}

/// How long, how many, where.
#[derive(Clone, Debug, clap::Args)]
struct Plan {
    /// Seconds of each run.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3600))]
    secs: u64,
    /// Clients of the runs of an evening, one after another.
    #[arg(long, value_delimiter = ',', default_value = "1,16,64,256")]
    clients: Vec<u32>,
    /// Folder for databases and clusters; emptied of them at the end.
    #[arg(long, default_value = "/var/tmp")]
    folder: PathBuf,
    /// The operators' command of Tercet.
    #[arg(long, env = "TERCET_CLUSTER")]
    cluster: PathBuf,
    /// Seconds of each run of the large ledger among the goals; 0 = without it.
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u64).range(0..=600))]
    large_secs: u64,
    /// How to print the result.
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
    /// The same as `--output markdown`.
    #[arg(long)]
    markdown: bool,
}

/// How the result is printed.
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum Output {
    /// A table in columns.
    #[default]
    Text,
    /// For scripts.
    Json,
    /// A table for a page.
    Markdown,
}

impl Plan {
    fn print(&self, table: &Table, json: &Value) -> String {
        match self.output {
            _ if self.markdown => table.markdown(),
            Output::Markdown => table.markdown(),
            Output::Text => table.text(),
            Output::Json => json.to_string(),
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match Args::parse().verb.run().await {
        Ok(text) => {
            // A reader that went away has seen enough.
            let _ = writeln!(std::io::stdout(), "{text}");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            note(&format!("error: {failure}"));
            ExitCode::FAILURE
        }
    }
}

impl Verb {
    /// Measures in a folder of its own, which is gone afterwards, whatever came of it.
    async fn run(self) -> Result<String, Failure> {
        let plan = match &self {
            Self::Evening(plan) | Self::Goals(plan) => plan,
        };
        let folder = plan.folder.join(format!("two-phase-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let shown = tokio::select! {
            shown = self.measure(&folder) => shown,
            () = stopped() => Err(Failure::program("two-phase", "stopped by a signal")),
        };
        Tenpay::tidy(&plan.cluster, &folder).await;
        // What cannot be removed is left for the operator; the folder bears this program's name.
        let _ = std::fs::remove_dir_all(&folder);
        shown
    }

    async fn measure(&self, folder: &Path) -> Result<String, Failure> {
        match self {
            Self::Evening(plan) => {
                let runs = evening::run(plan, folder).await?;
                Ok(plan.print(&outcome::table(&runs), &outcome::json(&runs)))
            }
            Self::Goals(plan) => {
                let goals = goals::run(plan, folder).await?;
                Ok(plan.print(&goals::table(&goals), &goals::json(&goals)))
            }
        }
    }
}

/// Somebody wants the program to end.
async fn stopped() {
    let Ok(mut term) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        _ = term.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

/// Says on standard error what goes on.
pub(crate) fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
