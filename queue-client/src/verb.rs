//! The verbs of the contract, each with its lane and its way to the node.
//!
//! ```text
//!  read   no id       a call of its own
//!  tell   Shared      a call of its own        what is rare: owners' verbs, publish, confirm
//!  fast   Shared      on the link              send, ack, extend, release
//!  poll   Poll        a call of its own        receive, query half: a caller that leaves must end the wait at the node
//! ```
//!
//! Must never: change what a request says between two attempts, except how long it waits.

use std::time::Duration;

use proto::outcome::{self, Hint};
use proto::queue::v1::exchange_reply::Outcome as Reply;
use proto::queue::v1::exchange_request::Call;
use proto::queue::v1::*;
use tokio::time::Instant;
use tonic::Status;

use crate::node::{Node, until_answer, until_request};
use crate::session::Lane;

/// A request that can be attempted at any node, any number of times.
pub(crate) trait Verb: Clone + Send + Sync {
    /// What comes back.
    type Reply: Send;
    /// Which session names it; `None`: it changes nothing, or nothing that matters.
    const LANE: Option<Lane>;

    /// Puts the id into the request.
    fn identify(&mut self, request: RequestId);

    /// Says how much of the wait is left.
    fn shorten(&mut self, left: Duration) {
        let _ = left;
    }

    /// Tries once. A failure carries its outcome.
    fn attempt(&self, node: &Node, until: Instant) -> impl Future<Output = Result<Self::Reply, Status>> + Send;
}

macro_rules! read {
    ($request:ident, $service:ident.$method:ident, $reply:ident) => {
        impl Verb for $request {
            type Reply = $reply;
            const LANE: Option<Lane> = None;

            fn identify(&mut self, _: RequestId) {}

            async fn attempt(&self, node: &Node, until: Instant) -> Result<$reply, Status> {
                until_answer(node.$service().$method(until_request(self.clone(), until)), until).await
            }
        }
    };
}

macro_rules! tell {
    ($request:ident, $service:ident.$method:ident, $reply:ident) => {
        impl Verb for $request {
            type Reply = $reply;
            const LANE: Option<Lane> = Some(Lane::Shared);

            fn identify(&mut self, request: RequestId) {
                self.request = Some(request);
            }

            async fn attempt(&self, node: &Node, until: Instant) -> Result<$reply, Status> {
                until_answer(node.$service().$method(until_request(self.clone(), until)), until).await
            }
        }
    };
}

macro_rules! fast {
    ($request:ident, $variant:ident, $reply:ident) => {
        impl Verb for $request {
            type Reply = $reply;
            const LANE: Option<Lane> = Some(Lane::Shared);

            fn identify(&mut self, request: RequestId) {
                self.request = Some(request);
            }

            async fn attempt(&self, node: &Node, until: Instant) -> Result<$reply, Status> {
                match node.exchange(Call::$variant(self.clone()), until).await? {
                    Reply::$variant(reply) => Ok(reply),
                    _ => Err(outcome::unknown("the node answered another call", Hint::default())),
                }
            }
        }
    };
}

read!(OpenSessionRequest, queues.open_session, OpenSessionReply);
read!(LocateRequest, queues.locate, LocateReply);
read!(ListQueuesRequest, queues.list_queues, ListQueuesReply);
read!(GetQueueRequest, queues.get_queue, GetQueueReply);
read!(PeekRequest, queues.peek, PeekReply);
read!(SearchRequest, history.search, SearchReply);
read!(ExplainRequest, history.explain, ExplainReply);
read!(ListEventsRequest, history.list_events, ListEventsReply);
read!(ListDeadLetterSourcesRequest, history.list_dead_letter_sources, ListDeadLetterSourcesReply);
read!(GetMoveRequest, moves.get_move, GetMoveReply);
read!(GetRedriveRequest, history.get_redrive, GetRedriveReply);

read!(ListTopicsRequest, topics.list_topics, ListTopicsReply);
read!(GetTopicRequest, topics.get_topic, GetTopicReply);
read!(ListSubscriptionsRequest, topics.list_subscriptions, ListSubscriptionsReply);
read!(GetSubscriptionRequest, topics.get_subscription, GetSubscriptionReply);

tell!(CreateQueueRequest, queues.create_queue, CreateQueueReply);
tell!(SetQueueAttributesRequest, queues.set_queue_attributes, SetQueueAttributesReply);
tell!(DeleteQueueRequest, queues.delete_queue, DeleteQueueReply);
tell!(PurgeQueueRequest, queues.purge_queue, PurgeQueueReply);
tell!(ConfirmHalfRequest, queues.confirm_half, ConfirmHalfReply);
tell!(RewindRequest, history.rewind, RewindReply);
tell!(StartRedriveRequest, history.start_redrive, StartRedriveReply);
tell!(StopRedriveRequest, history.stop_redrive, StopRedriveReply);
tell!(MoveQueueRequest, moves.move_queue, MoveQueueReply);
tell!(CancelMoveRequest, moves.cancel_move, CancelMoveReply);

tell!(CreateTopicRequest, topics.create_topic, CreateTopicReply);
tell!(SetTopicAttributesRequest, topics.set_topic_attributes, SetTopicAttributesReply);
tell!(DeleteTopicRequest, topics.delete_topic, DeleteTopicReply);
tell!(SubscribeRequest, topics.subscribe, SubscribeReply);
tell!(SetSubscriptionRequest, topics.set_subscription, SetSubscriptionReply);
tell!(UnsubscribeRequest, topics.unsubscribe, UnsubscribeReply);
tell!(PublishRequest, topics.publish, PublishReply);

fast!(SendRequest, Send, SendReply);
fast!(AckRequest, Ack, AckReply);
fast!(ExtendRequest, Extend, ExtendReply);
fast!(ReleaseRequest, Release, ReleaseReply);

macro_rules! poll {
    ($request:ident, $method:ident, $reply:ident, $wait:expr) => {
        impl Verb for $request {
            type Reply = $reply;
            const LANE: Option<Lane> = Some(Lane::Poll);

            fn identify(&mut self, request: RequestId) {
                self.request = Some(request);
            }

            fn shorten(&mut self, left: Duration) {
                let shorten: fn(&mut Self, u32) = $wait;
                shorten(self, u32::try_from(left.as_millis()).unwrap_or(u32::MAX));
            }

            async fn attempt(&self, node: &Node, until: Instant) -> Result<$reply, Status> {
                until_answer(node.queues().$method(until_request(self.clone(), until)), until).await
            }
        }
    };
}

poll!(ReceiveRequest, receive, ReceiveReply, |call, left| call.wait_ms = Some(left));
poll!(QueryHalfRequest, query_half, QueryHalfReply, |call, left| call.wait_ms = left);
