//! Faults in the middle of an evening: a leader is killed and started again, or paused and let go on.
//!
//! Must never: leave a node stopped. What was struck is brought back before the next one is.

use std::str::FromStr;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::error::Error;
use crate::file::Folder;
use crate::nodes::{self, Target};

/// How long a struck node stays away.
const AWAY: Duration = Duration::from_secs(3);

/// A fault that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    is_ledger: bool,
    is_pause: bool,
}

const WORDS: [(&str, Fault); 4] = [
    ("kill-ledger", Fault { is_ledger: true, is_pause: false }),
    ("pause-ledger", Fault { is_ledger: true, is_pause: true }),
    ("kill-queue", Fault { is_ledger: false, is_pause: false }),
    ("pause-queue", Fault { is_ledger: false, is_pause: true }),
];

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = || WORDS.map(|(word, _)| word).join(", ");
        let found = WORDS.iter().find(|(word, _)| *word == text).map(|(_, fault)| *fault);
        found.ok_or_else(|| format!("there are {}", known()))
    }
}

impl Fault {
    fn word(self) -> &'static str {
        WORDS.iter().find(|(_, fault)| *fault == self).map_or("", |(word, _)| word)
    }
}

/// A fault that has struck.
#[derive(Clone, Debug)]
pub(crate) struct Struck {
    fault: Fault,
    node: String,
    /// Since the evening began.
    at: Duration,
    /// Until the node was ready again.
    away: Duration,
}

impl Struck {
    /// For people.
    pub(crate) fn text(&self) -> String {
        let (word, node) = (self.fault.word(), &self.node);
        format!("{word}: node {node} at {} s, back after {:.1} s", self.at.as_secs(), self.away.as_secs_f64())
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        json!({ "fault": self.fault.word(), "node": self.node, "at_ms": ms(self.at), "away_ms": ms(self.away) })
    }
}

/// Strikes with one fault after the other, evenly from `begin` to `end` of an evening that began at `begun`. Errors: a
/// node that was struck does not come back.
pub(crate) async fn strike(
    folder: &Folder,
    faults: &[Fault],
    begun: Instant,
    (begin, end): (Duration, Duration),
) -> Result<Vec<Struck>, Error> {
    let mut all = Vec::new();
    let rest = (end - begin) / u32::try_from(faults.len().max(1)).unwrap_or(u32::MAX);
    let mut next = begin + rest / 4;
    for fault in faults {
        sleep((begun + next).saturating_duration_since(Instant::now())).await;
        let target = if fault.is_ledger { Target::LedgerLeader } else { Target::Leader };
        let signal = if fault.is_pause { Signal::STOP } else { Signal::KILL };
        let node = nodes::kill_when_led(folder, &target, signal).await?;
        let at = begun.elapsed();
        sleep(AWAY).await;
        if fault.is_pause {
            nodes::kill_node(folder, &Target::Node(node.clone()), Signal::CONT).await?;
        } else {
            nodes::start_node(folder, &node).await?;
        }
        all.push(Struck { fault: *fault, node, at, away: begun.elapsed() - at });
        next += rest;
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_what_its_word_says() {
        for (word, fault) in WORDS {
            assert_eq!(word.parse(), Ok(fault));
            assert_eq!(fault.word(), word);
        }
        assert!("kill-everybody".parse::<Fault>().is_err());
    }
}
