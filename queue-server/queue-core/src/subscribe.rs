//! Subscribe, set and unsubscribe: a subscription comes with a queue for its copies, and goes with it.
//!
//! Must never: let a subscription and its queue live without each other.

use machine::{Context, Layout, Rows};

use crate::ids::QueueId;
use crate::keys;
use crate::limits::{QUEUES_AND_REMAINS_MAX, SUBSCRIPTIONS_MAX, SUBSCRIPTIONS_PER_TOPIC_MAX};
use crate::names::{folded, is_queue_name};
use crate::queue::Queue;
use crate::queue_machine::QueueMachine;
use crate::refusal::Refusal;
use crate::relocate::{QueueAddress, is_address};
use crate::reply::Reply;
use crate::role::Role;
use crate::subscription::{Endpoint, Subscription, SubscriptionAttributes, SubscriptionChanges};
use crate::topic::TopicId;

impl QueueMachine {
    /// Decides a subscription. Refuses: see [`crate::TopicCommand::Subscribe`].
    pub(crate) fn subscribe(
        &mut self,
        context: &Context,
        (topic_name, name): (&str, String),
        attributes: SubscriptionAttributes,
        rows: &mut Rows,
    ) -> Result<Reply, Refusal> {
        Refusal::NameInvalid.unless(is_queue_name(topic_name) && is_queue_name(&name))?;
        let attributes = attributes.seen_from(context.group);
        self.check_letters(attributes.dead_letter.as_ref())?;
        Refusal::NumbersExhausted.unless(self.last_queue.next().is_some())?;
        attributes.check_groups()?;
        let id = self.topic_id(topic_name).ok_or(Refusal::TopicMissing)?;
        let topic = self.topics.by_id.get(&id).ok_or(Refusal::TopicMissing)?;
        Refusal::SubscriptionExists.unless(!topic.subscriptions.contains_key(&folded(&name)))?;
        attributes.check(topic.definition.attributes.filter)?;
        self.check_endpoint(&attributes.endpoint)?;
        let is_room = topic.subscriptions.len() < SUBSCRIPTIONS_PER_TOPIC_MAX
            && self.topics.subscriptions.len() < SUBSCRIPTIONS_MAX
            && self.queues.len() < QUEUES_AND_REMAINS_MAX;
        Refusal::TooManySubscriptions.unless(is_room)?;
        let of_copies = attributes.queue_attributes(&topic.definition.attributes);
        let queue_name = format!("{}/{name}", topic.definition.name);
        let queue = self.draw_id(rows)?;
        self.found(context, (queue, queue_name), of_copies, rows);
        self.change(queue, |queue| queue.role = attributes.role());
        if let Some(topic) = self.topics.by_id.get_mut(&id) {
            topic.subscriptions.insert(folded(&name), queue);
        }
        let (created, modified) = (context.now, context.now);
        let subscription = Subscription { topic: id, name, attributes, created, modified };
        rows.put(keys::subscription(queue), subscription.to_bytes());
        self.topics.subscriptions.insert(queue, subscription);
        Ok(Reply::Subscribed { queue })
    }

    /// Decides a change. Refuses: see [`crate::TopicCommand::SetSubscription`].
    pub(crate) fn set_subscription(
        &mut self,
        context: &Context,
        (topic_name, name): (&str, &str),
        changes: SubscriptionChanges,
        rows: &mut Rows,
    ) -> Result<Reply, Refusal> {
        Refusal::NameInvalid.unless(is_queue_name(topic_name) && is_queue_name(name))?;
        let found = self.named_subscription(topic_name, name);
        let (sets_endpoint, sets_letters) = (changes.endpoint.is_some(), changes.dead_letter.is_some());
        // What is set now is looked at even where the subscription is missing: the lower number is given.
        let letters = changes.dead_letter.clone().flatten().map(|address| address.seen_from(context.group));
        self.check_letters(letters.as_ref())?;
        changes.check_groups()?;
        let (topic, queue) = found?;
        let kind = self.topics.by_id.get(&topic).ok_or(Refusal::TopicMissing)?.definition.attributes.filter;
        let former = self.topics.subscriptions.get(&queue).ok_or(Refusal::SubscriptionMissing)?;
        let attributes = former.attributes.changed(changes).seen_from(context.group);
        attributes.check(kind)?;
        if sets_endpoint {
            self.check_endpoint(&attributes.endpoint)?;
        }
        if let Some(subscription) = self.topics.subscriptions.get_mut(&queue) {
            subscription.attributes = attributes;
            subscription.modified = context.now;
            rows.put(keys::subscription(queue), subscription.to_bytes());
        }
        self.change(queue, |queue: &mut Queue| {
            // Whether the new way is open is seen when the next message goes it.
            queue.counters.stall = queue.counters.stall.filter(|_| !sets_letters);
            queue.counters.failing = queue.counters.failing.filter(|_| !sets_endpoint);
        });
        self.fit_queue(context, queue, rows);
        Ok(Reply::Done)
    }

    /// Decides an end. Refuses: see [`crate::TopicCommand::Unsubscribe`].
    pub(crate) fn unsubscribe(
        &mut self,
        context: &Context,
        (topic_name, name): (&str, &str),
        rows: &mut Rows,
    ) -> Result<Reply, Refusal> {
        Refusal::NameInvalid.unless(is_queue_name(topic_name) && is_queue_name(name))?;
        let (topic, queue) = self.named_subscription(topic_name, name)?;
        if let Some(topic) = self.topics.by_id.get_mut(&topic) {
            topic.subscriptions.remove(&folded(name));
        }
        self.topics.subscriptions.remove(&queue);
        rows.delete(keys::subscription(queue));
        self.change(queue, |queue| queue.role = Role::Named);
        self.remove(context.now, queue, rows);
        Ok(Reply::Done)
    }

    /// Makes the queue of a subscription what its topic and its subscription say.
    pub(crate) fn fit_queue(&mut self, context: &Context, id: QueueId, rows: &mut Rows) {
        let Some(subscription) = self.topics.subscriptions.get(&id) else { return };
        let Some(topic) = self.topics.by_id.get(&subscription.topic) else { return };
        let attributes = subscription.attributes.queue_attributes(&topic.definition.attributes);
        let role = subscription.attributes.role();
        self.change(id, |queue| {
            queue.role = role;
            queue.definition.attributes = attributes;
            queue.definition.modified = context.now;
            rows.put(keys::definition(id), queue.definition.to_bytes());
        });
    }

    /// Refuses: `TopicMissing`, `SubscriptionMissing`.
    fn named_subscription(&self, topic: &str, name: &str) -> Result<(TopicId, QueueId), Refusal> {
        let topic = self.topic_id(topic).ok_or(Refusal::TopicMissing)?;
        let found = self.topics.by_id.get(&topic).and_then(|topic| topic.subscriptions.get(&folded(name)));
        found.map(|queue| (topic, *queue)).ok_or(Refusal::SubscriptionMissing)
    }

    /// Refuses: `DeadLetterQueueMissing`. A queue of another group is believed to be there.
    fn check_letters(&self, address: Option<&QueueAddress>) -> Result<(), Refusal> {
        let is_there = |address: &QueueAddress| address.group.is_some() || self.queue_id(&address.queue).is_some();
        Refusal::DeadLetterQueueMissing.unless(address.is_none_or(|address| is_address(address) && is_there(address)))
    }

    /// Refuses: `EndpointQueueMissing`. A queue of another group is believed to be there.
    fn check_endpoint(&self, endpoint: &Endpoint) -> Result<(), Refusal> {
        let Endpoint::Queue(address) = endpoint else { return Ok(()) };
        Refusal::EndpointQueueMissing.unless(address.group.is_some() || self.queue_id(&address.queue).is_some())
    }
}
