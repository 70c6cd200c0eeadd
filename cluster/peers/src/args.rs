//! What may be asked for.
//!
//! Must never: have a default inside a repository: data and results are not sources.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::plan::Name;

const EXAMPLES: &str = "Examples:
  cluster/peers/run                                     everything, three repeats: about an hour and a half
  cluster/peers/run --secs 3 --repeats 1                a quick look
  cluster/peers/run --only tercet,nats-always,1024      two systems at one point
  cluster/peers/run --markdown > table.md               and the table for docs/performance.md
  cluster/peers/run --report FILE                       the report of results that are there";

/// Measures Tercet beside RabbitMQ quorum queues and NATS JetStream.
#[derive(Debug, Parser)]
#[command(name = "peers", version, after_help = EXAMPLES, max_term_width = 100)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Measure, system after system at each point, then write the report.
    Run(Plan),
    /// Write the report of results that are there.
    Report(Shown),
}

/// How to measure.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Plan {
    /// Folder of data and results; the nodes' data in it are deleted after each point.
    #[arg(long)]
    pub(crate) dir: PathBuf,
    /// Folder of Tercet's release binaries, `queue-server` and `cluster`.
    #[arg(long)]
    pub(crate) tercet: PathBuf,
    /// The NATS server.
    #[arg(long, default_value = "nats-server")]
    pub(crate) nats: PathBuf,
    /// Folder of RabbitMQ's scripts.
    #[arg(long, default_value = "/usr/lib/rabbitmq/bin")]
    pub(crate) rabbit: PathBuf,
    /// Seconds of each phase.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) secs: u64,
    /// How often each point is measured.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) repeats: u32,
    /// Systems and points to measure, by name; what is not named of a kind is all of it.
    #[arg(long, value_delimiter = ',')]
    pub(crate) only: Vec<Name>,
    /// Bytes of a body.
    #[arg(long, default_value_t = 1024, value_parser = clap::value_parser!(u64).range(16..=1_048_576))]
    pub(crate) size: u64,
    /// Messages of the backlog.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1000..=100_000_000))]
    pub(crate) backlog: u64,
    /// First of consecutive ports; without it, free ones are found.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1024..))]
    pub(crate) base_port: Option<u16>,
    /// Print the Markdown table of the figures in the end.
    #[arg(long)]
    pub(crate) markdown: bool,
}

/// What to show.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Shown {
    /// Results of a run, a JSON object a line; further files are added to it.
    #[arg(required = true)]
    pub(crate) results: Vec<PathBuf>,
    /// Where to write the report [default: beside the first file].
    #[arg(long)]
    pub(crate) html: Option<PathBuf>,
    /// Print the Markdown table of the figures.
    #[arg(long)]
    pub(crate) markdown: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn what_makes_sense_is_understood_and_the_rest_refused() {
        Args::command().debug_assert();
        for (line, is_good) in [
            ("run --dir D --tercet T", true),
            ("run --dir D --tercet T --only tercet,1024,nats-always --secs 3 --repeats 1 --base-port 21000", true),
            ("report A.jsonl B.jsonl --html R.html --markdown", true),
            ("run --dir D --tercet T --only kafka", false),
            ("run --dir D --tercet T --secs 0", false),
            ("run", false),
            ("report", false),
        ] {
            let words = std::iter::once("peers").chain(line.split_whitespace());
            assert_eq!(Args::try_parse_from(words).is_ok(), is_good, "{line}");
        }
    }
}
