//! Actions on messages: send, receive, delete, each alone or in batches; transactions; traces.
//!
//! Source: CMQ documentation 406/5837 to 5841, 5924, 8128; transactions and traces over HTTP are our own.
//!
//! Must never: say that a batch failed when a part of it was done.

use std::time::Duration;

use bytes::Bytes;

use super::answers::{self, Fields};
use super::params::Params;
use crate::doors::cmq::{
    BATCH_BYTES_MAX, BATCH_MAX, Broker, Caller, DELAY_S_MAX, Flaw, Outgoing, POLL_S_MAX, QUERY_INTERVAL_S, Said,
    Verdict, Wanted, no,
};

pub(super) async fn send(params: &Params<'_>, broker: &dyn Broker) -> Said<Fields> {
    let queue = params.required("queueName")?;
    let body = params.raw("msgBody").ok_or_else(|| no::LACKS.about("msgBody"))?;
    let ids = broker.send(outgoing(params, queue, &[body])?).await?;
    Ok(answers::sent_one(&ids))
}

pub(super) async fn batch_send(params: &Params<'_>, broker: &dyn Broker) -> Said<Fields> {
    let queue = params.required("queueName")?;
    let bodies = params.required_list("msgBody")?;
    let ids = broker.send(outgoing(params, queue, &bodies)?).await?;
    Ok(answers::sent_many(&ids))
}

fn outgoing(params: &Params<'_>, queue: &str, bodies: &[&str]) -> Said<Outgoing> {
    let is_half = params.flag("transaction")?.unwrap_or(false);
    let first_query_s = params.small("firstQueryInterval", &QUERY_INTERVAL_S)?.unwrap_or(0);
    Ok(Outgoing {
        queue: queue.to_owned(),
        bodies: checked_bodies(bodies)?,
        delay_s: delay_s(params)?,
        half: is_half.then_some(first_query_s),
    })
}

fn delay_s(params: &Params<'_>) -> Said<u32> {
    let delay = params.signed("delaySeconds")?.unwrap_or(0);
    u64::try_from(delay)
        .ok()
        .filter(|delay| *delay <= DELAY_S_MAX)
        .and_then(|delay| u32::try_from(delay).ok())
        .ok_or(no::DELAY.into())
}

/// Bodies that are not empty, and together not too large.
pub(super) fn checked_bodies(bodies: &[&str]) -> Said<Vec<Bytes>> {
    Flaw::unless(bodies.iter().all(|body| !body.is_empty()), no::BODY_EMPTY)?;
    let bytes: usize = bodies.iter().map(|body| body.len()).sum();
    Flaw::unless(bytes <= BATCH_BYTES_MAX, if bodies.len() == 1 { no::MESSAGE_SIZE } else { no::BATCH_BYTES })?;
    Ok(bodies.iter().map(|body| Bytes::copy_from_slice(body.as_bytes())).collect())
}

pub(super) async fn receive(params: &Params<'_>, broker: &dyn Broker, caller: Caller) -> Said<Fields> {
    let taken = broker.receive(wanted(params, 1)?, caller).await?;
    taken.first().map(answers::taken).ok_or(no::NO_MESSAGE.into())
}

pub(super) async fn batch_receive(params: &Params<'_>, broker: &dyn Broker, caller: Caller) -> Said<Fields> {
    let count = params.number("numOfMsg", &(1..=BATCH_MAX as u64))?.ok_or_else(|| no::LACKS.about("numOfMsg"))?;
    let wanted = wanted(params, usize::try_from(count).unwrap_or(1))?;
    let taken = broker.receive(wanted, caller).await?;
    if taken.is_empty() { Err(no::NO_MESSAGE.into()) } else { Ok(answers::taken_many(&taken)) }
}

/// A poll out of its range is brought into it: a Java SDK sends 30,000 for "for ever".
fn wanted(params: &Params<'_>, count: usize) -> Said<Wanted> {
    let queue = params.required("queueName")?.to_owned();
    let clamp = |poll: i64| Duration::from_secs(u64::try_from(poll).unwrap_or(0).min(POLL_S_MAX));
    let poll = params.signed("pollingWaitSeconds")?.map(clamp);
    Ok(Wanted { queue, count, poll, visibility: None })
}

pub(super) async fn delete(params: &Params<'_>, broker: &dyn Broker) -> Said<Fields> {
    let queue = params.required("queueName")?;
    let handle = number_of(params.required("receiptHandle")?)?;
    let results = broker.delete_messages(queue, &[handle]).await?;
    results.into_iter().flatten().next().map_or_else(|| Ok(answers::nothing()), Err)
}

pub(super) async fn batch_delete(params: &Params<'_>, broker: &dyn Broker) -> Said<Fields> {
    let queue = params.required("queueName")?;
    let handles = params.required_list("receiptHandle")?;
    let handles = handles.into_iter().map(number_of).collect::<Said<Vec<u64>>>()?;
    let results = broker.delete_messages(queue, &handles).await?;
    let codes = (no::SOME_NOT_DELETED.into(), no::NONE_DELETED.into());
    Ok(batch_outcome("receiptHandle", &handles, results, &codes))
}

/// Nothing to add if all was done; else what was not, under the code for a part or for all.
fn batch_outcome(key: &str, ids: &[u64], results: Vec<Option<Flaw>>, (part, all): &(Flaw, Flaw)) -> Fields {
    let errors: Vec<(u64, Flaw)> =
        ids.iter().zip(results).filter_map(|(id, flaw)| flaw.map(|flaw| (*id, flaw))).collect();
    match errors.len() {
        0 => answers::nothing(),
        count if count == ids.len() => answers::partly(all, key, &errors),
        _ => answers::partly(part, key, &errors),
    }
}

/// A handle is a number that we once gave.
fn number_of(handle: &str) -> Said<u64> {
    let is_ours = !handle.is_empty() && handle.bytes().all(|byte| byte.is_ascii_digit());
    handle.parse().ok().filter(|_| is_ours).ok_or(no::HANDLE.into())
}

/// `state` 1 commits, 2 rolls back; `msgId.n`.
pub(super) async fn confirm(params: &Params<'_>, broker: &dyn Broker) -> Said<Fields> {
    let queue = params.required("queueName")?;
    let state = params.number("state", &(1..=2))?.ok_or_else(|| no::LACKS.about("state"))?;
    let ids = params.required_list("msgId")?.into_iter().map(message_id).collect::<Said<Vec<u64>>>()?;
    let verdicts: Vec<Verdict> = ids.iter().map(|id| Verdict { id: *id, is_commit: state == 1 }).collect();
    let results = broker.confirm(queue, &verdicts).await?;
    let codes = (no::SOME_NOT_CONFIRMED.into(), no::NOT_CONFIRMED.into());
    Ok(batch_outcome("msgId", &ids, results, &codes))
}

pub(super) async fn check_backs(params: &Params<'_>, broker: &dyn Broker) -> Said<Fields> {
    let queue = params.required("queueName")?.to_owned();
    let list = broker.check_backs(&[queue]).await?;
    if list.is_empty() { Err(no::NO_MESSAGE.into()) } else { Ok(answers::check_backs(&list)) }
}

pub(super) async fn trace(params: &Params<'_>, broker: &dyn Broker) -> Said<Fields> {
    let queue = params.required("queueName")?;
    let id = message_id(params.required("msgId")?)?;
    Ok(answers::trace(&broker.trace(queue, id).await?))
}

fn message_id(text: &str) -> Said<u64> {
    number_of(text).map_err(|_| no::MESSAGE_ID.into())
}
