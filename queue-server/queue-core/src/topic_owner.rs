//! Create, set and delete a topic: what its owner may do with it, by name.
//!
//! Must never: let two topics share a name, or a topic go while somebody subscribes to it.

use machine::{Context, Layout, Rows};

use crate::keys;
use crate::limits::TOPICS_MAX;
use crate::names::{folded, is_queue_name};
use crate::queue_machine::QueueMachine;
use crate::refusal::Refusal;
use crate::reply::Reply;
use crate::topic::{Topic, TopicAttributes, TopicChanges, TopicDefinition, TopicId};
use crate::topic_command::TopicCommand;

impl QueueMachine {
    /// Decides a command of topics or redrives.
    pub(crate) fn answer_topic(
        &mut self,
        context: &Context,
        command: TopicCommand,
        rows: &mut Rows,
    ) -> Result<Reply, Refusal> {
        match command {
            TopicCommand::Create { name, attributes } => self.create_topic(context, name, attributes, rows),
            TopicCommand::Set { name, changes } => self.set_topic(context, &name, changes, rows),
            TopicCommand::Delete { name } => self.delete_topic(&name, rows),
            TopicCommand::Subscribe { topic, name, attributes } => {
                self.subscribe(context, (&topic, name), attributes, rows)
            }
            TopicCommand::SetSubscription { topic, name, changes } => {
                self.set_subscription(context, (&topic, &name), changes, rows)
            }
            TopicCommand::Unsubscribe { topic, name } => self.unsubscribe(context, (&topic, &name), rows),
            TopicCommand::Publish { topic, messages } => self.publish(context, topic, &messages, rows),
            TopicCommand::Redrive { queue, order } => self.start_redrive(context, queue, order, rows),
            TopicCommand::StopRedrive { queue } => self.stop_redrive(context, queue, rows),
        }
    }

    fn create_topic(
        &mut self,
        context: &Context,
        name: String,
        attributes: TopicAttributes,
        rows: &mut Rows,
    ) -> Result<Reply, Refusal> {
        Refusal::NameInvalid.unless(is_queue_name(&name))?;
        attributes.check()?;
        Refusal::NumbersExhausted.unless(self.last_queue.next().is_some())?;
        Refusal::TopicExists.unless(self.topic_id(&name).is_none())?;
        Refusal::TooManyTopics.unless(self.topics.by_id.len() < TOPICS_MAX)?;
        let id = TopicId(self.draw_id(rows)?.0);
        self.topics.names.insert(folded(&name), id);
        let definition = TopicDefinition { name, attributes, created: context.now, modified: context.now };
        let topic = Topic::new(definition);
        rows.put(keys::topic(id), topic.definition.to_bytes());
        rows.put(keys::topic_counters(id), topic.counters.to_bytes());
        self.topics.by_id.insert(id, topic);
        Ok(Reply::TopicCreated { topic: id })
    }

    fn set_topic(
        &mut self,
        context: &Context,
        name: &str,
        changes: TopicChanges,
        rows: &mut Rows,
    ) -> Result<Reply, Refusal> {
        Refusal::NameInvalid.unless(is_queue_name(name))?;
        let id = self.topic_id(name);
        let found = id.and_then(|id| self.topics.by_id.get_mut(&id).map(|topic| (id, topic)));
        let attributes =
            found.as_ref().map(|(_, topic)| topic.definition.attributes).unwrap_or_default().changed(changes);
        attributes.check()?;
        let (id, topic) = found.ok_or(Refusal::TopicMissing)?;
        topic.definition.attributes = attributes;
        topic.definition.modified = context.now;
        rows.put(keys::topic(id), topic.definition.to_bytes());
        let queues: Vec<_> = topic.subscriptions.values().copied().collect();
        for queue in queues {
            self.fit_queue(context, queue, rows);
        }
        Ok(Reply::Done)
    }

    fn delete_topic(&mut self, name: &str, rows: &mut Rows) -> Result<Reply, Refusal> {
        let id = self.named_topic(name)?;
        let has_none = self.topics.by_id.get(&id).is_none_or(|topic| topic.subscriptions.is_empty());
        Refusal::TopicHasSubscriptions.unless(has_none)?;
        self.topics.names.remove(&folded(name));
        self.topics.by_id.remove(&id);
        rows.delete(keys::topic(id));
        rows.delete(keys::topic_counters(id));
        Ok(Reply::Done)
    }

    /// Refuses: `NameInvalid`, `TopicMissing`.
    pub(crate) fn named_topic(&self, name: &str) -> Result<TopicId, Refusal> {
        Refusal::NameInvalid.unless(is_queue_name(name))?;
        self.topic_id(name).ok_or(Refusal::TopicMissing)
    }
}
