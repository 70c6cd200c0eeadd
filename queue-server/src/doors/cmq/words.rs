//! What CMQ's doors ask and are told, without a wire: plain requests and answers.
//!
//! Must never: hold a default of its own. `None` means that the caller did not say.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;

use super::flaw::Flaw;

/// An answer, or why there is none.
pub(crate) type Said<T> = Result<T, Flaw>;

/// What a caller says of a queue that is made or changed. Units: as the names say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct QueueWish {
    pub(crate) messages_max: Option<u64>,
    pub(crate) poll_s: Option<u32>,
    pub(crate) visibility_s: Option<u32>,
    pub(crate) message_bytes_max: Option<u32>,
    pub(crate) retention_s: Option<u32>,
    pub(crate) rewind_s: Option<u32>,
    pub(crate) dead_letter: Option<DeadLetterRule>,
    pub(crate) transaction: Option<TransactionRule>,
    pub(crate) trace: Option<bool>,
}

/// When a message becomes a dead letter, and of which queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeadLetterRule {
    pub(crate) queue: String,
    pub(crate) when: DeadWhen,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeadWhen {
    /// Policy 0: received so many times and not deleted.
    Received(u32),
    /// Policy 1: this old. Units: seconds.
    Old(u32),
}

/// How half messages of a queue are asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TransactionRule {
    /// `None`: the queue takes no half messages.
    pub(crate) first_query_s: Option<u32>,
    pub(crate) queries_max: Option<u32>,
}

/// A queue, a topic or a subscription in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) id: String,
    pub(crate) name: String,
}

/// Which part of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) search: String,
    pub(crate) offset: usize,
    pub(crate) limit: usize,
}

/// A part of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Listed {
    /// Matches before paging.
    pub(crate) total: usize,
    pub(crate) part: Vec<Named>,
}

/// All about a queue. Units: bytes, seconds; instants are milliseconds of Unix time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct QueueFacts {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) messages_max: u64,
    pub(crate) poll_s: u32,
    pub(crate) visibility_s: u32,
    pub(crate) message_bytes_max: u32,
    pub(crate) retention_s: u32,
    pub(crate) rewind_s: u32,
    pub(crate) created_ms: u64,
    pub(crate) modified_ms: u64,
    pub(crate) active: u64,
    pub(crate) inactive: u64,
    pub(crate) delayed: u64,
    pub(crate) rewindable: u64,
    /// 0: none waits.
    pub(crate) oldest_ms: u64,
    pub(crate) dead_letter: Option<DeadLetterRule>,
    pub(crate) transaction: Option<TransactionRule>,
    pub(crate) trace: bool,
}

/// Messages on their way into a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outgoing {
    pub(crate) queue: String,
    pub(crate) bodies: Vec<Bytes>,
    pub(crate) delay_s: u32,
    /// Half messages, and when they are first asked about. Units: seconds; 0 = by the queue's rule.
    pub(crate) half: Option<u32>,
}

/// What a consumer asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) queue: String,
    pub(crate) count: usize,
    /// `None`: by the queue's own poll.
    pub(crate) poll: Option<Duration>,
    /// `None`: by the queue's own visibility timeout.
    pub(crate) visibility: Option<Duration>,
}

/// A message under a lease. Instants are milliseconds of Unix time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) id: u64,
    pub(crate) handle: u64,
    pub(crate) body: Bytes,
    pub(crate) enqueued_ms: u64,
    pub(crate) next_visible_ms: u64,
    pub(crate) first_dequeued_ms: u64,
    pub(crate) dequeued: u32,
    pub(crate) origin: Option<TakenFrom>,
}

/// Where a dead letter comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TakenFrom {
    pub(crate) queue: String,
    pub(crate) enqueued_ms: u64,
    pub(crate) dequeued: u32,
}

/// What a caller says of a topic that is made or changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TopicWish {
    pub(crate) message_bytes_max: Option<u32>,
    /// Fixed when the topic is made.
    pub(crate) filter: Option<FilterKind>,
    pub(crate) retention_s: Option<u32>,
    pub(crate) trace: Option<bool>,
}

/// How a topic's subscriptions choose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum FilterKind {
    #[default]
    Tags,
    RoutingKey,
}

/// All about a topic. Units: as for [`QueueFacts`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TopicFacts {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) messages: u64,
    pub(crate) message_bytes_max: u32,
    pub(crate) retention_s: u32,
    pub(crate) created_ms: u64,
    pub(crate) modified_ms: u64,
    pub(crate) filter: FilterKind,
}

/// Messages that are published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Published {
    pub(crate) topic: String,
    pub(crate) bodies: Vec<Bytes>,
    pub(crate) tags: Vec<String>,
    pub(crate) routing_key: Option<String>,
}

/// Names a subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SubscriptionName {
    pub(crate) topic: String,
    pub(crate) name: String,
}

/// Where a subscription delivers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Http(String),
    Queue(String),
}

impl Default for Endpoint {
    fn default() -> Self {
        Self::Http(String::new())
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum RetryStrategy {
    Backoff,
    #[default]
    ExponentialDecay,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ContentFormat {
    #[default]
    Json,
    Simplified,
}

/// What a caller says of a subscription that is made or changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SubscriptionWish {
    /// Needed when it is made.
    pub(crate) endpoint: Option<Endpoint>,
    pub(crate) strategy: Option<RetryStrategy>,
    pub(crate) format: Option<ContentFormat>,
    pub(crate) filter_tags: Option<Vec<String>>,
    pub(crate) binding_keys: Option<Vec<String>>,
}

/// All about a subscription. Units: as for [`QueueFacts`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SubscriptionFacts {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) endpoint: Endpoint,
    pub(crate) strategy: RetryStrategy,
    pub(crate) format: ContentFormat,
    pub(crate) topic_owner: u64,
    pub(crate) filter_tags: Vec<String>,
    pub(crate) binding_keys: Vec<String>,
    pub(crate) messages: u64,
    pub(crate) created_ms: u64,
    pub(crate) modified_ms: u64,
}

/// What its producer says of a half message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) id: u64,
    /// Otherwise it is rolled back.
    pub(crate) is_commit: bool,
}

/// A half message whose producer is asked about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CheckBack {
    pub(crate) queue: String,
    pub(crate) id: u64,
}

/// One step in the life of a message. Instants are milliseconds of Unix time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TraceStep {
    pub(crate) what: String,
    pub(crate) at_ms: u64,
    pub(crate) text: String,
}

/// Whether somebody still waits for the answer to a long poll.
#[derive(Clone, Debug)]
pub(crate) struct Caller(watch::Receiver<bool>);

impl Caller {
    /// A caller, and the sign that is dropped, or sent, when it goes away.
    pub(crate) fn new() -> (watch::Sender<bool>, Self) {
        let (sign, caller) = watch::channel(false);
        (sign, Self(caller))
    }

    /// Returns when nobody waits any more.
    pub(crate) async fn gone(&mut self) {
        // A sign that was dropped says it too.
        let _ = self.0.wait_for(|is_gone| *is_gone).await;
    }
}
