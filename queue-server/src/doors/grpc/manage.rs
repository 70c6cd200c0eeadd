//! Queues themselves: open a session, locate, create, list, get, set, delete, purge.

use std::time::Duration;

use machine::{GroupId, RequestId};
use proto::queue::v1::{
    CreateQueueReply, CreateQueueRequest, DeleteQueueReply, DeleteQueueRequest, GetQueueReply, GetQueueRequest,
    ListQueuesReply, ListQueuesRequest, LocateReply, LocateRequest, PurgeQueueReply, PurgeQueueRequest,
    QueueAttributes, QueueName, SetQueueAttributesReply, SetQueueAttributesRequest,
};
use queue_core::{AttributeChanges, Attributes, Command, PlaceRefusal, QueueMachine, Refusal, Reply};
use replica::{Group, ProposeError};
use tonic::Status;

use super::failure::{
    DoorRefusal, door_refused, locate_failed, machine_refused, not_here, propose_failed, queue_missing, read_failed,
};
use super::service::{locate as locate_queue, request_id};
use crate::doors::convert::{changes, counters, stall_text, unexpected, wire_attributes};
use crate::doors::pages::all;
use crate::node::{LocateError, Node, unfound};

const MANAGE_DEADLINE: Duration = Duration::from_secs(3);
const PAGE_MAX: u32 = 1000;

pub(super) async fn open_session(node: &Node, group: u32) -> Result<u64, ProposeError> {
    if group == GroupId::META.0 {
        let starting = || ProposeError::NotApplied("the node is starting".to_owned());
        return node.directory().ok_or_else(starting)?.open_session().await;
    }
    let unknown = || ProposeError::NotApplied(format!("group {group} is not served here"));
    node.group(GroupId(group)).ok_or_else(unknown)?.open_session().await
}

pub(super) async fn locate(node: &Node, call: LocateRequest) -> Result<LocateReply, Status> {
    let place = match call.topic.as_str() {
        "" => node.place(&call.queue).await.map_err(locate_failed)?,
        topic => node.place_of_topic(topic).await.map_err(locate_failed)?,
    };
    let leader = node.group(place.group).and_then(|group| group.leader());
    let leader = leader.map_or_else(String::new, |leader| leader.address);
    Ok(LocateReply { group: place.group.0, epoch: place.epoch, leader })
}

/// Places the name, then creates the queue in its group. A crash between the two leaves a place and no queue: harmless.
pub(super) async fn create(node: &Node, call: CreateQueueRequest) -> Result<CreateQueueReply, Status> {
    let wanted = wanted(node, call.attributes.as_ref()).await?;
    let attributes = Attributes::default().changed(wanted);
    let beside = attributes.dead_letter.as_ref().map_or("", |policy| policy.queue.as_str());
    let placed = node.place_new(&call.queue, beside).await.map_err(propose_failed)?;
    let place = placed.map_err(not_placed)?;
    let group = group_of(node, place.group)?;
    let request = request_id(call.request.as_ref(), place.group)?;
    let command = Command::CreateQueue { name: call.queue, attributes };
    match settle(&group, request, &command).await? {
        Reply::Created { queue } => Ok(CreateQueueReply { queue_id: queue.0, group: place.group.0 }),
        Reply::Refused(refusal) => Err(machine_refused(refusal)),
        other => Err(unexpected(&other)),
    }
}

pub(super) fn not_placed(refusal: PlaceRefusal) -> Status {
    match refusal {
        PlaceRefusal::NameInvalid => machine_refused(Refusal::NameInvalid),
        PlaceRefusal::NoGroup | PlaceRefusal::DirectoryFull => {
            door_refused(DoorRefusal::DirectoryFull, "the directory takes no more names")
        }
    }
}

/// What the caller wants of a queue; its dead-letter queue is looked up, for it may stand in another group.
async fn wanted(node: &Node, attributes: Option<&QueueAttributes>) -> Result<AttributeChanges, Status> {
    let mut wanted = attributes.map(changes).transpose().map_err(machine_refused)?.unwrap_or_default();
    if let Some(Some(policy)) = &mut wanted.dead_letter {
        policy.group = match node.place(&policy.queue).await {
            Ok(place) => Some(place.group),
            // The machine refuses it, in the order of its rules.
            Err(LocateError::Unknown) => None,
            Err(error) => return Err(locate_failed(error)),
        };
    }
    Ok(wanted)
}

pub(super) async fn delete(node: &Node, call: DeleteQueueRequest) -> Result<DeleteQueueReply, Status> {
    let place = node.place(&call.queue).await.map_err(locate_failed)?;
    let group = group_of(node, place.group)?;
    let request = request_id(call.request.as_ref(), place.group)?;
    match settle(&group, request, &Command::DeleteQueue { name: call.queue }).await? {
        Reply::Done => Ok(DeleteQueueReply {}),
        Reply::Refused(refusal) => Err(machine_refused(refusal)),
        other => Err(unexpected(&other)),
    }
}

/// Creates and deletes go to the group's leader from any node. A place outlives its queue, so that a repeat finds the
/// group that knows its request id, and gets the former reply.
async fn settle(group: &Group<QueueMachine>, request: RequestId, command: &Command) -> Result<Reply, Status> {
    let applied = group.propose_anywhere(request, command, MANAGE_DEADLINE).await.map_err(propose_failed)?;
    Ok(applied.reply)
}

fn group_of(node: &Node, group: GroupId) -> Result<Group<QueueMachine>, Status> {
    node.group(group).ok_or_else(|| door_refused(DoorRefusal::NoSuchGroup, "the group is not served here"))
}

pub(super) async fn list(node: &Node, call: ListQueuesRequest) -> Result<ListQueuesReply, Status> {
    let limit = match call.limit {
        0 => 20,
        limit @ 1..=PAGE_MAX => limit as usize,
        _ => return Err(door_refused(DoorRefusal::BadPage, "a page holds at most 1000 names")),
    };
    let mut queues = Vec::new();
    for group in node.groups() {
        queues.append(&mut names_of(&group, &call.search).await?);
    }
    queues.sort_by_key(|queue: &QueueName| queue.queue.to_ascii_lowercase());
    let total = u32::try_from(queues.len()).unwrap_or(u32::MAX);
    let page = queues.into_iter().skip(call.offset as usize).take(limit).collect();
    Ok(ListQueuesReply { total, queues: page })
}

/// All names of a group that contain `search`.
async fn names_of(group: &Group<QueueMachine>, search: &str) -> Result<Vec<QueueName>, Status> {
    let id = group.id().0;
    let read = group.read_anywhere(MANAGE_DEADLINE, |view| {
        all(|offset| {
            let page = view.machine.queues(search, offset, usize::MAX);
            (page.total, page.queues)
        })
    });
    let name = |(queue_id, queue): (queue_core::QueueId, String)| QueueName { queue, queue_id: queue_id.0, group: id };
    Ok(read.await.map_err(read_failed)?.into_iter().map(name).collect())
}

pub(super) async fn get(node: &Node, call: GetQueueRequest) -> Result<GetQueueReply, Status> {
    let place = node.place(&call.queue).await.map_err(locate_failed)?;
    let group = group_of(node, place.group)?;
    let found = group
        .read_anywhere(MANAGE_DEADLINE, |view| {
            let queue = view.machine.queue_id(&call.queue)?;
            let status = view.machine.status(queue)?;
            let oldest = view.machine.oldest_visible(view.rows, queue);
            let unconsumed = view.machine.oldest_unconsumed(view.rows, queue);
            Some((status, oldest.and_then(|oldest| Ok((oldest, unconsumed?)))))
        })
        .await
        .map_err(read_failed)?;
    let (status, oldest) = found.ok_or_else(|| locate_failed(unfound(&group, &call.queue)))?;
    let (oldest, unconsumed) =
        oldest.map_err(|failure| proto::outcome::not_applied(&failure.to_string(), proto::outcome::Hint::default()))?;
    Ok(GetQueueReply {
        queue: status.name.clone(),
        queue_id: status.queue.0,
        group: place.group.0,
        attributes: Some(wire_attributes(&status.attributes)),
        counters: Some(counters(&status.counts, &status.totals)),
        created_ms: status.created.0,
        modified_ms: status.modified.0,
        oldest_visible_ms: oldest.map_or(0, |oldest| oldest.0),
        dead_letter_blocked: stall_text(status.stall),
        oldest_unconsumed_ms: unconsumed.map_or(0, |oldest| oldest.0),
    })
}

pub(super) async fn set_attributes(
    node: &Node,
    call: SetQueueAttributesRequest,
) -> Result<SetQueueAttributesReply, Status> {
    let place = node.place(&call.queue).await.map_err(locate_failed)?;
    let group = group_of(node, place.group)?;
    let request = request_id(call.request.as_ref(), place.group)?;
    if !group.is_leader() {
        return Err(not_here(&group));
    }
    let changes = wanted(node, call.attributes.as_ref()).await?;
    let command = Command::SetQueueAttributes { name: call.queue.clone(), changes };
    match group.propose(request, &command).await.map_err(propose_failed)?.reply {
        Reply::Done => {}
        Reply::Refused(refusal) => return Err(machine_refused(refusal)),
        other => return Err(unexpected(&other)),
    }
    let read = group.read_stale(|view| view.machine.status(view.machine.queue_id(&call.queue)?));
    let status = read.map_err(read_failed)?.ok_or_else(queue_missing)?;
    Ok(SetQueueAttributesReply { attributes: Some(wire_attributes(&status.attributes)) })
}

pub(super) async fn purge(node: &Node, call: PurgeQueueRequest) -> Result<PurgeQueueReply, Status> {
    let (located, request) = locate_queue(node, &call.queue, call.request.as_ref()).await?;
    let command = Command::Purge { queue: located.queue };
    match located.group.propose(request, &command).await.map_err(propose_failed)?.reply {
        Reply::Purged { messages } => Ok(PurgeQueueReply { purged: messages }),
        Reply::Refused(refusal) => Err(machine_refused(refusal)),
        other => Err(unexpected(&other)),
    }
}
