//! The calls of a connection that has logged in: from an envelope to the broker, and back into an envelope.
//!
//! Must never: hold bodies against rules that are the machine's.

use std::time::Duration;

use bytes::Bytes;
use queue_core::{Right, is_queue_name};

use super::login::Login;
use super::wire::{self, Envelope};
use super::{cmd, result};
use crate::doors::cmq::{
    BATCH_BYTES_MAX, BATCH_MAX, Broker, Caller, DELAY_S_MAX, Flaw, Outgoing, POLL_S_MAX, Published,
    ROUTING_KEY_BYTES_MAX, ROUTING_KEY_DOTS_MAX, Said, TAG_CHARS_MAX, TAGS_MAX, Taken, Verdict, Wanted, no,
};
use crate::doors::keys::KeyRing;

/// What the calls of a connection share.
pub(super) struct Desk<'a> {
    pub(super) broker: &'a dyn Broker,
    pub(super) keys: &'a KeyRing,
    pub(super) login: &'a Login,
}

/// The answer to `ask`, without its outcome.
pub(super) fn reply_to(ask: &Envelope) -> Envelope {
    let request_id = Some(ask.request_id.unwrap_or(0));
    Envelope {
        seqno: ask.seqno,
        cmd: ask.cmd,
        result: Some(0),
        error: Some(String::new()),
        request_id,
        ..Envelope::default()
    }
}

/// The answer to `ask` when it failed.
pub(super) fn failed(ask: &Envelope, flaw: &Flaw) -> Envelope {
    let number = if *flaw == no::NO_MESSAGE.into() {
        result::NO_MESSAGE
    } else if *flaw == no::NOT_LOGGED_IN.into() {
        result::NOT_LOGGED_IN
    } else {
        i32::try_from(flaw.code).unwrap_or(i32::MAX)
    };
    Envelope { result: Some(number), error: Some(flaw.message()), ..reply_to(ask) }
}

impl Desk<'_> {
    /// Answers one call.
    pub(super) async fn answer(&self, ask: &Envelope, caller: Caller) -> Envelope {
        match self.serve(ask, caller).await {
            Ok(answer) => answer,
            Err(flaw) => failed(ask, &flaw),
        }
    }

    async fn serve(&self, ask: &Envelope, caller: Caller) -> Said<Envelope> {
        match ask.cmd {
            cmd::SEND => self.send(ask).await,
            cmd::BATCH_SEND => self.batch_send(ask).await,
            cmd::PULL => self.pull(ask, caller).await,
            cmd::BATCH_PULL => self.batch_pull(ask, caller).await,
            cmd::DELETE => self.delete(ask).await,
            cmd::BATCH_DELETE => self.batch_delete(ask).await,
            cmd::PUBLISH => self.publish(ask).await,
            cmd::BATCH_PUBLISH => self.batch_publish(ask).await,
            cmd::CONFIRM => self.confirm(ask).await,
            other => Err(no::ACTION.about(&other.to_string())),
        }
    }

    fn allow(&self, right: Right, on: &str) -> Said<()> {
        self.login.allow(self.keys, right, on)
    }

    async fn send(&self, ask: &Envelope) -> Said<Envelope> {
        let send = ask.send.as_ref().ok_or_else(missing)?;
        let bodies = vec![send.body.clone().unwrap_or_default()];
        let half = half(send.is_transaction, send.first_query_interval)?;
        let delay_s = delay_s(send.delay_seconds)?;
        self.outgoing(ask, Outgoing { queue: send.queue_name.clone(), bodies, delay_s, half }).await
    }

    async fn batch_send(&self, ask: &Envelope) -> Said<Envelope> {
        let send = ask.batch_send.as_ref().ok_or_else(missing)?;
        let bodies = send.body.clone();
        let half = half(send.is_transaction, send.first_query_interval)?;
        let delay_s = delay_s(send.delay_seconds)?;
        self.outgoing(ask, Outgoing { queue: send.queue_name.clone(), bodies, delay_s, half }).await
    }

    async fn outgoing(&self, ask: &Envelope, messages: Outgoing) -> Said<Envelope> {
        self.allow(Right::Send, &messages.queue)?;
        check_bodies(&messages.bodies)?;
        Ok(Envelope { msgids: self.broker.send(messages).await?, ..reply_to(ask) })
    }

    async fn pull(&self, ask: &Envelope, caller: Caller) -> Said<Envelope> {
        let pull = ask.pull.as_ref().ok_or_else(missing)?;
        self.allow(Right::Receive, &pull.queue_name)?;
        let wanted = wanted(&pull.queue_name, 1, pull.poll_wait_seconds, pull.visible_timeout);
        let taken = self.broker.receive(wanted, caller).await?;
        let first = taken.first().ok_or(no::NO_MESSAGE)?;
        Ok(Envelope { pull_rsp: Some(message(first)), ..reply_to(ask) })
    }

    async fn batch_pull(&self, ask: &Envelope, caller: Caller) -> Said<Envelope> {
        let pull = ask.batch_pull.as_ref().ok_or_else(missing)?;
        self.allow(Right::Receive, &pull.queue_name)?;
        let count = usize::try_from(pull.num_msg).ok().filter(|count| (1..=BATCH_MAX).contains(count));
        let count = count.ok_or_else(|| no::OUT_OF_RANGE.about("numOfMsg"))?;
        let wanted = wanted(&pull.queue_name, count, pull.poll_wait_seconds, pull.visible_timeout);
        let taken = self.broker.receive(wanted, caller).await?;
        Flaw::unless(!taken.is_empty(), no::NO_MESSAGE)?;
        let list = taken.iter().map(message).collect();
        Ok(Envelope { batch_pull_rsp: Some(wire::Messages { list }), ..reply_to(ask) })
    }

    async fn delete(&self, ask: &Envelope) -> Said<Envelope> {
        let delete = ask.delete.as_ref().ok_or_else(missing)?;
        self.allow(Right::Receive, &delete.queue_name)?;
        let results = self.broker.delete_messages(&delete.queue_name, &[delete.receipt_handle]).await?;
        results.into_iter().flatten().next().map_or_else(|| Ok(reply_to(ask)), Err)
    }

    async fn batch_delete(&self, ask: &Envelope) -> Said<Envelope> {
        let delete = ask.batch_delete.as_ref().ok_or_else(missing)?;
        self.allow(Right::Receive, &delete.queue_name)?;
        let handles = &delete.receipt_handle;
        Flaw::unless((1..=BATCH_MAX).contains(&handles.len()), no::BATCH_SIZE.about("receiptHandle"))?;
        let results = self.broker.delete_messages(&delete.queue_name, handles).await?;
        let errors = handles.iter().zip(results).filter_map(|(handle, flaw)| flaw.map(|flaw| (*handle, flaw)));
        let del_result: Vec<wire::DeleteResult> = errors.map(|(handle, flaw)| delete_result(handle, &flaw)).collect();
        let whole = match del_result.len() {
            0 => return Ok(reply_to(ask)),
            count if count == handles.len() => no::NONE_DELETED,
            _ => no::SOME_NOT_DELETED,
        };
        Ok(Envelope { del_result, ..failed(ask, &whole.into()) })
    }

    async fn publish(&self, ask: &Envelope) -> Said<Envelope> {
        let publish = ask.publish.as_ref().ok_or_else(missing)?;
        let bodies = vec![publish.body.clone()];
        self.published(ask, &publish.topic_name, bodies, &publish.tag, publish.routing_key.as_deref()).await
    }

    async fn batch_publish(&self, ask: &Envelope) -> Said<Envelope> {
        let publish = ask.batch_publish.as_ref().ok_or_else(missing)?;
        let bodies = publish.body.clone();
        self.published(ask, &publish.topic_name, bodies, &publish.tag, publish.routing_key.as_deref()).await
    }

    async fn published(
        &self,
        ask: &Envelope,
        topic: &str,
        bodies: Vec<Bytes>,
        tags: &[String],
        routing_key: Option<&str>,
    ) -> Said<Envelope> {
        self.allow(Right::Send, topic)?;
        Flaw::unless(is_queue_name(topic), no::TOPIC_NAME)?;
        check_bodies(&bodies)?;
        Flaw::unless(tags.len() <= TAGS_MAX, no::MESSAGE_TAGS)?;
        let is_short = tags.iter().all(|tag| tag.chars().count() <= TAG_CHARS_MAX);
        Flaw::unless(is_short, no::OUT_OF_RANGE.about("msgTag"))?;
        let routing_key = routing_key.filter(|key| !key.is_empty()).map(str::to_owned);
        let key = routing_key.as_deref().unwrap_or_default();
        Flaw::unless(key.len() <= ROUTING_KEY_BYTES_MAX, no::OUT_OF_RANGE.about("routingKey"))?;
        Flaw::unless(key.matches('.').count() <= ROUTING_KEY_DOTS_MAX, no::DOTS)?;
        let messages = Published { topic: topic.to_owned(), bodies, tags: tags.to_vec(), routing_key };
        Ok(Envelope { msgids: self.broker.publish(messages).await?, ..reply_to(ask) })
    }

    async fn confirm(&self, ask: &Envelope) -> Said<Envelope> {
        let confirm = ask.confirm.as_ref().ok_or_else(missing)?;
        self.allow(Right::Send, &confirm.queue_name)?;
        Flaw::unless((1..=BATCH_MAX).contains(&confirm.item.len()), no::BATCH_SIZE.about("item"))?;
        let are_known = confirm.item.iter().all(|item| matches!(item.state, 1 | 2));
        Flaw::unless(are_known, no::OUT_OF_RANGE.about("state"))?;
        let verdict = |item: &wire::ConfirmItem| Verdict { id: item.msg_id, is_commit: item.state == 1 };
        let verdicts: Vec<Verdict> = confirm.item.iter().map(verdict).collect();
        let results = self.broker.confirm(&confirm.queue_name, &verdicts).await?;
        let item = confirm.item.iter().zip(results).map(|(item, flaw)| confirmed(item, flaw)).collect();
        let reply = wire::ConfirmReply { queue_name: confirm.queue_name.clone(), item };
        Ok(Envelope { confirm_reply: Some(reply), ..reply_to(ask) })
    }
}

/// The body that belongs to the command is not there.
fn missing() -> Flaw {
    no::REQUEST.into()
}

fn delay_s(delay: Option<u32>) -> Said<u32> {
    Some(delay.unwrap_or(0)).filter(|delay| u64::from(*delay) <= DELAY_S_MAX).ok_or(no::DELAY.into())
}

fn half(is_transaction: Option<i32>, first_query_s: Option<i32>) -> Said<Option<u32>> {
    if is_transaction != Some(1) {
        return Ok(None);
    }
    let first_query_s = u32::try_from(first_query_s.unwrap_or(0));
    first_query_s.map(Some).map_err(|_| no::OUT_OF_RANGE.about("firstQueryInterval"))
}

fn check_bodies(bodies: &[Bytes]) -> Said<()> {
    Flaw::unless((1..=BATCH_MAX).contains(&bodies.len()), no::BATCH_SIZE.about("msgBody"))?;
    Flaw::unless(bodies.iter().all(|body| !body.is_empty()), no::BODY_EMPTY)?;
    let bytes: usize = bodies.iter().map(Bytes::len).sum();
    Flaw::unless(bytes <= BATCH_BYTES_MAX, if bodies.len() == 1 { no::MESSAGE_SIZE } else { no::BATCH_BYTES })
}

fn wanted(queue: &str, count: usize, poll_s: Option<i32>, visibility_s: Option<u32>) -> Wanted {
    let poll = poll_s.map(|poll| Duration::from_secs(u64::try_from(poll).unwrap_or(0).min(POLL_S_MAX)));
    // 0 is what a client sends that does not say.
    let visibility = visibility_s.filter(|seconds| *seconds > 0).map(|seconds| Duration::from_secs(u64::from(seconds)));
    Wanted { queue: queue.to_owned(), count, poll, visibility }
}

fn seconds(ms: u64) -> i64 {
    i64::try_from(ms / 1_000).unwrap_or(i64::MAX)
}

fn message(taken: &Taken) -> wire::Message {
    let origin = taken.origin.as_ref();
    wire::Message {
        msg_id: taken.id,
        receipt_handle: Some(taken.handle),
        body: Some(taken.body.clone()),
        enqueue_time: Some(seconds(taken.enqueued_ms)),
        next_visible_time: Some(seconds(taken.next_visible_ms)),
        first_dequeue_time: Some(seconds(taken.first_dequeued_ms)),
        dequeue_count: Some(i64::from(taken.dequeued)),
        original_queue: origin.map(|origin| origin.queue.clone()),
        original_enqueue_time: origin.map(|origin| origin.enqueued_ms / 1_000),
        original_dequeue_count: origin.map(|origin| origin.dequeued),
    }
}

fn delete_result(receipt_handle: u64, flaw: &Flaw) -> wire::DeleteResult {
    wire::DeleteResult {
        receipt_handle,
        err_code: i32::try_from(flaw.code).unwrap_or(i32::MAX),
        err_msg: flaw.message(),
    }
}

fn confirmed(item: &wire::ConfirmItem, flaw: Option<Flaw>) -> wire::ConfirmReplyItem {
    let code = flaw.as_ref().map(|flaw| i32::try_from(flaw.code).unwrap_or(i32::MAX));
    let state = if flaw.is_some() { 3 } else { item.state };
    wire::ConfirmReplyItem { msg_id: item.msg_id, state, err_code: code, err_msg: flaw.map(|flaw| flaw.message()) }
}
