//! Subscriptions: which messages of a topic go where, how often that is tried, and what becomes of what cannot go.
//!
//! Must never: hold a message. Its queue does, and delivers it as any queue does: by leases, or by moving it.

use machine::{DecodeError, GroupId, Layout, Reader, TimestampMs, Writer};

use crate::attributes::{Attributes, DeadLetterCount, DeadLetterPolicy};
use crate::filter::FilterKind;
use crate::limits::{LIST_MAX, MAX_MESSAGE_BYTES_MAX, MAX_MESSAGES_MAX, URL_BYTES_MAX};
use crate::message::{put_texts, read_texts};
use crate::refusal::Refusal;
use crate::relocate::{QueueAddress, check_group, is_address};
use crate::retry::RetryStrategy;
use crate::role::Role;
use crate::rows::{check_version, put_version};
use crate::topic::{TopicAttributes, TopicId};

/// Where a subscription delivers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// Into a queue; the machine does it.
    Queue(QueueAddress),
    /// To a web address; a pusher of the server does it, with leases on the subscription's queue.
    Http {
        /// Begins with `http://` or `https://`, without blanks.
        url: String,
    },
}

/// What a push looks like. Kept for the pusher.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NotifyFormat {
    /// A JSON object around the body.
    #[default]
    Json,
    /// The body alone.
    Simplified,
}

/// What a subscriber chose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionAttributes {
    /// Where its messages go.
    pub endpoint: Endpoint,
    /// How often a push is tried.
    pub strategy: RetryStrategy,
    /// What a push looks like.
    pub format: NotifyFormat,
    /// Tags or binding keys, as the topic's kind of filter says; none: every message.
    pub filters: Vec<String>,
    /// Where messages go that could not be pushed; `None`: they are dropped, and counted.
    pub dead_letter: Option<QueueAddress>,
}

/// Some attributes to be changed; `None` leaves one as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubscriptionChanges {
    /// See [`SubscriptionAttributes::endpoint`].
    pub endpoint: Option<Endpoint>,
    /// See [`SubscriptionAttributes::strategy`].
    pub strategy: Option<RetryStrategy>,
    /// See [`SubscriptionAttributes::format`].
    pub format: Option<NotifyFormat>,
    /// See [`SubscriptionAttributes::filters`]; an empty list clears them.
    pub filters: Option<Vec<String>>,
    /// See [`SubscriptionAttributes::dead_letter`]; `Some(None)` takes it away.
    pub dead_letter: Option<Option<QueueAddress>>,
}

/// A subscription in memory, and its row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subscription {
    pub(crate) topic: TopicId,
    /// The name as its creator wrote it.
    pub(crate) name: String,
    pub(crate) attributes: SubscriptionAttributes,
    pub(crate) created: TimestampMs,
    pub(crate) modified: TimestampMs,
}

impl SubscriptionAttributes {
    /// These attributes with `changes` made.
    #[must_use]
    pub fn changed(&self, changes: SubscriptionChanges) -> Self {
        Self {
            endpoint: changes.endpoint.unwrap_or_else(|| self.endpoint.clone()),
            strategy: changes.strategy.unwrap_or(self.strategy),
            format: changes.format.unwrap_or(self.format),
            filters: changes.filters.unwrap_or_else(|| self.filters.clone()),
            dead_letter: changes.dead_letter.unwrap_or_else(|| self.dead_letter.clone()),
        }
    }

    /// The same attributes as the topic's own group writes them.
    pub(crate) fn seen_from(self, home: GroupId) -> Self {
        let endpoint = match self.endpoint {
            Endpoint::Queue(address) => Endpoint::Queue(address.seen_from(home)),
            http @ Endpoint::Http { .. } => http,
        };
        let dead_letter = self.dead_letter.map(|address| address.seen_from(home));
        Self { endpoint, dead_letter, ..self }
    }

    /// Holds the form of each attribute against the rules.
    ///
    /// Refuses, in precedence: `TagsOutOfRange` or `BindingKeysOutOfRange`, `EndpointInvalid`.
    pub(crate) fn check(&self, kind: FilterKind) -> Result<(), Refusal> {
        kind.check(&self.filters)?;
        Refusal::EndpointInvalid.unless(match &self.endpoint {
            Endpoint::Queue(address) => is_address(address),
            Endpoint::Http { url } => is_url(url),
        })
    }

    /// Refuses: `GroupOutOfRange`.
    pub(crate) fn check_groups(&self) -> Result<(), Refusal> {
        check_group(self.endpoint.group())?;
        check_group(self.dead_letter.as_ref().and_then(|address| address.group))
    }

    /// What the queue of its copies is for.
    pub(crate) const fn role(&self) -> Role {
        match self.endpoint {
            Endpoint::Queue(_) => Role::Forwarded,
            Endpoint::Http { .. } => Role::Pushed { attempts: self.strategy.attempts() },
        }
    }

    /// The attributes of the queue of its copies.
    pub(crate) fn queue_attributes(&self, topic: &TopicAttributes) -> Attributes {
        let limit = self.strategy.attempts();
        let policy = |address: &QueueAddress| DeadLetterPolicy {
            group: address.group,
            queue: address.queue.clone(),
            count: DeadLetterCount::Failed,
            limit,
        };
        Attributes {
            max_messages: MAX_MESSAGES_MAX,
            max_message_bytes: MAX_MESSAGE_BYTES_MAX,
            retention_s: topic.retention_s,
            trace: topic.trace,
            dead_letter: self.dead_letter.as_ref().map(policy),
            ..Attributes::default()
        }
    }
}

impl SubscriptionChanges {
    /// Refuses: `GroupOutOfRange`.
    pub(crate) fn check_groups(&self) -> Result<(), Refusal> {
        check_group(self.endpoint.as_ref().and_then(Endpoint::group))?;
        check_group(self.dead_letter.as_ref().and_then(Option::as_ref).and_then(|address| address.group))
    }
}

impl Endpoint {
    const fn group(&self) -> Option<GroupId> {
        match self {
            Self::Queue(address) => address.group,
            Self::Http { .. } => None,
        }
    }
}

fn is_url(url: &str) -> bool {
    let host = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    let is_plain = |byte: u8| byte.is_ascii_graphic() || !byte.is_ascii();
    url.len() <= URL_BYTES_MAX && host.is_some_and(|host| !host.is_empty() && host.bytes().all(is_plain))
}

impl Layout for Endpoint {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Queue(address) => {
                out.u8(1);
                address.encode(out);
            }
            Self::Http { url } => {
                out.u8(2);
                out.str(url);
            }
        }
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        match input.u8()? {
            1 => Ok(Self::Queue(QueueAddress::decode(input)?)),
            2 => Ok(Self::Http { url: input.str()? }),
            tag => Err(DecodeError::Unknown { what: "endpoint", tag }),
        }
    }
}

impl Layout for NotifyFormat {
    fn encode(&self, out: &mut Writer) {
        out.u8(match self {
            Self::Json => 1,
            Self::Simplified => 2,
        });
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        match input.u8()? {
            1 => Ok(Self::Json),
            2 => Ok(Self::Simplified),
            tag => Err(DecodeError::Unknown { what: "notify format", tag }),
        }
    }
}

impl Layout for SubscriptionAttributes {
    fn encode(&self, out: &mut Writer) {
        self.endpoint.encode(out);
        self.strategy.encode(out);
        self.format.encode(out);
        put_texts(out, &self.filters);
        out.option(self.dead_letter.as_ref());
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            endpoint: Endpoint::decode(input)?,
            strategy: RetryStrategy::decode(input)?,
            format: NotifyFormat::decode(input)?,
            filters: read_texts(input, LIST_MAX)?,
            dead_letter: input.option()?,
        })
    }
}

impl Layout for SubscriptionChanges {
    fn encode(&self, out: &mut Writer) {
        out.option(self.endpoint.as_ref());
        out.option(self.strategy.as_ref());
        out.option(self.format.as_ref());
        out.bool(self.filters.is_some());
        if let Some(filters) = &self.filters {
            put_texts(out, filters);
        }
        out.bool(self.dead_letter.is_some());
        if let Some(address) = &self.dead_letter {
            out.option(address.as_ref());
        }
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            endpoint: input.option()?,
            strategy: input.option()?,
            format: input.option()?,
            filters: if input.bool()? { Some(read_texts(input, LIST_MAX)?) } else { None },
            dead_letter: if input.bool()? { Some(input.option()?) } else { None },
        })
    }
}

impl Layout for Subscription {
    fn encode(&self, out: &mut Writer) {
        put_version(out);
        self.topic.encode(out);
        out.str(&self.name);
        self.attributes.encode(out);
        self.created.encode(out);
        self.modified.encode(out);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        check_version(input, "subscription row")?;
        Ok(Self {
            topic: TopicId::decode(input)?,
            name: input.str()?,
            attributes: SubscriptionAttributes::decode(input)?,
            created: TimestampMs::decode(input)?,
            modified: TimestampMs::decode(input)?,
        })
    }
}
