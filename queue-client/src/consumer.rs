//! The consumer: receives as many messages as it can work on, keeps their leases alive, acknowledges or gives back.
//!
//! ```text
//!  free places ──> Receive (long poll) ──> one task a message: your code ── Ok ───> Ack
//!                                              │ lease / 2                 Err ──> Release (failed, delayed)
//!                                              └──> Extend ── refused ──> the lease is lost
//! ```
//!
//! Must never: take more messages than have a place to be worked on, since their leases run while they wait; stop
//! without saying so.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use proto::queue::v1::{Message, ReceiptResult};
use proto::traces::{self, Given, Span};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::backoff::Backoff;
use crate::client::{Client, Receive, Release};
use crate::error::Error;
use crate::limits::{BACKOFF_CAP, BACKOFF_FIRST, RECEIVE_MESSAGES_MAX};

/// Settings of a [`Consumer`].
#[derive(Clone, Copy, Debug)]
pub struct ConsumerConfig {
    /// Length of a lease. It is extended at half of it for as long as a message is worked on.
    pub lease: Duration,
    /// How long one Receive waits for messages, at most 30 seconds.
    pub wait: Duration,
    /// Pause of a message that failed once; doubled with every further failure.
    pub retry_first: Duration,
    /// Longest such pause.
    pub retry_cap: Duration,
}

impl Default for ConsumerConfig {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(30),
            wait: Duration::from_secs(20),
            retry_first: Duration::from_secs(1),
            retry_cap: Duration::from_secs(300),
        }
    }
}

/// A message and the lease it is held under.
#[derive(Debug)]
pub struct Delivery {
    /// The message. Its receipt fences: a store that keeps the highest one it saw can turn away a holder of a lost lease.
    pub message: Message,
    /// The lease.
    pub lease: Lease,
}

/// A lease as long as the consumer keeps it alive.
#[derive(Clone, Debug)]
pub struct Lease(watch::Receiver<bool>);

impl Lease {
    /// Whether the queue has said that the lease is over: another consumer may have the message.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until the lease is lost; for ever if the work ends first.
    pub async fn lost(&mut self) {
        if self.0.wait_for(|lost| *lost).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Consumes one queue.
#[derive(Clone, Debug)]
pub struct Consumer {
    client: Client,
    queue: Arc<str>,
    config: ConsumerConfig,
}

impl Consumer {
    /// A consumer of `queue`; [`Consumer::run`] starts it.
    #[must_use]
    pub fn new(client: &Client, queue: &str, config: ConsumerConfig) -> Self {
        Self { client: client.clone(), queue: Arc::from(queue), config }
    }

    /// Works on messages, `concurrency` at a time, until `stop` is true or its sender is gone. Then no message is taken
    /// any more, those under way are finished, and it returns. While no node answers it pauses, longer and longer.
    ///
    /// A handler that fails or panics gives its message back as failed.
    ///
    /// Errors: `Refused`, the queue cannot be received from (it may not exist).
    pub async fn run<H, W, E>(&self, handler: H, concurrency: usize, stop: watch::Receiver<bool>) -> Result<(), Error>
    where
        H: Fn(Delivery) -> W + Send + Sync + 'static,
        W: Future<Output = Result<(), E>> + Send + 'static,
        E: Display + Send + 'static,
    {
        let handler = Arc::new(handler);
        let places = Arc::new(Semaphore::new(concurrency.clamp(1, Semaphore::MAX_PERMITS)));
        let mut work = JoinSet::new();
        let mut backoff = Backoff::new(BACKOFF_FIRST, BACKOFF_CAP);
        let end = loop {
            let Some(mut free) = self.free_places(&places, stop.clone()).await else { break Ok(()) };
            match self.poll(free.len(), stop.clone()).await {
                Ok(messages) if has_ended(&stop) => {
                    self.give_back(&messages).await;
                    break Ok(());
                }
                Ok(messages) => {
                    backoff.reset();
                    for (message, place) in messages.into_iter().zip(free.drain(..)) {
                        let (consumer, handler) = (self.clone(), Arc::clone(&handler));
                        work.spawn(async move {
                            consumer.work_on(message, handler).await;
                            drop(place);
                        });
                    }
                }
                Err(error @ Error::Refused { .. }) => break Err(error),
                Err(error) => {
                    let pause = backoff.pause(rand::random());
                    tracing::warn!(queue = %self.queue, %error, ?pause, "no messages could be received");
                    sleep_or_stop(pause, stop.clone()).await;
                }
            }
            while work.try_join_next().is_some() {}
        };
        while work.join_next().await.is_some() {}
        end
    }

    /// One free place at least, and as many more as there are; `None` once stopped.
    async fn free_places(
        &self,
        places: &Arc<Semaphore>,
        mut stop: watch::Receiver<bool>,
    ) -> Option<Vec<OwnedSemaphorePermit>> {
        let first = tokio::select! {
            biased;
            _ = stop.wait_for(|stopped| *stopped) => return None,
            place = Arc::clone(places).acquire_owned() => place.ok()?,
        };
        let mut free = vec![first];
        while free.len() < RECEIVE_MESSAGES_MAX
            && let Ok(place) = Arc::clone(places).try_acquire_owned()
        {
            free.push(place);
        }
        Some(free)
    }

    async fn poll(&self, messages_max: usize, stop: watch::Receiver<bool>) -> Result<Vec<Message>, Error> {
        let (wait, lease) = (self.config.wait, Some(self.config.lease));
        self.client.receive(&self.queue, Receive { messages_max, wait, lease, hurry: Some(stop) }).await
    }

    /// Messages that came while stopping: somebody else shall have them, and nobody failed.
    async fn give_back(&self, messages: &[Message]) {
        let receipts: Vec<u64> = messages.iter().map(|message| message.receipt).collect();
        if receipts.is_empty() {
            return;
        }
        if let Err(error) = self.client.release(&self.queue, &receipts, Release::default()).await {
            tracing::warn!(queue = %self.queue, %error, "messages come back when their leases end");
        }
    }

    async fn work_on<H, W, E>(&self, message: Message, handler: Arc<H>)
    where
        H: Fn(Delivery) -> W + Send + Sync + 'static,
        W: Future<Output = Result<(), E>> + Send + 'static,
        E: Display + Send + 'static,
    {
        let (id, receipt, times_failed) = (message.id, message.receipt, message.times_failed);
        let mut span = self.span(&message);
        let trace = span.context();
        let (lost, lease) = watch::channel(false);
        let mut work = JoinSet::new();
        // A task of its own, so that a panic ends the work on this message and nothing else.
        work.spawn(traces::under(trace, async move { handler(Delivery { message, lease: Lease(lease) }).await }));
        let result = tokio::select! {
            result = work.join_next() => result,
            () = self.keep_alive(receipt, &lost) => work.join_next().await,
        };
        if *lost.borrow() {
            tracing::warn!(queue = %self.queue, id, receipt, "the lease was lost before the work was done");
            return;
        }
        let failure = match result {
            Some(Ok(Ok(()))) => None,
            Some(Ok(Err(error))) => Some(error.to_string()),
            Some(Err(error)) => Some(error.to_string()),
            None => Some("the work vanished".to_owned()),
        };
        if failure.is_some() {
            span.fail();
        }
        let answer = match &failure {
            None => traces::under(trace, self.client.ack(&self.queue, &[receipt])).await,
            Some(reason) => {
                tracing::warn!(queue = %self.queue, id, receipt, reason, "the work on a message failed");
                let how = Release { delay: self.retry_pause(times_failed), failed: true };
                traces::under(trace, self.client.release(&self.queue, &[receipt], how)).await
            }
        };
        match answer.as_deref().map(refusal) {
            Ok(None) => {}
            Ok(Some(text)) => tracing::warn!(queue = %self.queue, id, receipt, text, "the lease was over already"),
            Err(error) => tracing::warn!(queue = %self.queue, id, receipt, %error, "the message may come back"),
        }
    }

    /// The work on a message goes on in the trace that its sender was in.
    fn span(&self, message: &Message) -> Span {
        let line = message.headers.get(traces::TRACEPARENT);
        let given = line.map_or(Given::Nothing, |line| Given::read(line));
        let mut span = traces::follow(given, "process", traces::Kind::Consumer);
        span.text("messaging.destination.name", &self.queue);
        span.number("messaging.message.id", message.id);
        span.number("tercet.times_received", u64::from(message.times_received));
        span
    }

    fn retry_pause(&self, times_failed: u32) -> Duration {
        Backoff::new(self.config.retry_first, self.config.retry_cap).after(times_failed).pause(rand::random())
    }

    /// Extends the lease at half of it, for as long as it is polled. Returns when the lease is lost.
    async fn keep_alive(&self, receipt: u64, lost: &watch::Sender<bool>) {
        let half = (self.config.lease / 2).max(Duration::from_millis(1));
        // An extension that is not answered in time gives way to the next one.
        let client = self.client.with_timeout(half);
        let mut ticks = interval_at(Instant::now() + half, half);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match client.extend(&self.queue, &[receipt], self.config.lease).await.as_deref().map(refusal) {
                Ok(None) => {}
                Ok(Some(_)) | Err(Error::Refused { .. }) => {
                    lost.send_replace(true);
                    return;
                }
                Err(error) => tracing::warn!(queue = %self.queue, receipt, %error, "a lease could not be extended"),
            }
        }
    }
}

/// The refusal of the only receipt of a call.
fn refusal(results: &[ReceiptResult]) -> Option<&str> {
    results.first().filter(|result| result.refusal != 0).map(|result| result.text.as_str())
}

fn has_ended(stop: &watch::Receiver<bool>) -> bool {
    *stop.borrow() || stop.has_changed().is_err()
}

async fn sleep_or_stop(pause: Duration, mut stop: watch::Receiver<bool>) {
    tokio::select! {
        () = tokio::time::sleep(pause) => {}
        _ = stop.wait_for(|stopped| *stopped) => {}
    }
}
