//! NATS JetStream, by async-nats: a work-queue stream on files with three replicas, a durable pull consumer, confirmed
//! acknowledgements, atomic batches.
//!
//! Must never: let a batch count before its commit was answered with the number of its messages.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, PullConsumer, pull};
use async_nats::jetstream::stream::{Config, RetentionPolicy, StorageType};
use async_nats::jetstream::{Context, ContextBuilder, Message};
use async_nats::{Client, HeaderMap, Request};
use bytes::Bytes;
use futures::{FutureExt as _, StreamExt as _};
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout};

use super::{Confirm, Intake, Site};
use crate::error::Error;
use crate::limits::{IDLE_PAUSE, NODES, POLL_PAUSE, READY_MAX};

/// A request that has no answer after this has failed.
const ANSWER_MAX: Duration = Duration::from_secs(30);
/// As long as a lease of the other systems in the same test.
const ACK_WAIT: Duration = Duration::from_secs(60);
/// More than any point has under way.
const ACKS_PENDING_MAX: i64 = 100_000;
/// A pull is renewed this often, and shows that it lives this often.
const PULL_EXPIRES: Duration = Duration::from_secs(30);
const PULL_HEARTBEAT: Duration = Duration::from_secs(5);
/// Messages and requests that the client may hold back.
const CLIENT_CAPACITY: usize = 65_536;
const UNLIMITED: usize = 1 << 20;
/// The durable consumer.
const CONSUMER: &str = "c";

async fn connect(url: &str) -> Result<Client, Error> {
    let options = async_nats::ConnectOptions::new()
        .ignore_discovered_servers()
        .client_capacity(CLIENT_CAPACITY)
        .subscription_capacity(UNLIMITED);
    options.connect(url).await.map_err(Error::call("connect"))
}

fn jetstream(client: Client) -> Context {
    ContextBuilder::new().timeout(ANSWER_MAX).max_ack_inflight(UNLIMITED).build(client)
}

/// Makes the stream anew; a cluster that has just come up refuses for a while.
pub(super) async fn create(site: &Site, batches: bool) -> Result<(), Error> {
    let deadline = Instant::now() + READY_MAX;
    loop {
        match try_create(site, batches).await {
            Err(_) if Instant::now() < deadline => sleep(POLL_PAUSE * 10).await,
            ended => return ended,
        }
    }
}

async fn try_create(site: &Site, batches: bool) -> Result<(), Error> {
    let jetstream = jetstream(connect(site.url(0)).await?);
    // There may be none yet.
    let _ = jetstream.delete_stream(&site.queue).await;
    let config = Config {
        name: site.queue.clone(),
        subjects: vec![site.queue.clone()],
        retention: RetentionPolicy::WorkQueue,
        storage: StorageType::File,
        num_replicas: NODES,
        allow_atomic_publish: batches,
        ..Config::default()
    };
    let stream = jetstream.create_stream(config).await.map_err(Error::call("stream"))?;
    let consumer = pull::Config {
        durable_name: Some(CONSUMER.to_owned()),
        ack_policy: AckPolicy::Explicit,
        ack_wait: ACK_WAIT,
        max_ack_pending: ACKS_PENDING_MAX,
        ..pull::Config::default()
    };
    stream.create_consumer(consumer).await.map_err(Error::call("consumer"))?;
    Ok(())
}

/// Asks the nodes in turn; the nodes are named `n1`, `n2`, `n3`.
pub(super) async fn leader(site: &Site) -> Result<usize, Error> {
    let found = async {
        loop {
            for url in &site.urls {
                if let Some(leader) = leader_at(url, &site.queue).await {
                    return leader;
                }
            }
            sleep(POLL_PAUSE * 5).await;
        }
    };
    timeout(READY_MAX, found).await.map_err(|_| Error::call("leader")("the stream has none"))
}

async fn leader_at(url: &str, queue: &str) -> Option<usize> {
    let mut stream = jetstream(connect(url).await.ok()?).get_stream(queue).await.ok()?;
    let leader = stream.info().await.ok()?.cluster.as_ref()?.leader.clone()?;
    leader.strip_prefix('n')?.parse::<usize>().ok()?.checked_sub(1)
}

/// Every batch of this process has a name of its own.
static BATCHES: AtomicU64 = AtomicU64::new(1);

/// A connection that publishes.
pub(crate) struct Outlet {
    jetstream: Context,
    queue: String,
}

impl Outlet {
    pub(super) async fn open(url: &str, queue: &str) -> Result<Self, Error> {
        Ok(Self { jetstream: jetstream(connect(url).await?), queue: queue.to_owned() })
    }

    pub(super) async fn start(&self, mut messages: Vec<Bytes>) -> Result<Confirm, Error> {
        if messages.len() > 1 {
            return self.start_batch(messages).await;
        }
        let body = messages.pop().unwrap_or_default();
        let kept = self.jetstream.publish(self.queue.clone(), body).await.map_err(Error::call("publish"))?;
        Ok(async move { kept.await.map(drop).map_err(Error::call("confirm")) }.boxed())
    }

    /// An atomic batch: all but the last are told, the last one commits and is answered.
    async fn start_batch(&self, mut messages: Vec<Bytes>) -> Result<Confirm, Error> {
        let count = messages.len();
        let batch = format!("b{}-{}", std::process::id(), BATCHES.fetch_add(1, Ordering::Relaxed));
        let headers = |sequence: usize| {
            let mut headers = HeaderMap::new();
            headers.insert("Nats-Batch-Id", batch.as_str());
            headers.insert("Nats-Batch-Sequence", sequence.to_string().as_str());
            headers
        };
        let last = messages.pop().unwrap_or_default();
        let client = self.jetstream.client();
        for (place, body) in messages.into_iter().enumerate() {
            let told = client.publish_with_headers(self.queue.clone(), headers(place + 1), body).await;
            told.map_err(Error::call("publish"))?;
        }
        let mut commit = headers(count);
        commit.insert("Nats-Batch-Commit", "1");
        let request = Request::new().headers(commit).payload(last).timeout(Some(ANSWER_MAX));
        let queue = self.queue.clone();
        let committed = async move {
            let answer = client.send_request(queue, request).await.map_err(Error::call("commit"))?;
            let answer: Value = serde_json::from_slice(&answer.payload).map_err(Error::call("commit"))?;
            if answer["count"].as_u64() == u64::try_from(count).ok() {
                return Ok(());
            }
            Err(Error::call("commit")(answer))
        };
        Ok(committed.boxed())
    }
}

pub(super) async fn consume(url: &str, queue: &str, intake: Intake) -> Result<(), Error> {
    let client = connect(url).await?;
    let stream = jetstream(client.clone()).get_stream(queue).await.map_err(Error::call("stream"))?;
    let consumer: PullConsumer = stream.get_consumer(CONSUMER).await.map_err(Error::call("consumer"))?;
    let pull = consumer.stream().max_messages_per_batch(intake.prefetch);
    let pull = pull.expires(PULL_EXPIRES).heartbeat(PULL_HEARTBEAT);
    let mut messages = pull.messages().await.map_err(Error::call("pull"))?;
    let held = Arc::new(Semaphore::new(intake.prefetch));
    loop {
        let message = match timeout(IDLE_PAUSE, messages.next()).await {
            Ok(Some(message)) => message.map_err(Error::call("pull"))?,
            Ok(None) => return Err(Error::call("pull")("the server ended it")),
            Err(_) if intake.tally.is_over() => break,
            Err(_) => continue,
        };
        let is_again = message.info().is_ok_and(|info| info.delivered > 1);
        let intended_ns = intake.deliver(&message.payload, is_again);
        let Ok(place) = Arc::clone(&held).acquire_owned().await else { break };
        tokio::spawn(ack(client.clone(), message, intended_ns, intake.clone(), place));
    }
    let all = u32::try_from(intake.prefetch).unwrap_or(u32::MAX);
    // What is not answered by then has counted as an error already.
    let _ = timeout(ANSWER_MAX, held.acquire_many(all)).await;
    Ok(())
}

/// A confirmed acknowledgement: the server replies once it is applied.
async fn ack(client: Client, message: Message, intended_ns: u64, intake: Intake, place: OwnedSemaphorePermit) {
    let Some(reply) = message.reply.clone() else { return intake.tally.fail("a message without a reply subject") };
    let request = Request::new().payload("+ACK".into()).timeout(Some(ANSWER_MAX));
    match client.send_request(reply, request).await {
        Ok(_) => intake.tally.ack(&[intended_ns]),
        Err(error) => intake.tally.fail(format!("ack: {error}")),
    }
    drop(place);
}
