//! The client: messages are sent, received, acknowledged, prolonged, given back and looked at.
//!
//! Must never: decide anything; a [`Journey`] does. Here arguments become requests.

use std::sync::Arc;
use std::time::Duration;

use proto::limits::WAIT_MS_MAX;
use proto::outcome::NO_RIGHT;
use proto::queue::v1::{
    AckRequest, ExtendRequest, ListQueuesRequest, Message, MessageState, NewMessage, PeekReply, PeekRequest,
    ReceiptResult, ReceiveRequest, ReleaseRequest, RequestId, SendReply, SendRequest,
};
use proto::traces;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::config::ClientConfig;
use crate::error::Error;
use crate::journey::{Home, Journey, Terms};
use crate::limits::RECEIVE_MESSAGES_MAX;
use crate::road::Road;
use crate::verb::Verb;

/// A client of one cluster. Clones share connections and sessions.
///
/// Every call ends with the answer, or after the call's timeout with an [`Error`]; until then it follows leaders and is
/// repeated as often as needed. A call that is dropped before its end may or may not have happened.
#[derive(Clone, Debug)]
pub struct Client {
    road: Arc<Road>,
    timeout: Duration,
    repeats: Option<RequestId>,
}

/// How to receive.
#[derive(Clone, Debug)]
pub struct Receive {
    /// Most messages to take, 1 to 128.
    pub messages_max: usize,
    /// How long to wait for the first one, at most 30 seconds.
    pub wait: Duration,
    /// Length of the leases; `None`: the queue's.
    pub lease: Option<Duration>,
    /// Once true (or its sender gone), the wait ends at once, with what there is. No message stays leased unseen.
    pub hurry: Option<watch::Receiver<bool>>,
}

impl Default for Receive {
    fn default() -> Self {
        Self { messages_max: RECEIVE_MESSAGES_MAX, wait: Duration::ZERO, lease: None, hurry: None }
    }
}

/// How to give messages back.
#[derive(Clone, Copy, Debug, Default)]
pub struct Release {
    /// They can be received again after this.
    pub delay: Duration,
    /// Whether the attempt counts as a failure.
    pub failed: bool,
}

impl Client {
    /// A client that connects when it is first used. Errors: `NotApplied`, an address is none, or there is none.
    pub fn new(config: ClientConfig) -> Result<Self, Error> {
        let timeout = config.call_timeout;
        Ok(Self { road: Arc::new(Road::new(config)?), timeout, repeats: None })
    }

    /// A client of a cluster that answers. Errors: `NotApplied`, no node answered within the call timeout; `Refused`, the
    /// credentials are not good there.
    pub async fn connect(config: ClientConfig) -> Result<Self, Error> {
        let client = Self::new(config)?;
        match client.run(ListQueuesRequest { limit: 1, ..ListQueuesRequest::default() }, Home::Anywhere).await {
            // Whoever may not list was known and answered all the same.
            Ok(_) | Err(Error::Refused { number: NO_RIGHT, .. }) => Ok(client),
            Err(error) => Err(error),
        }
    }

    /// The same client with another call timeout.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self { timeout, ..self.clone() }
    }

    /// The same client, whose calls repeat a former one that ended as `Unknown`: make the same call with it, with equal
    /// arguments. It is not done twice; if it was done, the former answer comes back.
    #[must_use]
    pub fn repeating(&self, request: RequestId) -> Self {
        Self { repeats: Some(request), ..self.clone() }
    }

    /// Sends messages, all or none. The answer means: fsynced on a majority.
    ///
    /// Shape: 1 to 128 messages; their ids come back in order. Messages that are sent within a trace carry it on, in a header.
    pub async fn send(&self, queue: &str, mut messages: Vec<NewMessage>) -> Result<SendReply, Error> {
        let mut span = traces::child("send", traces::Kind::Producer);
        span.text("messaging.destination.name", queue);
        let sent = async {
            messages.iter_mut().for_each(|message| traces::mark(&mut message.headers));
            let verb = SendRequest { request: None, queue: queue.to_owned(), messages };
            self.run(verb, Home::Queue(queue)).await
        };
        span.around(sent).await
    }

    /// Takes leases on messages; none if the wait ended. The call timeout counts from the end of the wait.
    pub async fn receive(&self, queue: &str, receive: Receive) -> Result<Vec<Message>, Error> {
        let wait = receive.wait.min(Duration::from_millis(u64::from(WAIT_MS_MAX)));
        let verb = ReceiveRequest {
            request: None,
            queue: queue.to_owned(),
            messages_max: u32::try_from(receive.messages_max).unwrap_or(u32::MAX),
            wait_ms: Some(millis(wait).try_into().unwrap_or(WAIT_MS_MAX)),
            lease_ms: receive.lease.map(millis),
        };
        let terms = Terms { hurry: receive.hurry, ..self.terms(Instant::now() + wait) };
        let reply = Journey::new(&self.road, verb, Home::Queue(queue), terms).run().await?;
        Ok(reply.messages)
    }

    /// Ends leases for good. One result per receipt, in order: a stale one is refused, the others are done.
    pub async fn ack(&self, queue: &str, receipts: &[u64]) -> Result<Vec<ReceiptResult>, Error> {
        let verb = AckRequest { request: None, queue: queue.to_owned(), receipts: receipts.to_vec() };
        Ok(self.run(verb, Home::Queue(queue)).await?.results)
    }

    /// Prolongs leases; they end `lease` after now. One result per receipt, in order.
    pub async fn extend(&self, queue: &str, receipts: &[u64], lease: Duration) -> Result<Vec<ReceiptResult>, Error> {
        let lease_ms = millis(lease);
        let verb = ExtendRequest { request: None, queue: queue.to_owned(), receipts: receipts.to_vec(), lease_ms };
        Ok(self.run(verb, Home::Queue(queue)).await?.results)
    }

    /// Gives messages back before their leases end. One result per receipt, in order.
    pub async fn release(&self, queue: &str, receipts: &[u64], how: Release) -> Result<Vec<ReceiptResult>, Error> {
        let verb = ReleaseRequest {
            request: None,
            queue: queue.to_owned(),
            receipts: receipts.to_vec(),
            delay_ms: millis(how.delay),
            failed: how.failed,
        };
        Ok(self.run(verb, Home::Queue(queue)).await?.results)
    }

    /// Shows messages without taking them. `after`: the cursor of the page before, empty for the first page.
    pub async fn peek(&self, queue: &str, state: MessageState, after: &[u8], limit: u32) -> Result<PeekReply, Error> {
        let after = bytes::Bytes::copy_from_slice(after);
        let verb = PeekRequest { queue: queue.to_owned(), state: state.into(), after, limit };
        self.run(verb, Home::Queue(queue)).await
    }

    pub(crate) fn road(&self) -> &Road {
        &self.road
    }

    /// The terms of a call that waits; the call timeout counts from the end of the wait.
    pub(crate) fn terms(&self, wait_until: Instant) -> Terms {
        Terms { deadline: wait_until + self.timeout, wait_until, hurry: None, repeats: self.repeats }
    }

    pub(crate) async fn run<V: Verb>(&self, verb: V, home: Home<'_>) -> Result<V::Reply, Error> {
        let mut terms = Terms::until(Instant::now() + self.timeout);
        terms.repeats = self.repeats;
        Journey::new(&self.road, verb, home, terms).run().await
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
