//! Switches: what an operator gives up so that the rest holds.
//!
//! ```text
//!  file `switches` in the node's data folder, a switch a line, read anew every second; no file: nothing is given up
//!    lists off      lists and looks are sent away
//!    grabs 500      grabs are sent away beyond 500 a second
//!    credits queued no share is credited while its user waits: all go by the queue, and opens cost the ledger nothing
//! ```
//!
//! Why a file: it holds over a restart, it needs no door that could be forced, and whoever may write it is an operator.
//!
//! Must never: give up opens or money; a credit that goes by the queue is late, not lost.

use std::path::Path;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::access::admission::Class;
use crate::access::rates::Rates;
use crate::failure::Failure;
use crate::limits::SWITCHES_EVERY;

/// The file's name.
const FILE: &str = "switches";
/// When somebody whose call is switched off should come back. Milliseconds.
const COME_BACK_MS: u64 = 5000;

/// What is switched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Thrown {
    /// Lists are off.
    pub(crate) is_without_lists: bool,
    /// Most grabs a second; `None`: as many as come.
    pub(crate) grabs_per_s: Option<u32>,
    /// Credits go by the queue.
    pub(crate) is_queueing_credits: bool,
}

#[derive(Debug)]
struct Set {
    thrown: Thrown,
    grabs: Rates<()>,
}

/// The switches of one node.
#[derive(Debug)]
pub(crate) struct Switches(Mutex<Set>);

impl Default for Switches {
    fn default() -> Self {
        Self(Mutex::new(Set { thrown: Thrown::default(), grabs: Rates::new(0, Duration::from_secs(1)) }))
    }
}

impl Switches {
    /// Whether a call of this class is on. Errors: `Busy`.
    pub(crate) fn pass(&self, class: Class, now: Instant) -> Result<(), Failure> {
        let set = self.0.lock();
        match (class, set.thrown) {
            (Class::List, Thrown { is_without_lists: true, .. }) => Err(Failure::Busy { after_ms: COME_BACK_MS }),
            (Class::Grab, Thrown { grabs_per_s: Some(0), .. }) => Err(Failure::Busy { after_ms: COME_BACK_MS }),
            (Class::Grab, Thrown { grabs_per_s: Some(_), .. }) => set.grabs.take((), now),
            _ => Ok(()),
        }
    }

    /// Whether credits go by the queue.
    pub(crate) fn is_queueing_credits(&self) -> bool {
        self.0.lock().thrown.is_queueing_credits
    }

    /// Throws the switches so.
    pub(crate) fn throw(&self, thrown: Thrown) {
        let mut set = self.0.lock();
        if set.thrown != thrown {
            tracing::warn!(?thrown, "the switches are thrown so");
            let grabs = Rates::new(thrown.grabs_per_s.unwrap_or(0), Duration::from_secs(1));
            *set = Set { thrown, grabs };
        }
    }

    /// Follows the file in `folder` until `stop`.
    pub(crate) async fn follow(&self, folder: &Path, mut stop: watch::Receiver<bool>) {
        loop {
            match tokio::fs::read_to_string(folder.join(FILE)).await {
                Ok(text) => match parse(&text) {
                    Ok(thrown) => self.throw(thrown),
                    Err(line) => tracing::error!(line, "no switch; all stay as they are"),
                },
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => self.throw(Thrown::default()),
                Err(error) => tracing::error!(%error, "the switches cannot be read; they stay as they are"),
            }
            tokio::select! {
                () = tokio::time::sleep(SWITCHES_EVERY) => {}
                _ = stop.wait_for(|stopped| *stopped) => return,
            }
        }
    }
}

/// The switches that a file names. Errors: a line that is none.
fn parse(text: &str) -> Result<Thrown, &str> {
    let mut thrown = Thrown::default();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        match line.split_once(' ') {
            Some(("lists", "off")) => thrown.is_without_lists = true,
            Some(("credits", "queued")) => thrown.is_queueing_credits = true,
            Some(("grabs", most)) => thrown.grabs_per_s = Some(most.trim().parse().map_err(|_| line)?),
            _ => return Err(line),
        }
    }
    Ok(thrown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_names_switches_line_by_line() {
        let table = [
            ("", Ok((false, None, false))),
            ("lists off\n", Ok((true, None, false))),
            ("\n grabs 500 \nlists off", Ok((true, Some(500), false))),
            ("credits queued", Ok((false, None, true))),
            ("grabs none", Err("grabs none")),
            ("credits off", Err("credits off")),
            ("lists on", Err("lists on")),
            ("opens off", Err("opens off")),
        ];
        for (text, expected) in table {
            let said =
                parse(text).map(|thrown| (thrown.is_without_lists, thrown.grabs_per_s, thrown.is_queueing_credits));
            assert_eq!(said, expected, "{text:?}");
        }
    }

    #[test]
    fn switches_give_up_lists_and_grabs_and_nothing_else() {
        let (switches, now) = (Switches::default(), Instant::now());
        let passes = |class| (0..10).filter(|_| switches.pass(class, now).is_ok()).count();
        let all = || [Class::Money, Class::Open, Class::Grab, Class::List].map(passes);
        assert_eq!(all(), [10, 10, 10, 10]);
        let table = [
            (Thrown { is_without_lists: true, ..Thrown::default() }, [10, 10, 10, 0]),
            (Thrown { is_without_lists: true, grabs_per_s: Some(3), ..Thrown::default() }, [10, 10, 3, 0]),
            (Thrown { grabs_per_s: Some(0), ..Thrown::default() }, [10, 10, 0, 10]),
            (Thrown { is_queueing_credits: true, ..Thrown::default() }, [10, 10, 10, 10]),
            (Thrown::default(), [10, 10, 10, 10]),
        ];
        for (thrown, expected) in table {
            switches.throw(thrown);
            assert_eq!(all(), expected, "{thrown:?}");
        }
    }
}
