//! The verbs of the contract, each with its lane and its way to the node.
//!
//! ```text
//!  read   no id       a call of its own
//!  tell   Shared      a call of its own        create, delete, purge, attributes
//!  fast   Shared      on the link              send, ack, extend, release
//!         Poll        a call of its own        receive: a caller that leaves must end the wait at the node
//! ```
//!
//! Must never: change what a request says between two attempts, except how long it waits.

use std::time::Duration;

use proto::outcome::{self, Hint};
use proto::queue::v1::exchange_reply::Outcome as Reply;
use proto::queue::v1::exchange_request::Call;
use proto::queue::v1::{
    AckReply, AckRequest, CreateQueueReply, CreateQueueRequest, DeleteQueueReply, DeleteQueueRequest, ExtendReply,
    ExtendRequest, GetQueueReply, GetQueueRequest, ListQueuesReply, ListQueuesRequest, LocateReply, LocateRequest,
    OpenSessionReply, OpenSessionRequest, PeekReply, PeekRequest, PurgeQueueReply, PurgeQueueRequest, ReceiveReply,
    ReceiveRequest, ReleaseReply, ReleaseRequest, RequestId, SendReply, SendRequest, SetQueueAttributesReply,
    SetQueueAttributesRequest,
};
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
    ($request:ident, $method:ident, $reply:ident) => {
        impl Verb for $request {
            type Reply = $reply;
            const LANE: Option<Lane> = None;

            fn identify(&mut self, _: RequestId) {}

            async fn attempt(&self, node: &Node, until: Instant) -> Result<$reply, Status> {
                until_answer(node.client().$method(until_request(self.clone(), until)), until).await
            }
        }
    };
}

macro_rules! tell {
    ($request:ident, $method:ident, $reply:ident) => {
        impl Verb for $request {
            type Reply = $reply;
            const LANE: Option<Lane> = Some(Lane::Shared);

            fn identify(&mut self, request: RequestId) {
                self.request = Some(request);
            }

            async fn attempt(&self, node: &Node, until: Instant) -> Result<$reply, Status> {
                until_answer(node.client().$method(until_request(self.clone(), until)), until).await
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

read!(OpenSessionRequest, open_session, OpenSessionReply);
read!(LocateRequest, locate, LocateReply);
read!(ListQueuesRequest, list_queues, ListQueuesReply);
read!(GetQueueRequest, get_queue, GetQueueReply);
read!(PeekRequest, peek, PeekReply);

tell!(CreateQueueRequest, create_queue, CreateQueueReply);
tell!(SetQueueAttributesRequest, set_queue_attributes, SetQueueAttributesReply);
tell!(DeleteQueueRequest, delete_queue, DeleteQueueReply);
tell!(PurgeQueueRequest, purge_queue, PurgeQueueReply);

fast!(SendRequest, Send, SendReply);
fast!(AckRequest, Ack, AckReply);
fast!(ExtendRequest, Extend, ExtendReply);
fast!(ReleaseRequest, Release, ReleaseReply);

impl Verb for ReceiveRequest {
    type Reply = ReceiveReply;
    const LANE: Option<Lane> = Some(Lane::Poll);

    fn identify(&mut self, request: RequestId) {
        self.request = Some(request);
    }

    fn shorten(&mut self, left: Duration) {
        self.wait_ms = Some(u32::try_from(left.as_millis()).unwrap_or(u32::MAX));
    }

    async fn attempt(&self, node: &Node, until: Instant) -> Result<ReceiveReply, Status> {
        until_answer(node.client().receive(until_request(self.clone(), until)), until).await
    }
}
