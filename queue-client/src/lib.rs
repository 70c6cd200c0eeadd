//! The Rust client of the queue: finds the leader, repeats what is unknown, batches, consumes.
//!
//! ```text
//!  Producer ──batches──┐                     ┌─ Session   request ids: a repeat is the same request
//!  Consumer ──polls────┼──> Client ─> Journey ┼─ Cluster   which node leads which group
//!  your code ──────────┘    verbs     one call └─ Node      one connection, one Exchange stream
//! ```
//!
//! Why: between "send" and "sent" lie changing leaders, broken connections and time-outs. A caller needs to know one
//! thing about a failure, whether the call may have happened, and every [`Error`] answers it.
//!
//! Must never: repeat a request that may have happened under another id, or report as not applied what may have been.

mod backoff;
mod client;
mod cluster;
mod config;
mod consumer;
mod credentials;
mod deliveries;
mod error;
mod history;
mod journey;
pub mod limits;
mod link;
mod node;
mod producer;
mod queues;
mod road;
mod session;
mod topics;
mod verb;
mod window;

pub use backoff::Backoff;
pub use client::{Client, Receive, Release};
pub use config::ClientConfig;
pub use consumer::{Consumer, ConsumerConfig, Delivery, Lease};
pub use credentials::{Credentials, Signer, signer};
pub use deliveries::Deliveries;
pub use error::Error;
pub use producer::{Producer, ProducerConfig, Sent, Ticket};
pub use tls::{Keeper, TlsError};
pub use topics::SubscriptionChange;

pub use proto::queue::v1::{
    ContentFormat, DeadLetterCount, DeadLetterPolicy, Durability, ExplainReply, FilterKind, GetMoveReply,
    GetQueueReply, GetRedriveReply, GetSubscriptionReply, GetTopicReply, HalfResult, ListEventsReply,
    ListEventsRequest, ListQueuesReply, ListSubscriptionsReply, ListTopicsReply, Message, MessageEvent, MessageFilter,
    MessageState, MovePhase, NewMessage, NewPublication, PeekReply, PublishReply, QueueAttributes, ReceiptResult,
    RequestId, RetryStrategy, SearchReply, SearchRequest, SendReply, StartRedriveRequest, Subscription,
    TopicAttributes, TransactionPolicy, subscription::Endpoint,
};
