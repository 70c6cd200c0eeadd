//! Reads of topics, subscriptions and redrives.
//!
//! Must never: read a row. What is older than memory is asked for by the queue of a subscription, as of any queue.

use machine::TimestampMs;

use crate::ids::QueueId;
use crate::limits::LOOK_MAX;
use crate::names::folded;
use crate::queue::Queue;
use crate::queue_machine::QueueMachine;
use crate::read::Counts;
use crate::redrive::Redrive;
use crate::relocate::Stall;
use crate::role::Role;
use crate::rows::Failing;
use crate::subscription::SubscriptionAttributes;
use crate::topic::{Topic, TopicAttributes, TopicId};
use crate::totals::Totals;

/// A page of a list of topics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicList {
    /// Topics that match.
    pub total: usize,
    /// Those of this page, in the order of their folded names.
    pub topics: Vec<(TopicId, String)>,
}

/// A page of a list of a topic's subscriptions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubscriptionList {
    /// Subscriptions that match.
    pub total: usize,
    /// Those of this page, in the order of their folded names: the queue of each, and its name.
    pub subscriptions: Vec<(QueueId, String)>,
}

/// A topic as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicStatus {
    /// Its id.
    pub topic: TopicId,
    /// Its name as its creator wrote it.
    pub name: String,
    /// Its attributes.
    pub attributes: TopicAttributes,
    /// When it was created.
    pub created: TimestampMs,
    /// When its attributes were last changed.
    pub modified: TimestampMs,
    /// Its subscriptions.
    pub subscriptions: usize,
    /// Messages published so far.
    pub published: u64,
    /// Copies made of them.
    pub copies: u64,
    /// Copies that wait for their delivery.
    pub waiting: u64,
}

/// A subscription as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionStatus {
    /// The queue of its copies: its id.
    pub queue: QueueId,
    /// Its topic.
    pub topic: TopicId,
    /// Its name as its creator wrote it.
    pub name: String,
    /// Its attributes.
    pub attributes: SubscriptionAttributes,
    /// When it was created.
    pub created: TimestampMs,
    /// When its attributes were last changed.
    pub modified: TimestampMs,
    /// Copies that wait for their delivery, by state.
    pub counts: Counts,
    /// What became of copies so far.
    pub totals: Totals,
    /// Since when, and why, deliveries fail; `None`: the last one did not.
    pub failing: Option<Failing>,
    /// Why its last dead letter could not move.
    pub stall: Option<Stall>,
}

/// A subscription whose messages a pusher should take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pushable {
    /// The queue to receive from.
    pub queue: QueueId,
    /// Messages that are ready there.
    pub ready: u64,
}

impl QueueMachine {
    /// The id of the topic that is called `name` now, whatever its letters' case.
    #[must_use]
    pub fn topic_id(&self, name: &str) -> Option<TopicId> {
        self.topics.names.get(&folded(name)).copied()
    }

    /// Topics whose names contain `search`, whatever its letters' case, at most 128 after the first `offset`.
    #[must_use]
    pub fn topics(&self, search: &str, offset: usize, limit: usize) -> TopicList {
        let search = folded(search);
        let found: Vec<TopicId> =
            self.topics.names.iter().filter(|(name, _)| name.contains(&search)).map(|(_, id)| *id).collect();
        let named = |id: &TopicId| Some((*id, self.topics.by_id.get(id)?.definition.name.clone()));
        let page = found.iter().skip(offset).take(limit.min(LOOK_MAX));
        TopicList { total: found.len(), topics: page.filter_map(named).collect() }
    }

    /// Subscriptions of a topic whose names contain `search`, at most 128 after the first `offset`. A missing topic has none.
    #[must_use]
    pub fn subscriptions(&self, topic: TopicId, search: &str, offset: usize, limit: usize) -> SubscriptionList {
        let Some(topic) = self.topics.by_id.get(&topic) else { return SubscriptionList::default() };
        let search = folded(search);
        let found: Vec<QueueId> =
            topic.subscriptions.iter().filter(|(name, _)| name.contains(&search)).map(|(_, id)| *id).collect();
        let named = |id: &QueueId| Some((*id, self.topics.subscriptions.get(id)?.name.clone()));
        let page = found.iter().skip(offset).take(limit.min(LOOK_MAX));
        SubscriptionList { total: found.len(), subscriptions: page.filter_map(named).collect() }
    }

    /// The queue that holds the copies of a topic's subscription.
    #[must_use]
    pub fn subscription_queue(&self, topic: TopicId, name: &str) -> Option<QueueId> {
        self.topics.by_id.get(&topic)?.subscriptions.get(&folded(name)).copied()
    }

    /// Everything about a topic.
    #[must_use]
    pub fn topic_status(&self, id: TopicId) -> Option<TopicStatus> {
        let Topic { definition, counters, subscriptions } = self.topics.by_id.get(&id)?;
        let waiting = subscriptions.values().filter_map(|queue| self.live(*queue)).map(Queue::count);
        Some(TopicStatus {
            topic: id,
            name: definition.name.clone(),
            attributes: definition.attributes,
            created: definition.created,
            modified: definition.modified,
            subscriptions: subscriptions.len(),
            published: counters.next_message.saturating_sub(1),
            copies: counters.copies,
            waiting: waiting.fold(0, u64::saturating_add),
        })
    }

    /// Everything about the subscription whose copies `queue` holds. When the oldest of them was published, see
    /// [`Self::oldest_visible`].
    #[must_use]
    pub fn subscription_status(&self, queue: QueueId) -> Option<SubscriptionStatus> {
        let subscription = self.topics.subscriptions.get(&queue)?;
        let status = self.status(queue)?;
        Some(SubscriptionStatus {
            queue,
            topic: subscription.topic,
            name: subscription.name.clone(),
            attributes: subscription.attributes.clone(),
            created: subscription.created,
            modified: subscription.modified,
            counts: status.counts,
            totals: status.totals,
            failing: self.live(queue).and_then(|queue| queue.counters.failing),
            stall: status.stall,
        })
    }

    /// The queues from which a pusher should receive now.
    #[must_use]
    pub fn pushable(&self) -> Vec<Pushable> {
        let pushed = |id: &QueueId| self.live(*id).filter(|queue| matches!(queue.role, Role::Pushed { .. }));
        let pushable = |queue: &Queue| Pushable { queue: queue.id, ready: queue.lanes.visible() };
        let all = self.topics.subscriptions.keys().filter_map(pushed).map(pushable);
        all.filter(|pushable| pushable.ready > 0).collect()
    }

    /// The last redrive of a queue, running or ended.
    #[must_use]
    pub fn redrive_status(&self, queue: QueueId) -> Option<&Redrive> {
        self.redrives.get(&queue)
    }
}
