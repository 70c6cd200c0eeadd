//! The producer: many senders, few Sends.
//!
//! ```text
//!  submit ──> waiting ──take all that waits──> Send ──┐ at most `sends_max`
//!  submit ──> waiting                          Send ──┤ under way
//!  submit ──> waiting                          Send ──┴──> tickets
//! ```
//!
//! Why no timer: a batch is whatever arrived while the batches before it were under way. An idle queue gets each message
//! at once, a busy one gets large batches.
//!
//! Must never: hold more than its bounds; `submit` waits instead.

use std::sync::Arc;

use proto::queue::v1::{Durability, NewMessage, RequestId, SendReply};
use proto::traces;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::client::Client;
use crate::error::Error;
use crate::limits::{PRODUCER_BYTES_MAX, PRODUCER_MESSAGES_MAX, SEND_BYTES_SOFT, SEND_MESSAGES_MAX};

/// Settings of a [`Producer`].
#[derive(Clone, Copy, Debug)]
pub struct ProducerConfig {
    /// Sends under way at a time. More hide the way to the leader, fewer make larger batches; 1 keeps the order in which
    /// messages were submitted.
    pub sends_max: usize,
}

impl Default for ProducerConfig {
    fn default() -> Self {
        Self { sends_max: 4 }
    }
}

/// A message that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Its id.
    pub id: u64,
    /// Where, and in how many copies.
    pub durability: Durability,
}

/// A submitted message, on its way.
#[derive(Debug)]
pub struct Ticket(oneshot::Receiver<Result<Sent, Error>>);

impl Ticket {
    /// Waits until the message is kept. Errors: as for [`Client::send`]; an `Unknown` names the Send of the whole batch.
    pub async fn sent(self) -> Result<Sent, Error> {
        self.0.await.unwrap_or_else(|_| Err(unanswered()))
    }
}

struct Waiting {
    message: NewMessage,
    ticket: oneshot::Sender<Result<Sent, Error>>,
    /// Room for the body, given back with the answer.
    room: OwnedSemaphorePermit,
}

/// Sends to one queue. Clones share the batches. When the last one is dropped, what was submitted is still sent.
#[derive(Clone, Debug)]
pub struct Producer {
    queue: Arc<str>,
    waiting: mpsc::Sender<Waiting>,
    room: Arc<Semaphore>,
}

impl Producer {
    /// Starts a producer for `queue`.
    #[must_use]
    pub fn new(client: &Client, queue: &str, config: ProducerConfig) -> Self {
        let (waiting, messages) = mpsc::channel(PRODUCER_MESSAGES_MAX);
        let sends = Arc::new(Semaphore::new(config.sends_max.max(1)));
        let queue: Arc<str> = Arc::from(queue);
        tokio::spawn(batch(Outlet { client: client.clone(), queue: Arc::clone(&queue) }, messages, sends));
        Self { queue, waiting, room: Arc::new(Semaphore::new(PRODUCER_BYTES_MAX as usize)) }
    }

    /// Sends a message and waits until it is kept. Errors: as for [`Client::send`].
    pub async fn send(&self, message: NewMessage) -> Result<Sent, Error> {
        let mut span = traces::child("send", traces::Kind::Producer);
        span.text("messaging.destination.name", &self.queue);
        span.around(async { self.submit(message).await?.sent().await }).await
    }

    /// Puts a message on its way; waits only while the producer is full. Errors: `NotApplied`, the producer has ended.
    pub async fn submit(&self, mut message: NewMessage) -> Result<Ticket, Error> {
        traces::mark(&mut message.headers);
        // A body larger than all the room is refused by the queue, not here.
        let bytes = u32::try_from(message.body.len()).unwrap_or(u32::MAX).min(PRODUCER_BYTES_MAX);
        let room = Arc::clone(&self.room).acquire_many_owned(bytes).await.map_err(|_| ended())?;
        let (ticket, answer) = oneshot::channel();
        self.waiting.send(Waiting { message, ticket, room }).await.map_err(|_| ended())?;
        Ok(Ticket(answer))
    }
}

fn ended() -> Error {
    Error::NotApplied { reason: "the producer has ended".to_owned() }
}

/// What nobody answered may have been sent, under an id that nobody kept.
fn unanswered() -> Error {
    Error::Unknown { request: RequestId::default(), reason: "the producer ended before the answer".to_owned() }
}

/// Makes batches until the last producer is gone and nothing waits.
async fn batch(outlet: Outlet, mut messages: mpsc::Receiver<Waiting>, sends: Arc<Semaphore>) {
    let mut left_over = None;
    loop {
        let first = match left_over.take() {
            Some(first) => first,
            None => match messages.recv().await {
                Some(first) => first,
                None => return,
            },
        };
        // The place first, the batch second: what arrives while all places are taken joins it.
        let Ok(place) = Arc::clone(&sends).acquire_owned().await else { return };
        let mut bytes = first.message.body.len();
        let mut taken = vec![first];
        while taken.len() < SEND_MESSAGES_MAX {
            let Ok(next) = messages.try_recv() else { break };
            bytes += next.message.body.len();
            if bytes > SEND_BYTES_SOFT {
                left_over = Some(next);
                break;
            }
            taken.push(next);
        }
        let outlet = outlet.clone();
        tokio::spawn(async move {
            outlet.send(taken).await;
            drop(place);
        });
    }
}

/// Where batches go.
#[derive(Clone)]
struct Outlet {
    client: Client,
    queue: Arc<str>,
}

impl Outlet {
    async fn send(&self, batch: Vec<Waiting>) {
        let messages = batch.iter().map(|waiting| waiting.message.clone()).collect();
        match self.client.send(&self.queue, messages).await {
            // One bad message makes the queue refuse its whole batch: each is asked for on its own.
            Err(Error::Refused { .. }) if batch.len() > 1 => {
                for waiting in batch {
                    let result = self.client.send(&self.queue, vec![waiting.message.clone()]).await;
                    answer(vec![waiting], &result);
                }
            }
            result => answer(batch, &result),
        }
    }
}

/// Hands each sender its part of the answer.
fn answer(batch: Vec<Waiting>, result: &Result<SendReply, Error>) {
    let durability = result.as_ref().ok().and_then(|reply| reply.durability).unwrap_or_default();
    for (place, waiting) in batch.into_iter().enumerate() {
        let sent = match result {
            Ok(reply) => reply.ids.get(place).map(|id| Sent { id: *id, durability }).ok_or_else(unanswered),
            Err(error) => Err(error.clone()),
        };
        // Room is free before the sender knows; a sender that has gone does not care.
        drop(waiting.room);
        let _ = waiting.ticket.send(sent);
    }
}
