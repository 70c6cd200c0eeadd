//! The rows that describe a queue: its definition and its counters. Rows of messages, leases and pages stand beside
//! their types.
//!
//! Every row begins with a version byte. A version that is not known stops the load: the row was written by a newer
//! release.
//!
//! Must never: change a layout without a new version; the golden test pins them.

use machine::{DecodeError, Layout, Reader, TimestampMs, Writer};

use crate::attributes::Attributes;
use crate::dedup::Remembered;
use crate::ids::QueueId;
use crate::lane::Marks;
use crate::relocate::Stall;
use crate::totals::Totals;
use crate::turns::Turn;

/// The version of all rows written by this release.
const VERSION: u8 = 1;

/// Writes the version byte of a row.
pub(crate) fn put_version(out: &mut Writer) {
    out.u8(VERSION);
}

/// Reads the version byte of a row of kind `what`.
pub(crate) fn check_version(input: &mut Reader, what: &'static str) -> Result<(), DecodeError> {
    match input.u8()? {
        VERSION => Ok(()),
        tag => Err(DecodeError::Unknown { what, tag }),
    }
}

/// The row of the machine itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MachineRow {
    /// The last queue id that was given.
    pub(crate) last_queue: QueueId,
}

/// What a queue is: changed by its owner only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Definition {
    /// The name as its creator wrote it.
    pub(crate) name: String,
    pub(crate) attributes: Attributes,
    pub(crate) created: TimestampMs,
    pub(crate) modified: TimestampMs,
    /// Deleted; what is left waits to be erased.
    pub(crate) is_deleted: bool,
}

/// A message no later than any visible one of its lane: the bound on when the next one outlives the retention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Oldest {
    pub(crate) seq: u64,
    /// 0 if it is not known; the next tick reads it.
    pub(crate) enqueued: TimestampMs,
}

/// A subscription's deliveries that fail, since the last one that did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failing {
    /// Since when.
    pub since: TimestampMs,
    /// How many in a row.
    pub times: u32,
    /// The next message is not forwarded earlier. Pushed messages have delays of their own.
    pub retry: TimestampMs,
    /// Why the endpoint's queue does not take them; `None`: pushes fail.
    pub stall: Option<Stall>,
}

/// The row of what changes with almost every command to a queue: its counters, and its plain lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CountersRow {
    pub(crate) plain: (Marks, Turn),
    /// Where the next lane begins: no lane that was given back had a number as high.
    pub(crate) fresh: u64,
    pub(crate) counters: Counters,
}

/// What a queue counts over all its lanes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Counters {
    pub(crate) next_message: u64,
    pub(crate) next_delivery: u64,
    /// When a visible message that is too old is offered to the dead-letter queue again.
    pub(crate) aged_retry: TimestampMs,
    /// How often delayed messages were purged.
    pub(crate) delay_epoch: u32,
    /// Delayed messages of earlier epochs that wait to be erased.
    pub(crate) stale_delays: u64,
    /// Why the last dead letter could not move.
    pub(crate) stall: Option<Stall>,
    pub(crate) failing: Option<Failing>,
    pub(crate) remembered: Remembered,
    pub(crate) totals: Totals,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            next_message: 1,
            next_delivery: 1,
            aged_retry: TimestampMs(0),
            delay_epoch: 0,
            stale_delays: 0,
            stall: None,
            failing: None,
            remembered: Remembered::default(),
            totals: Totals::default(),
        }
    }
}

impl Layout for MachineRow {
    fn encode(&self, out: &mut Writer) {
        put_version(out);
        self.last_queue.encode(out);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        check_version(input, "machine row")?;
        Ok(Self { last_queue: QueueId::decode(input)? })
    }
}

impl Layout for Definition {
    fn encode(&self, out: &mut Writer) {
        put_version(out);
        out.str(&self.name);
        self.attributes.encode(out);
        self.created.encode(out);
        self.modified.encode(out);
        out.bool(self.is_deleted);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        check_version(input, "queue row")?;
        Ok(Self {
            name: input.str()?,
            attributes: Attributes::decode(input)?,
            created: TimestampMs::decode(input)?,
            modified: TimestampMs::decode(input)?,
            is_deleted: input.bool()?,
        })
    }
}

impl Layout for Oldest {
    fn encode(&self, out: &mut Writer) {
        out.u64(self.seq);
        self.enqueued.encode(out);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self { seq: input.u64()?, enqueued: TimestampMs::decode(input)? })
    }
}

impl Layout for Failing {
    fn encode(&self, out: &mut Writer) {
        self.since.encode(out);
        out.u32(self.times);
        self.retry.encode(out);
        out.option(self.stall.as_ref());
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            since: TimestampMs::decode(input)?,
            times: input.u32()?,
            retry: TimestampMs::decode(input)?,
            stall: input.option()?,
        })
    }
}

impl Layout for CountersRow {
    fn encode(&self, out: &mut Writer) {
        let Self { plain: (plain, turn), fresh, counters } = self;
        put_version(out);
        out.u64(plain.next);
        out.u64(counters.next_message);
        out.u64(counters.next_delivery);
        out.u64(plain.purged_below);
        out.u64(plain.expired_below);
        out.option(plain.oldest.as_ref());
        turn.encode(out);
        out.u64(*fresh);
        counters.aged_retry.encode(out);
        out.u32(counters.delay_epoch);
        out.u64(counters.stale_delays);
        out.option(counters.stall.as_ref());
        out.option(counters.failing.as_ref());
        counters.remembered.encode(out);
        counters.totals.encode(out);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        check_version(input, "counters row")?;
        let (next, next_message, next_delivery) = (input.u64()?, input.u64()?, input.u64()?);
        let (purged_below, expired_below, oldest) = (input.u64()?, input.u64()?, input.option()?);
        let plain = (Marks { next, purged_below, expired_below, oldest }, Turn::decode(input)?);
        let fresh = input.u64()?;
        let counters = Counters {
            next_message,
            next_delivery,
            aged_retry: TimestampMs::decode(input)?,
            delay_epoch: input.u32()?,
            stale_delays: input.u64()?,
            stall: input.option()?,
            failing: input.option()?,
            remembered: Remembered::decode(input)?,
            totals: Totals::decode(input)?,
        };
        Ok(Self { plain, fresh, counters })
    }
}
