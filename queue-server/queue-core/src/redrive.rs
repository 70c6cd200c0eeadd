//! Redrive: what a job is told, what it remembers, and which messages it wants.
//!
//! ```text
//!  order ──> Running ──ticks──> Done
//!               │  cursor ──────────────>        │  the job is a row, so another leader goes on where this one stopped
//!               └──stop──> Stopped
//! ```
//!
//! Must never: want a message that took its place after the job began: what fails again would be redriven for ever.

use machine::{DecodeError, GroupId, Layout, Reader, TimestampMs, Writer};

use crate::attributes::DeadLetterCount;
use crate::command::Header;
use crate::ids::QueueId;
use crate::limits::REDRIVE_RATE_MAX;
use crate::message::MessageRow;
use crate::refusal::Refusal;
use crate::relocate::{Goal, QueueAddress, Stall, check_group, is_address};
use crate::rows::{check_version, put_version};
use crate::send::headers_fit;
use crate::tries::Tries;

/// What a redrive shall do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedriveOrder {
    /// Where messages go; `None`: each to where it came from, and one that came from nowhere stays.
    pub to: Option<QueueAddress>,
    /// Which messages.
    pub filter: RedriveFilter,
    /// Most messages; `None`: all that match.
    pub messages_max: Option<u64>,
    /// Messages per second; `None`: as fast as ticks go.
    pub rate: Option<u32>,
    /// Only count what matches.
    pub is_dry: bool,
}

/// Which messages a redrive wants: those that fit everything that is said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RedriveFilter {
    /// With this header.
    pub header: Option<Header>,
    /// Sent before.
    pub sent_before: Option<TimestampMs>,
    /// Sent then or later.
    pub sent_from: Option<TimestampMs>,
    /// Dead for this reason.
    pub reason: Option<DeadLetterCount>,
    /// From the queue of this name.
    pub origin: Option<String>,
    /// Failed so often where they died, or else in this queue.
    pub failed_min: u32,
    /// Received so often where they died, or else in this queue.
    pub received_min: u32,
}

/// How far a redrive is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedriveState {
    /// Ticks move its messages.
    Running,
    /// It came to the end, or has moved as many as it should.
    Done,
    /// It was stopped.
    Stopped,
}

/// A job in memory, and its row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redrive {
    /// What it shall do.
    pub order: RedriveOrder,
    /// How far it is.
    pub state: RedriveState,
    /// When it began.
    pub started: TimestampMs,
    /// When it moved last, or ended.
    pub changed: TimestampMs,
    /// Messages looked at.
    pub scanned: u64,
    /// Of those, messages that matched.
    pub matched: u64,
    /// Of those, messages that were moved.
    pub moved: u64,
    /// Of those, messages whose queue cannot take them; they are tried again when the others are through.
    pub stalled: u64,
    /// Why the last of them could not move.
    pub stall: Option<Stall>,
    /// Places before were looked at.
    pub(crate) cursor: u64,
    /// Nothing moves earlier.
    pub(crate) next: TimestampMs,
    /// The group of the queue.
    pub(crate) home: GroupId,
}

impl RedriveOrder {
    /// Holds the form of the order against the rules, up to the rate.
    ///
    /// Refuses, in precedence: `HeadersOutOfRange`, `GroupOutOfRange`.
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        let header_fits = |header: &Header| headers_fit(core::slice::from_ref(header));
        Refusal::HeadersOutOfRange.unless(self.filter.header.as_ref().is_none_or(header_fits))?;
        check_group(self.to.as_ref().and_then(|address| address.group))
    }

    /// Refuses: `RateOutOfRange`.
    pub(crate) fn check_rate(&self) -> Result<(), Refusal> {
        let rate_fits = self.rate.is_none_or(|rate| (1..=REDRIVE_RATE_MAX).contains(&rate));
        Refusal::RateOutOfRange.unless(rate_fits && self.messages_max != Some(0))
    }

    /// Whether its target may be an address at all.
    pub(crate) fn has_address(&self) -> bool {
        self.to.as_ref().is_none_or(is_address)
    }
}

impl Redrive {
    pub(crate) const fn new(order: RedriveOrder, home: GroupId, now: TimestampMs) -> Self {
        Self {
            order,
            state: RedriveState::Running,
            started: now,
            changed: now,
            scanned: 0,
            matched: 0,
            moved: 0,
            stalled: 0,
            stall: None,
            cursor: 0,
            next: now,
            home,
        }
    }

    /// When it is due. `None`: it has ended.
    pub(crate) fn due(&self) -> Option<TimestampMs> {
        (self.state == RedriveState::Running).then_some(self.next)
    }

    /// Messages it may still move.
    pub(crate) fn left(&self) -> u64 {
        let max = self.order.messages_max.filter(|_| !self.order.is_dry).unwrap_or(u64::MAX);
        max.saturating_sub(self.moved)
    }

    /// Where `row` of `queue` would go; `None`: nowhere.
    pub(crate) fn goal<'a>(&'a self, queue: QueueId, row: &'a MessageRow) -> Option<Goal<'a>> {
        if let Some(address) = &self.order.to {
            return Some(address.goal());
        }
        let origin = row.origin.as_ref()?;
        let group = Some(origin.group).filter(|group| *group != self.home);
        let is_itself = group.is_none() && origin.queue == queue;
        (!is_itself).then_some(Goal { group, id: origin.queue, name: &origin.name })
    }

    /// Whether the message of `queue` with `row`, and `tries` there, is to be moved.
    pub(crate) fn wants(&self, queue: QueueId, row: &MessageRow, tries: Tries) -> bool {
        let filter = &self.order.filter;
        let origin = row.origin.as_ref();
        let tries = origin.map_or(tries, |origin| origin.tries);
        row.enqueued <= self.started
            && self.goal(queue, row).is_some()
            && filter.header.as_ref().is_none_or(|header| row.headers.contains(header))
            && filter.sent_before.is_none_or(|time| row.sent < time)
            && filter.sent_from.is_none_or(|time| row.sent >= time)
            && filter.reason.is_none_or(|reason| origin.is_some_and(|origin| origin.reason == Some(reason)))
            && filter.origin.as_ref().is_none_or(|name| origin.is_some_and(|origin| origin.is_of(name)))
            && tries.failed >= filter.failed_min
            && tries.received >= filter.received_min
    }
}

fn put_number(out: &mut Writer, number: Option<u64>) {
    out.bool(number.is_some());
    if let Some(number) = number {
        out.u64(number);
    }
}

fn read_number(input: &mut Reader) -> Result<Option<u64>, DecodeError> {
    if input.bool()? { input.u64().map(Some) } else { Ok(None) }
}

impl Layout for RedriveFilter {
    fn encode(&self, out: &mut Writer) {
        out.option(self.header.as_ref());
        out.option(self.sent_before.as_ref());
        out.option(self.sent_from.as_ref());
        out.option(self.reason.as_ref());
        out.bool(self.origin.is_some());
        if let Some(origin) = &self.origin {
            out.str(origin);
        }
        out.u32(self.failed_min);
        out.u32(self.received_min);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            header: input.option()?,
            sent_before: input.option()?,
            sent_from: input.option()?,
            reason: input.option()?,
            origin: if input.bool()? { Some(input.str()?) } else { None },
            failed_min: input.u32()?,
            received_min: input.u32()?,
        })
    }
}

impl Layout for RedriveOrder {
    fn encode(&self, out: &mut Writer) {
        out.option(self.to.as_ref());
        self.filter.encode(out);
        put_number(out, self.messages_max);
        out.bool(self.rate.is_some());
        if let Some(rate) = self.rate {
            out.u32(rate);
        }
        out.bool(self.is_dry);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            to: input.option()?,
            filter: RedriveFilter::decode(input)?,
            messages_max: read_number(input)?,
            rate: if input.bool()? { Some(input.u32()?) } else { None },
            is_dry: input.bool()?,
        })
    }
}

impl Layout for RedriveState {
    fn encode(&self, out: &mut Writer) {
        out.u8(match self {
            Self::Running => 1,
            Self::Done => 2,
            Self::Stopped => 3,
        });
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        match input.u8()? {
            1 => Ok(Self::Running),
            2 => Ok(Self::Done),
            3 => Ok(Self::Stopped),
            tag => Err(DecodeError::Unknown { what: "state of a redrive", tag }),
        }
    }
}

impl Layout for Redrive {
    fn encode(&self, out: &mut Writer) {
        put_version(out);
        self.order.encode(out);
        self.state.encode(out);
        self.started.encode(out);
        self.changed.encode(out);
        out.u64(self.scanned);
        out.u64(self.matched);
        out.u64(self.moved);
        out.u64(self.stalled);
        out.option(self.stall.as_ref());
        out.u64(self.cursor);
        self.next.encode(out);
        out.u32(self.home.0);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        check_version(input, "redrive row")?;
        Ok(Self {
            order: RedriveOrder::decode(input)?,
            state: RedriveState::decode(input)?,
            started: TimestampMs::decode(input)?,
            changed: TimestampMs::decode(input)?,
            scanned: input.u64()?,
            matched: input.u64()?,
            moved: input.u64()?,
            stalled: input.u64()?,
            stall: input.option()?,
            cursor: input.u64()?,
            next: TimestampMs::decode(input)?,
            home: GroupId(input.u32()?),
        })
    }
}
