//! What an operator may say.
//!
//! Must never: lose a name. Scripts rely on every word here; words are added, not changed.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use crate::bench::Bench;
use crate::demo::Demo;
use crate::evening::Evening;
use crate::keys::Keys;
use crate::limits::NODES_MAX;
use crate::nodes::Target;
use crate::parked::Parked;

const EXAMPLES: &str = "Examples:
  cluster up --dir /tmp/evening --app       three queue nodes, three app nodes
  cluster status --dir /tmp/evening         verdict first, then every replica
  cluster kill --dir /tmp/evening leader    SIGKILL to the leader of the first queue group
  cluster start --dir /tmp/evening 2        start it again on its data and ports
  cluster audit --dir /tmp/evening          the invariants of the money
  cluster bench queue --dir /tmp/evening    load, with latencies
  cluster down --dir /tmp/evening           stop all";

/// Starts, watches, breaks, audits and loads a Tercet cluster.
#[derive(Debug, Parser)]
#[command(name = "cluster", version, after_help = EXAMPLES, max_term_width = 100)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Start a local cluster in the background; returns when every node is ready.
    Up(Up),
    /// Send a signal to a node, or to whichever leads.
    Kill {
        #[command(flatten)]
        dir: Dir,
        /// A node's name, `leader` (of the first queue group) or `ledger-leader`.
        target: Target,
        /// Number or name of the signal: 9, 15, 19, KILL, TERM, STOP, CONT.
        #[arg(long, default_value = "9", value_parser = crate::nodes::parse_signal)]
        signal: rustix::process::Signal,
    },
    /// Start a node again on its data and ports; returns when it is ready.
    Start {
        #[command(flatten)]
        dir: Dir,
        /// The node's name, as in cluster.json.
        node: String,
    },
    /// Stop all nodes.
    Down {
        #[command(flatten)]
        dir: Dir,
    },
    /// Verdict, reasons, and every replica; exit 0 only if healthy.
    Status {
        #[command(flatten)]
        dir: Dir,
        /// How to print it.
        #[arg(short, long, value_enum, default_value_t)]
        output: Output,
    },
    /// Verdict and reasons; exit 0 only if every member is up and caught up.
    Health {
        #[command(flatten)]
        dir: Dir,
    },
    /// Check the invariants of the money; exit 0 only if all hold.
    Audit {
        #[command(flatten)]
        dir: Dir,
        /// How to print it.
        #[arg(short, long, value_enum, default_value_t)]
        output: Output,
    },
    /// Credits that their accounts could not take: show them, land them.
    #[command(subcommand)]
    Parked(Parked),
    /// Key pairs for CMQ's API: who may send to, receive from and manage which queues.
    #[command(subcommand)]
    Keys(Keys),
    /// Make load and measure it.
    Bench(Bench),
    /// Play an evening of tens of thousands of phones, with a peak beyond what the app can do.
    Evening(Evening),
    /// Play an evening of red packets on a cluster of its own, kill leaders, and account for every fen.
    Demo(Demo),
}

/// Where the cluster is.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Dir {
    /// Folder of the cluster: cluster.json, logs, data.
    #[arg(long = "dir", env = "TERCET_DIR", default_value = "./tercet-local", value_name = "DIR")]
    pub(crate) path: PathBuf,
}

/// Which cluster to start, and where.
#[derive(Debug, clap::Args)]
pub(crate) struct Up {
    #[command(flatten)]
    pub(crate) dir: Dir,
    #[command(flatten)]
    pub(crate) shape: Shape,
}

/// How large a cluster is, and where it listens.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Shape {
    /// Queue nodes, and app nodes with --app [default: 3, or what the folder already holds].
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=NODES_MAX))]
    pub(crate) nodes: Option<u64>,
    /// First of consecutive ports; without it, free ones are found.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) base_port: Option<u16>,
    /// Start app nodes too: wallets and red packets.
    #[arg(long)]
    pub(crate) app: bool,
}

/// How an answer is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    #[default]
    Text,
    /// For scripts.
    Json,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn every_pinned_command_line_is_understood() {
        Args::command().debug_assert();
        for line in [
            "up --dir D",
            "up --dir D --nodes 5 --base-port 7000 --app",
            "kill --dir D 2",
            "kill --dir D leader --signal 19",
            "kill --dir D ledger-leader --signal STOP",
            "start --dir D a1",
            "down --dir D",
            "status",
            "status --dir D -o json",
            "health --dir D",
            "audit --dir D -o json",
            "bench queue --dir D --producers 4 --window 64 --batch 1 --size 1024 --secs 5 --rate 0 --consumers 0 -o json",
            "bench ledger --dir D --batch 500",
            "bench ledger --dir D --accounts 1000 --hot-percent 20 --across -o json",
            "bench packets --dir D",
            "parked list --dir D",
            "parked retry --dir D 1 77 --account 0000000000000000000000000000000a",
            "keys create --dir D --grant orders*=send,receive --grant *=manage",
            "keys list --dir D",
            "keys rotate --dir D AKIDx --overlap-s 60",
            "keys grant --dir D AKIDx --grant q=send",
            "keys revoke --dir D AKIDx",
            "demo --keep --json F --dir D --secs 20 --seed 7",
        ] {
            let words = std::iter::once("cluster").chain(line.split_whitespace());
            if let Err(error) = Args::try_parse_from(words) {
                panic!("{line}: {error}");
            }
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in [
            "",
            "up --dir D --nodes 0",
            "kill --dir D",
            "kill --dir D 1 --signal 99",
            "bench --dir D",
            "health -o json",
        ] {
            let words = std::iter::once("cluster").chain(line.split_whitespace());
            assert!(Args::try_parse_from(words).is_err(), "{line:?}");
        }
    }
}
