//! One lane: its name, its marks, how many messages of each state stand in it, and its row.
//!
//! Must never: hold anything that grows with the messages in it.

use std::sync::Arc;

use machine::{DecodeError, Layout, Reader, TimestampMs, Writer};

use crate::limits::PRIORITY_DEFAULT;
use crate::rows::{Oldest, check_version, put_version};
use crate::turns::Turn;

/// What the messages of a lane have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LaneName {
    pub(crate) priority: u8,
    /// Empty: none.
    pub(crate) tenant: Arc<str>,
    /// Empty: none.
    pub(crate) group: Arc<str>,
    /// It holds what was sent here while earlier messages of its ordered group were still on their way from another group.
    pub(crate) is_late: bool,
}

impl Default for LaneName {
    fn default() -> Self {
        Self { priority: PRIORITY_DEFAULT, tenant: Arc::default(), group: Arc::default(), is_late: false }
    }
}

impl LaneName {
    /// The name of the lane for such messages.
    pub(crate) fn of(priority: u8, tenant: &str, group: &str) -> Self {
        Self { priority, tenant: tenant.into(), group: group.into(), is_late: false }
    }

    /// The lane of the same messages that came earlier, or later.
    pub(crate) fn sibling(&self, is_late: bool) -> Self {
        Self { is_late, ..self.clone() }
    }

    /// Whether it is that of the plain lane.
    pub(crate) fn is_plain(&self) -> bool {
        self.priority == PRIORITY_DEFAULT && self.tenant.is_empty() && self.group.is_empty()
    }
}

/// The numbers that a lane goes by. All are whole sequence numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Marks {
    /// The next place.
    pub(crate) next: u64,
    /// Places below were purged: nothing there becomes visible again.
    pub(crate) purged_below: u64,
    /// Places below have outlived the retention: nothing there becomes visible again.
    pub(crate) expired_below: u64,
    pub(crate) oldest: Option<Oldest>,
}

impl Marks {
    /// Those of a lane whose first place will be `next`.
    pub(crate) const fn from(next: u64) -> Self {
        Self { next, purged_below: 0, expired_below: 0, oldest: None }
    }

    /// Nothing below is visible.
    pub(crate) fn floor(&self) -> u64 {
        self.purged_below.max(self.expired_below)
    }
}

/// A lane of a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lane {
    pub(crate) name: LaneName,
    pub(crate) marks: Marks,
    pub(crate) turn: Turn,
    /// Delayed messages that will come here; not counted for the plain lane.
    pub(crate) awaited: u64,
    /// Messages that stand here in whatever state.
    pub(crate) present: u64,
    /// Those of them that are ready and not below the floor.
    pub(crate) visible: u64,
    /// Those of them that are ready and below the floor.
    pub(crate) stale: u64,
    /// Those of them that are under a lease, held or parked.
    pub(crate) out: u64,
    /// Earlier messages of its ordered group are not through: a late lane waits for them.
    pub(crate) is_held: bool,
}

/// What the queue knows of a lane without looking at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) visible: u64,
    pub(crate) stale: u64,
    /// A bound on the age of its oldest visible message.
    pub(crate) age: Option<TimestampMs>,
    /// When it was served, if it may be served now.
    pub(crate) turn: Option<u64>,
}

impl Lane {
    /// An empty lane.
    pub(crate) const fn new(name: LaneName, marks: Marks, turn: Turn) -> Self {
        Self { name, marks, turn, awaited: 0, present: 0, visible: 0, stale: 0, out: 0, is_held: false }
    }

    /// Whether nothing stands here or will come.
    pub(crate) const fn is_empty(&self) -> bool {
        self.present == 0 && self.awaited == 0
    }

    /// Whether it is that of an ordered group of which an earlier message is out, or not here yet: no later one may be
    /// delivered.
    fn is_blocked(&self) -> bool {
        (self.out > 0 || self.is_held) && !self.name.group.is_empty()
    }

    pub(crate) fn standing(&self) -> Standing {
        let oldest = self.marks.oldest.filter(|_| self.visible > 0);
        Standing {
            visible: self.visible,
            stale: self.stale,
            age: oldest.map(|oldest| oldest.enqueued),
            turn: (self.visible > 0 && !self.is_blocked()).then_some(self.turn.lane),
        }
    }

    /// A message takes the next place, visible. Answers: the place.
    pub(crate) fn append(&mut self, enqueued: TimestampMs) -> u64 {
        let seq = self.marks.next;
        self.marks.next = seq.saturating_add(1);
        if self.visible == 0 && self.out == 0 {
            self.marks.oldest = Some(Oldest { seq, enqueued });
        }
        self.present = self.present.saturating_add(1);
        self.visible = self.visible.saturating_add(1);
        seq
    }
}

impl Layout for LaneName {
    fn encode(&self, out: &mut Writer) {
        out.u8(self.priority);
        out.str(&self.tenant);
        out.str(&self.group);
        out.bool(self.is_late);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            priority: input.u8()?,
            tenant: input.str()?.into(),
            group: input.str()?.into(),
            is_late: input.bool()?,
        })
    }
}

impl Layout for Lane {
    fn encode(&self, out: &mut Writer) {
        put_version(out);
        self.name.encode(out);
        out.u64(self.marks.next);
        out.u64(self.marks.purged_below);
        out.u64(self.marks.expired_below);
        out.option(self.marks.oldest.as_ref());
        self.turn.encode(out);
        out.u64(self.awaited);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        check_version(input, "lane row")?;
        let name = LaneName::decode(input)?;
        let marks = Marks {
            next: input.u64()?,
            purged_below: input.u64()?,
            expired_below: input.u64()?,
            oldest: input.option()?,
        };
        let turn = Turn::decode(input)?;
        Ok(Self { awaited: input.u64()?, ..Self::new(name, marks, turn) })
    }
}
