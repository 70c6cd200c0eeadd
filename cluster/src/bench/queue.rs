//! Load on the queue: send, drain, and both at the same time up to the confirmed acknowledgement.
//!
//! Must never: call a message done before its acknowledgement is confirmed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::future::join_all;
use proto::limits::MESSAGES_PER_CALL_MAX;
use queue_client::{Client, Message, NewMessage, Producer, ProducerConfig, QueueAttributes, Receive};
use tokio::sync::{Semaphore, watch as channel};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::load::{Pace, drive, watch};
use super::meter::{Meter, Phase};
use super::usage::Books;
use super::{Plan, QueuePlan};
use crate::error::Error;
use crate::file::{ClusterFile, Kind, NodeEntry};
use crate::limits::{
    CACHE_FILL_BODY_BYTES_MIN, CACHE_FILL_BYTES, CALL_MAX, DRAIN_MAX, FILL_CALLS, FILL_MAX, POLL_PAUSE,
};
use crate::link;

/// The longest delay of the messages of `--delayed`: a year.
const DELAY_MAX: Duration = Duration::from_secs(365 * 24 * 3600);
/// How long a consumer waits for messages; the answer comes with the first one.
const RECEIVE_WAIT: Duration = Duration::from_secs(1);
/// Bytes of the bodies of one call that fills a queue.
const FILL_BYTES_MAX: usize = 1024 * 1024;

/// Runs the phases on a queue of its own, which is deleted in the end. Errors: no queue could be made.
pub(crate) async fn run(cluster: &ClusterFile, queue_plan: &QueuePlan) -> Result<Vec<Phase>, Error> {
    let plan = &queue_plan.plan;
    if plan.batch() > MESSAGES_PER_CALL_MAX {
        return Err(Error::Impossible(format!("a batch has at most {MESSAGES_PER_CALL_MAX} messages")));
    }
    let addresses = cluster.addresses(Kind::Queue);
    let connect = || Client::new(link::client_config(addresses.iter().cloned())).map_err(Error::call("queue"));
    let clients = (0..plan.producers.max(plan.consumers())).map(|_| connect()).collect::<Result<Vec<_>, _>>()?;
    let queue = format!("bench-{:08x}", rand::random::<u32>());
    let Some(first) = clients.first() else { return Ok(Vec::new()) };
    first.create_queue(&queue, QueueAttributes::default()).await.map_err(Error::call("create queue"))?;
    let load = Load { queue: Arc::from(queue.as_str()), clients: &clients, plan, nodes: cluster.of(Kind::Queue) };
    let phases = load.phases(queue_plan).await;
    first.delete_queue(&queue).await.map_err(Error::call("delete queue"))?;
    phases
}

struct Load<'a> {
    queue: Arc<str>,
    clients: &'a [Client],
    plan: &'a Plan,
    nodes: &'a [NodeEntry],
}

impl Load<'_> {
    async fn phases(&self, asked: &QueuePlan) -> Result<Vec<Phase>, Error> {
        self.warm_up().await?;
        if asked.delayed > 0 || asked.backlog > 0 {
            let mut phases = self.fill_caches().await?;
            if asked.delayed > 0 {
                phases.push(self.with_usage(self.fill("delay", asked.delayed, DELAY_MAX)).await?);
            } else {
                phases.push(self.with_usage(self.fill("fill", asked.backlog, Duration::ZERO)).await?);
                phases.push(self.with_usage(self.send()).await?);
                phases.push(self.with_usage(self.drain()).await?);
            }
            return Ok(phases);
        }
        let sent = self.with_usage(self.send()).await?;
        Ok(vec![sent, self.with_usage(self.drain()).await?, self.with_usage(self.end_to_end()).await?])
    }

    /// A phase, and what it cost the servers.
    async fn with_usage(&self, phase: impl Future<Output = Result<Phase, Error>>) -> Result<Phase, Error> {
        let before = Books::of(self.nodes);
        let phase = phase.await?;
        let usage = before.and_then(|before| Books::of(self.nodes)?.since(before));
        Ok(Phase { usage, ..phase })
    }

    /// Lets messages go through the queue until the caches of the nodes are full: what a backlog takes beyond them is then
    /// the memory after its phase less the memory before it.
    async fn fill_caches(&self) -> Result<Vec<Phase>, Error> {
        let count = CACHE_FILL_BYTES / self.plan.size.max(CACHE_FILL_BODY_BYTES_MIN);
        let filled = self.with_usage(self.fill("caches", count, Duration::ZERO)).await?;
        Ok(vec![filled, self.with_usage(self.drain()).await?])
    }

    /// Puts `count` messages into the queue, in full batches, each with a random delay of at most so long.
    async fn fill(&self, name: &'static str, count: u64, delay_max: Duration) -> Result<Phase, Error> {
        let meter = Meter::start(name)?;
        let (until, left) = (Instant::now() + FILL_MAX, AtomicU64::new(count));
        let batch = (FILL_BYTES_MAX / self.plan.size()).clamp(1, MESSAGES_PER_CALL_MAX);
        let fillers = self.producers().cycle().take(FILL_CALLS).map(|client| async {
            let take = |left: u64| Some(left.saturating_sub(u64::try_from(batch).unwrap_or(u64::MAX)));
            while Instant::now() < until {
                let before = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).unwrap_or_default();
                let size = usize::try_from(before).unwrap_or(batch).min(batch);
                if size == 0 {
                    break;
                }
                let (begun, messages) = (Instant::now(), delayed(self.plan.size(), size, delay_max));
                match client.send(&self.queue, messages).await {
                    Ok(sent) => meter.done(begun.elapsed(), u64::try_from(sent.ids.len()).unwrap_or(u64::MAX)),
                    Err(error) => meter.failed(error.to_string()),
                }
            }
        });
        watch(&meter, FILL_MAX, join_all(fillers)).await;
        Ok(meter.phase())
    }

    /// Connections and sessions are made before anything is measured.
    async fn warm_up(&self) -> Result<(), Error> {
        let warmed = join_all(self.clients.iter().map(|client| async {
            client.send(&self.queue, vec![message(8, 0)]).await.map_err(Error::call("send"))?;
            let taken = client.receive(&self.queue, Receive::default()).await.map_err(Error::call("receive"))?;
            acknowledge(client, &self.queue, &taken).await
        }))
        .await;
        warmed.into_iter().collect()
    }

    fn producers(&self) -> impl Iterator<Item = &Client> + Clone {
        self.clients.iter().take(usize::try_from(self.plan.producers).unwrap_or(usize::MAX))
    }

    fn consumers(&self) -> impl Iterator<Item = &Client> {
        self.clients.iter().take(usize::try_from(self.plan.consumers()).unwrap_or(usize::MAX))
    }

    async fn send(&self) -> Result<Phase, Error> {
        let meter = Arc::new(Meter::start("send")?);
        let pace = Pace::of(self.plan);
        let producers = self.producers().map(|client| {
            let (outlet, meter) = (Outlet::new(client, &self.queue, self.plan), Arc::clone(&meter));
            drive(pace, move |intended| {
                let (outlet, meter) = (outlet.clone(), Arc::clone(&meter));
                async move {
                    match outlet.send(0).await {
                        Ok(count) => meter.done(intended.elapsed(), count),
                        Err(reason) => meter.failed(reason),
                    }
                }
            })
        });
        watch(&meter, self.plan.duration(), join_all(producers)).await;
        Ok(meter.phase())
    }

    /// Takes everything out again. A latency is that of one Receive and its Ack.
    async fn drain(&self) -> Result<Phase, Error> {
        let meter = Meter::start("drain")?;
        let until = Instant::now() + DRAIN_MAX;
        let consumers = self.consumers().map(|client| async {
            while Instant::now() < until {
                let begun = Instant::now();
                let receive = Receive { wait: RECEIVE_WAIT, ..Receive::default() };
                let taken = match client.receive(&self.queue, receive).await {
                    Ok(taken) if taken.is_empty() => break,
                    Ok(taken) => taken,
                    Err(error) => {
                        meter.failed(error.to_string());
                        continue;
                    }
                };
                match acknowledge(client, &self.queue, &taken).await {
                    Ok(()) => meter.done(begun.elapsed(), count(&taken)),
                    Err(error) => meter.failed(error.to_string()),
                }
            }
        });
        watch(&meter, self.plan.duration(), join_all(consumers)).await;
        Ok(meter.phase())
    }

    /// Sends and receives. A latency reaches from the intended send to the confirmed acknowledgement.
    async fn end_to_end(&self) -> Result<Phase, Error> {
        let meter = Arc::new(Meter::start("e2e")?);
        let (begun, pace) = (Instant::now(), Pace::of(self.plan));
        // In a closed loop the window is what was sent and is not acknowledged yet.
        let places = self.plan.producers * self.plan.window * self.plan.batch;
        let places = Arc::new(Semaphore::new(usize::try_from(places).unwrap_or(Semaphore::MAX_PERMITS)));
        let sent = Arc::new(AtomicU64::new(0));
        let is_open = self.plan.rate > 0;
        let producers = self.producers().map(|client| {
            let outlet = Outlet::new(client, &self.queue, self.plan);
            let (meter, places, sent) = (Arc::clone(&meter), Arc::clone(&places), Arc::clone(&sent));
            let batch = u32::try_from(self.plan.batch).unwrap_or(u32::MAX);
            drive(pace, move |intended| {
                let (outlet, meter) = (outlet.clone(), Arc::clone(&meter));
                let (places, sent) = (Arc::clone(&places), Arc::clone(&sent));
                async move {
                    let mut intended = intended;
                    if !is_open {
                        let Ok(taken) = places.acquire_many(batch).await else { return };
                        taken.forget();
                        intended = Instant::now();
                    }
                    let since = u64::try_from((intended - begun).as_nanos()).unwrap_or(u64::MAX);
                    match outlet.send(since).await {
                        Ok(count) => {
                            sent.fetch_add(count, Ordering::Relaxed);
                        }
                        Err(reason) => {
                            places.add_permits(usize::try_from(batch).unwrap_or(0));
                            meter.failed(reason);
                        }
                    }
                }
            })
        });
        let (stop, stopped) = channel::channel(false);
        let consumer = |client: &Client| {
            let desk = Desk {
                client: client.clone(),
                queue: Arc::clone(&self.queue),
                meter: Arc::clone(&meter),
                begun,
                places: Arc::clone(&places),
            };
            tokio::spawn(desk.consume(stopped.clone()))
        };
        let consumers: Vec<_> = self.consumers().map(consumer).collect();
        watch(&meter, self.plan.duration(), join_all(producers)).await;
        until_done(&meter, &sent).await;
        let phase = meter.phase();
        stop.send_replace(true);
        join_all(consumers).await;
        Ok(phase)
    }
}

/// Waits until everything that was sent is acknowledged.
async fn until_done(meter: &Meter, sent: &AtomicU64) {
    let done = async {
        while meter.operations() < sent.load(Ordering::Relaxed) {
            sleep(POLL_PAUSE).await;
        }
    };
    if timeout(CALL_MAX, done).await.is_err() {
        meter.failed("messages were left in the queue".to_owned());
    }
}

/// One producer's way out.
#[derive(Clone)]
struct Outlet {
    client: Client,
    producer: Producer,
    queue: Arc<str>,
    batch: usize,
    size: usize,
}

impl Outlet {
    fn new(client: &Client, queue: &Arc<str>, plan: &Plan) -> Self {
        let producer = Producer::new(client, queue, ProducerConfig::default());
        Self { client: client.clone(), producer, queue: Arc::clone(queue), batch: plan.batch(), size: plan.size() }
    }

    /// Sends one batch. Single messages go by the producer, which makes its batches of what comes at the same time.
    async fn send(&self, stamp: u64) -> Result<u64, String> {
        if self.batch == 1 {
            self.producer.send(message(self.size, stamp)).await.map_err(|error| error.to_string())?;
            return Ok(1);
        }
        let messages = (0..self.batch).map(|_| message(self.size, stamp)).collect();
        let sent = self.client.send(&self.queue, messages).await.map_err(|error| error.to_string())?;
        Ok(u64::try_from(sent.ids.len()).unwrap_or(u64::MAX))
    }
}

/// One consumer's place.
struct Desk {
    client: Client,
    queue: Arc<str>,
    meter: Arc<Meter>,
    begun: Instant,
    places: Arc<Semaphore>,
}

impl Desk {
    /// Receives, and acknowledges while the next messages are on their way.
    async fn consume(self, stop: channel::Receiver<bool>) {
        let desk = Arc::new(self);
        let mut acks = JoinSet::new();
        while !*stop.borrow() {
            let receive = Receive { wait: RECEIVE_WAIT, hurry: Some(stop.clone()), ..Receive::default() };
            match desk.client.receive(&desk.queue, receive).await {
                Ok(taken) if taken.is_empty() => {}
                Ok(taken) => {
                    let desk = Arc::clone(&desk);
                    acks.spawn(async move { desk.end(&taken).await });
                }
                Err(error) => desk.meter.failed(error.to_string()),
            }
            while acks.try_join_next().is_some() {}
        }
        while acks.join_next().await.is_some() {}
    }

    async fn end(&self, taken: &[Message]) {
        let ended = acknowledge(&self.client, &self.queue, taken).await;
        self.places.add_permits(taken.len());
        match ended {
            Ok(()) => {
                let now = self.begun.elapsed();
                taken.iter().for_each(|message| self.meter.done(now.saturating_sub(stamp(message)), 1));
            }
            Err(error) => self.meter.failed(error.to_string()),
        }
    }
}

/// A message of `size` bytes; its first eight carry a stamp.
fn message(size: usize, stamp: u64) -> NewMessage {
    let mut body = vec![b'.'; size.max(8)];
    body[..8].copy_from_slice(&stamp.to_be_bytes());
    NewMessage { body: body.into(), ..NewMessage::default() }
}

/// Messages with random delays.
fn delayed(size: usize, count: usize, delay_max: Duration) -> Vec<NewMessage> {
    let mut messages = vec![message(size, 0); count];
    let most = u64::try_from(delay_max.as_millis()).unwrap_or(u64::MAX);
    messages.iter_mut().filter(|_| most > 0).for_each(|message| message.delay_ms = rand::random_range(1..=most));
    messages
}

/// The stamp of a message.
fn stamp(message: &Message) -> Duration {
    Duration::from_nanos(message.body.first_chunk().map_or(0, |stamp| u64::from_be_bytes(*stamp)))
}

async fn acknowledge(client: &Client, queue: &str, taken: &[Message]) -> Result<(), Error> {
    if taken.is_empty() {
        return Ok(());
    }
    let receipts: Vec<u64> = taken.iter().map(|message| message.receipt).collect();
    let results = client.ack(queue, &receipts).await.map_err(Error::call("ack"))?;
    match results.into_iter().find(|result| result.refusal != 0) {
        None => Ok(()),
        Some(refused) => Err(Error::Call { what: "ack".to_owned(), reason: refused.text }),
    }
}

fn count(taken: &[Message]) -> u64 {
    u64::try_from(taken.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_its_size_and_carries_its_stamp() {
        let sent = message(1024, 7_000);
        assert_eq!(sent.body.len(), 1024);
        let received = Message { body: sent.body, ..Message::default() };
        assert_eq!(stamp(&received), Duration::from_nanos(7_000));
    }
}
