//! Which cluster a node belongs to, when a majority was lost and one node went on without it.
//!
//! ```text
//!  members 1 2 3, never recovered        lineage none      1 and 2 may come back with what they held: 3 takes nothing of them
//!  3 is recovered and goes on alone      lineage 1-5f3a…   drawn; it stands in every message of 3
//!  4, blank, is added by 3               takes the lineage of the first message that it is sent
//! ```
//! Why: a lost member has votes, terms and entries of its own. If it came back it could lead 3 again, and undo what was
//! answered since. Introductions alone are answered across lineages: they change nothing, and say who was left behind.
//!
//! Must never: change on a node that holds anything.

use std::fmt;
use std::io;
use std::str::FromStr;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Bits of what is drawn; the number of the recovery stands above them.
const DRAWN_BITS: u32 = 48;
/// How often it is said that somebody of another cluster calls: he may call many times a second.
const SAID_EVERY: Duration = Duration::from_secs(60);

/// A lineage: how often a majority was lost, and what was drawn the last time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lineage(u64);

impl Lineage {
    /// Of a cluster that was never recovered.
    pub(crate) const NONE: Self = Self(0);

    pub(crate) const fn of(number: u64) -> Self {
        Self(number)
    }

    pub(crate) const fn number(self) -> u64 {
        self.0
    }

    /// The lineage of a recovery from this one.
    pub(crate) const fn next(self, drawn: u64) -> Self {
        let recovery = self.recovery().saturating_add(1);
        Self(recovery << DRAWN_BITS | drawn & ((1 << DRAWN_BITS) - 1))
    }

    /// Whether it was left behind by `other`.
    pub(crate) const fn is_before(self, other: Self) -> bool {
        self.recovery() < other.recovery()
    }

    const fn recovery(self) -> u64 {
        self.0 >> DRAWN_BITS
    }
}

impl fmt::Display for Lineage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::NONE {
            return f.write_str("none");
        }
        write!(f, "{}-{:012x}", self.recovery(), self.0 & ((1 << DRAWN_BITS) - 1))
    }
}

impl FromStr for Lineage {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (recovery, drawn) = text.split_once('-').ok_or(())?;
        let (recovery, drawn) = (recovery.parse::<u16>(), u64::from_str_radix(drawn, 16));
        match (recovery, drawn) {
            (Ok(recovery @ 1..), Ok(drawn)) if drawn >> DRAWN_BITS == 0 => {
                Ok(Self(u64::from(recovery) << DRAWN_BITS | drawn))
            }
            _ => Err(()),
        }
    }
}

/// Keeps a lineage durably.
type Keep = dyn Fn(Lineage) -> io::Result<()> + Send + Sync;

/// The lineage of a node that runs.
pub(crate) struct Ancestry {
    /// `None`: the node is blank, and has not met its cluster.
    own: Mutex<Option<Lineage>>,
    keep: Box<Keep>,
    said: Mutex<Option<Instant>>,
}

impl Default for Ancestry {
    /// Of nodes that no other cluster reaches.
    fn default() -> Self {
        Self::new(Some(Lineage::NONE), |_| Ok(()))
    }
}

impl Ancestry {
    /// `own`: none of a blank node.
    pub(crate) fn new(own: Option<Lineage>, keep: impl Fn(Lineage) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self { own: Mutex::new(own), keep: Box::new(keep), said: Mutex::new(None) }
    }

    /// This node's lineage.
    pub(crate) fn own(&self) -> Lineage {
        self.own.lock().unwrap_or_default()
    }

    /// Whether what this node holds was left behind by a cluster of lineage `theirs`.
    pub(crate) fn is_left_behind_by(&self, theirs: Lineage) -> bool {
        self.own.lock().is_some_and(|own| own.is_before(theirs))
    }

    /// Takes part in a cluster of lineage `theirs`. A blank node belongs to the first one that leaves something with it; from
    /// any other it hears what does not. Errors: text, it is another cluster, or the disk fails.
    pub(crate) fn admit(&self, theirs: Lineage, leaves_something: bool) -> Result<(), String> {
        let mut own = self.own.lock();
        match *own {
            Some(lineage) if lineage == theirs => Ok(()),
            Some(lineage) => {
                self.say(lineage, theirs);
                Err(format!(
                    "this node's cluster was recovered apart from the caller's (lineage {lineage}, the caller's {theirs}): \
                     they never become one again; empty the folder of the one that was left behind, and add it under a new \
                     number"
                ))
            }
            None if !leaves_something => Ok(()),
            None => {
                if theirs != Lineage::NONE {
                    (self.keep)(theirs).map_err(|error| format!("the lineage cannot be kept: {error}"))?;
                    tracing::info!(lineage = %theirs, "this blank node joins a cluster that was recovered");
                }
                *own = Some(theirs);
                Ok(())
            }
        }
    }

    fn say(&self, own: Lineage, theirs: Lineage) {
        let mut said = self.said.lock();
        if said.is_none_or(|at| at.elapsed() > SAID_EVERY) {
            *said = Some(Instant::now());
            tracing::warn!(%own, %theirs, "a node of another cluster calls, and is refused: one of the two was recovered");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_lineage_is_read_as_it_is_shown() {
        let first = Lineage::NONE.next(u64::MAX);
        assert_eq!(first.to_string(), "1-ffffffffffff");
        assert_eq!(first.next(0x5f3a).to_string(), "2-000000005f3a");
        for lineage in [first, first.next(7)] {
            assert_eq!(lineage.to_string().parse(), Ok(lineage));
            assert_eq!(Lineage::of(lineage.number()), lineage);
        }
        for bad in ["", "none", "1", "0-000000000001", "1-", "x-1", "70000-1", "1-1000000000000"] {
            assert_eq!(bad.parse::<Lineage>(), Err(()), "{bad:?}");
        }
    }

    #[test]
    fn who_was_left_behind_is_known_by_the_number_of_the_recovery() {
        let (first, beside) = (Lineage::NONE.next(1), Lineage::NONE.next(2));
        assert!(Lineage::NONE.is_before(first) && first.is_before(first.next(0)));
        assert!(!first.is_before(Lineage::NONE) && !first.is_before(beside) && !first.is_before(first));
    }

    #[test]
    fn a_blank_node_belongs_to_the_first_cluster_it_meets_and_to_no_other() {
        let lineage = Lineage::NONE.next(5);
        for (first, second) in [(Lineage::NONE, lineage), (lineage, Lineage::NONE), (lineage, Lineage::NONE.next(6))] {
            let kept = Arc::new(Mutex::new(Vec::new()));
            let keep = Arc::clone(&kept);
            let ancestry = Arc::new(Ancestry::new(None, move |lineage| {
                keep.lock().push(lineage);
                Ok(())
            }));
            assert!(!ancestry.is_left_behind_by(lineage), "who holds nothing lost nothing");
            assert_eq!(ancestry.admit(second, false), Ok(()), "a question leaves nothing");
            assert_eq!(ancestry.admit(first, true), Ok(()));
            assert_eq!(ancestry.admit(first, true), Ok(()));
            let refused = ancestry.admit(second, true).expect_err("it is another cluster");
            assert!(refused.contains("never become one again"), "{refused}");
            assert_eq!(ancestry.own(), first);
            let durable: Vec<_> = [first].into_iter().filter(|first| *first != Lineage::NONE).collect();
            assert_eq!(*kept.lock(), durable, "none is what a folder says by itself");
        }
    }

    #[test]
    fn a_lineage_that_cannot_be_kept_is_not_taken() {
        let ancestry = Arc::new(Ancestry::new(None, |_| Err(io::Error::other("full"))));
        assert!(ancestry.admit(Lineage::NONE.next(1), true).is_err());
        assert_eq!(ancestry.admit(Lineage::NONE, true), Ok(()), "it is blank still");
    }
}
