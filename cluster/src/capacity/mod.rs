//! `cluster capacity`: what an action costs on this machine, and what a peak of many more would need.
//!
//! ```text
//!  measure: a cluster on this machine ──> costs.json          plan: costs.json ──> model (pure, seeded) ──> machines, groups
//! ```
//!
//! Must never: plan with a figure that was not measured, or hide how far the model is from the machine it was measured on.

pub(crate) mod costs;
mod model;
mod plan;

use std::fs;
use std::path::{Path, PathBuf};

use clap::Subcommand;

use self::costs::Costs;
use self::plan::Peak;
use crate::args::{Dir, Output};
use crate::error::Error;
use crate::evening;
use crate::file::Folder;
use crate::screen;

/// Measure what an action costs here, and plan for a peak with it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cluster up --dir /tmp/evening --app && cluster capacity measure --dir /tmp/evening --out costs.json
  cluster capacity plan --costs costs.json                                the peak of 2017, on machines as measured
  cluster capacity plan --costs costs.json --cores 32 --opens 100000 --sends 30000")]
pub(crate) struct Capacity {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Measure sends, opens, grabs and lists one after the other, then what their mix reaches.
    Measure {
        #[command(flatten)]
        dir: Dir,
        /// Phones.
        #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u64).range(500..=1_000_000))]
        phones: u64,
        /// Draws the same crowd again.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Where to write the costs.
        #[arg(long, value_name = "FILE", default_value = "costs.json")]
        out: PathBuf,
    },
    /// How many machines, groups and disks a peak needs, by a simulation with those costs.
    Plan(PlanArgs),
}

/// What is to be borne. Source of the defaults: WeChat, New Year's Eve 2017; the mix as published.
#[derive(Debug, clap::Args)]
struct PlanArgs {
    /// What `measure` wrote.
    #[arg(long, value_name = "FILE", default_value = "costs.json")]
    costs: PathBuf,
    /// Payments (packets sent) a second.
    #[arg(long, default_value_t = 208_000.0)]
    sends: f64,
    /// Packets opened a second.
    #[arg(long, default_value_t = 760_000.0)]
    opens: f64,
    /// Grabs for each open.
    #[arg(long, default_value_t = 20.0)]
    grabs: f64,
    /// Lists and looks for each open.
    #[arg(long, default_value_t = 10.0)]
    lists: f64,
    /// Processors of a machine, each as fast as the measured ones [default: as many as the measured machine has].
    #[arg(long)]
    cores: Option<f64>,
    /// Actions of the whole evening.
    #[arg(long, default_value_t = 1e9)]
    actions: f64,
    /// Of the simulation's chance.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How to print it.
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

/// Measures or plans.
pub(crate) async fn capacity(capacity: Capacity) -> Result<bool, Error> {
    match capacity.verb {
        Verb::Measure { dir, phones, seed, out } => {
            let phones = usize::try_from(phones).unwrap_or(usize::MAX);
            let costs = evening::costs::measure(&Folder::open(&dir)?, phones, seed).await?;
            let text = serde_json::to_string_pretty(&costs).map_err(|error| Error::on(&out)(error.into()))?;
            fs::write(&out, text + "\n").map_err(Error::on(&out))?;
            screen::out(&table(&costs));
            screen::note(&format!("the costs are in {}", out.display()));
            Ok(costs.mix.per_s > 0.0)
        }
        Verb::Plan(args) => plan_for(&args),
    }
}

fn plan_for(args: &PlanArgs) -> Result<bool, Error> {
    let costs = read(&args.costs)?;
    let peak = Peak {
        rates: [args.sends, args.opens, args.opens * args.grabs, args.opens * args.lists],
        cores: args.cores.unwrap_or(costs.cores as f64),
        actions: args.actions,
        seed: args.seed,
    };
    let check = plan::check(&costs, args.seed).map_err(Error::Impossible)?;
    let plan = plan::plan(&costs, &peak).map_err(Error::Impossible)?;
    screen::out(&match args.output {
        Output::Text => plan::text(&check, &peak, &plan),
        Output::Json => plan::json(&check, &peak, &plan).to_string(),
    });
    Ok(true)
}

fn read(path: &Path) -> Result<Costs, Error> {
    let bytes = fs::read(path).map_err(Error::on(path))?;
    serde_json::from_slice(&bytes).map_err(|error| Error::on(path)(error.into()))
}

/// The costs for people.
fn table(costs: &Costs) -> String {
    let mut lines = vec![format!(
        "{:<7}{:>10}{:>10}{:>10}{:>14}{:>12}{:>10}{:>10}{:>10}",
        "", "a second", "app µs", "queue µs", "generator µs", "bytes", "fsyncs", "p50 ms", "p99 ms"
    )];
    lines.extend(costs.kinds.iter().map(|kind| {
        format!(
            "{:<7}{:>10.0}{:>10.0}{:>10.0}{:>14.0}{:>12.0}{:>10.3}{:>10.1}{:>10.1}",
            kind.kind,
            kind.per_s(),
            kind.app_us,
            kind.queue_us,
            kind.generator_us,
            kind.written_bytes,
            kind.fsyncs,
            f64::from(kind.p50_us) / 1000.0,
            f64::from(kind.p99_us) / 1000.0
        )
    }));
    let mix = costs.mix;
    lines.push(format!(
        "mix    {:>10.0}   processors: app {:.2}, queue {:.2}, generator {:.2}, others {:.2} of {}; idle {:.2}; fsync {} µs",
        mix.per_s,
        mix.cores.app,
        mix.cores.queue,
        mix.cores.generator,
        mix.cores.others,
        costs.cores,
        costs.idle_cores,
        costs.fsync_p50_us
    ));
    lines.join("\n")
}
