//! A broker of a few lines: it writes down what it was asked and answers with samples.
//!
//! Must never: be part of a node.

use bytes::Bytes;
use parking_lot::Mutex;

use super::broker::{FurtherVerbs, QueueVerbs};
use super::flaw::{Flaw, no};
use super::words::*;

/// The broker. Handles and ids above 100 are not good, the queue `none` is not there, the queue `empty` holds nothing.
#[derive(Default)]
pub(crate) struct FakeBroker {
    asked: Mutex<Vec<String>>,
}

impl FakeBroker {
    /// What it was asked since the last look.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock())
    }

    fn note(&self, what: String) -> Said<()> {
        let is_missing = what.contains("\"none\"");
        self.asked.lock().push(what);
        Flaw::unless(!is_missing, no::QUEUE_MISSING)
    }
}

pub(crate) fn queue_facts() -> QueueFacts {
    QueueFacts {
        id: "queue-1".to_owned(),
        name: "q".to_owned(),
        messages_max: 1_000_000,
        poll_s: 1,
        visibility_s: 2,
        message_bytes_max: 1_024,
        retention_s: 60,
        rewind_s: 3,
        created_ms: 4_000,
        modified_ms: 5_999,
        active: 6,
        inactive: 7,
        delayed: 8,
        rewindable: 9,
        oldest_ms: 10_000,
        dead_letter: Some(DeadLetterRule { queue: "d".to_owned(), when: DeadWhen::Received(3) }),
        transaction: None,
        trace: false,
    }
}

fn taken(handle: u64) -> Taken {
    Taken {
        id: u64::MAX,
        handle,
        body: Bytes::from_static("中 hi".as_bytes()),
        enqueued_ms: 1_000,
        next_visible_ms: 31_500,
        first_dequeued_ms: 1_500,
        dequeued: 1,
        origin: None,
    }
}

fn named(id: &str, name: &str) -> Named {
    Named { id: id.to_owned(), name: name.to_owned() }
}

fn listed(id: &str, name: &str) -> Listed {
    Listed { total: 7, part: vec![named(id, name)] }
}

fn judged(ids: impl Iterator<Item = u64>, flaw: &Flaw) -> Vec<Option<Flaw>> {
    ids.map(|id| (id > 100).then(|| flaw.clone())).collect()
}

#[tonic::async_trait]
impl QueueVerbs for FakeBroker {
    async fn create_queue(&self, name: &str, wish: QueueWish) -> Said<Named> {
        self.note(format!("create {name:?} {wish:?}"))?;
        Ok(named("queue-1", name))
    }

    async fn set_queue(&self, name: &str, wish: QueueWish) -> Said<QueueFacts> {
        self.note(format!("set {name:?} {wish:?}"))?;
        Ok(queue_facts())
    }

    async fn queue(&self, name: &str) -> Said<QueueFacts> {
        self.note(format!("get {name:?}"))?;
        Ok(queue_facts())
    }

    async fn queues(&self, page: Page) -> Said<Listed> {
        self.note(format!("list {} {} {}", page.search, page.offset, page.limit))?;
        Ok(listed("queue-1", "q"))
    }

    async fn delete_queue(&self, name: &str) -> Said<()> {
        self.note(format!("delete {name:?}"))
    }

    async fn clear_queue(&self, name: &str) -> Said<()> {
        self.note(format!("clear {name:?}"))
    }

    async fn send(&self, messages: Outgoing) -> Said<Vec<u64>> {
        self.note(format!("send {:?} {:?} {} {:?}", messages.queue, messages.bodies, messages.delay_s, messages.half))?;
        Ok((11..).take(messages.bodies.len()).collect())
    }

    async fn receive(&self, wanted: Wanted, mut caller: Caller) -> Said<Vec<Taken>> {
        self.note(format!("receive {:?} {} {:?} {:?}", wanted.queue, wanted.count, wanted.poll, wanted.visibility))?;
        if wanted.queue == "endless" {
            caller.gone().await;
        }
        let count = if wanted.queue == "empty" || wanted.queue == "endless" { 0 } else { wanted.count.min(2) };
        Ok((21..).take(count).map(taken).collect())
    }

    async fn delete_messages(&self, queue: &str, handles: &[u64]) -> Said<Vec<Option<Flaw>>> {
        self.note(format!("ack {queue:?} {handles:?}"))?;
        Ok(judged(handles.iter().copied(), &no::STALE_HANDLE.into()))
    }

    fn routes(&self) -> Vec<String> {
        vec!["127.0.0.1:7301".to_owned()]
    }
}

#[tonic::async_trait]
impl FurtherVerbs for FakeBroker {
    async fn rewind(&self, queue: &str, from_s: u64) -> Said<()> {
        self.note(format!("rewind {queue:?} {from_s}"))
    }

    async fn dead_letter_sources(&self, queue: &str, page: Page) -> Said<Listed> {
        self.note(format!("sources {queue:?} {} {}", page.offset, page.limit))?;
        Ok(listed("queue-1", "q"))
    }

    async fn unbind_dead_letter(&self, queue: &str) -> Said<()> {
        self.note(format!("unbind {queue:?}"))
    }

    async fn create_topic(&self, name: &str, wish: TopicWish) -> Said<Named> {
        self.note(format!("create topic {name:?} {wish:?}"))?;
        Ok(named("topic-1", name))
    }

    async fn set_topic(&self, name: &str, wish: TopicWish) -> Said<()> {
        self.note(format!("set topic {name:?} {wish:?}"))
    }

    async fn topic(&self, name: &str) -> Said<TopicFacts> {
        self.note(format!("get topic {name:?}"))?;
        let (created_ms, modified_ms, filter) = (1_000, 2_000, FilterKind::RoutingKey);
        let (id, name) = ("topic-1".to_owned(), name.to_owned());
        Ok(TopicFacts { id, name, messages: 3, message_bytes_max: 4, retention_s: 5, created_ms, modified_ms, filter })
    }

    async fn topics(&self, page: Page) -> Said<Listed> {
        self.note(format!("list topics {} {} {}", page.search, page.offset, page.limit))?;
        Ok(listed("topic-1", "t"))
    }

    async fn delete_topic(&self, name: &str) -> Said<()> {
        self.note(format!("delete topic {name:?}"))
    }

    async fn publish(&self, messages: Published) -> Said<Vec<u64>> {
        let Published { topic, bodies, tags, routing_key } = messages;
        self.note(format!("publish {topic:?} {bodies:?} {tags:?} {routing_key:?}"))?;
        Ok((31..).take(bodies.len()).collect())
    }

    async fn subscribe(&self, name: SubscriptionName, wish: SubscriptionWish) -> Said<Named> {
        self.note(format!("subscribe {:?} {:?} {wish:?}", name.topic, name.name))?;
        Ok(named("sub-1", &name.name))
    }

    async fn set_subscription(&self, name: SubscriptionName, wish: SubscriptionWish) -> Said<()> {
        self.note(format!("set subscription {:?} {:?} {wish:?}", name.topic, name.name))
    }

    async fn subscription(&self, name: SubscriptionName) -> Said<SubscriptionFacts> {
        self.note(format!("get subscription {:?} {:?}", name.topic, name.name))?;
        Ok(SubscriptionFacts {
            id: "sub-1".to_owned(),
            name: name.name,
            endpoint: Endpoint::Queue("q".to_owned()),
            format: ContentFormat::Simplified,
            filter_tags: vec!["a".to_owned()],
            binding_keys: vec!["b.*".to_owned()],
            created_ms: 1_000,
            modified_ms: 2_000,
            ..SubscriptionFacts::default()
        })
    }

    async fn subscriptions(&self, topic: &str, page: Page) -> Said<Listed> {
        self.note(format!("list subscriptions {topic:?} {}", page.limit))?;
        Ok(listed("sub-1", "s"))
    }

    async fn unsubscribe(&self, name: SubscriptionName) -> Said<()> {
        self.note(format!("unsubscribe {:?} {:?}", name.topic, name.name))
    }

    async fn clear_filter_tags(&self, name: SubscriptionName) -> Said<()> {
        self.note(format!("clear tags {:?} {:?}", name.topic, name.name))
    }

    async fn confirm(&self, queue: &str, verdicts: &[Verdict]) -> Said<Vec<Option<Flaw>>> {
        self.note(format!("confirm {queue:?} {verdicts:?}"))?;
        Ok(judged(verdicts.iter().map(|verdict| verdict.id), &no::MESSAGE_ID.into()))
    }

    async fn check_backs(&self, queues: &[String]) -> Said<Vec<CheckBack>> {
        self.note(format!("check backs {queues:?}"))?;
        Ok(queues.iter().map(|queue| CheckBack { queue: queue.clone(), id: 41 }).collect())
    }

    async fn trace(&self, queue: &str, id: u64) -> Said<Vec<TraceStep>> {
        self.note(format!("trace {queue:?} {id}"))?;
        Ok(vec![TraceStep { what: "sent".to_owned(), at_ms: 1, text: String::new() }])
    }
}
