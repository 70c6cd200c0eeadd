//! `cluster sim`: plays seeds of the simulation of whole clusters, of the queue and of the app, as the repository's tests do,
//! for as long as one likes.
//!
//! Why it starts another program: the simulation needs the pure rooms and a clock that jumps, and an operators' command
//! has neither. Its program is built with the tests and lies among them.
//!
//! Must never: play another build's simulation without saying which.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::Error;
use crate::screen;

/// The tests that play the seeds they are told: of the queue, and of the app.
const QUEUE: &str = "seeds::random_seeds_keep_every_law";
const APP: &str = "seeds::random_seeds_of_the_app_keep_every_law";
const PROGRAM: &str = "simulation-";

/// Which seeds to play.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Sim {
    /// How many seeds to play.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// The first of them; without it, any.
    #[arg(long)]
    from: Option<u64>,
    /// How many to play at a time.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=256))]
    jobs: u64,
    /// Play the queue only; without a word, each seed is played with the queue and with the app.
    #[arg(long, conflicts_with = "app")]
    queue: bool,
    /// Play the app only: ledger shards and packets.
    #[arg(long)]
    app: bool,
}

impl Sim {
    fn tests(&self) -> Vec<&'static str> {
        let both = [(QUEUE, self.app), (APP, self.queue)];
        both.into_iter().filter(|(_, is_left_out)| !is_left_out).map(|(test, _)| test).collect()
    }
}

/// Plays seeds. `false`: a law was broken. Errors: `Impossible`, the simulation was not built.
pub(crate) fn sim(sim: &Sim) -> Result<bool, Error> {
    let own = std::env::current_exe().map_err(|source| Error::Io { what: "the own binary".to_owned(), source })?;
    let folder = own.with_file_name("deps");
    let program = newest(&folder).ok_or_else(|| {
        let how = "build it with cargo test --release --workspace --test simulation --no-run";
        Error::Impossible(format!("{} holds no simulation: {how}", folder.display()))
    })?;
    screen::note(&format!("playing {}", program.display()));
    let mut is_kept = true;
    for test in sim.tests() {
        let mut command = Command::new(&program);
        command.args([test, "--exact", "--nocapture"]);
        command.env("TERCET_SEEDS", sim.seeds.to_string()).env("TERCET_JOBS", sim.jobs.to_string());
        if let Some(from) = sim.from {
            command.env("TERCET_FROM", from.to_string());
        }
        is_kept &= command.status().map_err(Error::on(&program))?.success();
    }
    Ok(is_kept)
}

/// The simulation that was built last.
fn newest(folder: &Path) -> Option<PathBuf> {
    let files = std::fs::read_dir(folder).ok()?.filter_map(Result::ok);
    let programs = files.filter(|file| {
        let name = file.file_name();
        name.to_str().and_then(|name| name.strip_prefix(PROGRAM)).is_some_and(|rest| !rest.contains('.'))
    });
    let dated = programs.filter_map(|file| Some((file.metadata().ok()?.modified().ok()?, file.path())));
    dated.max().map(|(_, path)| path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_are_played_unless_one_is_named() {
        let sim = |queue, app| Sim { seeds: 1, from: None, jobs: 1, queue, app };
        assert_eq!(sim(false, false).tests(), [QUEUE, APP]);
        assert_eq!(sim(true, false).tests(), [QUEUE]);
        assert_eq!(sim(false, true).tests(), [APP]);
    }

    #[test]
    fn the_newest_simulation_is_played_and_what_is_beside_it_is_none() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        assert_eq!(newest(folder.path()), None);
        for name in ["simulation-1.d", "other-2", "simulation-3"] {
            std::fs::write(folder.path().join(name), "").expect("a file can be written");
        }
        assert_eq!(newest(folder.path()), Some(folder.path().join("simulation-3")));
    }
}
