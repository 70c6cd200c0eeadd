//! Replies: what the queue machine answers.
//!
//! ```text
//!  tag u8 | fields in the order of the variant
//!  0 refused  1 created  2 done  3 sent  4 received  5 empty  6 settled  7 extended  8 purged  9 ticked
//!  15 rewound  16 questions
//!  25 topic created  26 subscribed  27 published
//! ```
//!
//! A receive answers with places, not with bodies: whoever holds the rows reads them by place afterwards, outside the
//! machine, so that a body never travels through the log a second time.
//!
//! Must never: change the layout of a tag; former replies live in the rows of sessions.

use machine::{DecodeError, Layout, Reader, TimestampMs, Writer};

use crate::ids::{DeliveryNumber, MessageId, QueueId};
use crate::limits::LIST_MAX;
use crate::refusal::Refusal;
use crate::topic::TopicId;
use crate::tries::Tries;

/// The answer to a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Nothing was changed.
    Refused(Refusal),
    /// The queue is there.
    Created {
        /// Its id.
        queue: QueueId,
    },
    /// It is done, and there is nothing more to say.
    Done,
    /// The messages are in the queue.
    Sent {
        /// Their ids, in the order of the send.
        ids: Vec<MessageId>,
        /// Sequence number of the first that has a place now; 0 if none has.
        first_seq: u64,
        /// Indices of those that were not stored: their ids are those of the messages they repeat.
        duplicates: Vec<u32>,
    },
    /// Leases were taken; never empty.
    Received {
        /// One for each message, in the order of the queue.
        deliveries: Vec<Delivery>,
    },
    /// Nothing is ready; nothing was changed.
    Empty,
    /// One result for each receipt of the ack or release, in its order: `None` if it is done.
    Settled {
        /// The results.
        results: Vec<Option<Refusal>>,
    },
    /// One result for each receipt of the extend, in its order: `None` if its lease ends at the deadline now.
    Extended {
        /// The new deadline, the same for all.
        deadline: TimestampMs,
        /// The results.
        results: Vec<Option<Refusal>>,
    },
    /// The messages were dropped.
    Purged {
        /// How many were visible, delayed or half.
        messages: u64,
    },
    /// What was due is moved.
    Ticked {
        /// Items that were still due.
        moved: u32,
        /// Queues in which messages became ready: whoever waits there may look again.
        readied: Vec<QueueId>,
    },
    /// Acked messages are visible again.
    Rewound {
        /// How many.
        messages: u64,
    },
    /// What producers are to be asked; never empty.
    Questions {
        /// One for each half message, in the order in which they were due.
        questions: Vec<Question>,
    },
    /// The topic is there.
    TopicCreated {
        /// Its id.
        topic: TopicId,
    },
    /// The subscription is there.
    Subscribed {
        /// Its id: that of the queue which holds its copies.
        queue: QueueId,
    },
    /// The messages wait for their delivery to the subscriptions that they match.
    Published {
        /// Their ids, in the order of the publish.
        ids: Vec<MessageId>,
        /// Copies that were made.
        copies: u32,
        /// The queues of the subscriptions that got some.
        readied: Vec<QueueId>,
    },
}

/// A question to the producer of a half message: commit or roll back?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// The message; its body is read by it.
    pub id: MessageId,
    /// When it was sent.
    pub sent: TimestampMs,
    /// Questions about it, this one included.
    pub queries: u32,
    /// When it is asked about again; after the last question, when it is rolled back.
    pub next: TimestampMs,
}

impl Layout for Question {
    fn encode(&self, out: &mut Writer) {
        self.id.encode(out);
        self.sent.encode(out);
        out.u32(self.queries);
        self.next.encode(out);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            id: MessageId::decode(input)?,
            sent: TimestampMs::decode(input)?,
            queries: input.u32()?,
            next: TimestampMs::decode(input)?,
        })
    }
}

/// One message under a lease of its receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its place in the queue; its row is read by it.
    pub seq: u64,
    /// Its id; its body is read by it.
    pub id: MessageId,
    /// The receipt, and a fencing token.
    pub receipt: DeliveryNumber,
    /// When the lease ends.
    pub deadline: TimestampMs,
    /// Its tries, this one included.
    pub tries: Tries,
}

impl Layout for Delivery {
    fn encode(&self, out: &mut Writer) {
        out.u64(self.seq);
        self.id.encode(out);
        self.receipt.encode(out);
        self.deadline.encode(out);
        self.tries.encode(out);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            seq: input.u64()?,
            id: MessageId::decode(input)?,
            receipt: DeliveryNumber::decode(input)?,
            deadline: TimestampMs::decode(input)?,
            tries: Tries::decode(input)?,
        })
    }
}

impl Layout for Reply {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Refused(refusal) => {
                out.u8(0);
                refusal.encode(out);
            }
            Self::Created { queue } => {
                out.u8(1);
                queue.encode(out);
            }
            Self::Done => out.u8(2),
            Self::Sent { ids, first_seq, duplicates } => {
                out.u8(3);
                out.list(ids);
                out.u64(*first_seq);
                out.len(duplicates.len());
                duplicates.iter().for_each(|index| out.u32(*index));
            }
            Self::Received { deliveries } => {
                out.u8(4);
                out.list(deliveries);
            }
            Self::Empty => out.u8(5),
            Self::Settled { results } => {
                out.u8(6);
                put_results(out, results);
            }
            Self::Extended { deadline, results } => {
                out.u8(7);
                deadline.encode(out);
                put_results(out, results);
            }
            Self::Purged { messages } => {
                out.u8(8);
                out.u64(*messages);
            }
            Self::Ticked { moved, readied } => {
                out.u8(9);
                out.u32(*moved);
                out.list(readied);
            }
            Self::Rewound { messages } => {
                out.u8(15);
                out.u64(*messages);
            }
            Self::Questions { questions } => {
                out.u8(16);
                out.list(questions);
            }
            Self::TopicCreated { topic } => {
                out.u8(25);
                topic.encode(out);
            }
            Self::Subscribed { queue } => {
                out.u8(26);
                queue.encode(out);
            }
            Self::Published { ids, copies, readied } => {
                out.u8(27);
                out.list(ids);
                out.u32(*copies);
                out.list(readied);
            }
        }
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        match input.u8()? {
            0 => Ok(Self::Refused(Refusal::decode(input)?)),
            1 => Ok(Self::Created { queue: QueueId::decode(input)? }),
            2 => Ok(Self::Done),
            3 => {
                Ok(Self::Sent { ids: input.list(LIST_MAX)?, first_seq: input.u64()?, duplicates: read_indices(input)? })
            }
            4 => Ok(Self::Received { deliveries: input.list(LIST_MAX)? }),
            5 => Ok(Self::Empty),
            6 => Ok(Self::Settled { results: read_results(input)? }),
            7 => Ok(Self::Extended { deadline: TimestampMs::decode(input)?, results: read_results(input)? }),
            8 => Ok(Self::Purged { messages: input.u64()? }),
            9 => Ok(Self::Ticked { moved: input.u32()?, readied: input.list(LIST_MAX)? }),
            15 => Ok(Self::Rewound { messages: input.u64()? }),
            16 => Ok(Self::Questions { questions: input.list(LIST_MAX)? }),
            25 => Ok(Self::TopicCreated { topic: TopicId::decode(input)? }),
            26 => Ok(Self::Subscribed { queue: QueueId::decode(input)? }),
            27 => {
                Ok(Self::Published { ids: input.list(LIST_MAX)?, copies: input.u32()?, readied: input.list(LIST_MAX)? })
            }
            tag => Err(DecodeError::Unknown { what: "queue reply", tag }),
        }
    }
}

fn read_indices(input: &mut Reader) -> Result<Vec<u32>, DecodeError> {
    let count = input.count(LIST_MAX)?;
    (0..count).map(|_| input.u32()).collect()
}

fn put_results(out: &mut Writer, results: &[Option<Refusal>]) {
    out.len(results.len());
    for result in results {
        out.option(result.as_ref());
    }
}

fn read_results(input: &mut Reader) -> Result<Vec<Option<Refusal>>, DecodeError> {
    let count = input.count(LIST_MAX)?;
    let mut results = Vec::with_capacity(count.min(input.left()));
    for _ in 0..count {
        results.push(input.option()?);
    }
    Ok(results)
}
