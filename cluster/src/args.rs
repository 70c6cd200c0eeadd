//! What an operator may say.
//!
//! Must never: lose a name. Scripts rely on every word here; words are added, not changed.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use crate::bench::Bench;
use crate::capacity::Capacity;
use crate::certs::{self, Certs};
use crate::chaos::Chaos;
use crate::context::Context;
use crate::demo::Demo;
use crate::error::Error;
use crate::evening::Evening;
use crate::file::Folder;
use crate::keys::{self, Keys};
use crate::limits::NODES_MAX;
use crate::link::Asker;
use crate::members::Members;
use crate::nodes::Target;
use crate::parked::Parked;
use crate::queues::{Queue, Topic};
use crate::reach::Reach;
use crate::recover::Recover;
use crate::sim::Sim;
use crate::switch::Switch;
use crate::top::Top;

const EXAMPLES: &str = "Examples:
  cluster up --dir /tmp/evening --app       three queue nodes, three app nodes
  cluster status --dir /tmp/evening         verdict first, then every replica
  cluster kill --dir /tmp/evening leader    SIGKILL to the leader of the first queue group
  cluster start --dir /tmp/evening 2        start it again on its data and ports
  cluster audit --dir /tmp/evening          the invariants of the money
  cluster bench queue --dir /tmp/evening    load, with latencies
  cluster down --dir /tmp/evening           stop all
  cluster status --at 10.0.0.1:7101 --watch any other cluster, by one of its nodes
  cluster top --dir /tmp/evening            nodes and queues, live
  cluster add --dir /tmp/evening            a fourth node: it copies everything, then votes
  cluster safe-to-stop --dir /tmp/evening 2 before a restart
  cluster queue create --dir /tmp/evening orders --retention-s 86400

Exit codes:
  0  done, and the answer is yes
  1  done, and the answer is no: not healthy, not safe, copies differ, an invariant broken
  2  the command line is not understood
  3  it could not be done; stderr says why";

/// Starts, watches, breaks, audits and loads a Tercet cluster.
#[derive(Debug, Parser)]
#[command(name = "cluster", version, after_help = EXAMPLES, max_term_width = 100)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) asker: Asker,
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
        reach: Reach,
        /// How to print it.
        #[arg(short, long, value_enum, default_value_t)]
        output: Output,
        /// Look again every two seconds, with rates, until Ctrl-C.
        #[arg(long)]
        watch: bool,
    },
    /// Watch nodes and queues live: roles, rates, fsyncs, the oldest messages.
    Top(Top),
    /// Verdict and reasons; exit 0 only if every member is up and caught up.
    Health {
        #[command(flatten)]
        reach: Reach,
    },
    #[command(flatten)]
    Members(Members),
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
    /// What the app gives up so that the rest holds: lists, grabs beyond a bound. Never opens, never money.
    #[command(subcommand)]
    Switch(Switch),
    /// Key pairs for CMQ's API: who may send to, receive from and manage which queues.
    #[command(subcommand)]
    Keys(Keys),
    /// Certificates: an authority of the cluster's own, and what it issues to nodes and clients.
    #[command(subcommand)]
    Certs(Certs),
    /// Compare all copies by the hash of their rows at one index; exit 0 only if they are equal.
    Verify {
        #[command(flatten)]
        reach: Reach,
    },
    /// Copy every group of the queue into a new folder, with hashes. TERCET_RESTORE=FOLDER `cluster up` restores it.
    Backup {
        #[command(flatten)]
        reach: Reach,
        /// The folder, not there yet.
        #[arg(long, value_name = "FOLDER")]
        out: PathBuf,
    },
    /// Make one node a cluster of its own, after a majority was lost for good. Looks first: without --yes nothing is changed.
    Recover(Recover),
    /// Let the money of a recovered cluster take commands again, if a full audit holds; exit 0 only then.
    Lift {
        #[command(flatten)]
        reach: Reach,
    },
    /// Queues by hand: create, edit, list, show, peek, purge, rewind, redrive, explain.
    #[command(subcommand)]
    Queue(Queue),
    /// Topics by hand: create, list, show, delete.
    #[command(subcommand)]
    Topic(Topic),
    /// Names for clusters elsewhere.
    #[command(subcommand)]
    Context(Context),
    /// Write what a fault's finder needs into one file; no keys, no bodies.
    Bundle {
        #[command(flatten)]
        reach: Reach,
        /// The file.
        #[arg(long, value_name = "FILE", default_value = "tercet-bundle.json")]
        out: PathBuf,
    },
    /// Print what makes a shell complete this command.
    Completion {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the page of this command for `man`: every verb, its flags, the exit codes.
    Manual,
    /// Make load and measure it.
    Bench(Bench),
    /// Play an evening of tens of thousands of phones, with a peak beyond what the app can do.
    Evening(Evening),
    /// Measure what an action costs here, and plan for a peak with it.
    Capacity(Capacity),
    /// Play an evening of red packets on a cluster of its own, kill leaders, and account for every fen.
    Demo(Demo),
    /// Check a cluster while its nodes, net and disks are broken (the faults are in cluster/chaos).
    Chaos(Chaos),
    /// Play seeds of the simulation of whole clusters; exit 0 only if every law held.
    Sim(Sim),
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
    /// Speak TLS alone, and ask everybody for a certificate; the cluster gets an authority of its own. It stays so.
    #[arg(long)]
    tls: bool,
    /// Take no call that is not signed; an operator's key pair is drawn. It stays so.
    #[arg(long)]
    keys: bool,
}

impl Up {
    /// Makes what the cluster's nodes are told besides their ports. Errors: a file cannot be written.
    pub(crate) fn prepare(&self, folder: &Folder) -> Result<(), Error> {
        if self.tls {
            certs::seal(folder)?;
        }
        if self.keys {
            keys::draw_operator(&folder.operator_key())?;
        }
        Ok(())
    }
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

    /// Command lines that scripts rely on.
    const PINNED: [&str; 78] = [
        "up --dir D",
        "up --dir D --nodes 5 --base-port 7000 --app",
        "up --dir D --tls --keys",
        "kill --dir D 2",
        "kill --dir D leader --signal 19",
        "kill --dir D ledger-leader --signal STOP",
        "start --dir D a1",
        "down --dir D",
        "status",
        "status --dir D -o json",
        "health --dir D",
        "top --dir D",
        "top --at H:1 --sort in --filter orders --every 5 --once",
        "status --at 10.0.0.1:7101 --at 10.0.0.2:7101",
        "add --dir D",
        "add --context prod --as 4 --grpc 10.0.0.4:7101 --learner",
        "add --dir D --app",
        "add --at H:1 --as a4 --grpc H:2",
        "promote --dir D 4",
        "remove --dir D 4",
        "replace --dir D 3",
        "transfer --dir D 1 2",
        "transfer --dir D 1",
        "rebalance --dir D",
        "verify --dir D",
        "backup --at H:1 --out F",
        "recover --dir D 3",
        "recover --data F --yes",
        "lift --dir D",
        "lift --at H:1",
        "status --dir D --watch",
        "queue create --dir D orders --retention-s 60 --dead-letter dead --dead-letter-after 3",
        "queue edit --at H:1 orders --trace true",
        "queue list --dir D or",
        "queue show --dir D orders",
        "queue delete --dir D orders --yes orders",
        "queue peek --dir D orders --state leased --limit 5",
        "queue purge --dir D orders --yes orders",
        "queue rewind --dir D orders --to-ms 0",
        "queue redrive --dir D dead --to orders --rate 10 --dry-run",
        "queue redrive --dir D dead --look",
        "queue explain --dir D orders 7",
        "topic create --dir D t --routing",
        "topic list",
        "topic show --dir D t",
        "topic delete --dir D t",
        "context set prod --at 10.0.0.1:7101",
        "context use prod",
        "context set prod --at H:1 --key K --certs C",
        "certs init --out F --days 100",
        "certs issue --ca A --out F --node 2 --host H --host 10.0.0.2",
        "certs issue --ca A --out F --client ops --days 30",
        "certs show F",
        "certs renew --ca A F G --within-days 60",
        "certs renew --dir D",
        "certs status --at H:1 --within-days 60",
        "context list",
        "context remove prod",
        "bundle --dir D --out F",
        "completion bash",
        "manual",
        "safe-to-stop --dir D 2 --wait 60",
        "drain --dir D 2",
        "revive --dir D 2",
        "audit --dir D -o json",
        "bench queue --dir D --producers 4 --window 64 --batch 1 --size 1024 --secs 5 --rate 0 --consumers 0 -o json",
        "bench ledger --dir D --batch 500",
        "bench ledger --dir D --accounts 1000 --hot-percent 20 --across -o json",
        "bench packets --dir D",
        "parked list --dir D",
        "parked retry --dir D 1 77 --account 0000000000000000000000000000000a",
        "keys create --dir D --grant orders*=send,receive --grant *=manage",
        "keys list --dir D",
        "keys list --at H:1 --key K --certs C",
        "keys rotate --dir D AKIDx --overlap-s 60",
        "keys grant --dir D AKIDx --grant q=send",
        "keys revoke --dir D AKIDx",
        "demo --keep --json F --dir D --secs 20 --seed 7",
    ];

    #[test]
    fn every_pinned_command_line_is_understood() {
        Args::command().debug_assert();
        for line in PINNED {
            let words = std::iter::once("cluster").chain(line.split_whitespace());
            if let Err(error) = Args::try_parse_from(words) {
                panic!("{line}: {error}");
            }
        }
    }

    #[test]
    fn every_evening_and_every_plan_is_understood() {
        for line in [
            "evening --dir D --phones 50000 --secs 120 --overload 10 --fault --grabbers 50000 --report F -o json",
            "evening --dir D --fault=kill-queue,pause-ledger --stubborn --listeners 0 --seed 1 --capacity 900",
            "evening --dir D --find-capacity",
            "capacity measure --dir D --phones 2000 --out F",
            "capacity plan --costs F --sends 208000 --opens 760000 --cores 32 -o json",
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
            "add --as 4",
            "queue purge --dir D orders",
            "switch grabs --dir D some",
            "queue create --dir D q --dead-letter d",
            "status --at A --context C",
            "certs issue --ca A --out F",
            "certs issue --ca A --out F --node 2 --client ops",
            "certs issue --ca A --out F --client ops --days 10000",
            "evening --fault=all",
            "recover --dir D",
            "recover --data F 3",
            "evening --find-capacity --capacity 5",
        ] {
            let words = std::iter::once("cluster").chain(line.split_whitespace());
            assert!(Args::try_parse_from(words).is_err(), "{line:?}");
        }
    }
}
