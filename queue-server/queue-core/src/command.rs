//! Commands: everything the queue machine can be asked to decide.
//!
//! ```text
//!  tag u8 | fields in the order of the variant (integers big-endian, strings and lists with a u32 length)
//!  1 create  2 set attributes  3 delete  4 send  5 receive  6 ack  7 extend  8 release  9 purge  10 tick
//!  11 rewind  12 confirm  13 query half  14 move queue  15 cancel move
//!  20 to 28: topics and redrives, see `topic_command`
//! ```
//!
//! Queues are created, changed and deleted by name, and used by id: a name may come to mean another queue, an id never.
//!
//! Must never: change the layout of a tag. The golden test pins it; new commands take new tags.

use bytes::Bytes;
use machine::{DecodeError, GroupId, Layout, Reader, TimestampMs, Writer};

use crate::attributes::{AttributeChanges, Attributes};
use crate::due::Due;
use crate::ids::{DeliveryNumber, MessageId, QueueId};
use crate::limits::{LIST_MAX, PRIORITY_DEFAULT};
use crate::topic_command::TopicCommand;

/// A command. Each variant says what it answers with and what it refuses, in precedence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Creates a queue. Answers `Created`.
    ///
    /// Refuses: `NameInvalid`, `QueueExists`, the attributes' ranges, `DeadLetterQueueIsItself`,
    /// `DeadLetterQueueMissing`, `TooManyQueues`, `NumbersExhausted`, `DedupWindowOutOfRange`, `TransactionOutOfRange`,
    /// `GroupOutOfRange`.
    CreateQueue {
        /// Its name.
        name: String,
        /// Its attributes.
        attributes: Attributes,
    },
    /// Changes some attributes of a queue. Answers `Done`. Leases keep the deadline they have.
    ///
    /// Refuses: `NameInvalid`, `QueueMissing`, the attributes' ranges, `DeadLetterQueueIsItself`,
    /// `DeadLetterQueueMissing` (of a policy that is set now), `DedupWindowOutOfRange`, `TransactionOutOfRange`,
    /// `GroupOutOfRange`.
    SetQueueAttributes {
        /// The queue's name.
        name: String,
        /// What to change.
        changes: AttributeChanges,
    },
    /// Deletes a queue with all its messages. Answers `Done`. Its rows and bodies are erased by later ticks.
    ///
    /// Refuses: `NameInvalid`, `QueueMissing`.
    DeleteQueue {
        /// The queue's name.
        name: String,
    },
    /// Puts messages into a queue, all or none; duplicates are answered with the ids of the messages they repeat. Answers `Sent`.
    ///
    /// Refuses: `CountOutOfRange`, `QueueMissing`, `DelayOutOfRange`, `BodyEmpty`, `BodyTooLarge`,
    /// `HeadersOutOfRange`, `SendTooLarge`, `QueueFull`, `TooManyDelayed`, `NumbersExhausted`, `PriorityOutOfRange`,
    /// `TenantOutOfRange`, `OrderedGroupOutOfRange`, `DedupIdOutOfRange`, `TooManyLanes`, `TooManyDedupIds`,
    /// `DelayInTransaction`, `NotTransactional`, `TooManyHalves`.
    Send {
        /// The queue.
        queue: QueueId,
        /// The messages in their order.
        messages: Vec<NewMessage>,
    },
    /// Takes leases on ready messages: the most urgent first, tenants in turn, each tenant's ordered groups in turn, and one
    /// after another of those. Answers `Received`, or `Empty` if none is ready.
    ///
    /// Refuses: `CountOutOfRange`, `QueueMissing`, `LeaseOutOfRange`, `TooManyLeased`, `NumbersExhausted`.
    Receive {
        /// The queue.
        queue: QueueId,
        /// Most messages wanted.
        count: u32,
        /// How long the leases last; `None`: the queue's visibility timeout. Units: milliseconds.
        lease_ms: Option<u64>,
    },
    /// Removes messages that were consumed. Answers `Settled`, one result for each receipt: `StaleReceipt` or none.
    ///
    /// Refuses: `CountOutOfRange`, `QueueMissing`.
    Ack {
        /// The queue.
        queue: QueueId,
        /// The receipts.
        receipts: Vec<DeliveryNumber>,
    },
    /// Lets leases end later, or sooner. Answers `Extended`, one result for each receipt: `StaleReceipt` or none.
    ///
    /// Refuses: `CountOutOfRange`, `QueueMissing`, `LeaseOutOfRange`.
    Extend {
        /// The queue.
        queue: QueueId,
        /// The receipts.
        receipts: Vec<DeliveryNumber>,
        /// How long the leases last from now. Units: milliseconds.
        lease_ms: u64,
    },
    /// Gives messages back before their leases end. Answers `Settled`, one result for each receipt: `StaleReceipt` or none.
    ///
    /// Refuses: `CountOutOfRange`, `QueueMissing`, `DelayOutOfRange`.
    Release {
        /// The queue.
        queue: QueueId,
        /// The receipts.
        receipts: Vec<DeliveryNumber>,
        /// How long the messages stay invisible. Units: milliseconds.
        delay_ms: u64,
        /// Whether the deliveries count as failures.
        failed: bool,
    },
    /// Drops every visible, delayed and half message, and what a rewind could bring back. Answers `Purged`. A leased one is
    /// dropped when its lease ends.
    ///
    /// Refuses: `QueueMissing`.
    Purge {
        /// The queue.
        queue: QueueId,
    },
    /// Moves what is due. Made by the machine itself on the leader; what is not due by the entry's stamp stays.
    /// Answers `Ticked`.
    ///
    /// Refuses: `CountOutOfRange`.
    Tick {
        /// What is due.
        items: Vec<Due>,
    },
    /// Makes acked messages visible again, in their old order, their tries forgotten. Answers `Rewound`. What is visible,
    /// leased or delayed is not touched.
    ///
    /// Refuses: `CountOutOfRange`, `QueueMissing`, `RewindOff`, `RewindPlaceMoved`.
    Rewind {
        /// The queue.
        queue: QueueId,
        /// Messages that took their place at this time or later come back.
        to: TimestampMs,
        /// Where they begin, as [`crate::QueueMachine::rewind_places`] found it; none: there are none.
        places: Vec<u64>,
    },
    /// Decides half messages. Answers `Settled`, one result for each id: `HalfUnknown`, `HalfSettled` or none. The same
    /// decision about a message once more is none too, as long as the queue remembers it.
    ///
    /// Refuses: `CountOutOfRange`, `QueueMissing`.
    Confirm {
        /// The queue.
        queue: QueueId,
        /// The half messages.
        ids: Vec<MessageId>,
        /// Committed: it takes its place now. Else rolled back: it is gone.
        is_commit: bool,
    },
    /// Takes the questions about half messages that are due, each once in its interval. Answers `Questions`, or `Empty`.
    ///
    /// Refuses: `CountOutOfRange`, `QueueMissing`, `NotTransactional`.
    QueryHalf {
        /// The queue.
        queue: QueueId,
        /// Most questions wanted.
        count: u32,
    },
    /// Begins to move a queue to another group while it is used. Answers `Done`; ticks and the courier go on with it.
    ///
    /// Refuses: `NameInvalid`, `QueueMissing`, `TooManyQueues`, `GroupOutOfRange`, `RedriveRunning`, `Moved`, `QueueMoving`,
    /// `MoveToItself`.
    MoveQueue {
        /// The queue's name.
        name: String,
        /// The group that shall hold it.
        to: GroupId,
    },
    /// Ends a move before its cut: the queue stays. Answers `Done`.
    ///
    /// Refuses: `MoveMissing`, `MoveIsCut`.
    CancelMove {
        /// The queue's name.
        name: String,
    },
    /// Something about topics, or a redrive.
    Topic(TopicCommand),
}

/// A message on its way into a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMessage {
    /// What the consumer gets.
    pub body: Bytes,
    /// How long it stays invisible. Units: milliseconds.
    pub delay_ms: u64,
    /// What goes with it.
    pub headers: Vec<Header>,
    /// How urgent it is: 0 to 9, larger is more urgent.
    pub priority: u8,
    /// Whose it is, at most 64 bytes; empty: nobody's. Tenants of one priority are served in turn.
    pub tenant: String,
    /// Its ordered group, at most 128 bytes; empty: none. Of a group, no message is delivered while an earlier one is out.
    pub group: String,
    /// What makes a repeated send of it known, at most 128 bytes; empty: nothing. See [`crate::Attributes::dedup_window_s`].
    pub dedup_id: String,
    /// Whether it stays invisible until it is confirmed.
    pub is_half: bool,
}

impl Default for NewMessage {
    fn default() -> Self {
        Self {
            body: Bytes::new(),
            delay_ms: 0,
            headers: Vec::new(),
            priority: PRIORITY_DEFAULT,
            tenant: String::new(),
            group: String::new(),
            dedup_id: String::new(),
            is_half: false,
        }
    }
}

/// A named value that travels with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

impl Layout for Header {
    fn encode(&self, out: &mut Writer) {
        out.str(&self.name);
        out.str(&self.value);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self { name: input.str()?, value: input.str()? })
    }
}

impl Layout for NewMessage {
    fn encode(&self, out: &mut Writer) {
        out.bytes(&self.body);
        out.u64(self.delay_ms);
        out.list(&self.headers);
        out.u8(self.priority);
        out.str(&self.tenant);
        out.str(&self.group);
        out.str(&self.dedup_id);
        out.bool(self.is_half);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            body: input.bytes()?,
            delay_ms: input.u64()?,
            headers: input.list(LIST_MAX)?,
            priority: input.u8()?,
            tenant: input.str()?,
            group: input.str()?,
            dedup_id: input.str()?,
            is_half: input.bool()?,
        })
    }
}

impl Layout for Command {
    fn size_hint(&self) -> usize {
        // What stands beside a body in a message without headers.
        const MESSAGE_BYTES: usize = 64;
        match self {
            Self::Send { messages, .. } => {
                let bytes = |message: &NewMessage| message.body.len().saturating_add(MESSAGE_BYTES);
                messages.iter().map(bytes).fold(MESSAGE_BYTES, usize::saturating_add)
            }
            _ => MESSAGE_BYTES,
        }
    }

    fn encode(&self, out: &mut Writer) {
        match self {
            Self::CreateQueue { name, attributes } => {
                out.u8(1);
                out.str(name);
                attributes.encode(out);
            }
            Self::SetQueueAttributes { name, changes } => {
                out.u8(2);
                out.str(name);
                changes.encode(out);
            }
            Self::DeleteQueue { name } => {
                out.u8(3);
                out.str(name);
            }
            Self::Send { queue, messages } => {
                out.u8(4);
                queue.encode(out);
                out.list(messages);
            }
            Self::Receive { queue, count, lease_ms } => {
                out.u8(5);
                queue.encode(out);
                out.u32(*count);
                out.bool(lease_ms.is_some());
                out.u64(lease_ms.unwrap_or(0));
            }
            Self::Ack { queue, receipts } => {
                out.u8(6);
                queue.encode(out);
                out.list(receipts);
            }
            Self::Extend { queue, receipts, lease_ms } => {
                out.u8(7);
                queue.encode(out);
                out.list(receipts);
                out.u64(*lease_ms);
            }
            Self::Release { queue, receipts, delay_ms, failed } => {
                out.u8(8);
                queue.encode(out);
                out.list(receipts);
                out.u64(*delay_ms);
                out.bool(*failed);
            }
            Self::Purge { queue } => {
                out.u8(9);
                queue.encode(out);
            }
            Self::Tick { items } => {
                out.u8(10);
                out.list(items);
            }
            Self::Rewind { queue, to, places } => put_rewind(out, *queue, *to, places),
            Self::Confirm { queue, ids, is_commit } => put_confirm(out, *queue, ids, *is_commit),
            Self::QueryHalf { queue, count } => {
                out.u8(13);
                queue.encode(out);
                out.u32(*count);
            }
            Self::MoveQueue { name, to } => put_move(out, name, *to),
            Self::CancelMove { name } => {
                out.u8(15);
                out.str(name);
            }
            Self::Topic(command) => command.encode(out),
        }
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        match input.u8()? {
            1 => Ok(Self::CreateQueue { name: input.str()?, attributes: Attributes::decode(input)? }),
            2 => Ok(Self::SetQueueAttributes { name: input.str()?, changes: AttributeChanges::decode(input)? }),
            3 => Ok(Self::DeleteQueue { name: input.str()? }),
            4 => Ok(Self::Send { queue: QueueId::decode(input)?, messages: input.list(LIST_MAX)? }),
            5 => {
                let (queue, count) = (QueueId::decode(input)?, input.u32()?);
                let (is_given, lease_ms) = (input.bool()?, input.u64()?);
                Ok(Self::Receive { queue, count, lease_ms: is_given.then_some(lease_ms) })
            }
            6 => Ok(Self::Ack { queue: QueueId::decode(input)?, receipts: input.list(LIST_MAX)? }),
            7 => Ok(Self::Extend {
                queue: QueueId::decode(input)?,
                receipts: input.list(LIST_MAX)?,
                lease_ms: input.u64()?,
            }),
            8 => Ok(Self::Release {
                queue: QueueId::decode(input)?,
                receipts: input.list(LIST_MAX)?,
                delay_ms: input.u64()?,
                failed: input.bool()?,
            }),
            9 => Ok(Self::Purge { queue: QueueId::decode(input)? }),
            10 => Ok(Self::Tick { items: input.list(LIST_MAX)? }),
            11 => {
                let (queue, to) = (QueueId::decode(input)?, TimestampMs::decode(input)?);
                let count = input.count(LIST_MAX)?;
                let places = (0..count).map(|_| input.u64()).collect::<Result<_, _>>()?;
                Ok(Self::Rewind { queue, to, places })
            }
            12 => Ok(Self::Confirm {
                queue: QueueId::decode(input)?,
                ids: input.list(LIST_MAX)?,
                is_commit: input.bool()?,
            }),
            13 => Ok(Self::QueryHalf { queue: QueueId::decode(input)?, count: input.u32()? }),
            14 => Ok(Self::MoveQueue { name: input.str()?, to: GroupId(input.u32()?) }),
            15 => Ok(Self::CancelMove { name: input.str()? }),
            tag @ 20..=39 => TopicCommand::decode(tag, input).map(Self::Topic),
            tag => Err(DecodeError::Unknown { what: "queue command", tag }),
        }
    }
}

fn put_move(out: &mut Writer, name: &str, to: GroupId) {
    out.u8(14);
    out.str(name);
    out.u32(to.0);
}

fn put_rewind(out: &mut Writer, queue: QueueId, to: TimestampMs, places: &[u64]) {
    out.u8(11);
    queue.encode(out);
    to.encode(out);
    out.len(places.len());
    places.iter().for_each(|place| out.u64(*place));
}

fn put_confirm(out: &mut Writer, queue: QueueId, ids: &[MessageId], is_commit: bool) {
    out.u8(12);
    queue.encode(out);
    out.list(ids);
    out.bool(is_commit);
}
