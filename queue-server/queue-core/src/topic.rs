//! Topics: what one is, and what all topics of a group know of their subscriptions.
//!
//! ```text
//!  publish ──> topic ──> matching subscriptions ──> a copy in the queue of each ──> forward, or push
//! ```
//!
//! A topic keeps no message. Each subscription has a queue of its own, a queue like any other but without a name.
//!
//! Must never: give a topic the number of a queue. Both draw from one count, so the ids of their messages never meet.

use std::collections::BTreeMap;

use machine::{DecodeError, Layout, Reader, TimestampMs, Writer};

use crate::filter::FilterKind;
use crate::ids::QueueId;
use crate::limits::{
    MAX_MESSAGE_BYTES_DEFAULT, MAX_MESSAGE_BYTES_MAX, MAX_MESSAGE_BYTES_MIN, RETENTION_S_MIN, TOPIC_RETENTION_S_MAX,
};
use crate::refusal::Refusal;
use crate::rows::{check_version, put_version};
use crate::subscription::Subscription;

/// Names a topic for ever; no queue has the same number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicId(pub u32);

/// What a topic's owner chose for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicAttributes {
    /// Bytes of one body.
    pub max_message_bytes: u32,
    /// How long a message waits for its delivery. Units: seconds.
    pub retention_s: u32,
    /// By what subscriptions choose; fixed when the topic is created.
    pub filter: FilterKind,
    /// Whether the queues of its subscriptions are traced.
    pub trace: bool,
}

/// Some attributes to be changed; `None` leaves one as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TopicChanges {
    /// See [`TopicAttributes::max_message_bytes`].
    pub max_message_bytes: Option<u32>,
    /// See [`TopicAttributes::retention_s`].
    pub retention_s: Option<u32>,
    /// See [`TopicAttributes::trace`].
    pub trace: Option<bool>,
}

/// What a topic is: changed by its owner only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TopicDefinition {
    /// The name as its creator wrote it.
    pub(crate) name: String,
    pub(crate) attributes: TopicAttributes,
    pub(crate) created: TimestampMs,
    pub(crate) modified: TimestampMs,
}

/// What changes with every publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TopicCounters {
    pub(crate) next_message: u64,
    /// Copies made for subscriptions.
    pub(crate) copies: u64,
}

/// One topic in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Topic {
    pub(crate) definition: TopicDefinition,
    pub(crate) counters: TopicCounters,
    /// Its subscriptions by folded name, each named by the queue that holds its copies.
    pub(crate) subscriptions: BTreeMap<String, QueueId>,
}

/// All topics of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Topics {
    pub(crate) by_id: BTreeMap<TopicId, Topic>,
    /// By folded name.
    pub(crate) names: BTreeMap<String, TopicId>,
    /// All subscriptions, by the queue that holds their copies.
    pub(crate) subscriptions: BTreeMap<QueueId, Subscription>,
}

impl Default for TopicAttributes {
    fn default() -> Self {
        Self {
            max_message_bytes: MAX_MESSAGE_BYTES_DEFAULT,
            retention_s: TOPIC_RETENTION_S_MAX,
            filter: FilterKind::Tags,
            trace: false,
        }
    }
}

impl TopicAttributes {
    /// Holds each attribute against its range.
    ///
    /// Refuses, in precedence: `MaxMessageBytesOutOfRange`, `RetentionOutOfRange`.
    pub fn check(&self) -> Result<(), Refusal> {
        let message_bytes = MAX_MESSAGE_BYTES_MIN..=MAX_MESSAGE_BYTES_MAX;
        Refusal::MaxMessageBytesOutOfRange.unless(message_bytes.contains(&self.max_message_bytes))?;
        Refusal::RetentionOutOfRange.unless((RETENTION_S_MIN..=TOPIC_RETENTION_S_MAX).contains(&self.retention_s))
    }

    /// These attributes with `changes` made.
    #[must_use]
    pub fn changed(&self, changes: TopicChanges) -> Self {
        Self {
            max_message_bytes: changes.max_message_bytes.unwrap_or(self.max_message_bytes),
            retention_s: changes.retention_s.unwrap_or(self.retention_s),
            filter: self.filter,
            trace: changes.trace.unwrap_or(self.trace),
        }
    }
}

impl Topic {
    pub(crate) const fn new(definition: TopicDefinition) -> Self {
        let counters = TopicCounters { next_message: 1, copies: 0 };
        Self { definition, counters, subscriptions: BTreeMap::new() }
    }
}

impl Layout for TopicId {
    fn encode(&self, out: &mut Writer) {
        out.u32(self.0);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self(input.u32()?))
    }
}

impl Layout for TopicAttributes {
    fn encode(&self, out: &mut Writer) {
        out.u32(self.max_message_bytes);
        out.u32(self.retention_s);
        self.filter.encode(out);
        out.bool(self.trace);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            max_message_bytes: input.u32()?,
            retention_s: input.u32()?,
            filter: FilterKind::decode(input)?,
            trace: input.bool()?,
        })
    }
}

impl Layout for TopicChanges {
    fn encode(&self, out: &mut Writer) {
        for value in [self.max_message_bytes, self.retention_s] {
            out.bool(value.is_some());
            if let Some(value) = value {
                out.u32(value);
            }
        }
        out.bool(self.trace.is_some());
        if let Some(value) = self.trace {
            out.bool(value);
        }
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            max_message_bytes: if input.bool()? { Some(input.u32()?) } else { None },
            retention_s: if input.bool()? { Some(input.u32()?) } else { None },
            trace: if input.bool()? { Some(input.bool()?) } else { None },
        })
    }
}

impl Layout for TopicDefinition {
    fn encode(&self, out: &mut Writer) {
        put_version(out);
        out.str(&self.name);
        self.attributes.encode(out);
        self.created.encode(out);
        self.modified.encode(out);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        check_version(input, "topic row")?;
        Ok(Self {
            name: input.str()?,
            attributes: TopicAttributes::decode(input)?,
            created: TimestampMs::decode(input)?,
            modified: TimestampMs::decode(input)?,
        })
    }
}

impl Layout for TopicCounters {
    fn encode(&self, out: &mut Writer) {
        put_version(out);
        out.u64(self.next_message);
        out.u64(self.copies);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        check_version(input, "row of a topic's counters")?;
        Ok(Self { next_message: input.u64()?, copies: input.u64()? })
    }
}
