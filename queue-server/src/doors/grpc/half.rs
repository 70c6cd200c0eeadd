//! Half messages: what their producers say, and what producers are asked.

use std::time::Duration;

use machine::{RequestId, StoreFailure};
use proto::limits::WAIT_MS_MAX;
use proto::outcome::{Hint, unknown};
use proto::queue::v1::{
    ConfirmHalfReply, ConfirmHalfRequest, HalfResult, Message, MessageState, QueryHalfReply, QueryHalfRequest,
};
use queue_core::{Command, MessageId, Question, QueueMachine, Reply};
use replica::View;
use tokio::time::Instant;
use tonic::Status;

use super::failure::{DoorRefusal, door_refused, machine_refused, not_here, propose_failed, read_failed};
use super::service::locate;
use crate::doors::convert::{self, unexpected};
use crate::node::{Located, Node};

/// Commits half messages, or rolls them back.
pub(super) async fn confirm(node: &Node, call: ConfirmHalfRequest) -> Result<ConfirmHalfReply, Status> {
    let (located, request) = locate(node, &call.queue, call.request.as_ref()).await?;
    let ids = call.ids.iter().map(|id| MessageId(*id)).collect();
    let command = Command::Confirm { queue: located.queue, ids, is_commit: call.commit };
    match located.group.propose(request, &command).await.map_err(propose_failed)?.reply {
        Reply::Settled { results } => {
            let result = |(id, refusal): (&u64, Option<queue_core::Refusal>)| HalfResult {
                id: *id,
                refusal: refusal.map_or(0, |refusal| u32::from(refusal.number())),
                text: refusal.map_or_else(String::new, |refusal| refusal.to_string()),
            };
            Ok(ConfirmHalfReply { results: call.ids.iter().zip(results).map(result).collect() })
        }
        Reply::Refused(refusal) => Err(machine_refused(refusal)),
        other => Err(unexpected(&other)),
    }
}

/// Takes the questions that are due; waits for the first one if asked to. A query that would find none is not proposed.
pub(super) async fn query(node: &Node, call: QueryHalfRequest) -> Result<QueryHalfReply, Status> {
    if call.wait_ms > WAIT_MS_MAX {
        return Err(door_refused(DoorRefusal::WaitTooLong, "a query waits at most 30 s"));
    }
    let (located, request) = locate(node, &call.queue, call.request.as_ref()).await?;
    if request != RequestId::NONE
        && let Some(Reply::Questions { questions }) = located.group.former_reply(request)
    {
        return read(&located, &questions);
    }
    let command = Command::QueryHalf { queue: located.queue, count: call.messages_max };
    let until = Instant::now() + Duration::from_millis(u64::from(call.wait_ms));
    loop {
        // A queue without a policy is refused by the machine.
        let is_worth_it = located.group.read_stale(|view| {
            let has_policy = view.machine.status(located.queue)?.attributes.transaction.is_some();
            let is_due = view.machine.next_question(located.queue).is_some_and(|next| next <= view.now);
            Some(is_due || !has_policy)
        });
        if is_worth_it.map_err(read_failed)?.unwrap_or(true) {
            match located.group.propose(request, &command).await.map_err(propose_failed)?.reply {
                Reply::Questions { questions } => return read(&located, &questions),
                Reply::Refused(refusal) => return Err(machine_refused(refusal)),
                // A request id is used up by any reply, so only a nameless one goes on.
                Reply::Empty if request == RequestId::NONE => {}
                Reply::Empty => return Ok(QueryHalfReply { messages: Vec::new() }),
                other => return Err(unexpected(&other)),
            }
        }
        if Instant::now() >= until {
            return Ok(QueryHalfReply { messages: Vec::new() });
        }
        tokio::time::sleep_until(until.min(Instant::now() + LOOK_EVERY)).await;
        if !located.group.is_leader() {
            return Err(not_here(&located.group));
        }
    }
}

/// Questions become due by time alone, so a wait looks for them this often.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The messages that are asked about. What has been confirmed since is left out.
fn read(located: &Located, questions: &[Question]) -> Result<QueryHalfReply, Status> {
    let read = |view: &View<'_, QueueMachine>| -> Result<Vec<Message>, StoreFailure> {
        let mut messages = Vec::with_capacity(questions.len());
        for half in view.machine.half_messages(view.rows, located.queue, questions)? {
            if let Some(body) = view.rows.body(half.message.id.body())? {
                messages.extend(convert::peeked_message(half, MessageState::Half, body).message);
            }
        }
        Ok(messages)
    };
    let messages = located.group.read_stale(read).map_err(read_failed)?;
    // The questions are taken; the same request id brings them once the rows can be read again.
    Ok(QueryHalfReply { messages: messages.map_err(|failure| unknown(&failure.to_string(), Hint::default()))? })
}
