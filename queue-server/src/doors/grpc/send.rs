//! Send: messages in, ids and a proof of durability out.

use proto::queue::v1::{Durability, SendReply, SendRequest};
use queue_core::{Command, Reply};
use replica::Receipt;
use tonic::Status;

use super::failure::{machine_refused, no_room, propose_failed};
use super::service::locate;
use crate::doors::convert::{new_message, unexpected};
use crate::doors::traced::Sends;
use crate::node::Node;
use crate::tally::Deed;

/// Appends messages, all or none. Refuses what the machine refuses.
pub(super) async fn send(node: &Node, call: SendRequest) -> Result<SendReply, Status> {
    let (located, request) = locate(node, &call.queue, call.request.as_ref()).await?;
    node.room_to_send().map_err(no_room)?;
    node.tally().count(located.group.id(), located.queue.0, Deed::send(call.messages.len()));
    let mut messages: Vec<_> = call.messages.into_iter().map(new_message).collect();
    let sends = Sends::of(&call.queue, &mut messages);
    let command = Command::Send { queue: located.queue, messages };
    let propose = located.group.propose(request, &command);
    let applied = sends.proposed(node.replica(), propose, |applied| applied.receipt).await;
    let applied = applied.map_err(propose_failed)?;
    match applied.reply {
        Reply::Sent { ids, duplicates, .. } => Ok(SendReply {
            ids: ids.into_iter().map(|id| id.0).collect(),
            durability: Some(durability(applied.receipt)),
            duplicates,
        }),
        Reply::Refused(refusal) => Err(machine_refused(refusal)),
        other => Err(unexpected(&other)),
    }
}

pub(super) fn durability(receipt: Receipt) -> Durability {
    Durability { group: receipt.group.0, term: receipt.term, index: receipt.index, copies: receipt.copies }
}
