//! A queue on its way to another group: what its old group knows of the move, and what its new one does.
//!
//! ```text
//!  source   Asked ──welcome──> Windows ──the cut──> Leases ──open──> Backlog ──> Gone: the sign that says where it is
//!             ├── declined ──> Declined      │ nothing is decided at the source from the cut on
//!             └── cancelled ─> Cancelled <───┘ until the cut
//!  target           founded ─────────────────────────> open ──────────────────> whole
//! ```
//!
//! Must never: forget where a queue went. The sign stays until a queue of that name comes back.

use machine::{DecodeError, GroupId, Layout, Reader, TimestampMs, Writer};

use crate::ids::{MessageId, QueueId};
use crate::refusal::Refusal;
use crate::rows::{check_version, put_version};

/// How far a move is, as its source knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MovePhase {
    /// The target is asked whether it has room. The queue is used here.
    Asked,
    /// Deduplication ids go ahead. The queue is used here.
    Windows,
    /// The cut is made: leases and half messages go, and the target opens behind them. The queue can be used nowhere.
    Leases,
    /// The queue is used at the target; what waits follows.
    Backlog,
    /// All is at the target.
    Gone,
    /// The target has no room for it; the queue stayed.
    Declined(Refusal),
    /// Somebody thought better of it; the queue stayed, or was deleted.
    Cancelled,
}

impl MovePhase {
    /// Whether the move goes on.
    #[must_use]
    pub const fn is_running(self) -> bool {
        matches!(self, Self::Asked | Self::Windows | Self::Leases | Self::Backlog)
    }

    /// Whether the target decides about the queue.
    #[must_use]
    pub const fn is_cut(self) -> bool {
        matches!(self, Self::Leases | Self::Backlog | Self::Gone)
    }

    /// Whether ticks have something to send.
    pub(crate) const fn is_shipping(self) -> bool {
        matches!(self, Self::Windows | Self::Leases | Self::Backlog)
    }
}

/// A move as its source knows it, and its row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Departure {
    /// The queue here.
    pub queue: QueueId,
    /// Its name as its creator wrote it.
    pub name: String,
    /// The group it goes to, or went to.
    pub to: GroupId,
    /// How far it is.
    pub phase: MovePhase,
    /// When it was asked for.
    pub started: TimestampMs,
    /// When something was sent last, or the phase changed.
    pub changed: TimestampMs,
    /// Messages that were sent ahead.
    pub shipped: u64,
    /// The queue there; 0 until it is founded.
    pub(crate) target: QueueId,
    /// Names this move among all of its group.
    pub(crate) number: u64,
    /// Counts what was sent, so that a tick that comes late is known.
    pub(crate) step: u64,
    /// Deduplication windows up to this one were sent.
    pub(crate) cursor: (TimestampMs, MessageId),
}

/// A queue that comes from another group, and its row. It goes when all messages have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The group it comes from.
    pub from: GroupId,
    /// Whether it is used here already.
    pub is_open: bool,
    /// Messages that are still on their way; known once it is open.
    pub left: u64,
    /// When the source began; the directory learns a later time.
    pub(crate) asked: TimestampMs,
    /// It was emptied since: what still comes is dropped.
    pub(crate) is_purged: bool,
}

impl Layout for MovePhase {
    fn encode(&self, out: &mut Writer) {
        out.u8(match self {
            Self::Asked => 1,
            Self::Windows => 2,
            Self::Leases => 3,
            Self::Backlog => 4,
            Self::Gone => 5,
            Self::Declined(_) => 6,
            Self::Cancelled => 7,
        });
        if let Self::Declined(refusal) = self {
            refusal.encode(out);
        }
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        match input.u8()? {
            1 => Ok(Self::Asked),
            2 => Ok(Self::Windows),
            3 => Ok(Self::Leases),
            4 => Ok(Self::Backlog),
            5 => Ok(Self::Gone),
            6 => Refusal::decode(input).map(Self::Declined),
            7 => Ok(Self::Cancelled),
            tag => Err(DecodeError::Unknown { what: "phase of a move", tag }),
        }
    }
}

impl Layout for Departure {
    fn encode(&self, out: &mut Writer) {
        put_version(out);
        self.queue.encode(out);
        out.str(&self.name);
        out.u32(self.to.0);
        self.phase.encode(out);
        self.started.encode(out);
        self.changed.encode(out);
        out.u64(self.shipped);
        self.target.encode(out);
        out.u64(self.number);
        out.u64(self.step);
        self.cursor.0.encode(out);
        self.cursor.1.encode(out);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        check_version(input, "row of a departure")?;
        Ok(Self {
            queue: QueueId::decode(input)?,
            name: input.str()?,
            to: GroupId(input.u32()?),
            phase: MovePhase::decode(input)?,
            started: TimestampMs::decode(input)?,
            changed: TimestampMs::decode(input)?,
            shipped: input.u64()?,
            target: QueueId::decode(input)?,
            number: input.u64()?,
            step: input.u64()?,
            cursor: (TimestampMs::decode(input)?, MessageId::decode(input)?),
        })
    }
}

impl Layout for Arrival {
    fn encode(&self, out: &mut Writer) {
        put_version(out);
        out.u32(self.from.0);
        out.bool(self.is_open);
        out.u64(self.left);
        self.asked.encode(out);
        out.bool(self.is_purged);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        check_version(input, "row of an arrival")?;
        Ok(Self {
            from: GroupId(input.u32()?),
            is_open: input.bool()?,
            left: input.u64()?,
            asked: TimestampMs::decode(input)?,
            is_purged: input.bool()?,
        })
    }
}
