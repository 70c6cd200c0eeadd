//! What CMQ's doors ask of whoever keeps the queues.
//!
//! Why a trait: the doors are tested against a broker of a few lines, and the verbs of today and those to come are
//! filled in apart from each other.
//!
//! Must never: know which door asks.

use super::flaw::Flaw;
use super::words::{
    Caller, CheckBack, Listed, Named, Outgoing, Page, Published, QueueFacts, QueueWish, Said, SubscriptionFacts,
    SubscriptionName, SubscriptionWish, Taken, TopicFacts, TopicWish, TraceStep, Verdict, Wanted,
};

/// Queues and their messages.
#[tonic::async_trait]
pub(crate) trait QueueVerbs: Send + Sync {
    async fn create_queue(&self, name: &str, wish: QueueWish) -> Said<Named>;
    async fn set_queue(&self, name: &str, wish: QueueWish) -> Said<QueueFacts>;
    async fn queue(&self, name: &str) -> Said<QueueFacts>;
    async fn queues(&self, page: Page) -> Said<Listed>;
    async fn delete_queue(&self, name: &str) -> Said<()>;
    /// Drops every message that is not under a lease.
    async fn clear_queue(&self, name: &str) -> Said<()>;
    /// All or none; their ids in order.
    async fn send(&self, messages: Outgoing) -> Said<Vec<u64>>;
    /// Waits for the first message until the poll ends, or until nobody waits for the answer. Empty: none came.
    async fn receive(&self, wanted: Wanted, caller: Caller) -> Said<Vec<Taken>>;
    /// One result for each handle.
    async fn delete_messages(&self, queue: &str, handles: &[u64]) -> Said<Vec<Option<Flaw>>>;
    /// Addresses of the TCP door.
    fn routes(&self) -> Vec<String>;
}

/// Topics, rewind, dead-letter sources, transactions, traces.
#[tonic::async_trait]
pub(crate) trait FurtherVerbs: Send + Sync {
    /// Serves again what was produced after an instant. Units: seconds of Unix time.
    async fn rewind(&self, queue: &str, from_s: u64) -> Said<()>;
    /// Queues whose dead letters go to this one.
    async fn dead_letter_sources(&self, queue: &str, page: Page) -> Said<Listed>;
    /// Takes the dead-letter rule of this queue away.
    async fn unbind_dead_letter(&self, queue: &str) -> Said<()>;
    async fn create_topic(&self, name: &str, wish: TopicWish) -> Said<Named>;
    async fn set_topic(&self, name: &str, wish: TopicWish) -> Said<()>;
    async fn topic(&self, name: &str) -> Said<TopicFacts>;
    async fn topics(&self, page: Page) -> Said<Listed>;
    async fn delete_topic(&self, name: &str) -> Said<()>;
    /// All or none; their ids in order.
    async fn publish(&self, messages: Published) -> Said<Vec<u64>>;
    async fn subscribe(&self, name: SubscriptionName, wish: SubscriptionWish) -> Said<Named>;
    async fn set_subscription(&self, name: SubscriptionName, wish: SubscriptionWish) -> Said<()>;
    async fn subscription(&self, name: SubscriptionName) -> Said<SubscriptionFacts>;
    async fn subscriptions(&self, topic: &str, page: Page) -> Said<Listed>;
    async fn unsubscribe(&self, name: SubscriptionName) -> Said<()>;
    async fn clear_filter_tags(&self, name: SubscriptionName) -> Said<()>;
    /// One result for each verdict.
    async fn confirm(&self, queue: &str, verdicts: &[Verdict]) -> Said<Vec<Option<Flaw>>>;
    /// Waits for half messages of these queues whose producer shall be asked.
    async fn check_backs(&self, queues: &[String]) -> Said<Vec<CheckBack>>;
    /// What became of a message.
    async fn trace(&self, queue: &str, id: u64) -> Said<Vec<TraceStep>>;
}

/// Everything that the doors ask for.
pub(crate) trait Broker: QueueVerbs + FurtherVerbs {}

impl<T: QueueVerbs + FurtherVerbs> Broker for T {}
