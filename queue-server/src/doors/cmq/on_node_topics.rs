//! Topics and subscriptions, on this node's groups.
//!
//! Must never: say that something was not applied when it may have been.

use queue_core::{
    Command, Endpoint as CoreEndpoint, FilterKind as CoreFilter, NotifyFormat, Publication, QueueAddress, QueueId,
    QueueMachine, Refusal, Reply, RetryStrategy as CoreStrategy, SubscriptionAttributes, SubscriptionChanges,
    TopicAttributes, TopicChanges, TopicCommand, TopicId,
};
use replica::{Group, View};
use tokio::time::{Instant, timeout_at};

use super::broker::FurtherVerbs;
use super::flaw::{Flaw, no};
use super::limits::ANSWER_MAX;
use super::on_node::{NodeBroker, done, left, propose, refused, unavailable, unread};
use super::words::{
    CheckBack, ContentFormat, Endpoint, FilterKind, Listed, Named, Page, Published, RetryStrategy, Said,
    SubscriptionFacts, SubscriptionName, SubscriptionWish, TopicFacts, TopicWish, TraceStep, Verdict,
};
use crate::doors::pages::all;
use crate::node::LocateError;
use crate::tally::Deed;

/// A cluster has one owner; CMQ would name an account.
const TOPIC_OWNER: u64 = 0;

impl NodeBroker {
    async fn topic_group(&self, topic: &str, until: Instant) -> Said<Group<QueueMachine>> {
        let place = timeout_at(until, self.node.place_of_topic(topic)).await;
        let place = place.map_err(|_| unavailable("no answer in time"))?.map_err(|error| match error {
            LocateError::Unknown => no::TOPIC_MISSING.into(),
            LocateError::Unavailable(reason) => unavailable(&reason),
            LocateError::NotHere(_) => unavailable("another node leads the group"),
        })?;
        self.node.group(place.group).ok_or_else(|| unavailable("the group is not served here"))
    }

    async fn on_topic(&self, topic: &str, command: TopicCommand) -> Said<(Group<QueueMachine>, Reply)> {
        let until = Instant::now() + ANSWER_MAX;
        let group = self.topic_group(topic, until).await?;
        let reply = propose(&group, &Command::Topic(command), until).await?.reply;
        Ok((group, reply))
    }

    /// What a fresh view of a topic's group tells.
    async fn look<T: Send>(
        &self,
        topic: &str,
        look: impl Fn(&View<'_, QueueMachine>, u32) -> Said<T> + Send + Sync,
    ) -> Said<T> {
        let until = Instant::now() + ANSWER_MAX;
        let group = self.topic_group(topic, until).await?;
        let id = group.id().0;
        group.read_anywhere(left(until), |view| look(view, id)).await.map_err(|error| unread(&error))?
    }

    /// The address of a queue that a subscription delivers to. A queue that does not exist is refused by its group.
    async fn endpoint(&self, endpoint: Endpoint, until: Instant) -> Said<CoreEndpoint> {
        match endpoint {
            Endpoint::Http(url) => Ok(CoreEndpoint::Http { url }),
            Endpoint::Queue(queue) => {
                let group = Some(self.spot(&queue, false, until).await?.group.id());
                Ok(CoreEndpoint::Queue(QueueAddress { group, queue }))
            }
        }
    }

    async fn subscription_changes(&self, wish: SubscriptionWish, until: Instant) -> Said<SubscriptionChanges> {
        let endpoint = match wish.endpoint {
            None => None,
            Some(endpoint) => Some(self.endpoint(endpoint, until).await?),
        };
        Ok(SubscriptionChanges {
            endpoint,
            strategy: wish.strategy.map(|strategy| match strategy {
                RetryStrategy::Backoff => CoreStrategy::Backoff,
                RetryStrategy::ExponentialDecay => CoreStrategy::ExponentialDecay,
            }),
            format: wish.format.map(|format| match format {
                ContentFormat::Json => NotifyFormat::Json,
                ContentFormat::Simplified => NotifyFormat::Simplified,
            }),
            filters: wish.filter_tags.or(wish.binding_keys),
            dead_letter: None,
        })
    }
}

#[tonic::async_trait]
impl FurtherVerbs for NodeBroker {
    async fn rewind(&self, queue: &str, from_s: u64) -> Said<()> {
        self.rewind_queue(queue, from_s).await
    }

    async fn dead_letter_sources(&self, queue: &str, page: Page) -> Said<Listed> {
        self.sources(queue, page).await
    }

    async fn unbind_dead_letter(&self, queue: &str) -> Said<()> {
        self.unbind(queue).await
    }

    async fn create_topic(&self, name: &str, wish: TopicWish) -> Said<Named> {
        let until = Instant::now() + ANSWER_MAX;
        let placed = timeout_at(until, self.node.place_new_topic(name)).await;
        // A place without a topic harms nobody: whatever happened to it, no topic was made.
        let placed = placed.map_err(|_| unavailable("no answer in time"))?;
        let place = placed.map_err(|error| unavailable(&error.to_string()))?.map_err(|_| no::TOO_MANY_TOPICS)?;
        let group = self.node.group(place.group).ok_or_else(|| unavailable("the group is not served here"))?;
        let filter = match wish.filter.unwrap_or_default() {
            FilterKind::Tags => CoreFilter::Tags,
            FilterKind::RoutingKey => CoreFilter::Routing,
        };
        let attributes = TopicAttributes { filter, ..TopicAttributes::default() }.changed(changes(&wish));
        let command = Command::Topic(TopicCommand::Create { name: name.to_owned(), attributes });
        match propose(&group, &command, until).await?.reply {
            Reply::TopicCreated { topic } => Ok(Named { id: topic_text(place.group.0, topic), name: name.to_owned() }),
            other => Err(refused(other)),
        }
    }

    async fn set_topic(&self, name: &str, wish: TopicWish) -> Said<()> {
        let command = TopicCommand::Set { name: name.to_owned(), changes: changes(&wish) };
        done(self.on_topic(name, command).await?.1)
    }

    async fn topic(&self, name: &str) -> Said<TopicFacts> {
        let facts = |view: &View<'_, QueueMachine>, group| {
            let status = view.machine.topic_id(name).and_then(|topic| view.machine.topic_status(topic));
            let status = status.ok_or(no::TOPIC_MISSING)?;
            Ok(TopicFacts {
                id: topic_text(group, status.topic),
                name: status.name,
                messages: status.waiting,
                message_bytes_max: status.attributes.max_message_bytes,
                retention_s: status.attributes.retention_s,
                created_ms: status.created.0,
                modified_ms: status.modified.0,
                filter: filter_kind(status.attributes.filter),
            })
        };
        self.look(name, facts).await
    }

    async fn topics(&self, page: Page) -> Said<Listed> {
        let until = Instant::now() + ANSWER_MAX;
        let mut found = Vec::new();
        for group in self.node.groups() {
            let id = group.id().0;
            let names = group.read_anywhere(left(until), |view| {
                all(|offset| {
                    let page = view.machine.topics(&page.search, offset, usize::MAX);
                    (page.total, page.topics)
                })
            });
            let named = |(topic, name)| Named { id: topic_text(id, topic), name };
            found.extend(names.await.map_err(|error| unread(&error))?.into_iter().map(named));
        }
        Ok(listed(found, &page))
    }

    async fn delete_topic(&self, name: &str) -> Said<()> {
        done(self.on_topic(name, TopicCommand::Delete { name: name.to_owned() }).await?.1)
    }

    async fn publish(&self, messages: Published) -> Said<Vec<u64>> {
        self.node.room_to_send().map_err(|reason| unavailable(&reason))?;
        let until = Instant::now() + ANSWER_MAX;
        let group = self.topic_group(&messages.topic, until).await?;
        let find = |view: &View<'_, QueueMachine>| view.machine.topic_id(&messages.topic);
        let known = group.read_stale(find).map_err(|error| unread(&error))?;
        let topic = match known {
            Some(topic) => Some(topic),
            None => group.read_anywhere(left(until), find).await.map_err(|error| unread(&error))?,
        };
        let publication = |body| Publication {
            body,
            headers: Vec::new(),
            tags: messages.tags.clone(),
            routing_key: messages.routing_key.clone().unwrap_or_default(),
        };
        let topic = topic.ok_or(no::TOPIC_MISSING)?;
        let bytes = messages.bodies.iter().fold(0_u64, |bytes, body| bytes + body.len() as u64);
        self.node.tally().count(group.id(), topic.0, Deed::publish(messages.bodies.len()));
        self.node.tally().add(group.id(), topic.0, Deed::PublishBytes, bytes);
        let messages = messages.bodies.iter().cloned().map(publication).collect();
        let command = Command::Topic(TopicCommand::Publish { topic, messages });
        match propose(&group, &command, until).await?.reply {
            Reply::Published { ids, .. } => Ok(ids.into_iter().map(|id| id.0).collect()),
            other => Err(refused(other)),
        }
    }

    async fn subscribe(&self, name: SubscriptionName, wish: SubscriptionWish) -> Said<Named> {
        let until = Instant::now() + ANSWER_MAX;
        let changes = self.subscription_changes(wish, until).await?;
        let endpoint = changes.endpoint.ok_or_else(|| Flaw::from(no::ENDPOINT))?;
        let attributes = SubscriptionAttributes {
            endpoint,
            strategy: changes.strategy.unwrap_or_default(),
            format: changes.format.unwrap_or_default(),
            filters: changes.filters.unwrap_or_default(),
            dead_letter: None,
        };
        let SubscriptionName { topic, name } = name;
        let command = TopicCommand::Subscribe { topic: topic.clone(), name: name.clone(), attributes };
        let (group, reply) = self.on_topic(&topic, command).await?;
        match reply {
            Reply::Subscribed { queue } => Ok(Named { id: subscription_text(group.id().0, queue), name }),
            other => Err(refused(other)),
        }
    }

    async fn set_subscription(&self, name: SubscriptionName, wish: SubscriptionWish) -> Said<()> {
        let changes = self.subscription_changes(wish, Instant::now() + ANSWER_MAX).await?;
        let command = TopicCommand::SetSubscription { topic: name.topic.clone(), name: name.name, changes };
        done(self.on_topic(&name.topic, command).await?.1)
    }

    async fn subscription(&self, name: SubscriptionName) -> Said<SubscriptionFacts> {
        self.look(&name.topic, |view, group| subscription_facts(view, group, &name)).await
    }

    async fn subscriptions(&self, topic: &str, page: Page) -> Said<Listed> {
        let found = |view: &View<'_, QueueMachine>, group| {
            let id = view.machine.topic_id(topic).ok_or(no::TOPIC_MISSING)?;
            let names = all(|offset| {
                let page = view.machine.subscriptions(id, &page.search, offset, usize::MAX);
                (page.total, page.subscriptions)
            });
            let named = |(queue, name)| Named { id: subscription_text(group, queue), name };
            Ok(names.into_iter().map(named).collect())
        };
        Ok(listed(self.look(topic, found).await?, &page))
    }

    async fn unsubscribe(&self, name: SubscriptionName) -> Said<()> {
        let command = TopicCommand::Unsubscribe { topic: name.topic.clone(), name: name.name };
        done(self.on_topic(&name.topic, command).await?.1)
    }

    async fn clear_filter_tags(&self, name: SubscriptionName) -> Said<()> {
        let changes = SubscriptionChanges { filters: Some(Vec::new()), ..SubscriptionChanges::default() };
        let command = TopicCommand::SetSubscription { topic: name.topic.clone(), name: name.name, changes };
        done(self.on_topic(&name.topic, command).await?.1)
    }

    async fn confirm(&self, queue: &str, verdicts: &[Verdict]) -> Said<Vec<Option<Flaw>>> {
        self.decide(queue, verdicts).await
    }

    async fn check_backs(&self, queues: &[String]) -> Said<Vec<CheckBack>> {
        self.questions(queues).await
    }

    async fn trace(&self, queue: &str, id: u64) -> Said<Vec<TraceStep>> {
        self.steps(queue, id).await
    }
}

const fn changes(wish: &TopicWish) -> TopicChanges {
    TopicChanges { max_message_bytes: wish.message_bytes_max, retention_s: wish.retention_s, trace: wish.trace }
}

const fn filter_kind(kind: CoreFilter) -> FilterKind {
    match kind {
        CoreFilter::Tags => FilterKind::Tags,
        CoreFilter::Routing => FilterKind::RoutingKey,
    }
}

fn subscription_facts(view: &View<'_, QueueMachine>, group: u32, name: &SubscriptionName) -> Said<SubscriptionFacts> {
    let topic = view.machine.topic_id(&name.topic).ok_or(no::TOPIC_MISSING)?;
    let queue = view.machine.subscription_queue(topic, &name.name);
    let status = queue.and_then(|queue| view.machine.subscription_status(queue));
    let status = status.ok_or_else(|| super::on_node::flaw_of(Refusal::SubscriptionMissing))?;
    let filter = view.machine.topic_status(topic).map_or(CoreFilter::Tags, |topic| topic.attributes.filter);
    let filters = status.attributes.filters;
    let (filter_tags, binding_keys) = match filter {
        CoreFilter::Tags => (filters, Vec::new()),
        CoreFilter::Routing => (Vec::new(), filters),
    };
    Ok(SubscriptionFacts {
        id: subscription_text(group, status.queue),
        name: status.name,
        endpoint: match status.attributes.endpoint {
            CoreEndpoint::Http { url } => Endpoint::Http(url),
            CoreEndpoint::Queue(address) => Endpoint::Queue(address.queue),
        },
        strategy: match status.attributes.strategy {
            CoreStrategy::Backoff => RetryStrategy::Backoff,
            CoreStrategy::ExponentialDecay => RetryStrategy::ExponentialDecay,
        },
        format: match status.attributes.format {
            NotifyFormat::Json => ContentFormat::Json,
            NotifyFormat::Simplified => ContentFormat::Simplified,
        },
        topic_owner: TOPIC_OWNER,
        filter_tags,
        binding_keys,
        messages: status.counts.visible + status.counts.leased + status.counts.delayed,
        created_ms: status.created.0,
        modified_ms: status.modified.0,
    })
}

fn listed(mut found: Vec<Named>, page: &Page) -> Listed {
    found.sort_by_key(|named| named.name.to_ascii_lowercase());
    let total = found.len();
    Listed { total, part: found.into_iter().skip(page.offset).take(page.limit).collect() }
}

/// A topic's id as clients see it.
fn topic_text(group: u32, topic: TopicId) -> String {
    format!("topic-{group:02x}{:05x}", topic.0)
}

/// A subscription's id as clients see it.
fn subscription_text(group: u32, queue: QueueId) -> String {
    format!("subsc-{group:02x}{:05x}", queue.0)
}
