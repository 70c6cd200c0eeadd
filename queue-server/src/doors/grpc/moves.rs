//! The service `tercet.queue.v1.Moves`: queues go from one group to another.
//!
//! Must never: carry a message. The groups' machines and the courier do.

use std::sync::Arc;
use std::time::Duration;

use machine::GroupId;
use proto::queue::v1::moves_server::Moves;
use proto::queue::v1::*;
use queue_core::{Command, Departure, Reply};
use tonic::{Request, Response, Status};

use super::entrance::admitted;
use super::failure::{DoorRefusal, door_refused, machine_refused, propose_failed, read_failed};
use super::service::locate;
use crate::doors::convert::unexpected;
use crate::node::Node;

const DEADLINE: Duration = Duration::from_secs(3);

/// Answers calls about moves.
#[derive(Clone)]
pub(crate) struct MovesDoor {
    node: Arc<Node>,
}

impl MovesDoor {
    pub(crate) const fn new(node: Arc<Node>) -> Self {
        Self { node }
    }

    async fn propose(&self, (queue, request): (&str, Option<&RequestId>), command: Command) -> Result<(), Status> {
        let (located, request) = locate(&self.node, queue, request).await?;
        match located.group.propose(request, &command).await.map_err(propose_failed)?.reply {
            Reply::Done => Ok(()),
            Reply::Refused(refusal) => Err(machine_refused(refusal)),
            other => Err(unexpected(&other)),
        }
    }
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl Moves for MovesDoor {
    async fn move_queue(&self, request: Request<MoveQueueRequest>) -> Answer<MoveQueueReply> {
        let call = admitted(request)?;
        let to = GroupId(call.group);
        if self.node.group(to).is_none() {
            return Err(door_refused(DoorRefusal::NoSuchGroup, "no such group of queues"));
        }
        let command = Command::MoveQueue { name: call.queue.clone(), to };
        self.propose((&call.queue, call.request.as_ref()), command).await?;
        Ok(Response::new(MoveQueueReply {}))
    }

    async fn cancel_move(&self, request: Request<CancelMoveRequest>) -> Answer<CancelMoveReply> {
        let call = admitted(request)?;
        let command = Command::CancelMove { name: call.queue.clone() };
        self.propose((&call.queue, call.request.as_ref()), command).await?;
        Ok(Response::new(CancelMoveReply {}))
    }

    async fn get_move(&self, request: Request<GetMoveRequest>) -> Answer<GetMoveReply> {
        get(&self.node, &admitted(request)?.queue).await.map(Response::new)
    }
}

/// The last move that any group knows of.
async fn get(node: &Node, queue: &str) -> Result<GetMoveReply, Status> {
    let mut last = GetMoveReply::default();
    for group in node.groups() {
        let from = group.id();
        let read = group.read_anywhere(DEADLINE, |view| {
            let departure = view.machine.departure(queue)?;
            Some(shown(from, departure, view.machine.departing_messages(queue)))
        });
        if let Some(known) = read.await.map_err(read_failed)?.filter(|known| known.started_ms >= last.started_ms) {
            last = known;
        }
    }
    Ok(last)
}

fn shown(from: GroupId, departure: &Departure, left: u64) -> GetMoveReply {
    let (phase, declined) = match departure.phase {
        queue_core::MovePhase::Asked => (MovePhase::Asked, String::new()),
        queue_core::MovePhase::Windows => (MovePhase::Windows, String::new()),
        queue_core::MovePhase::Leases => (MovePhase::Leases, String::new()),
        queue_core::MovePhase::Backlog => (MovePhase::Backlog, String::new()),
        queue_core::MovePhase::Gone => (MovePhase::Done, String::new()),
        queue_core::MovePhase::Declined(refusal) => (MovePhase::Declined, refusal.to_string()),
        queue_core::MovePhase::Cancelled => (MovePhase::Cancelled, String::new()),
    };
    GetMoveReply {
        phase: phase.into(),
        from: from.0,
        to: departure.to.0,
        shipped: departure.shipped,
        left,
        started_ms: departure.started.0,
        changed_ms: departure.changed.0,
        declined,
    }
}
