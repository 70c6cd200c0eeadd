//! What can be due: the items of a tick.
//!
//! ```text
//!  1 lease   queue | delivery | seq       its row: M queue seq
//!  2 delay   queue | epoch | due | id     its row: D queue epoch due id
//!  3 expire  queue | seq                  its row: M queue seq
//!  4 erase   queue                        no row
//!  5 window  queue | until | id          its row: U queue until id
//! ```
//!
//! Why explicit: a replica reads the rows of a batch before it applies, so an item names its row; and an item that was
//! overtaken (acked, extended, purged meanwhile) is told from one that is still due.
//!
//! Must never: be believed. `apply` holds each item against its state and the entry's stamp.

use machine::{DecodeError, Key, Layout, Reader, TimestampMs, Writer};

use crate::ids::{DeliveryNumber, MessageId, QueueId};
use crate::keys;

/// One thing that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// A lease has run out, or the delay of a released message has: it becomes ready, a dead letter, or is dropped.
    Lease {
        /// The queue.
        queue: QueueId,
        /// The delivery.
        delivery: DeliveryNumber,
        /// The message's place.
        seq: u64,
    },
    /// The delay of a sent message has ended, or the queue was purged of it.
    Delay {
        /// The queue.
        queue: QueueId,
        /// How often the queue had been purged when it was sent.
        epoch: u32,
        /// When its delay ends.
        due: TimestampMs,
        /// The message.
        id: MessageId,
    },
    /// The message at `seq` has outlived the retention, and all before it; or its row teaches the queue its age.
    Expire {
        /// The queue.
        queue: QueueId,
        /// The message's place.
        seq: u64,
    },
    /// The window of a deduplication id has ended; or, as the first of all, it teaches the queue when the next one will.
    Window {
        /// The queue.
        queue: QueueId,
        /// When it ends.
        until: TimestampMs,
        /// The message that was sent under the id.
        id: MessageId,
    },
    /// Messages that were dropped wait to be erased.
    Erase {
        /// The queue.
        queue: QueueId,
    },
}

impl Due {
    /// The row that `apply` may read for this item.
    pub(crate) fn key(&self) -> Option<Key> {
        match *self {
            Self::Lease { queue, seq, .. } | Self::Expire { queue, seq } => Some(keys::message(queue, seq)),
            Self::Delay { queue, epoch, due, id } => Some(keys::delayed(queue, epoch, due, id)),
            Self::Window { queue, until, id } => Some(keys::dedup_until(queue, until, id)),
            Self::Erase { .. } => None,
        }
    }
}

impl Layout for Due {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Lease { queue, delivery, seq } => {
                out.u8(1);
                queue.encode(out);
                delivery.encode(out);
                out.u64(*seq);
            }
            Self::Delay { queue, epoch, due, id } => {
                out.u8(2);
                queue.encode(out);
                out.u32(*epoch);
                due.encode(out);
                id.encode(out);
            }
            Self::Expire { queue, seq } => {
                out.u8(3);
                queue.encode(out);
                out.u64(*seq);
            }
            Self::Erase { queue } => {
                out.u8(4);
                queue.encode(out);
            }
            Self::Window { queue, until, id } => {
                out.u8(5);
                queue.encode(out);
                until.encode(out);
                id.encode(out);
            }
        }
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        match input.u8()? {
            1 => Ok(Self::Lease {
                queue: QueueId::decode(input)?,
                delivery: DeliveryNumber::decode(input)?,
                seq: input.u64()?,
            }),
            2 => Ok(Self::Delay {
                queue: QueueId::decode(input)?,
                epoch: input.u32()?,
                due: TimestampMs::decode(input)?,
                id: MessageId::decode(input)?,
            }),
            3 => Ok(Self::Expire { queue: QueueId::decode(input)?, seq: input.u64()? }),
            4 => Ok(Self::Erase { queue: QueueId::decode(input)? }),
            5 => Ok(Self::Window {
                queue: QueueId::decode(input)?,
                until: TimestampMs::decode(input)?,
                id: MessageId::decode(input)?,
            }),
            tag => Err(DecodeError::Unknown { what: "due item", tag }),
        }
    }
}
