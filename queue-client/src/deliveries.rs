//! Deliveries: messages that come on one stream, as many as the consumer has granted credits for.
//!
//! Why beside receive: a consumer that always wants more saves a call a batch, and the server never has to guess how much
//! it can take.
//!
//! Must never: outlive the lead of the node it was opened at. It ends with an error then, and is opened anew.

use std::time::Duration;

use proto::outcome::{self, Hint, MOVED, Outcome, outcome_of};
use proto::queue::v1::{ConsumeReply, ConsumeRequest, Message, RequestId};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use crate::client::Client;
use crate::error::Error;
use crate::journey::Home;
use crate::node::{Node, until_answer};
use crate::session::Lane;
use crate::verb::Verb;

/// Grants that wait for the stream.
const GRANTS_WAITING_MAX: usize = 16;

/// An open stream of messages under leases. They are acknowledged as received ones are. Dropped, it ends; what was on its
/// way comes again when its lease has run out, or at once if the server still had it.
#[derive(Debug)]
pub struct Deliveries {
    grants: mpsc::Sender<ConsumeRequest>,
    replies: Streaming<ConsumeReply>,
}

impl Deliveries {
    /// The next messages. `None`: the server has ended the stream.
    ///
    /// Errors: `NotApplied`, the stream broke or its node lost the lead; `Refused`, more credits were granted than a stream
    /// may have. Open it anew.
    pub async fn next(&mut self) -> Result<Option<Vec<Message>>, Error> {
        match self.replies.message().await {
            Ok(reply) => Ok(reply.map(|reply| reply.messages)),
            Err(status) => Err(match outcome_of(&status) {
                Outcome::Refused { number } if number != MOVED => {
                    Error::Refused { number, text: status.message().to_owned() }
                }
                // Whatever is under a lease comes again: nothing that a caller asked for is in doubt.
                Outcome::Refused { .. } | Outcome::NotApplied(_) | Outcome::Unknown(_) => {
                    Error::NotApplied { reason: status.message().to_owned() }
                }
            }),
        }
    }

    /// Grants `credits` more messages. Errors: `NotApplied`, the stream has ended.
    pub async fn grant(&self, credits: u32) -> Result<(), Error> {
        let more = ConsumeRequest { credits, ..ConsumeRequest::default() };
        let ended = |_| Error::NotApplied { reason: "the stream has ended".to_owned() };
        self.grants.send(more).await.map_err(ended)
    }
}

impl Client {
    /// Opens a stream of messages from a queue, with `credits` for the first ones; `lease`: `None` = the queue's.
    pub async fn consume(&self, queue: &str, credits: u32, lease: Option<Duration>) -> Result<Deliveries, Error> {
        let lease_ms = lease.map(|lease| u64::try_from(lease.as_millis()).unwrap_or(u64::MAX));
        let open = Open(ConsumeRequest { queue: queue.to_owned(), credits, lease_ms });
        self.run(open, Home::Queue(queue)).await
    }
}

/// The opening of a stream: it can be tried at any node, for it takes nothing.
#[derive(Clone, Debug)]
struct Open(ConsumeRequest);

impl Verb for Open {
    type Reply = Deliveries;
    const LANE: Option<Lane> = None;

    fn identify(&mut self, _: RequestId) {}

    async fn attempt(&self, node: &Node, until: Instant) -> Result<Deliveries, Status> {
        let (grants, requests) = mpsc::channel(GRANTS_WAITING_MAX);
        let gone = |_| outcome::not_applied("the stream ended before it began", Hint::default());
        grants.try_send(self.0.clone()).map_err(gone)?;
        // No deadline travels along: the stream lives for as long as it is read.
        let mut queues = node.queues();
        let replies = until_answer(queues.consume(ReceiverStream::new(requests)), until).await?;
        Ok(Deliveries { grants, replies })
    }
}
