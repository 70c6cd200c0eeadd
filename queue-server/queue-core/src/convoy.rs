//! What the two groups of a move tell each other: records of the courier, all on the track of the queue's name, so that
//! they come in their order.
//!
//! ```text
//!  source ─ 2 found ──────────────────────────────────> target
//!         <─────────────────── 3 welcome, 4 declined ─
//!         ─ 6 windows… 7 migrants (leased, half) 8 open ─> ── place ──> directory
//!         ─ 7 migrants (ready, delayed) … 9 done ──────>
//!         ─ 5 cancel ──────────────────────────────────>
//! ```
//!
//! Must never: change a layout; a record may wait for a newer release. Tag 1 is a parcel's.

use bytes::Bytes;
use machine::{DecodeError, Layout, Reader, TimestampMs, Writer};

use crate::attributes::Attributes;
use crate::ids::{DeliveryNumber, MessageId, QueueId};
use crate::limits::SHIP_WINDOWS_MAX;
use crate::message::MessageRow;
use crate::refusal::Refusal;
use crate::totals::Totals;
use crate::tries::Tries;

/// The first tag that is no parcel's.
pub(crate) const FIRST_TAG: u8 = 2;

/// A word between the groups of a move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// The target shall make room.
    Found(Found),
    /// It has.
    Welcome { number: u64, name: String, target: QueueId },
    /// It cannot.
    Declined { number: u64, refusal: Refusal },
    /// The queue stays where it is.
    Cancel { target: QueueId },
    /// Deduplication ids.
    Windows { target: QueueId, windows: Vec<Window> },
    /// A message.
    Migrant(Box<Migrant>),
    /// The target decides from now on.
    Open { target: QueueId, next_delivery: u64, left: u64, totals: Totals },
    /// All messages have been sent.
    Done { target: QueueId },
}

/// A queue that shall be founded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) number: u64,
    pub(crate) name: String,
    pub(crate) attributes: Attributes,
    pub(crate) created: TimestampMs,
    /// When it was asked for.
    pub(crate) asked: TimestampMs,
    /// Lanes and messages in memory that it needs room for.
    pub(crate) lanes: u64,
    pub(crate) unsettled: u64,
}

/// A deduplication id and its window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) dedup_id: String,
    pub(crate) until: TimestampMs,
    pub(crate) message: MessageId,
}

/// A message with its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Migrant {
    pub(crate) target: QueueId,
    pub(crate) state: MigrantState,
    pub(crate) row: MessageRow,
    pub(crate) body: Bytes,
}

/// The state of a message that moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MigrantState {
    Ready { tries: Tries },
    Delayed,
    Leased { delivery: DeliveryNumber, deadline: TimestampMs, tries: Tries, is_parked: bool },
    Half { next: TimestampMs, queries: u32, is_spent: bool },
}

impl Layout for Window {
    fn encode(&self, out: &mut Writer) {
        out.str(&self.dedup_id);
        self.until.encode(out);
        self.message.encode(out);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self { dedup_id: input.str()?, until: TimestampMs::decode(input)?, message: MessageId::decode(input)? })
    }
}

impl Layout for MigrantState {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Ready { tries } => {
                out.u8(1);
                tries.encode(out);
            }
            Self::Delayed => out.u8(2),
            Self::Leased { delivery, deadline, tries, is_parked } => {
                out.u8(3);
                delivery.encode(out);
                deadline.encode(out);
                tries.encode(out);
                out.bool(*is_parked);
            }
            Self::Half { next, queries, is_spent } => {
                out.u8(4);
                next.encode(out);
                out.u32(*queries);
                out.bool(*is_spent);
            }
        }
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        match input.u8()? {
            1 => Ok(Self::Ready { tries: Tries::decode(input)? }),
            2 => Ok(Self::Delayed),
            3 => Ok(Self::Leased {
                delivery: DeliveryNumber::decode(input)?,
                deadline: TimestampMs::decode(input)?,
                tries: Tries::decode(input)?,
                is_parked: input.bool()?,
            }),
            4 => Ok(Self::Half { next: TimestampMs::decode(input)?, queries: input.u32()?, is_spent: input.bool()? }),
            tag => Err(DecodeError::Unknown { what: "state of a message that moves", tag }),
        }
    }
}

impl Layout for Found {
    fn encode(&self, out: &mut Writer) {
        out.u64(self.number);
        out.str(&self.name);
        self.attributes.encode(out);
        self.created.encode(out);
        self.asked.encode(out);
        out.u64(self.lanes);
        out.u64(self.unsettled);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            number: input.u64()?,
            name: input.str()?,
            attributes: Attributes::decode(input)?,
            created: TimestampMs::decode(input)?,
            asked: TimestampMs::decode(input)?,
            lanes: input.u64()?,
            unsettled: input.u64()?,
        })
    }
}

impl Layout for Migrant {
    fn encode(&self, out: &mut Writer) {
        self.target.encode(out);
        self.state.encode(out);
        self.row.encode(out);
        out.bytes(&self.body);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            target: QueueId::decode(input)?,
            state: MigrantState::decode(input)?,
            row: MessageRow::decode(input)?,
            body: input.bytes()?,
        })
    }
}

impl Layout for Word {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Found(found) => {
                out.u8(FIRST_TAG);
                found.encode(out);
            }
            Self::Welcome { number, name, target } => {
                out.u8(3);
                out.u64(*number);
                out.str(name);
                target.encode(out);
            }
            Self::Declined { number, refusal } => {
                out.u8(4);
                out.u64(*number);
                refusal.encode(out);
            }
            Self::Cancel { target } => {
                out.u8(5);
                target.encode(out);
            }
            Self::Windows { target, windows } => {
                out.u8(6);
                target.encode(out);
                out.list(windows);
            }
            Self::Migrant(migrant) => {
                out.u8(7);
                migrant.encode(out);
            }
            Self::Open { target, next_delivery, left, totals } => {
                out.u8(8);
                target.encode(out);
                out.u64(*next_delivery);
                out.u64(*left);
                totals.encode(out);
            }
            Self::Done { target } => {
                out.u8(9);
                target.encode(out);
            }
        }
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        match input.u8()? {
            FIRST_TAG => Found::decode(input).map(Self::Found),
            3 => Ok(Self::Welcome { number: input.u64()?, name: input.str()?, target: QueueId::decode(input)? }),
            4 => Ok(Self::Declined { number: input.u64()?, refusal: Refusal::decode(input)? }),
            5 => Ok(Self::Cancel { target: QueueId::decode(input)? }),
            6 => Ok(Self::Windows { target: QueueId::decode(input)?, windows: input.list(SHIP_WINDOWS_MAX)? }),
            7 => Migrant::decode(input).map(|migrant| Self::Migrant(Box::new(migrant))),
            8 => Ok(Self::Open {
                target: QueueId::decode(input)?,
                next_delivery: input.u64()?,
                left: input.u64()?,
                totals: Totals::decode(input)?,
            }),
            9 => Ok(Self::Done { target: QueueId::decode(input)? }),
            tag => Err(DecodeError::Unknown { what: "courier record", tag }),
        }
    }
}
