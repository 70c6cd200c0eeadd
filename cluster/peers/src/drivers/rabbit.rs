//! RabbitMQ over AMQP 0-9-1, by lapin: a durable quorum queue, persistent messages, publisher confirms.
//!
//! Must never: take an acknowledgement for a confirmed one. AMQP has no reply to it; closing the connection flushes them.

use std::time::Duration;

use bytes::Bytes;
use futures::{FutureExt as _, StreamExt as _};
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, Consumer};
use tokio::time::timeout;

use super::{Confirm, Intake, Site};
use crate::error::Error;
use crate::limits::{IDLE_PAUSE, NODES};

/// AMQP's mark of a message that outlives its broker.
const PERSISTENT: u8 = 2;
/// AMQP's code of an end without a fault.
const CLOSED_WELL: u16 = 200;
/// Acknowledgements that cover many are sent at the latest after this.
const ACK_PAUSE: Duration = Duration::from_millis(2);

async fn connect(url: &str) -> Result<Connection, Error> {
    let runtime = async_rs::Runtime::tokio_current();
    let connected = Connection::connect_with_runtime(url, ConnectionProperties::default(), runtime).await;
    connected.map_err(Error::call("connect"))
}

/// Deletes the queue and declares it at the first node, which leads it.
pub(super) async fn create(site: &Site) -> Result<(), Error> {
    let failed = |error: lapin::Error| Error::call("declare")(error);
    let connection = connect(site.url(0)).await?;
    let channel = connection.create_channel().await.map_err(failed)?;
    channel.queue_delete(site.queue.as_str().into(), Default::default()).await.map_err(failed)?;
    let mut terms = FieldTable::default();
    terms.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    let members = i32::try_from(NODES).unwrap_or(i32::MAX);
    terms.insert("x-quorum-initial-group-size".into(), AMQPValue::LongInt(members));
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(site.queue.as_str().into(), durable, terms).await.map_err(failed)?;
    connection.close(CLOSED_WELL, "".into()).await.map_err(failed)
}

/// A channel that confirms.
pub(crate) struct Outlet {
    channel: Channel,
    queue: String,
    /// The channel lives as long as its connection.
    _connection: Connection,
}

impl Outlet {
    pub(super) async fn open(url: &str, queue: &str) -> Result<Self, Error> {
        let connection = connect(url).await?;
        let channel = connection.create_channel().await.map_err(Error::call("channel"))?;
        channel.confirm_select(Default::default()).await.map_err(Error::call("channel"))?;
        Ok(Self { channel, queue: queue.to_owned(), _connection: connection })
    }

    pub(super) async fn start(&self, messages: Vec<Bytes>) -> Result<Confirm, Error> {
        let mut confirms = Vec::with_capacity(messages.len());
        for body in &messages {
            let properties = BasicProperties::default().with_delivery_mode(PERSISTENT);
            let queue = self.queue.as_str().into();
            let published = self.channel.basic_publish("".into(), queue, Default::default(), body, properties).await;
            confirms.push(published.map_err(Error::call("publish"))?);
        }
        let confirmed = async move {
            for confirm in confirms {
                if !confirm.await.map_err(Error::call("confirm"))?.is_ack() {
                    return Err(Error::call("confirm")("the broker did not keep it"));
                }
            }
            Ok(())
        };
        Ok(confirmed.boxed())
    }
}

pub(super) async fn consume(url: &str, queue: &str, intake: Intake) -> Result<(), Error> {
    let failed = |error: lapin::Error| Error::call("consume")(error);
    let connection = connect(url).await?;
    let channel = connection.create_channel().await.map_err(failed)?;
    let prefetch = u16::try_from(intake.prefetch).unwrap_or(u16::MAX);
    channel.basic_qos(prefetch, Default::default()).await.map_err(failed)?;
    let consumed = channel.basic_consume(queue.into(), "".into(), Default::default(), Default::default());
    let deliveries = consumed.await.map_err(failed)?;
    if intake.batch > 1 {
        ack_many(&channel, deliveries, &intake).await?;
    } else {
        ack_each(deliveries, &intake).await?;
    }
    connection.close(CLOSED_WELL, "".into()).await.map_err(failed)
}

/// The next delivery. `None`: nothing came for a while.
async fn next(deliveries: &mut Consumer, pause: Duration) -> Result<Option<Delivery>, Error> {
    match timeout(pause, deliveries.next()).await {
        Ok(Some(delivery)) => delivery.map(Some).map_err(Error::call("consume")),
        Ok(None) => Err(Error::call("consume")("the broker ended it")),
        Err(_) => Ok(None),
    }
}

async fn ack_each(mut deliveries: Consumer, intake: &Intake) -> Result<(), Error> {
    loop {
        let Some(delivery) = next(&mut deliveries, IDLE_PAUSE).await? else {
            if intake.tally.is_over() {
                return Ok(());
            }
            continue;
        };
        let intended_ns = intake.deliver(&delivery.data, delivery.redelivered);
        delivery.ack(Default::default()).await.map_err(Error::call("ack"))?;
        intake.tally.ack(&[intended_ns]);
    }
}

/// One acknowledgement covers all before it.
async fn ack_many(channel: &Channel, mut deliveries: Consumer, intake: &Intake) -> Result<(), Error> {
    // A half of what may be held, or the broker would run dry between acknowledgements.
    let most = intake.batch.min(intake.prefetch / 2 + 1);
    let (mut held, mut last) = (Vec::new(), 0);
    loop {
        let pause = if held.is_empty() { IDLE_PAUSE } else { ACK_PAUSE };
        let delivery = next(&mut deliveries, pause).await?;
        let is_idle = delivery.is_none();
        if let Some(delivery) = delivery {
            held.push(intake.deliver(&delivery.data, delivery.redelivered));
            last = delivery.delivery_tag;
        }
        if held.len() >= most || (is_idle && !held.is_empty()) {
            let all = BasicAckOptions { multiple: true };
            channel.basic_ack(last, all).await.map_err(Error::call("ack"))?;
            intake.tally.ack(&held);
            held.clear();
        } else if is_idle && intake.tally.is_over() {
            return Ok(());
        }
    }
}
