//! The fast road: many calls on one stream, answered as they are done.
//!
//! Why one task a stream: calls are begun in the order they came, so the sends of one producer stay in their order;
//! what a call waits for (an fsync, a message) holds up no other.
//!
//! Must never: run a call whose right was not looked up at that moment; the key may have been revoked since the stream began.

use std::sync::Arc;

use futures::stream::{BoxStream, FuturesUnordered};
use futures::{FutureExt as _, StreamExt as _};
use proto::outcome::{Hint, failure_of, unknown};
use proto::queue::v1::exchange_reply::Outcome;
use proto::queue::v1::exchange_request::Call;
use proto::queue::v1::{ExchangeReply, ExchangeRequest};
use proto::traces::{Given, Kind, follow};
use tonic::{Code, Status, Streaming};

use super::entrance::Caller;
use super::held::{Outbox, Unsent, outbox};
use super::{receive, send, settle};
use crate::doors::budget::Budget;
use crate::node::Node;

/// Calls under way on one stream; beyond it the stream is not read further until some are answered.
const CALLS_MAX: usize = 1024;
/// Replies that wait for a client that does not read.
const REPLIES_WAITING_MAX: usize = 64;

pub(super) fn exchange(
    node: Arc<Node>,
    caller: Caller,
    answers: &Budget,
    requests: Streaming<ExchangeRequest>,
) -> BoxStream<'static, Result<ExchangeReply, Status>> {
    let (replies, stream) = outbox(answers, REPLIES_WAITING_MAX);
    tokio::spawn(serve(node, caller, requests, replies));
    stream
}

async fn serve(
    node: Arc<Node>,
    caller: Caller,
    mut requests: Streaming<ExchangeRequest>,
    mut replies: Outbox<ExchangeReply>,
) {
    let mut under_way = FuturesUnordered::new();
    let mut is_open = true;
    while is_open || !under_way.is_empty() {
        tokio::select! {
            biased;
            Some(reply) = under_way.next(), if !under_way.is_empty() => {
                if say(&mut replies, reply).await.is_err() {
                    // The client is gone; what is under way is unknown to it and repeated under its request ids.
                    return;
                }
            }
            request = requests.next(), if is_open && under_way.len() < CALLS_MAX => match request {
                Some(Ok(request)) => {
                    let mut call = Box::pin(answer(Arc::clone(&node), caller.clone(), request));
                    // The first poll hands the command to the road: here, in the order of the stream.
                    match (&mut call).now_or_never() {
                        Some(reply) => {
                            if say(&mut replies, reply).await.is_err() {
                                return;
                            }
                        }
                        None => under_way.push(call),
                    }
                }
                Some(Err(_)) | None => is_open = false,
            },
        }
    }
}

/// Errors: the client is gone, or takes nothing.
async fn say(replies: &mut Outbox<ExchangeReply>, reply: ExchangeReply) -> Result<(), ()> {
    let bytes = match &reply.outcome {
        Some(Outcome::Receive(received)) => received.messages.iter().map(|message| message.body.len()).sum(),
        _ => 0,
    };
    match replies.send(reply, bytes).await {
        Ok(()) => Ok(()),
        Err(Unsent::Gone(_)) => Err(()),
        // Its leases stand; the same request id brings the messages again.
        Err(Unsent::NoRoom(reply)) => {
            let failure = failure_of(&unknown("too many answers wait for their callers", Hint::default()));
            let reply = ExchangeReply { outcome: Some(Outcome::Failure(failure)), ..reply };
            replies.send(reply, 0).await.map_err(drop)
        }
    }
}

async fn answer(node: Arc<Node>, caller: Caller, request: ExchangeRequest) -> ExchangeReply {
    let name = match &request.call {
        Some(Call::Ack(_)) => "queue.ack",
        Some(Call::Extend(_)) => "queue.extend",
        Some(Call::Release(_)) => "queue.release",
        // Each message has a header of its own.
        Some(Call::Send(_) | Call::Receive(_)) | None => return answer_call(&node, &caller, request).await,
    };
    let span = follow(Given::read(&request.traceparent), name, Kind::Server);
    span.within(answer_call(&node, &caller, request)).await
}

async fn answer_call(node: &Node, caller: &Caller, request: ExchangeRequest) -> ExchangeReply {
    let admitted = request.call.as_ref().map_or(Ok(()), |call| may(caller, call));
    let outcome = match request.call.filter(|_| admitted.is_ok()) {
        Some(Call::Send(call)) => send::send(node, call).await.map(Outcome::Send),
        Some(Call::Receive(call)) => receive::receive(node, call).await.map(Outcome::Receive),
        Some(Call::Ack(call)) => settle::ack(node, call).await.map(Outcome::Ack),
        Some(Call::Extend(call)) => settle::extend(node, call).await.map(Outcome::Extend),
        Some(Call::Release(call)) => settle::release(node, call).await.map(Outcome::Release),
        None => Err(admitted.err().unwrap_or_else(|| {
            proto::outcome::with_outcome(
                Code::Unimplemented,
                "the call is not known to this release",
                &proto::outcome::Outcome::NotApplied(proto::outcome::Hint::default()),
            )
        })),
    };
    let outcome = outcome.unwrap_or_else(|status| Outcome::Failure(failure_of(&status)));
    ExchangeReply { correlation: request.correlation, outcome: Some(outcome) }
}

fn may(caller: &Caller, call: &Call) -> Result<(), Status> {
    match call {
        Call::Send(call) => caller.may(call),
        Call::Receive(call) => caller.may(call),
        Call::Ack(call) => caller.may(call),
        Call::Extend(call) => caller.may(call),
        Call::Release(call) => caller.may(call),
    }
}
