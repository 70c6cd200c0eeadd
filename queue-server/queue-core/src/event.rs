//! Events: one step of a message, or of a queue as a whole, as it is written down where the queue's owner asked for it.
//!
//! ```text
//!  version u8 | time u64 | message u64 (0 = the whole queue) | kind u8 | detail u64 | other queue u32 (0 = none)
//! ```
//!
//! Must never: decide anything. Nothing in the machine reads an event but to erase it.

use machine::{DecodeError, Layout, Reader, TimestampMs, Writer};

use crate::ids::{MessageId, QueueId};
use crate::rows::{check_version, put_version};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum EventKind {
    /// Sent. Detail: its place; 0 while it is delayed.
    Sent = 1,
    /// Sent with a delay. Detail: until when.
    Delayed = 2,
    /// Its delay has ended, or it was given back: it is visible. Detail: its place.
    Visible = 3,
    /// Received. Detail: the receipt.
    Received = 4,
    /// Its lease was changed. Detail: until when.
    Extended = 5,
    /// Released, not as a failure. Detail: the delay in milliseconds.
    Released = 6,
    /// Released as a failure. Detail: the delay in milliseconds.
    Failed = 7,
    /// Its lease ran out. Detail: the receipt.
    LeaseEnded = 8,
    /// Moved to a dead-letter queue. Detail: 0 received, 1 failed, 2 age. Other: that queue.
    DeadLettered = 9,
    /// Came from another queue. Detail: its place. Other: that queue.
    Arrived = 10,
    /// Moved back from a dead-letter queue. Other: the queue it went to.
    Redriven = 11,
    /// Consumed. Detail: 1 if it is kept for a rewind, else 0.
    Acked = 12,
    /// Visible again by a rewind. Of the whole queue: all that were kept from the place of the detail on, in its lane.
    Rewound = 13,
    /// Dropped by a purge. Of the whole queue: all that were visible, delayed or half.
    Purged = 14,
    /// Outlived the retention. Of the whole queue: all that were visible below the place of the detail, in its lane.
    Expired = 15,
    /// Sent as a half message. Detail: when it is asked about first.
    HalfSent = 16,
    /// Committed. Detail: its place.
    Committed = 17,
    /// Rolled back.
    RolledBack = 18,
    /// Asked about. Detail: questions so far.
    Queried = 19,
    /// Rolled back because no question was answered.
    HalfExpired = 20,
    /// Sent once more and not taken twice. Of the message that is there.
    Duplicate = 21,
    /// Could not move to its dead-letter queue, and waits. Detail: until when.
    Stalled = 22,
}

impl EventKind {
    /// All kinds, by their numbers.
    pub const ALL: [Self; 22] = [
        Self::Sent,
        Self::Delayed,
        Self::Visible,
        Self::Received,
        Self::Extended,
        Self::Released,
        Self::Failed,
        Self::LeaseEnded,
        Self::DeadLettered,
        Self::Arrived,
        Self::Redriven,
        Self::Acked,
        Self::Rewound,
        Self::Purged,
        Self::Expired,
        Self::HalfSent,
        Self::Committed,
        Self::RolledBack,
        Self::Queried,
        Self::HalfExpired,
        Self::Duplicate,
        Self::Stalled,
    ];
}

/// One event of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// The queue.
    pub queue: QueueId,
    /// Its number among the queue's events: later ones have higher numbers.
    pub number: u64,
    /// When it happened.
    pub time: TimestampMs,
    /// The message; `None`: the queue as a whole.
    pub message: Option<MessageId>,
    /// What happened.
    pub kind: EventKind,
    /// See [`EventKind`].
    pub detail: u64,
    /// See [`EventKind`].
    pub other: Option<QueueId>,
}

/// What a verb writes down.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) time: TimestampMs,
    /// 0: the queue as a whole.
    pub(crate) id: MessageId,
    pub(crate) kind: EventKind,
    pub(crate) detail: u64,
    /// 0: none.
    pub(crate) other: QueueId,
}

impl Step {
    pub(crate) const fn new(time: TimestampMs, id: MessageId, kind: EventKind, detail: u64) -> Self {
        Self { time, id, kind, detail, other: QueueId(0) }
    }

    /// A step of the whole queue.
    pub(crate) const fn of_queue(time: TimestampMs, kind: EventKind, detail: u64) -> Self {
        Self::new(time, MessageId(0), kind, detail)
    }

    pub(crate) const fn with(self, other: QueueId) -> Self {
        Self { other, ..self }
    }

    /// As a reader sees it.
    pub(crate) fn event(self, queue: QueueId, number: u64) -> Event {
        let Self { time, id, kind, detail, other } = self;
        let (message, other) = ((id.0 != 0).then_some(id), (other.0 != 0).then_some(other));
        Event { queue, number, time, message, kind, detail, other }
    }
}

impl Layout for EventKind {
    fn encode(&self, out: &mut Writer) {
        out.u8(*self as u8);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        let tag = input.u8()?;
        let known = Self::ALL.into_iter().find(|kind| *kind as u8 == tag);
        known.ok_or(DecodeError::Unknown { what: "kind of event", tag })
    }
}

impl Layout for Step {
    fn encode(&self, out: &mut Writer) {
        put_version(out);
        self.time.encode(out);
        self.id.encode(out);
        self.kind.encode(out);
        out.u64(self.detail);
        self.other.encode(out);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        check_version(input, "event row")?;
        Ok(Self {
            time: TimestampMs::decode(input)?,
            id: MessageId::decode(input)?,
            kind: EventKind::decode(input)?,
            detail: input.u64()?,
            other: QueueId::decode(input)?,
        })
    }
}
