//! What can be due: the items of a tick.
//!
//! ```text
//!  1 lease   queue | delivery | seq       its row: M queue seq
//!  2 delay   queue | epoch | due | id     its row: D queue epoch due id
//!  3 expire  queue | seq                  its row: M queue seq
//!  4 erase   queue                        no row
//!  7 half    queue | id                   no row
//!  8 forget  queue | seq                  its row: M queue seq
//!  9 events  queue | from | to            their rows: E queue number
//! 10 age     queue | seq                  its row: M queue seq
//! ```
//!
//! Why explicit: a replica reads the rows of a batch before it applies, so an item names its row; and an item that was
//! overtaken (acked, extended, purged meanwhile) is told from one that is still due.
//!
//! Must never: be believed. `apply` holds each item against its state and the entry's stamp.

use machine::{DecodeError, Key, Layout, Reader, TimestampMs, Writer};

use crate::ids::{DeliveryNumber, MessageId, QueueId};
use crate::keys;
use crate::limits::EVENTS_ERASE_MAX;

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
    /// Messages that were dropped wait to be erased.
    Erase {
        /// The queue.
        queue: QueueId,
    },
    /// A half message has outlived the retention, or its last question was not answered.
    Half {
        /// The queue.
        queue: QueueId,
        /// The message.
        id: MessageId,
    },
    /// The acked message at `seq` is too old for a rewind, and all before it; or its row teaches the queue its age.
    Forget {
        /// The queue.
        queue: QueueId,
        /// The message's place.
        seq: u64,
    },
    /// The first events of a queue are too old or too many; the last of these may be one that stays, and teaches its age.
    Events {
        /// The queue.
        queue: QueueId,
        /// The first that is not erased yet.
        from: u64,
        /// The one behind the last.
        to: u64,
    },
    /// The visible message at `seq` is too old for its queue and becomes a dead letter.
    Age {
        /// The queue.
        queue: QueueId,
        /// The message's place.
        seq: u64,
    },
}

impl Due {
    /// All rows that `apply` may read for this item.
    pub(crate) fn keys(&self, keys: &mut Vec<Key>) {
        match *self {
            Self::Events { queue, from, to } => {
                let to = to.min(from.saturating_add(EVENTS_ERASE_MAX));
                keys.extend((from..to).map(|number| keys::event(queue, number)));
            }
            _ => keys.extend(self.key()),
        }
    }

    /// The row of the message that this item is about, if `apply` may read it.
    pub(crate) fn key(&self) -> Option<Key> {
        match *self {
            Self::Lease { queue, seq, .. }
            | Self::Expire { queue, seq }
            | Self::Forget { queue, seq }
            | Self::Age { queue, seq } => Some(keys::message(queue, seq)),
            Self::Delay { queue, epoch, due, id } => Some(keys::delayed(queue, epoch, due, id)),
            Self::Erase { .. } | Self::Half { .. } | Self::Events { .. } => None,
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
            Self::Half { queue, id } => {
                out.u8(7);
                queue.encode(out);
                id.encode(out);
            }
            Self::Forget { queue, seq } => {
                out.u8(8);
                queue.encode(out);
                out.u64(*seq);
            }
            Self::Events { queue, from, to } => {
                out.u8(9);
                queue.encode(out);
                out.u64(*from);
                out.u64(*to);
            }
            Self::Age { queue, seq } => {
                out.u8(10);
                queue.encode(out);
                out.u64(*seq);
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
            7 => Ok(Self::Half { queue: QueueId::decode(input)?, id: MessageId::decode(input)? }),
            8 => Ok(Self::Forget { queue: QueueId::decode(input)?, seq: input.u64()? }),
            9 => Ok(Self::Events { queue: QueueId::decode(input)?, from: input.u64()?, to: input.u64()? }),
            10 => Ok(Self::Age { queue: QueueId::decode(input)?, seq: input.u64()? }),
            tag => Err(DecodeError::Unknown { what: "due item", tag }),
        }
    }
}
