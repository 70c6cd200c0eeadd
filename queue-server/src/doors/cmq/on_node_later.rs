//! The verbs, and the attributes of queues, that this node does not serve yet: each says so, and nothing is applied.
//!
//! Why one file: what the queue machine learns is connected here, and nowhere else in CMQ's doors.
//!
//! Must never: seem to have done what it has not.

use queue_core::{AttributeChanges, DeadLetterCount, DeadLetterPolicy, QueueId, QueueStatus};
use tokio::time::Instant;

use super::broker::{FurtherVerbs, QueueVerbs as _};
use super::flaw::{Flaw, no};
use super::limits::ANSWER_MAX;
use super::on_node::{NodeBroker, queue_text, unavailable};
use super::words::{
    CheckBack, DeadLetterRule, DeadWhen, Listed, Named, Outgoing, Page, Published, QueueFacts, QueueWish, Said,
    SubscriptionFacts, SubscriptionName, SubscriptionWish, TopicFacts, TopicWish, TraceStep, Verdict,
};

/// What is wished of a queue, in the machine's words. Flaw: what it does not know yet.
pub(super) fn attribute_changes(wish: QueueWish) -> Said<AttributeChanges> {
    let is_transactional = wish.transaction.is_some_and(|rule| rule.first_query_s.is_some());
    Flaw::unless(!is_transactional, no::NO_SUCH_PARAMETER.about("transaction"))?;
    Flaw::unless(wish.trace != Some(true), no::NO_SUCH_PARAMETER.about("trace"))?;
    Ok(AttributeChanges {
        max_messages: wish.messages_max,
        polling_wait_s: wish.poll_s,
        visibility_timeout_s: wish.visibility_s,
        max_message_bytes: wish.message_bytes_max,
        retention_s: wish.retention_s,
        rewind_s: wish.rewind_s,
        dead_letter: wish.dead_letter.map(policy).transpose()?,
    })
}

/// A rule without a queue takes the policy away.
fn policy(rule: DeadLetterRule) -> Said<Option<DeadLetterPolicy>> {
    if rule.queue.is_empty() {
        return Ok(None);
    }
    match rule.when {
        DeadWhen::Received(limit) => {
            Ok(Some(DeadLetterPolicy { queue: rule.queue, count: DeadLetterCount::Received, limit }))
        }
        DeadWhen::Old(_) => Err(no::NO_SUCH_PARAMETER.about("maxTimeToLive")),
    }
}

/// All about a queue, in CMQ's words.
pub(super) fn facts(id: String, status: QueueStatus, oldest_ms: u64) -> QueueFacts {
    let attributes = status.attributes;
    QueueFacts {
        id,
        name: status.name,
        messages_max: attributes.max_messages,
        poll_s: attributes.polling_wait_s,
        visibility_s: attributes.visibility_timeout_s,
        message_bytes_max: attributes.max_message_bytes,
        retention_s: attributes.retention_s,
        rewind_s: attributes.rewind_s,
        created_ms: status.created.0,
        modified_ms: status.modified.0,
        active: status.counts.visible,
        inactive: status.counts.leased,
        delayed: status.counts.delayed,
        rewindable: 0,
        oldest_ms,
        dead_letter: attributes
            .dead_letter
            .map(|policy| DeadLetterRule { queue: policy.queue, when: DeadWhen::Received(policy.limit) }),
        transaction: None,
        trace: false,
    }
}

/// Sends half messages.
pub(super) async fn send_half(_broker: &NodeBroker, _messages: Outgoing) -> Said<Vec<u64>> {
    Err(no::NO_SUCH_PARAMETER.about("transaction"))
}

fn later<T>(action: &str) -> Said<T> {
    Err(no::ACTION.about(action))
}

#[tonic::async_trait]
impl FurtherVerbs for NodeBroker {
    async fn rewind(&self, _queue: &str, _from_s: u64) -> Said<()> {
        later("RewindQueue")
    }

    async fn dead_letter_sources(&self, queue: &str, page: Page) -> Said<Listed> {
        let until = Instant::now() + ANSWER_MAX;
        let spot = self.spot(queue, true, until).await?;
        let id = spot.group.id().0;
        let read = spot.group.read_stale(|view| {
            let name = |source: QueueId| Some((source, view.machine.status(source)?.name));
            view.machine.dead_letter_sources(queue).into_iter().filter_map(name).collect::<Vec<_>>()
        });
        let mut sources = read.map_err(|error| unavailable(&error.to_string()))?;
        sources.retain(|(_, name)| name.to_ascii_lowercase().contains(&page.search.to_ascii_lowercase()));
        let part = sources.iter().skip(page.offset).take(page.limit);
        let named = |(source, name): &(QueueId, String)| Named { id: queue_text(id, *source), name: name.clone() };
        Ok(Listed { total: sources.len(), part: part.map(named).collect() })
    }

    async fn unbind_dead_letter(&self, queue: &str) -> Said<()> {
        let none = DeadLetterRule { queue: String::new(), when: DeadWhen::Received(0) };
        self.set_queue(queue, QueueWish { dead_letter: Some(none), ..QueueWish::default() }).await.map(drop)
    }

    async fn create_topic(&self, _name: &str, _wish: TopicWish) -> Said<Named> {
        later("CreateTopic")
    }

    async fn set_topic(&self, _name: &str, _wish: TopicWish) -> Said<()> {
        later("SetTopicAttributes")
    }

    async fn topic(&self, _name: &str) -> Said<TopicFacts> {
        later("GetTopicAttributes")
    }

    async fn topics(&self, _page: Page) -> Said<Listed> {
        later("ListTopic")
    }

    async fn delete_topic(&self, _name: &str) -> Said<()> {
        later("DeleteTopic")
    }

    async fn publish(&self, _messages: Published) -> Said<Vec<u64>> {
        later("PublishMessage")
    }

    async fn subscribe(&self, _name: SubscriptionName, _wish: SubscriptionWish) -> Said<Named> {
        later("Subscribe")
    }

    async fn set_subscription(&self, _name: SubscriptionName, _wish: SubscriptionWish) -> Said<()> {
        later("SetSubscriptionAttributes")
    }

    async fn subscription(&self, _name: SubscriptionName) -> Said<SubscriptionFacts> {
        later("GetSubscriptionAttributes")
    }

    async fn subscriptions(&self, _topic: &str, _page: Page) -> Said<Listed> {
        later("ListSubscriptionByTopic")
    }

    async fn unsubscribe(&self, _name: SubscriptionName) -> Said<()> {
        later("Unsubscribe")
    }

    async fn clear_filter_tags(&self, _name: SubscriptionName) -> Said<()> {
        later("ClearSubscriptionFilterTags")
    }

    async fn confirm(&self, _queue: &str, _verdicts: &[Verdict]) -> Said<Vec<Option<Flaw>>> {
        later("ConfirmTransaction")
    }

    async fn check_backs(&self, _queues: &[String]) -> Said<Vec<CheckBack>> {
        later("QueryTransaction")
    }

    async fn trace(&self, _queue: &str, _id: u64) -> Said<Vec<TraceStep>> {
        later("DescribeMessageTrace")
    }
}
