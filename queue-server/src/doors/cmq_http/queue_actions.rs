//! Actions on queues: create, list, get, set, delete, clear, rewind, dead letters, route.
//!
//! Source: CMQ documentation 406/5832 to 5836; the dead-letter, transaction and trace parameters are those of API 3.0
//! in lower camel case (`docs/decisions/0013`).
//!
//! Must never: hold a default of a queue; what is not said is left to the machine.

use super::answers::{self, Fields};
use super::params::Params;
use crate::doors::cmq::{
    Broker, DeadLetterRule, DeadWhen, Flaw, HEAP_MESSAGES, MESSAGE_BYTES, POLL_S_MAX, QUERY_COUNT, QUERY_INTERVAL_S,
    QueueWish, RECEIVE_COUNT, RETENTION_S, REWIND_S, Said, TIME_TO_LIVE_S, TransactionRule, VISIBILITY_S, no,
};

/// Seconds of Unix time that a rewind may name.
const INSTANT_S_MAX: u64 = u32::MAX as u64;

pub(super) async fn create(params: &Params<'_>, broker: &dyn Broker) -> Said<Fields> {
    let queue = broker.create_queue(params.required("queueName")?, wish(params)?).await?;
    Ok(answers::queue_made(&queue))
}

pub(super) async fn list(params: &Params<'_>, broker: &dyn Broker) -> Said<Fields> {
    Ok(answers::listed("queue", &broker.queues(params.page()?).await?))
}

pub(super) async fn get(params: &Params<'_>, broker: &dyn Broker) -> Said<Fields> {
    Ok(answers::queue_facts(&broker.queue(params.required("queueName")?).await?))
}

/// Echoes the settings as they are now.
pub(super) async fn set(params: &Params<'_>, broker: &dyn Broker) -> Said<Fields> {
    Ok(answers::queue_facts(&broker.set_queue(params.required("queueName")?, wish(params)?).await?))
}

pub(super) async fn delete(params: &Params<'_>, broker: &dyn Broker) -> Said<Fields> {
    broker.delete_queue(params.required("queueName")?).await.map(|()| answers::nothing())
}

pub(super) async fn clear(params: &Params<'_>, broker: &dyn Broker) -> Said<Fields> {
    broker.clear_queue(params.required("queueName")?).await.map(|()| answers::nothing())
}

pub(super) async fn rewind(params: &Params<'_>, broker: &dyn Broker) -> Said<Fields> {
    let queue = params.required("queueName")?;
    let from_s = params.number("startConsumeTime", &(0..=INSTANT_S_MAX))?;
    let from_s = from_s.ok_or_else(|| no::LACKS.about("startConsumeTime"))?;
    broker.rewind(queue, from_s).await.map(|()| answers::nothing())
}

pub(super) async fn dead_letter_sources(params: &Params<'_>, broker: &dyn Broker) -> Said<Fields> {
    let queue = params.required("deadLetterQueueName")?;
    Ok(answers::listed("queue", &broker.dead_letter_sources(queue, params.page()?).await?))
}

pub(super) async fn unbind_dead_letter(params: &Params<'_>, broker: &dyn Broker) -> Said<Fields> {
    broker.unbind_dead_letter(params.required("queueName")?).await.map(|()| answers::nothing())
}

/// Any node serves any queue, so the addresses do not depend on it; but it must be there.
pub(super) async fn route(params: &Params<'_>, broker: &dyn Broker) -> Said<Fields> {
    broker.queue(params.required("queueName")?).await?;
    Ok(answers::routes(&broker.routes()))
}

fn wish(params: &Params<'_>) -> Said<QueueWish> {
    Ok(QueueWish {
        messages_max: params.number("maxMsgHeapNum", &HEAP_MESSAGES)?,
        poll_s: params.small("pollingWaitSeconds", &(0..=POLL_S_MAX))?,
        visibility_s: params.small("visibilityTimeout", &VISIBILITY_S)?,
        message_bytes_max: params.small("maxMsgSize", &MESSAGE_BYTES)?,
        retention_s: params.small("msgRetentionSeconds", &RETENTION_S)?,
        rewind_s: params.small("rewindSeconds", &REWIND_S)?,
        dead_letter: dead_letter(params)?,
        transaction: transaction(params)?,
        trace: params.flag("trace")?,
    })
}

/// `policy` 0: received `maxReceiveCount` times; 1: `maxTimeToLive` seconds old.
fn dead_letter(params: &Params<'_>) -> Said<Option<DeadLetterRule>> {
    let Some(queue) = params.text("deadLetterQueueName") else {
        let is_alone = ["policy", "maxReceiveCount", "maxTimeToLive"].iter().all(|name| params.text(name).is_none());
        Flaw::unless(is_alone, no::LACKS.about("deadLetterQueueName"))?;
        return Ok(None);
    };
    let when = if params.number("policy", &(0..=1))?.unwrap_or(0) == 0 {
        let times = params.small("maxReceiveCount", &RECEIVE_COUNT)?;
        DeadWhen::Received(times.ok_or_else(|| no::LACKS.about("maxReceiveCount"))?)
    } else {
        let seconds = params.small("maxTimeToLive", &TIME_TO_LIVE_S)?;
        DeadWhen::Old(seconds.ok_or_else(|| no::LACKS.about("maxTimeToLive"))?)
    };
    Ok(Some(DeadLetterRule { queue: queue.to_owned(), when }))
}

fn transaction(params: &Params<'_>) -> Said<Option<TransactionRule>> {
    let Some(is_on) = params.flag("transaction")? else { return Ok(None) };
    let first_query_s = params.small("firstQueryInterval", &QUERY_INTERVAL_S)?;
    let queries_max = params.small("maxQueryCount", &QUERY_COUNT)?;
    // What the pages call the default of an interval is not said for CreateQueue; the Java SDK's demo takes 5 seconds.
    let first_query_s = is_on.then(|| first_query_s.unwrap_or(5));
    Ok(Some(TransactionRule { first_query_s, queries_max }))
}
