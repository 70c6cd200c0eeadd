//! The queues between the roles: their names, their making, and what their messages hold.
//!
//! ```text
//!  credits        a credit that was not booked at once     packets::Credit
//!  packet-paid    a packet that is paid and shall be made  ledger::CourierRecord::PacketPaid
//!  packet-expiry  a packet whose time is over (delayed)    packets::PacketId
//!  pay-notices-X  topics: news of orders for the merchants whose numbers end with X
//!  (a topic)      the journals of the ledger, if asked for  tercet.ledger.v1.JournalReply
//! ```
//!
//! Why: what may not get lost and cannot be done now stands in the queue, in three copies, until it is done.
//!
//! Must never: give a queue a dead-letter policy or a short retention. A promise is kept for as long as it takes.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use machine::Layout as _;
use packets::{Credit, PacketId};
use queue_client::{
    Client, ClientConfig, Consumer, ConsumerConfig, ContentFormat, Credentials, Endpoint, Error, FilterKind,
    NewMessage, NewPublication, Producer, ProducerConfig, QueueAttributes, RetryStrategy, Subscription,
    SubscriptionChange, TopicAttributes,
};
use tls::Keeper;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::failure::Failure;
use crate::limits::{
    QUEUE_DEADLINE, QUEUE_MESSAGES_MAX, REMINDER_LATE_MS, RETRY_CAP, RETRY_FIRST, SEND_MESSAGES_MAX, WORKER_LEASE,
    WORKER_WAIT,
};

/// Credits that wait to be booked.
pub(crate) const CREDITS: &str = "credits";
/// Packets that are paid and wait to be made.
pub(crate) const PACKET_PAID: &str = "packet-paid";
/// Packets whose expiry is to be looked at.
pub(crate) const PACKET_EXPIRY: &str = "packet-expiry";

/// Notices that a merchant did not take within a day.
const DEAD_NOTICES: &str = "pay-notices-dead";

const ALL: [&str; 4] = [CREDITS, PACKET_PAID, PACKET_EXPIRY, DEAD_NOTICES];
const RETRY_MAKING: Duration = Duration::from_secs(1);

/// The way to the queues.
#[derive(Clone)]
pub(crate) struct Queues {
    client: Client,
    /// Credits of many opens share a Send.
    credits: Producer,
    /// So do reminders.
    reminders: Producer,
}

impl Queues {
    /// Within a runtime. `key`: the file of the key pair that signs, where the queue's nodes ask for one; `tls`: what this
    /// node shows, and whom it believes. Errors: an address is none; the file holds no key pair.
    pub(crate) fn new(nodes: &[String], key: Option<&Path>, tls: Option<Arc<Keeper>>) -> Result<Self, Error> {
        let mut config = ClientConfig::new(nodes.iter().cloned());
        config.credentials = key.map(Credentials::read).transpose()?;
        config.tls = tls;
        config.attempt_timeout = Duration::from_secs(2);
        let client = Client::new(config)?;
        let credits = Producer::new(&client.with_timeout(QUEUE_DEADLINE), CREDITS, ProducerConfig::default());
        let reminders = Producer::new(&client, PACKET_EXPIRY, ProducerConfig::default());
        Ok(Self { client, credits, reminders })
    }

    /// Makes the queues, or finds them there; tries until the queue's nodes answer, or `stop`.
    pub(crate) async fn make(&self, stop: &mut watch::Receiver<bool>) {
        for queue in ALL {
            while let Err(error) = self.make_one(queue).await {
                tracing::warn!(queue, %error, "a queue cannot be made yet");
                tokio::select! {
                    () = tokio::time::sleep(RETRY_MAKING) => {}
                    _ = stop.wait_for(|stopped| *stopped) => return,
                }
            }
        }
    }

    async fn make_one(&self, queue: &str) -> Result<(), Error> {
        let attributes = QueueAttributes { messages_max: Some(QUEUE_MESSAGES_MAX), ..QueueAttributes::default() };
        match self.client.create_queue(queue, attributes).await {
            Ok(_) => Ok(()),
            // Whatever a repeat is refused for: all is well if the queue is there.
            Err(refused @ Error::Refused { .. }) => self.client.get_queue(queue).await.map(|_| ()).map_err(|_| refused),
            Err(error) => Err(error),
        }
    }

    /// Makes a topic that is chosen from by routing keys, or finds it there. Errors: neither.
    pub(crate) async fn make_topic(&self, topic: &str) -> Result<(), Error> {
        match self.client.create_topic(topic, FilterKind::Routing, TopicAttributes::default()).await {
            Ok(_) => Ok(()),
            Err(refused @ Error::Refused { .. }) => self.client.get_topic(topic).await.map(|_| ()).map_err(|_| refused),
            Err(error) => Err(error),
        }
    }

    /// Publishes to whoever is subscribed. Errors: not known to be kept; `Refused` where nobody is subscribed.
    pub(crate) async fn publish(&self, topic: &str, routing_key: &str, bodies: Vec<Bytes>) -> Result<(), Error> {
        let publication =
            |body| NewPublication { body, routing_key: routing_key.to_owned(), ..NewPublication::default() };
        self.client.publish(topic, bodies.into_iter().map(publication).collect()).await.map(|_| ())
    }

    /// Posts what is published to `topic` under `key` to `url`, with retries for a day. A repeat may change the address.
    /// Errors: not known to be so; `Refused`, the address is none.
    pub(crate) async fn post_to(&self, topic: &str, name: &str, (key, url): (&str, &str)) -> Result<(), Error> {
        let subscription = Subscription {
            endpoint: Some(Endpoint::Url(url.to_owned())),
            filters: vec![key.to_owned()],
            strategy: RetryStrategy::ExponentialDecay.into(),
            format: ContentFormat::Simplified.into(),
            dead_letter_queue: DEAD_NOTICES.to_owned(),
        };
        self.make_topic(topic).await?;
        match self.client.subscribe(topic, name, subscription.clone()).await {
            Ok(_) => Ok(()),
            // Whatever else it is refused for, the change is refused for, too.
            Err(Error::Refused { .. }) => {
                let change = SubscriptionChange { subscription, ..SubscriptionChange::default() };
                self.client.set_subscription(topic, name, change).await
            }
            Err(error) => Err(error),
        }
    }

    /// Puts a credit where it is not lost. Errors: not known to be kept, by a deadline.
    pub(crate) async fn keep_credit(&self, credit: &Credit) -> Result<(), Failure> {
        match timeout(QUEUE_DEADLINE, self.credits.send(message(credit.to_bytes()))).await {
            Ok(sent) => sent.map(|_| ()).map_err(|error| Failure::Unknown(error.to_string())),
            Err(_) => Err(Failure::Unknown("the queue did not answer in time".to_owned())),
        }
    }

    /// Puts many credits where they are not lost. Errors: not known to be kept.
    pub(crate) async fn keep_credits(&self, credits: &[Credit]) -> Result<(), Error> {
        let client = self.client.with_timeout(QUEUE_DEADLINE);
        for part in credits.chunks(SEND_MESSAGES_MAX) {
            client.send(CREDITS, part.iter().map(|credit| message(credit.to_bytes())).collect()).await?;
        }
        Ok(())
    }

    /// Hands over records "packet paid". Errors: not known to be kept.
    pub(crate) async fn keep_paid(&self, records: Vec<Bytes>) -> Result<(), Error> {
        for part in records.chunks(SEND_MESSAGES_MAX) {
            self.client.send(PACKET_PAID, part.iter().cloned().map(message).collect()).await?;
        }
        Ok(())
    }

    /// Reminds of the expiry of `packet`, a moment after `delay_ms`: the queue's clock may be ahead of the packet's.
    ///
    /// Errors: not known to be kept.
    pub(crate) async fn remind_of_expiry(&self, packet: PacketId, delay_ms: u64) -> Result<(), Error> {
        let reminder = NewMessage { delay_ms: delay_ms.saturating_add(REMINDER_LATE_MS), ..message(packet.to_bytes()) };
        self.reminders.send(reminder).await.map(|_| ())
    }

    /// A consumer of `queue`, which gives failed messages back with growing pauses and never gives one up.
    pub(crate) fn consumer(&self, queue: &str) -> Consumer {
        let config =
            ConsumerConfig { lease: WORKER_LEASE, wait: WORKER_WAIT, retry_first: RETRY_FIRST, retry_cap: RETRY_CAP };
        Consumer::new(&self.client, queue, config)
    }
}

fn message(body: Bytes) -> NewMessage {
    NewMessage { body, ..NewMessage::default() }
}
