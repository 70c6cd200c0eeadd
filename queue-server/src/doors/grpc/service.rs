//! The service `tercet.queue.v1.Queue`: each call goes to the file of its verb.

use std::sync::Arc;

use futures::stream::BoxStream;
use machine::{GroupId, RequestId};
use proto::queue::v1::queue_server::Queue;
use proto::queue::v1::*;
use tonic::{Request, Response, Status, Streaming};

use super::entrance::{admitted, answers, caller};
use super::failure::{locate_failed, not_here, other_group, propose_failed, read_failed};
use super::{consume, exchange, half, manage, receive, send, settle};
use crate::node::{Located, Node};

/// Answers the queue's calls.
#[derive(Clone)]
pub(crate) struct QueueDoor {
    node: Arc<Node>,
}

impl QueueDoor {
    pub(crate) fn new(node: Arc<Node>) -> Self {
        Self { node }
    }
}

/// The queue of a call, on the node that leads its group, and the call's request id in the machine's words.
pub(super) async fn locate(
    node: &Node,
    queue: &str,
    request: Option<&proto::queue::v1::RequestId>,
) -> Result<(Located, RequestId), Status> {
    if let Some(left) = request.map(|request| left_behind(node, queue, request)).transpose()?.flatten() {
        let request = request_id(request, left.group.id())?;
        return Ok((left, request));
    }
    let located = node.locate(queue).await.map_err(locate_failed)?;
    let request = request_id(request, located.group.id())?;
    Ok((located, request))
}

/// A call under an id of a group that the queue has left: that group alone knows whether it was applied there, and says so
/// under the id, with its former reply or with `Moved`.
fn left_behind(node: &Node, queue: &str, request: &proto::queue::v1::RequestId) -> Result<Option<Located>, Status> {
    let Some(group) = node.group(GroupId(request.group)).filter(|_| request.session != 0) else { return Ok(None) };
    let Some(queue) = group.read_stale(|view| view.machine.moved_id(queue)).map_err(read_failed)? else {
        return Ok(None);
    };
    if group.is_leader() { Ok(Some(Located { group, queue })) } else { Err(not_here(&group)) }
}

/// The request id, which must belong to `group`.
pub(super) fn request_id(request: Option<&proto::queue::v1::RequestId>, group: GroupId) -> Result<RequestId, Status> {
    match request {
        None => Ok(RequestId::NONE),
        Some(id) if id.session == 0 => Ok(RequestId::NONE),
        Some(id) if id.group != group.0 => Err(other_group(group.0)),
        Some(id) => Ok(RequestId { session: id.session, sequence: id.sequence }),
    }
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl Queue for QueueDoor {
    async fn open_session(&self, request: Request<OpenSessionRequest>) -> Answer<OpenSessionReply> {
        let group = admitted(request)?.group;
        let session = manage::open_session(&self.node, group).await.map_err(propose_failed)?;
        Ok(Response::new(OpenSessionReply { session, group }))
    }

    async fn locate(&self, request: Request<LocateRequest>) -> Answer<LocateReply> {
        manage::locate(&self.node, admitted(request)?).await.map(Response::new)
    }

    async fn create_queue(&self, request: Request<CreateQueueRequest>) -> Answer<CreateQueueReply> {
        manage::create(&self.node, admitted(request)?).await.map(Response::new)
    }

    async fn list_queues(&self, request: Request<ListQueuesRequest>) -> Answer<ListQueuesReply> {
        manage::list(&self.node, admitted(request)?).await.map(Response::new)
    }

    async fn get_queue(&self, request: Request<GetQueueRequest>) -> Answer<GetQueueReply> {
        manage::get(&self.node, admitted(request)?).await.map(Response::new)
    }

    async fn set_queue_attributes(
        &self,
        request: Request<SetQueueAttributesRequest>,
    ) -> Answer<SetQueueAttributesReply> {
        manage::set_attributes(&self.node, admitted(request)?).await.map(Response::new)
    }

    async fn delete_queue(&self, request: Request<DeleteQueueRequest>) -> Answer<DeleteQueueReply> {
        manage::delete(&self.node, admitted(request)?).await.map(Response::new)
    }

    async fn purge_queue(&self, request: Request<PurgeQueueRequest>) -> Answer<PurgeQueueReply> {
        manage::purge(&self.node, admitted(request)?).await.map(Response::new)
    }

    async fn send(&self, request: Request<SendRequest>) -> Answer<SendReply> {
        send::send(&self.node, admitted(request)?).await.map(Response::new)
    }

    async fn receive(&self, request: Request<ReceiveRequest>) -> Answer<ReceiveReply> {
        receive::receive(&self.node, admitted(request)?).await.map(Response::new)
    }

    async fn ack(&self, request: Request<AckRequest>) -> Answer<AckReply> {
        settle::ack(&self.node, admitted(request)?).await.map(Response::new)
    }

    async fn extend(&self, request: Request<ExtendRequest>) -> Answer<ExtendReply> {
        settle::extend(&self.node, admitted(request)?).await.map(Response::new)
    }

    async fn release(&self, request: Request<ReleaseRequest>) -> Answer<ReleaseReply> {
        settle::release(&self.node, admitted(request)?).await.map(Response::new)
    }

    async fn peek(&self, request: Request<PeekRequest>) -> Answer<PeekReply> {
        receive::peek(&self.node, admitted(request)?).await.map(Response::new)
    }

    async fn confirm_half(&self, request: Request<ConfirmHalfRequest>) -> Answer<ConfirmHalfReply> {
        half::confirm(&self.node, admitted(request)?).await.map(Response::new)
    }

    async fn query_half(&self, request: Request<QueryHalfRequest>) -> Answer<QueryHalfReply> {
        half::query(&self.node, admitted(request)?).await.map(Response::new)
    }

    type ConsumeStream = BoxStream<'static, Result<ConsumeReply, Status>>;

    async fn consume(&self, request: Request<Streaming<ConsumeRequest>>) -> Answer<Self::ConsumeStream> {
        let (caller, answers) = (caller(&request)?, answers(&request)?);
        consume::consume(Arc::clone(&self.node), caller, &answers, request.into_inner()).await.map(Response::new)
    }

    type ExchangeStream = BoxStream<'static, Result<ExchangeReply, Status>>;

    async fn exchange(&self, request: Request<Streaming<ExchangeRequest>>) -> Answer<Self::ExchangeStream> {
        let (caller, answers) = (caller(&request)?, answers(&request)?);
        Ok(Response::new(exchange::exchange(Arc::clone(&self.node), caller, &answers, request.into_inner())))
    }
}
