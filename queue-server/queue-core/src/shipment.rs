//! A shipment: the part of a queue that one item of a tick sends to its new group.
//!
//! ```text
//!  step u64 | is last window | windows (until | id) | passages
//!  passage  1 ready seq | body   2 delayed epoch | due | id | body   3 leased delivery | seq | body   4 half id | body
//! ```
//!
//! Must never: be believed; see `due`.

use bytes::Bytes;
use machine::{DecodeError, Key, Layout, Reader, TimestampMs, Writer};

use crate::ids::{DeliveryNumber, MessageId, QueueId};
use crate::keys;
use crate::limits::{SHIP_PASSAGES_MAX, SHIP_WINDOWS_MAX};

/// What goes to the other group in one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shipment {
    /// How many steps were before.
    pub step: u64,
    /// No deduplication window is behind these.
    pub is_last_window: bool,
    /// The ends of deduplication windows, in their order.
    pub windows: Vec<(TimestampMs, MessageId)>,
    /// Messages, in the order in which they go.
    pub passages: Vec<Passage>,
}

/// A message that goes, with its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Passage {
    /// A visible one.
    Ready {
        /// Its place.
        seq: u64,
        /// Its body.
        body: Bytes,
    },
    /// A delayed one.
    Delayed {
        /// How often the queue had been purged when it was sent.
        epoch: u32,
        /// When its delay ends.
        due: TimestampMs,
        /// Its id.
        id: MessageId,
        /// Its body.
        body: Bytes,
    },
    /// One that is out.
    Leased {
        /// The delivery.
        delivery: DeliveryNumber,
        /// Its place.
        seq: u64,
        /// Its body.
        body: Bytes,
    },
    /// A half one.
    Half {
        /// Its id.
        id: MessageId,
        /// Its body.
        body: Bytes,
    },
}

impl Passage {
    /// The message's row in `queue`.
    pub(crate) fn key(&self, queue: QueueId) -> Key {
        match self {
            Self::Ready { seq, .. } | Self::Leased { seq, .. } => keys::message(queue, *seq),
            Self::Delayed { epoch, due, id, .. } => keys::delayed(queue, *epoch, *due, *id),
            Self::Half { id, .. } => keys::half(queue, *id),
        }
    }

    pub(crate) const fn body(&self) -> &Bytes {
        match self {
            Self::Ready { body, .. }
            | Self::Delayed { body, .. }
            | Self::Leased { body, .. }
            | Self::Half { body, .. } => body,
        }
    }
}

impl Shipment {
    /// Names the rows that `apply` may read.
    pub(crate) fn keys(&self, queue: QueueId, named: &mut Vec<Key>) {
        named.extend(self.windows.iter().map(|(until, id)| keys::dedup_until(queue, *until, *id)));
        named.extend(self.passages.iter().map(|passage| passage.key(queue)));
    }
}

/// Writes a tag, a queue and a place.
pub(crate) fn put_place(out: &mut Writer, tag: u8, queue: QueueId, seq: u64) {
    out.u8(tag);
    queue.encode(out);
    out.u64(seq);
}

impl Layout for Passage {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Ready { seq, .. } => {
                out.u8(1);
                out.u64(*seq);
            }
            Self::Delayed { epoch, due, id, .. } => {
                out.u8(2);
                out.u32(*epoch);
                due.encode(out);
                id.encode(out);
            }
            Self::Leased { delivery, seq, .. } => {
                out.u8(3);
                delivery.encode(out);
                out.u64(*seq);
            }
            Self::Half { id, .. } => {
                out.u8(4);
                id.encode(out);
            }
        }
        out.bytes(self.body());
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        match input.u8()? {
            1 => Ok(Self::Ready { seq: input.u64()?, body: input.bytes()? }),
            2 => Ok(Self::Delayed {
                epoch: input.u32()?,
                due: TimestampMs::decode(input)?,
                id: MessageId::decode(input)?,
                body: input.bytes()?,
            }),
            3 => Ok(Self::Leased { delivery: DeliveryNumber::decode(input)?, seq: input.u64()?, body: input.bytes()? }),
            4 => Ok(Self::Half { id: MessageId::decode(input)?, body: input.bytes()? }),
            tag => Err(DecodeError::Unknown { what: "passage", tag }),
        }
    }
}

impl Layout for Shipment {
    fn encode(&self, out: &mut Writer) {
        out.u64(self.step);
        out.bool(self.is_last_window);
        out.len(self.windows.len());
        for (until, id) in &self.windows {
            until.encode(out);
            id.encode(out);
        }
        out.list(&self.passages);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        let (step, is_last_window) = (input.u64()?, input.bool()?);
        let mut windows = Vec::new();
        for _ in 0..input.count(SHIP_WINDOWS_MAX)? {
            windows.push((TimestampMs::decode(input)?, MessageId::decode(input)?));
        }
        Ok(Self { step, is_last_window, windows, passages: input.list(SHIP_PASSAGES_MAX)? })
    }
}
