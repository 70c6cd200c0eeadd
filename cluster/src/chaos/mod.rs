//! What testers run beside their faults: a load that accounts for every message it sent. The faults themselves are the
//! scripts in `cluster/chaos/`.
//!
//! Must never: break anything itself, or forgive a message that was acknowledged and is not there.

mod book;
mod work;

use clap::Subcommand;

use crate::args::{Dir, Output};
use crate::error::Error;

/// Checks a cluster while others break it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cluster chaos work --dir /tmp/evening --secs 60     exit 0 only if nothing was lost, doubled or returned
  cluster/chaos/kill --dir /tmp/evening --times 10    what to run beside it; see the others in cluster/chaos")]
pub(crate) struct Chaos {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Send and receive, then drain, then account for every message: sent, acknowledged, lost, doubled, returned.
    Work(Work),
}

/// How much load, and for how long.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Work {
    #[command(flatten)]
    dir: Dir,
    /// How long messages are sent at most; SIGINT ends it, and then they are accounted for. Units: seconds.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    secs: u64,
    /// Send on, after --secs or SIGINT too, until so many messages were acknowledged.
    #[arg(long, default_value_t = 0)]
    messages: u64,
    /// Messages a second at most, all producers together; 0: as many as go.
    #[arg(long, default_value_t = 0)]
    rate: u64,
    /// Clients that send.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=256))]
    producers: u64,
    /// Clients that receive.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=256))]
    consumers: u64,
    /// Messages of one send.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u64).range(1..=128))]
    batch: u64,
    /// Bytes of a body.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(16..=65_536))]
    size: u64,
    /// How long the queue may take to run dry once nobody sends any more. Units: seconds.
    #[arg(long, default_value_t = 180, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    drain_secs: u64,
    /// How to print the account.
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

/// Does what was asked. `false`: a message was lost, doubled or returned, or the queue did not run dry.
pub(crate) async fn chaos(chaos: Chaos) -> Result<bool, Error> {
    match chaos.verb {
        Verb::Work(work) => work::run(&work).await,
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::args::Args;

    #[test]
    fn the_testers_command_lines_are_understood() {
        for line in [
            "chaos work --dir D --secs 20 --messages 1000000 --rate 5000",
            "chaos work --dir D --producers 4 --consumers 4 --batch 16 --size 200 --drain-secs 60 -o json",
            "sim --seeds 1000 --from 7 --jobs 2",
        ] {
            let words = std::iter::once("cluster").chain(line.split_whitespace());
            if let Err(error) = Args::try_parse_from(words) {
                panic!("{line}: {error}");
            }
        }
    }
}
