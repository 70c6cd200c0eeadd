//! Commands of topics and of redrives.
//!
//! ```text
//!  tag u8 | fields in the order of the variant
//!  20 create topic  21 set topic  22 delete topic  23 subscribe  24 set subscription  25 unsubscribe  26 publish
//!  27 redrive  28 stop redrive
//! ```
//!
//! Topics and subscriptions are created, changed and deleted by name; a topic is published to by its id.
//!
//! Must never: change the layout of a tag. The golden test pins it; new commands take new tags.

use bytes::Bytes;
use machine::{DecodeError, Layout, Reader, Writer};

use crate::command::Header;
use crate::ids::QueueId;
use crate::limits::LIST_MAX;
use crate::message::{put_texts, read_texts};
use crate::redrive::RedriveOrder;
use crate::subscription::{SubscriptionAttributes, SubscriptionChanges};
use crate::topic::{TopicAttributes, TopicChanges, TopicId};

/// A command. Each variant says what it answers with and what it refuses, in precedence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TopicCommand {
    /// Creates a topic. Answers `TopicCreated`.
    ///
    /// Refuses: `NameInvalid`, `MaxMessageBytesOutOfRange`, `RetentionOutOfRange`, `NumbersExhausted`, `TopicExists`,
    /// `TooManyTopics`.
    Create {
        /// Its name. A queue may have the same.
        name: String,
        /// Its attributes.
        attributes: TopicAttributes,
    },
    /// Changes some attributes of a topic. Answers `Done`. A new retention holds for what waits already.
    ///
    /// Refuses: `NameInvalid`, `MaxMessageBytesOutOfRange`, `RetentionOutOfRange`, `TopicMissing`.
    Set {
        /// The topic's name.
        name: String,
        /// What to change.
        changes: TopicChanges,
    },
    /// Deletes a topic. Answers `Done`.
    ///
    /// Refuses: `NameInvalid`, `TopicMissing`, `TopicHasSubscriptions`.
    Delete {
        /// The topic's name.
        name: String,
    },
    /// Adds a subscription to a topic; it gets what is published from now on. Answers `Subscribed`.
    ///
    /// Refuses: `NameInvalid`, `DeadLetterQueueMissing`, `NumbersExhausted`, `GroupOutOfRange`, `TopicMissing`,
    /// `SubscriptionExists`, `TagsOutOfRange` or `BindingKeysOutOfRange`, `EndpointInvalid`, `EndpointQueueMissing`,
    /// `TooManySubscriptions`.
    Subscribe {
        /// The topic's name.
        topic: String,
        /// The subscription's name.
        name: String,
        /// Its attributes.
        attributes: SubscriptionAttributes,
    },
    /// Changes some attributes of a subscription. Answers `Done`. What waits already goes the new way, unfiltered.
    ///
    /// Refuses: `NameInvalid`, `DeadLetterQueueMissing` (of what is set now), `GroupOutOfRange`, `TopicMissing`,
    /// `SubscriptionMissing`, `TagsOutOfRange` or `BindingKeysOutOfRange`, `EndpointInvalid`, `EndpointQueueMissing` (of
    /// what is set now).
    SetSubscription {
        /// The topic's name.
        topic: String,
        /// The subscription's name.
        name: String,
        /// What to change.
        changes: SubscriptionChanges,
    },
    /// Ends a subscription. Its messages that wait are dropped. Answers `Done`.
    ///
    /// Refuses: `NameInvalid`, `TopicMissing`, `SubscriptionMissing`.
    Unsubscribe {
        /// The topic's name.
        topic: String,
        /// The subscription's name.
        name: String,
    },
    /// Puts a copy of each message into the queue of each subscription it matches, all or none. Answers `Published`.
    ///
    /// Refuses: `CountOutOfRange`, `BodyEmpty`, `BodyTooLarge`, `HeadersOutOfRange`, `SendTooLarge`, `QueueFull`,
    /// `NumbersExhausted`, `TopicMissing`, `TagsOutOfRange`, `RoutingKeyOutOfRange`, `NoSubscription`, `NothingMatches`,
    /// `PublishTooLarge`.
    Publish {
        /// The topic.
        topic: TopicId,
        /// The messages in their order.
        messages: Vec<Publication>,
    },
    /// Begins to move messages of a queue back to where they came from, or to another queue. Answers `Done`; ticks move.
    ///
    /// Refuses: `QueueMissing`, `HeadersOutOfRange`, `GroupOutOfRange`, `RedriveRunning`, `RateOutOfRange`,
    /// `RedriveToItself`, `RedriveTargetMissing`.
    Redrive {
        /// The queue that is emptied.
        queue: QueueId,
        /// Which messages, where to, how fast.
        order: RedriveOrder,
    },
    /// Stops a redrive; what it moved stays moved. Answers `Done`.
    ///
    /// Refuses: `QueueMissing`, `RedriveMissing`.
    StopRedrive {
        /// The queue that is emptied.
        queue: QueueId,
    },
}

/// A message on its way into a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    /// What the consumers get.
    pub body: Bytes,
    /// What goes with it.
    pub headers: Vec<Header>,
    /// Its tags, for topics that filter by tags.
    pub tags: Vec<String>,
    /// Its routing key, for topics that filter by routing keys; may be empty.
    pub routing_key: String,
}

impl Layout for Publication {
    fn encode(&self, out: &mut Writer) {
        out.bytes(&self.body);
        out.list(&self.headers);
        put_texts(out, &self.tags);
        out.str(&self.routing_key);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            body: input.bytes()?,
            headers: input.list(LIST_MAX)?,
            tags: read_texts(input, LIST_MAX)?,
            routing_key: input.str()?,
        })
    }
}

impl TopicCommand {
    /// Writes the tag and the fields.
    pub(crate) fn encode(&self, out: &mut Writer) {
        match self {
            Self::Create { name, attributes } => {
                out.u8(20);
                out.str(name);
                attributes.encode(out);
            }
            Self::Set { name, changes } => {
                out.u8(21);
                out.str(name);
                changes.encode(out);
            }
            Self::Delete { name } => {
                out.u8(22);
                out.str(name);
            }
            Self::Subscribe { topic, name, attributes } => {
                out.u8(23);
                out.str(topic);
                out.str(name);
                attributes.encode(out);
            }
            Self::SetSubscription { topic, name, changes } => {
                out.u8(24);
                out.str(topic);
                out.str(name);
                changes.encode(out);
            }
            Self::Unsubscribe { topic, name } => {
                out.u8(25);
                out.str(topic);
                out.str(name);
            }
            Self::Publish { topic, messages } => {
                out.u8(26);
                topic.encode(out);
                out.list(messages);
            }
            Self::Redrive { queue, order } => {
                out.u8(27);
                queue.encode(out);
                order.encode(out);
            }
            Self::StopRedrive { queue } => {
                out.u8(28);
                queue.encode(out);
            }
        }
    }

    /// Reads the fields behind `tag`.
    pub(crate) fn decode(tag: u8, input: &mut Reader) -> Result<Self, DecodeError> {
        match tag {
            20 => Ok(Self::Create { name: input.str()?, attributes: TopicAttributes::decode(input)? }),
            21 => Ok(Self::Set { name: input.str()?, changes: TopicChanges::decode(input)? }),
            22 => Ok(Self::Delete { name: input.str()? }),
            23 => Ok(Self::Subscribe {
                topic: input.str()?,
                name: input.str()?,
                attributes: SubscriptionAttributes::decode(input)?,
            }),
            24 => Ok(Self::SetSubscription {
                topic: input.str()?,
                name: input.str()?,
                changes: SubscriptionChanges::decode(input)?,
            }),
            25 => Ok(Self::Unsubscribe { topic: input.str()?, name: input.str()? }),
            26 => Ok(Self::Publish { topic: TopicId::decode(input)?, messages: input.list(LIST_MAX)? }),
            27 => Ok(Self::Redrive { queue: QueueId::decode(input)?, order: RedriveOrder::decode(input)? }),
            28 => Ok(Self::StopRedrive { queue: QueueId::decode(input)? }),
            tag => Err(DecodeError::Unknown { what: "queue command", tag }),
        }
    }
}
