//! Switches: what the app gives up so that the rest holds, on every node of a local cluster.
//!
//! ```text
//!  the cluster's app nodes ──> file `switches` in each one's data folder, replaced by rename; nodes read it every second
//! ```
//!
//! Must never: leave a file half written, or switch what no node understands.

use std::fs;
use std::path::Path;

use clap::{Subcommand, ValueEnum};

use crate::args::Dir;
use crate::error::Error;
use crate::file::{Folder, Kind};
use crate::screen;

const FILE: &str = "switches";
const FILE_NEW: &str = "switches.new";

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Position {
    /// As always.
    On,
    /// Given up.
    Off,
}

/// How credits reach an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Way {
    /// At once where they can be, as always.
    Direct,
    /// All by the queue.
    Queued,
}

/// What to switch.
#[derive(Debug, Subcommand)]
pub(crate) enum Switch {
    /// Lists and looks of phones.
    Lists {
        #[command(flatten)]
        dir: Dir,
        /// Served, or sent away.
        position: Position,
    },
    /// Grabs: so many a second on each node, and the rest are sent away.
    Grabs {
        #[command(flatten)]
        dir: Dir,
        /// A number, or `all`.
        #[arg(value_parser = most)]
        most: Most,
    },
    /// Credits of shares: booked while their user waits, or all sent by the queue.
    Credits {
        #[command(flatten)]
        dir: Dir,
        /// Direct, or by the queue.
        way: Way,
    },
    /// Show what each node has given up.
    Show {
        #[command(flatten)]
        dir: Dir,
    },
}

/// A bound, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Most(Option<u32>);

fn most(text: &str) -> Result<Most, String> {
    if text == "all" {
        return Ok(Most(None));
    }
    text.parse().map(|most| Most(Some(most))).map_err(|_| "write a number, or all".to_owned())
}

/// Does what was asked.
pub(crate) fn switch(verb: &Switch) -> Result<bool, Error> {
    match verb {
        Switch::Lists { dir, position } => throw(dir, "lists", (*position == Position::Off).then_some("off")),
        Switch::Grabs { dir, most } => throw(dir, "grabs", most.0.map(|most| most.to_string()).as_deref()),
        Switch::Credits { dir, way } => throw(dir, "credits", (*way == Way::Queued).then_some("queued")),
        Switch::Show { dir } => show(dir),
    }
}

/// Sets one switch on every app node; `None`: as always.
fn throw(dir: &Dir, name: &str, to: Option<&str>) -> Result<bool, Error> {
    let folder = Folder::open(dir)?;
    for node in folder.cluster()?.of(Kind::App) {
        let data = folder.data(&node.node);
        let text = with(&read(&data)?, name, to);
        let (file, new) = (data.join(FILE), data.join(FILE_NEW));
        fs::write(&new, text).map_err(Error::on(&new))?;
        fs::rename(&new, &file).map_err(Error::on(&file))?;
    }
    show(dir)
}

fn show(dir: &Dir) -> Result<bool, Error> {
    let folder = Folder::open(dir)?;
    for node in folder.cluster()?.of(Kind::App) {
        let text = read(&folder.data(&node.node))?;
        let lines = text.lines().collect::<Vec<_>>().join(", ");
        screen::out(&format!("{}  {}", node.node, if lines.is_empty() { "everything is on" } else { &lines }));
    }
    Ok(true)
}

/// The switches of the node whose data lies in `data`.
fn read(data: &Path) -> Result<String, Error> {
    let file = data.join(FILE);
    match fs::read_to_string(&file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        read => read.map_err(Error::on(&file)),
    }
}

/// `text` with the switch `name` as it shall be; the others stay.
fn with(text: &str, name: &str, to: Option<&str>) -> String {
    let others = text.lines().map(str::trim).filter(|line| !line.is_empty() && line.split(' ').next() != Some(name));
    let own = to.map(|to| format!("{name} {to}"));
    let lines: Vec<String> = others.map(str::to_owned).chain(own).collect();
    lines.iter().map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::Args;

    #[test]
    fn every_switch_is_understood() {
        for line in ["lists --dir D off", "grabs --dir D 500", "grabs --dir D all", "show --dir D"] {
            let words = ["cluster", "switch"].into_iter().chain(line.split_whitespace());
            assert!(Args::try_parse_from(words).is_ok(), "{line}");
        }
    }

    #[test]
    fn a_switch_is_thrown_and_the_others_stay() {
        let table = [
            ("", "lists", Some("off"), "lists off\n"),
            ("grabs 500\n", "lists", Some("off"), "grabs 500\nlists off\n"),
            ("grabs 500\nlists off\n", "grabs", Some("9"), "lists off\ngrabs 9\n"),
            ("grabs 500\nlists off\n", "lists", None, "grabs 500\n"),
            ("lists off", "lists", None, ""),
        ];
        for (text, name, to, expected) in table {
            assert_eq!(with(text, name, to), expected, "{text:?} {name} {to:?}");
        }
        assert_eq!((most("all"), most("7")), (Ok(Most(None)), Ok(Most(Some(7)))));
        assert!(most("some").is_err());
    }
}
