//! Publish: a copy of each message enters the queue of each subscription that it matches, in one entry, all or none.
//!
//! Each copy has an id of its own, for a body is named by its message and dropped once; what the publisher was told
//! travels in the row.
//!
//! Must never: accept a message that nobody would get.

use std::collections::BTreeSet;

use machine::{Context, Layout, Rows};

use crate::event::{EventKind, Step};
use crate::filter::{check_tags, is_routing_key};
use crate::ids::{MessageId, QueueId};
use crate::keys;
use crate::limits::{BATCH_MAX, PRIORITY_DEFAULT, PUBLISH_BYTES_MAX, PUBLISH_COPIES_MAX, SEND_BYTES_MAX};
use crate::message::{MessageRow, Published};
use crate::queue_machine::QueueMachine;
use crate::refusal::Refusal;
use crate::reply::Reply;
use crate::send::{headers_fit, size};
use crate::topic::{Topic, TopicId};
use crate::topic_command::Publication;

/// Which messages a subscription's queue gets, by their place in the publish.
type Matches = Vec<(QueueId, Vec<usize>)>;

impl QueueMachine {
    /// Decides a publish. Refuses: see [`crate::TopicCommand::Publish`].
    pub(crate) fn publish(
        &mut self,
        context: &Context,
        id: TopicId,
        messages: &[Publication],
        rows: &mut Rows,
    ) -> Result<Reply, Refusal> {
        Refusal::CountOutOfRange.unless((1..=BATCH_MAX).contains(&messages.len()))?;
        let topic = self.topics.by_id.get(&id);
        let flaws = messages.iter().filter_map(|message| check_message(topic, message).err());
        flaws.min().map_or(Ok(()), Err)?;
        let bytes = messages.iter().fold(0, |bytes: usize, message| bytes.saturating_add(publication_bytes(message)));
        Refusal::SendTooLarge.unless(bytes <= SEND_BYTES_MAX)?;
        let matches = topic.map(|topic| self.matches(topic, messages)).unwrap_or_default();
        for (queue, chosen) in &matches {
            self.check_room(context, *queue, chosen.len())?;
        }
        let ids = topic.map_or(Ok(Vec::new()), |topic| draw(context, id, topic, messages.len()))?;
        let topic = topic.ok_or(Refusal::TopicMissing)?;
        let flaws = messages.iter().filter_map(|message| check_keys(message).err());
        flaws.min().map_or(Ok(()), Err)?;
        Refusal::NoSubscription.unless(!topic.subscriptions.is_empty())?;
        let chosen: BTreeSet<usize> = matches.iter().flat_map(|(_, chosen)| chosen).copied().collect();
        Refusal::NothingMatches.unless(chosen.len() == messages.len())?;
        check_size(&matches, messages)?;
        Ok(self.spread(context, (id, ids), (&matches, messages), rows))
    }

    /// Refuses: `QueueFull`, `NumbersExhausted`.
    fn check_room(&self, context: &Context, queue: QueueId, more: usize) -> Result<(), Refusal> {
        let Some(queue) = self.live(queue) else { return Ok(()) };
        let more = u64::try_from(more).unwrap_or(u64::MAX);
        Refusal::QueueFull.unless(queue.count().saturating_add(more) <= queue.definition.attributes.max_messages)?;
        let last = queue.counters.next_message.saturating_add(more.saturating_sub(1));
        Refusal::NumbersExhausted.unless(MessageId::new(context.group, queue.id, last).is_some())
    }

    fn matches(&self, topic: &Topic, messages: &[Publication]) -> Matches {
        let kind = topic.definition.attributes.filter;
        let chosen = |queue: &QueueId| {
            let filters = &self.topics.subscriptions.get(queue)?.attributes.filters;
            let is_chosen = |message: &Publication| kind.matches(filters, &message.tags, &message.routing_key);
            let chosen = messages.iter().enumerate().filter(|(_, message)| is_chosen(message)).map(|(at, _)| at);
            Some((*queue, chosen.collect::<Vec<_>>())).filter(|(_, chosen)| !chosen.is_empty())
        };
        topic.subscriptions.values().filter_map(chosen).collect()
    }

    /// Makes the copies. Nothing is refused any more.
    fn spread(
        &mut self,
        context: &Context,
        (id, ids): (TopicId, Vec<MessageId>),
        (matches, messages): (&Matches, &[Publication]),
        rows: &mut Rows,
    ) -> Reply {
        let mut copies: u32 = 0;
        let name = self.topics.by_id.get(&id).map(|topic| topic.definition.name.clone()).unwrap_or_default();
        for (queue, chosen) in matches {
            for (message, published) in chosen.iter().filter_map(|at| Some((messages.get(*at)?, *ids.get(*at)?))) {
                let published =
                    Published { topic: name.clone(), topic_id: id, id: published, tags: message.tags.clone() };
                self.copy(context, *queue, (message, published), rows);
                copies = copies.saturating_add(1);
            }
        }
        if let Some(topic) = self.topics.by_id.get_mut(&id) {
            let count = u64::try_from(ids.len()).unwrap_or(u64::MAX);
            topic.counters.next_message = topic.counters.next_message.saturating_add(count);
            topic.counters.copies = topic.counters.copies.saturating_add(u64::from(copies));
            rows.put(keys::topic_counters(id), topic.counters.to_bytes());
        }
        Reply::Published { ids, copies, readied: matches.iter().map(|(queue, _)| *queue).collect() }
    }

    fn copy(
        &mut self,
        context: &Context,
        queue: QueueId,
        (message, published): (&Publication, Published),
        rows: &mut Rows,
    ) {
        self.change(queue, |queue| {
            let Some(id) = MessageId::new(context.group, queue.id, queue.counters.next_message) else { return };
            queue.counters.next_message = queue.counters.next_message.saturating_add(1);
            let body_bytes = u32::try_from(message.body.len()).unwrap_or(u32::MAX);
            let totals = &mut queue.counters.totals;
            totals.sent = totals.sent.saturating_add(1);
            totals.sent_bytes = totals.sent_bytes.saturating_add(u64::from(body_bytes));
            let row = MessageRow {
                id,
                sent: context.now,
                enqueued: context.now,
                body_bytes,
                headers: message.headers.clone(),
                origin: None,
                published: Some(published),
                priority: PRIORITY_DEFAULT,
                tenant: String::new(),
                group: String::new(),
            };
            let seq = queue.place(&row, rows);
            queue.note(Step::new(context.now, id, EventKind::Sent, seq), rows);
            rows.keep_body(id.body(), message.body.clone());
        });
    }
}

/// The ids of the messages. Refuses: `NumbersExhausted`.
fn draw(context: &Context, id: TopicId, topic: &Topic, count: usize) -> Result<Vec<MessageId>, Refusal> {
    let numbers = (topic.counters.next_message..).take(count);
    let ids = numbers.map(|number| MessageId::new(context.group, QueueId(id.0), number));
    ids.collect::<Option<_>>().ok_or(Refusal::NumbersExhausted)
}

/// Refuses: `BodyEmpty`, `BodyTooLarge`, `HeadersOutOfRange`.
fn check_message(topic: Option<&Topic>, message: &Publication) -> Result<(), Refusal> {
    let bytes_max =
        |topic: &Topic| usize::try_from(topic.definition.attributes.max_message_bytes).unwrap_or(usize::MAX);
    Refusal::BodyEmpty.unless(!message.body.is_empty())?;
    Refusal::BodyTooLarge.unless(topic.is_none_or(|topic| message.body.len() <= bytes_max(topic)))?;
    Refusal::HeadersOutOfRange.unless(headers_fit(&message.headers))
}

/// Refuses: `TagsOutOfRange`, `RoutingKeyOutOfRange`.
fn check_keys(message: &Publication) -> Result<(), Refusal> {
    check_tags(&message.tags)?;
    Refusal::RoutingKeyOutOfRange.unless(is_routing_key(&message.routing_key))
}

/// Refuses: `PublishTooLarge`.
fn check_size(matches: &Matches, messages: &[Publication]) -> Result<(), Refusal> {
    let sizes: Vec<usize> = messages.iter().map(publication_bytes).collect();
    let (mut copies, mut bytes) = (0_usize, 0_usize);
    for at in matches.iter().flat_map(|(_, chosen)| chosen) {
        copies = copies.saturating_add(1);
        bytes = bytes.saturating_add(sizes.get(*at).copied().unwrap_or(0));
    }
    Refusal::PublishTooLarge.unless(copies <= PUBLISH_COPIES_MAX && bytes <= PUBLISH_BYTES_MAX)
}

fn publication_bytes(message: &Publication) -> usize {
    let tags = message.tags.iter().fold(0, |bytes: usize, tag| bytes.saturating_add(tag.len()));
    size(&message.body, &message.headers).saturating_add(tags).saturating_add(message.routing_key.len())
}
