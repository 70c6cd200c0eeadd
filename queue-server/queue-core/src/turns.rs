//! Turns: which lane of a queue is served next.
//!
//! ```text
//!  most urgent priority ──> the tenant served longest ago ──> its lane served longest ago ──> its first message
//! ```
//!
//! Why stamps: a turn is the queue's count of deliveries, kept in the lane's row. Whoever was served goes behind all who
//! wait, and whoever comes new goes there too, so nobody waits longer than one round of those before him.
//!
//! Must never: hold a lane that may not be served now. An ordered group's is not while one of its messages is out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use machine::{DecodeError, Layout, Reader, Writer};

use crate::lane::LaneName;
use crate::limits::PRIORITY_MAX;

/// When a lane was served, in deliveries of its queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Turn {
    /// When this lane was served, or opened.
    pub(crate) lane: u64,
    /// When its tenant was served, or came, as far as this lane must remember it: the tenant's is the largest of its lanes.
    pub(crate) tenant: u64,
}

/// The lanes of one tenant at one priority.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Ring {
    served: u64,
    lanes: BTreeSet<u32>,
    /// Those that may be served: when they were, and which.
    ready: BTreeSet<(u64, u32)>,
}

/// A place in the order of service: 0 is the most urgent.
type Rank = u8;

/// All rings of a queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Turns {
    rings: BTreeMap<(Rank, Arc<str>), Ring>,
    /// Rings with a lane that may be served, in the order of service.
    ready: BTreeSet<(Rank, u64, Arc<str>)>,
    ready_lanes: u64,
}

fn rank(name: &LaneName) -> Rank {
    PRIORITY_MAX.saturating_sub(name.priority)
}

impl Turns {
    /// Whether a lane may be served.
    pub(crate) const fn has_ready(&self) -> bool {
        self.ready_lanes > 0
    }

    /// The lane to be served, and whether it is the only one that may be.
    pub(crate) fn next(&self) -> Option<(u32, bool)> {
        let (rank, _, tenant) = self.ready.first()?;
        let ring = self.rings.get(&(*rank, Arc::clone(tenant)))?;
        ring.ready.first().map(|(_, lane)| (*lane, self.ready_lanes == 1))
    }

    /// The turn of a lane that is opened at `now`: behind all who wait.
    pub(crate) fn opened(&self, name: &LaneName, now: u64) -> Turn {
        let is_known = self.rings.contains_key(&(rank(name), Arc::clone(&name.tenant)));
        Turn { lane: now, tenant: if is_known { 0 } else { now } }
    }

    /// Takes in a lane that is not ready.
    pub(crate) fn enter(&mut self, lane: u32, name: &LaneName, turn: Turn) {
        self.change(name, |ring| {
            ring.lanes.insert(lane);
            ring.served = ring.served.max(turn.tenant);
        });
    }

    /// Lets a lane go that is not ready. Answers: which lane must remember the tenant's turn from now on, and the turn.
    pub(crate) fn leave(&mut self, lane: u32, name: &LaneName, turn: Turn) -> Option<(u32, u64)> {
        let key = (rank(name), Arc::clone(&name.tenant));
        let ring = self.rings.get_mut(&key)?;
        ring.lanes.remove(&lane);
        let heir = ring.lanes.first().map(|heir| (*heir, ring.served));
        if heir.is_none() {
            self.rings.remove(&key);
        }
        heir.filter(|(_, served)| turn.tenant == *served)
    }

    /// A lane is ready since its last turn `after`, was `before`; `None`: not ready.
    pub(crate) fn set(&mut self, lane: u32, name: &LaneName, (before, after): (Option<u64>, Option<u64>)) {
        self.change(name, |ring| {
            before.map(|turn| ring.ready.remove(&(turn, lane)));
            after.map(|turn| ring.ready.insert((turn, lane)));
        });
        let (less, more) = (u64::from(before.is_some()), u64::from(after.is_some()));
        self.ready_lanes = self.ready_lanes.saturating_sub(less).saturating_add(more);
    }

    /// A lane of the tenant was served at `now`.
    pub(crate) fn serve(&mut self, name: &LaneName, now: u64) {
        self.change(name, |ring| ring.served = now);
    }

    fn change(&mut self, name: &LaneName, change: impl FnOnce(&mut Ring)) {
        let rank = rank(name);
        let ring = self.rings.entry((rank, Arc::clone(&name.tenant))).or_default();
        let place = |ring: &Ring| (!ring.ready.is_empty()).then_some(ring.served);
        let before = place(ring);
        change(ring);
        let after = place(ring);
        if before != after {
            before.map(|served| self.ready.remove(&(rank, served, Arc::clone(&name.tenant))));
            after.map(|served| self.ready.insert((rank, served, Arc::clone(&name.tenant))));
        }
    }
}

impl Layout for Turn {
    fn encode(&self, out: &mut Writer) {
        out.u64(self.lane);
        out.u64(self.tenant);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self { lane: input.u64()?, tenant: input.u64()? })
    }
}
