//! What can be due: the items of a tick.
//!
//! ```text
//!  1 lease   queue | delivery | seq       its row: M queue seq
//!  2 delay   queue | epoch | due | id     its row: D queue epoch due id
//!  3 expire  queue | seq                  its row: M queue seq
//!  4 erase   queue                        no row
//!  5 window  queue | until | id          its row: U queue until id
//!  7 half    queue | id                   no row
//!  8 forget  queue | seq                  its row: M queue seq
//!  9 events  queue | from | to            their rows: E queue number
//! 10 age     queue | seq | body if it goes far        its row: M queue seq
//! 13 carry   queue | delivery | seq | body            as a lease; its message may have to go to another group
//! 14 forward queue | seq | body if it goes far        its row: M queue seq
//! 15 redrive queue | from | to | picks (seq | body)   their rows: M queue seq
//! 16 ship    queue | step | windows | passages        their rows: U, M, H and D
//! ```
//!
//! Why explicit: a replica reads the rows of a batch before it applies, so an item names its row; and an item that was
//! overtaken (acked, extended, purged meanwhile) is told from one that is still due.
//!
//! Must never: be believed. `apply` holds each item against its state and the entry's stamp.

use bytes::Bytes;
use machine::{DecodeError, Key, Layout, Reader, TimestampMs, Writer};

use crate::ids::{DeliveryNumber, MessageId, QueueId};
use crate::keys;
use crate::limits::{EVENTS_ERASE_MAX, REDRIVE_PICKS_MAX};
use crate::shipment::put_place;
pub use crate::shipment::{Passage, Shipment};

/// One thing that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
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
        /// Its body, if it goes to another group.
        body: Option<Bytes>,
    },
    /// As `Lease`, of a message whose tries are spent and whose dead-letter queue is of another group.
    Carry {
        /// The queue.
        queue: QueueId,
        /// The delivery.
        delivery: DeliveryNumber,
        /// The message's place.
        seq: u64,
        /// Its body.
        body: Bytes,
    },
    /// A copy waits in the queue of a subscription that forwards.
    Forward {
        /// The queue.
        queue: QueueId,
        /// The message's place.
        seq: u64,
        /// Its body, if it goes to another group.
        body: Option<Bytes>,
    },
    /// A redrive goes on.
    Redrive {
        /// The queue that is emptied.
        queue: QueueId,
        /// Which part of it.
        stretch: Stretch,
    },
    /// A move to another group goes on.
    Ship {
        /// The queue that leaves.
        queue: QueueId,
        /// Which part of it.
        shipment: Shipment,
    },
}

/// A part of a queue that a redrive has looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// The first place: where the job stands.
    pub from: u64,
    /// The place behind the last; the greatest number: there are no more.
    pub to: u64,
    /// What is to be moved, in the order of places.
    pub picks: Vec<Pick>,
}

/// A message that a redrive wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pick {
    /// Its place.
    pub seq: u64,
    /// Its body, if it goes to another group.
    pub body: Option<Bytes>,
}

impl Due {
    /// The row of the one message that this item is about, if `apply` may read it.
    pub(crate) fn key(&self) -> Option<Key> {
        match self {
            Self::Lease { queue, seq, .. }
            | Self::Expire { queue, seq }
            | Self::Forget { queue, seq }
            | Self::Age { queue, seq, .. }
            | Self::Carry { queue, seq, .. }
            | Self::Forward { queue, seq, .. } => Some(keys::message(*queue, *seq)),
            Self::Delay { queue, epoch, due, id } => Some(keys::delayed(*queue, *epoch, *due, *id)),
            Self::Window { queue, until, id } => Some(keys::dedup_until(*queue, *until, *id)),
            Self::Erase { .. } | Self::Half { .. } | Self::Events { .. } | Self::Redrive { .. } | Self::Ship { .. } => {
                None
            }
        }
    }

    /// Names the rows that `apply` may read for this item.
    pub(crate) fn keys(&self, named: &mut Vec<Key>) {
        match self {
            Self::Redrive { queue, stretch } => {
                named.extend(stretch.picks.iter().map(|pick| keys::message(*queue, pick.seq)));
            }
            Self::Ship { queue, shipment } => shipment.keys(*queue, named),
            Self::Events { queue, from, to } => {
                let to = (*to).min(from.saturating_add(EVENTS_ERASE_MAX));
                named.extend((*from..to).map(|number| keys::event(*queue, number)));
            }
            _ => named.extend(self.key()),
        }
    }
}

fn put_body(out: &mut Writer, body: Option<&Bytes>) {
    out.bool(body.is_some());
    if let Some(body) = body {
        out.bytes(body);
    }
}

fn read_body(input: &mut Reader) -> Result<Option<Bytes>, DecodeError> {
    if input.bool()? { input.bytes().map(Some) } else { Ok(None) }
}

impl Layout for Pick {
    fn encode(&self, out: &mut Writer) {
        out.u64(self.seq);
        put_body(out, self.body.as_ref());
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self { seq: input.u64()?, body: read_body(input)? })
    }
}

impl Layout for Stretch {
    fn encode(&self, out: &mut Writer) {
        out.u64(self.from);
        out.u64(self.to);
        out.list(&self.picks);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self { from: input.u64()?, to: input.u64()?, picks: input.list(REDRIVE_PICKS_MAX)? })
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
            Self::Expire { queue, seq } => put_place(out, 3, *queue, *seq),
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
            Self::Half { queue, id } => {
                out.u8(7);
                queue.encode(out);
                id.encode(out);
            }
            Self::Forget { queue, seq } => put_place(out, 8, *queue, *seq),
            Self::Events { queue, from, to } => {
                out.u8(9);
                queue.encode(out);
                out.u64(*from);
                out.u64(*to);
            }
            Self::Age { queue, seq, body } => {
                put_place(out, 10, *queue, *seq);
                put_body(out, body.as_ref());
            }
            Self::Carry { queue, delivery, seq, body } => {
                out.u8(13);
                queue.encode(out);
                delivery.encode(out);
                out.u64(*seq);
                out.bytes(body);
            }
            Self::Forward { queue, seq, body } => {
                put_place(out, 14, *queue, *seq);
                put_body(out, body.as_ref());
            }
            Self::Redrive { queue, stretch } => {
                out.u8(15);
                queue.encode(out);
                stretch.encode(out);
            }
            Self::Ship { queue, shipment } => {
                out.u8(16);
                queue.encode(out);
                shipment.encode(out);
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
            7 => Ok(Self::Half { queue: QueueId::decode(input)?, id: MessageId::decode(input)? }),
            8 => Ok(Self::Forget { queue: QueueId::decode(input)?, seq: input.u64()? }),
            9 => Ok(Self::Events { queue: QueueId::decode(input)?, from: input.u64()?, to: input.u64()? }),
            10 => Ok(Self::Age { queue: QueueId::decode(input)?, seq: input.u64()?, body: read_body(input)? }),
            13 => Ok(Self::Carry {
                queue: QueueId::decode(input)?,
                delivery: DeliveryNumber::decode(input)?,
                seq: input.u64()?,
                body: input.bytes()?,
            }),
            14 => Ok(Self::Forward { queue: QueueId::decode(input)?, seq: input.u64()?, body: read_body(input)? }),
            15 => Ok(Self::Redrive { queue: QueueId::decode(input)?, stretch: Stretch::decode(input)? }),
            16 => Ok(Self::Ship { queue: QueueId::decode(input)?, shipment: Shipment::decode(input)? }),
            tag => Err(DecodeError::Unknown { what: "due item", tag }),
        }
    }
}
