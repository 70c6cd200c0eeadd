//! The row of a message: everything about it but its body, which is kept under the message's id.
//!
//! Must never: be needed by a send, a receive or an ack: those know a message by its place and id alone.

use machine::{DecodeError, GroupId, Key, Layout, Reader, Rows, TimestampMs, Writer};

use crate::attributes::DeadLetterCount;
use crate::command::Header;
use crate::ids::{MessageId, QueueId};
use crate::lane::LaneName;
use crate::limits::{HEADERS_MAX, PRIORITY_DEFAULT, TAGS_MAX};
use crate::names::folded;
use crate::rows::{check_version, put_version};
use crate::topic::TopicId;
use crate::tries::Tries;

/// A message in its queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageRow {
    /// Its id, and the name of its body.
    pub id: MessageId,
    /// When its producer sent it.
    pub sent: TimestampMs,
    /// When it took its place in this queue: after its delay, or when it came as a dead letter. Retention counts from here.
    pub enqueued: TimestampMs,
    /// Bytes of its body.
    pub body_bytes: u32,
    /// Its headers.
    pub headers: Vec<Header>,
    /// Where it came from, if it is a dead letter or was redriven.
    pub origin: Option<Origin>,
    /// What it was published as, if it came through a topic.
    pub published: Option<Published>,
    /// How urgent it is: 0 to 9, larger is more urgent.
    pub priority: u8,
    /// Whose it is; empty: nobody's. Tenants of one priority are served in turn.
    pub tenant: String,
    /// Its ordered group; empty: none. Of a group, no message is delivered while an earlier one is out.
    pub group: String,
}

impl MessageRow {
    /// Whether it stands in the plain lane.
    pub(crate) fn is_plain(&self) -> bool {
        self.priority == PRIORITY_DEFAULT && self.tenant.is_empty() && self.group.is_empty()
    }

    /// The name of the lane it stands in.
    pub(crate) fn lane_name(&self) -> LaneName {
        LaneName::of(self.priority, &self.tenant, &self.group)
    }
}

/// Where a message came from, and why. Of several moves, the last; a redrive back only counts itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The group of the queue it left.
    pub group: GroupId,
    /// The queue it left.
    pub queue: QueueId,
    /// That queue's name; of a subscription, `topic/subscription`.
    pub name: String,
    /// When it had taken its place there.
    pub enqueued: TimestampMs,
    /// Its tries there.
    pub tries: Tries,
    /// Which of them had reached the limit; `None`: a redrive took it.
    pub reason: Option<DeadLetterCount>,
    /// How often it was redriven.
    pub redriven: u32,
}

impl Origin {
    /// Whether it left the queue called `name`, whatever the letters' case.
    pub(crate) fn is_of(&self, name: &str) -> bool {
        folded(&self.name) == folded(name)
    }
}

/// What a message was published as. Every subscription has a copy with an id of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The topic's name as its creator wrote it: who consumes in another group cannot look it up.
    pub topic: String,
    /// The topic, in the group of its copies' ids.
    pub topic_id: TopicId,
    /// The id that the publisher was told.
    pub id: MessageId,
    /// Its tags.
    pub tags: Vec<String>,
}

/// Reads a message's row within a batch. `None`: it is gone.
pub(crate) fn read(key: &Key, rows: &Rows) -> Option<MessageRow> {
    let row = rows.get(key).map(MessageRow::from_bytes)?;
    assert!(row.is_ok(), "a message's row reads as it was written");
    row.ok()
}

impl Layout for Origin {
    fn encode(&self, out: &mut Writer) {
        out.u32(self.group.0);
        self.queue.encode(out);
        out.str(&self.name);
        self.enqueued.encode(out);
        self.tries.encode(out);
        out.option(self.reason.as_ref());
        out.u32(self.redriven);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            group: GroupId(input.u32()?),
            queue: QueueId::decode(input)?,
            name: input.str()?,
            enqueued: TimestampMs::decode(input)?,
            tries: Tries::decode(input)?,
            reason: input.option()?,
            redriven: input.u32()?,
        })
    }
}

impl Layout for Published {
    fn encode(&self, out: &mut Writer) {
        out.str(&self.topic);
        self.topic_id.encode(out);
        self.id.encode(out);
        put_texts(out, &self.tags);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        let (topic, topic_id) = (input.str()?, TopicId::decode(input)?);
        Ok(Self { topic, topic_id, id: MessageId::decode(input)?, tags: read_texts(input, TAGS_MAX)? })
    }
}

/// Writes a list of short texts.
pub(crate) fn put_texts(out: &mut Writer, texts: &[String]) {
    out.len(texts.len());
    for text in texts {
        out.str(text);
    }
}

/// Reads a list of at most `max` texts.
pub(crate) fn read_texts(input: &mut Reader, max: usize) -> Result<Vec<String>, DecodeError> {
    let count = input.count(max)?;
    (0..count).map(|_| input.str()).collect()
}

impl Layout for MessageRow {
    fn encode(&self, out: &mut Writer) {
        put_version(out);
        self.id.encode(out);
        self.sent.encode(out);
        self.enqueued.encode(out);
        out.u32(self.body_bytes);
        out.list(&self.headers);
        out.option(self.origin.as_ref());
        out.option(self.published.as_ref());
        out.u8(self.priority);
        out.str(&self.tenant);
        out.str(&self.group);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        check_version(input, "message row")?;
        Ok(Self {
            id: MessageId::decode(input)?,
            sent: TimestampMs::decode(input)?,
            enqueued: TimestampMs::decode(input)?,
            body_bytes: input.u32()?,
            headers: input.list(HEADERS_MAX)?,
            origin: input.option()?,
            published: input.option()?,
            priority: input.u8()?,
            tenant: input.str()?,
            group: input.str()?,
        })
    }
}
