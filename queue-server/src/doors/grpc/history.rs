//! The service `tercet.queue.v1.History`: what became of messages, and the ways back.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use machine::{RequestId, StoreFailure, TimestampMs};
use proto::outcome::{Hint, not_applied};
use proto::queue::v1::history_server::History;
use proto::queue::v1::*;
use queue_core::{Command, MessageId, QueueMachine, Reply, TopicCommand};
use replica::View;
use tokio::time::Instant;
use tonic::{Request, Response, Status};

use super::entrance::admitted;
use super::failure::{DoorRefusal, door_refused, locate_failed, machine_refused, propose_failed, read_failed};
use super::service::locate;
use crate::doors::convert::{self, unexpected};
use crate::node::Node;
use crate::rewind::RewindError;

const EVENTS_MAX: u32 = 1_000;
/// A rewind of very many lanes takes several rounds.
const REWIND_MAX: Duration = Duration::from_secs(10);

/// Answers calls about what has been.
#[derive(Clone)]
pub(crate) struct HistoryDoor {
    node: Arc<Node>,
}

impl HistoryDoor {
    pub(crate) const fn new(node: Arc<Node>) -> Self {
        Self { node }
    }
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl History for HistoryDoor {
    async fn search(&self, request: Request<SearchRequest>) -> Answer<SearchReply> {
        search(&self.node, admitted(request)?).await.map(Response::new)
    }

    async fn explain(&self, request: Request<ExplainRequest>) -> Answer<ExplainReply> {
        explain(&self.node, admitted(request)?).await.map(Response::new)
    }

    async fn list_events(&self, request: Request<ListEventsRequest>) -> Answer<ListEventsReply> {
        list_events(&self.node, admitted(request)?).await.map(Response::new)
    }

    async fn rewind(&self, request: Request<RewindRequest>) -> Answer<RewindReply> {
        rewind(&self.node, admitted(request)?).await.map(Response::new)
    }

    async fn list_dead_letter_sources(
        &self,
        request: Request<ListDeadLetterSourcesRequest>,
    ) -> Answer<ListDeadLetterSourcesReply> {
        dead_letter_sources(&self.node, admitted(request)?).await.map(Response::new)
    }

    async fn start_redrive(&self, request: Request<StartRedriveRequest>) -> Answer<StartRedriveReply> {
        start_redrive(&self.node, admitted(request)?).await.map(Response::new)
    }

    async fn stop_redrive(&self, request: Request<StopRedriveRequest>) -> Answer<StopRedriveReply> {
        let call = admitted(request)?;
        let (located, request) = locate(&self.node, &call.queue, call.request.as_ref()).await?;
        let command = Command::Topic(TopicCommand::StopRedrive { queue: located.queue });
        match located.group.propose(request, &command).await.map_err(propose_failed)?.reply {
            Reply::Done => Ok(Response::new(StopRedriveReply {})),
            Reply::Refused(refusal) => Err(machine_refused(refusal)),
            other => Err(unexpected(&other)),
        }
    }

    async fn get_redrive(&self, request: Request<GetRedriveRequest>) -> Answer<GetRedriveReply> {
        let (located, _) = locate(&self.node, &admitted(request)?.queue, None).await?;
        let read = located.group.read(|view| view.machine.redrive_status(located.queue).map(convert::redrive));
        let none = || GetRedriveReply { none: true, ..GetRedriveReply::default() };
        Ok(Response::new(read.await.map_err(read_failed)?.unwrap_or_else(none)))
    }
}

fn bad_page() -> Status {
    door_refused(DoorRefusal::BadPage, "the page is larger than it may be, or its cursor is not one of ours")
}

fn unreadable(failure: &StoreFailure) -> Status {
    not_applied(&failure.to_string(), Hint::default())
}

async fn search(node: &Node, call: SearchRequest) -> Result<SearchReply, Status> {
    let state = call.state();
    let asked =
        convert::peek_state(state).ok_or_else(|| door_refused(DoorRefusal::EnumMissing, "no state is given"))?;
    let limit = match call.limit {
        0 => 20,
        limit @ 1..=128 => limit as usize,
        _ => return Err(bad_page()),
    };
    let after = convert::read_cursor(&call.after).map_err(|_| bad_page())?;
    let filter = call.filter.unwrap_or_default();
    let (located, _) = locate(node, &call.queue, None).await?;
    let read = |view: &View<'_, QueueMachine>| -> Result<SearchReply, StoreFailure> {
        let filter = convert::filter(&filter);
        let found = view.machine.search(view.rows, located.queue, (asked, &filter), after, limit)?;
        let mut messages = Vec::with_capacity(found.messages.len());
        for peeked in found.messages {
            if let Some(body) = view.rows.body(peeked.message.id.body())? {
                messages.push(convert::peeked_message(peeked, state, body));
            }
        }
        Ok(SearchReply { messages, next: found.next.map_or_else(Bytes::new, convert::write_cursor) })
    };
    located.group.read(read).await.map_err(read_failed)?.map_err(|failure| unreadable(&failure))
}

async fn explain(node: &Node, call: ExplainRequest) -> Result<ExplainReply, Status> {
    let (located, _) = locate(node, &call.queue, None).await?;
    let id = MessageId(call.id);
    let read = |view: &View<'_, QueueMachine>| -> Result<ExplainReply, StoreFailure> {
        let (explained, timeline) = (view.machine.explain(view.rows, id)?, view.machine.timeline(view.rows, id)?);
        let complete = explained.is_complete && timeline.is_complete;
        let mut message = None;
        if let Some(found) = explained.found
            && let Some(body) = view.rows.body(id.body())?
        {
            message = Some(convert::peeked_message(found.message, convert::wire_state(found.state), body));
        }
        let events = timeline.events.iter().map(|event| convert::event(view.machine, event)).collect();
        Ok(ExplainReply { message, events, complete })
    };
    located.group.read(read).await.map_err(read_failed)?.map_err(|failure| unreadable(&failure))
}

async fn list_events(node: &Node, call: ListEventsRequest) -> Result<ListEventsReply, Status> {
    let limit = match call.limit {
        0 => 100,
        limit @ 1..=EVENTS_MAX => limit as usize,
        _ => return Err(bad_page()),
    };
    let after = match call.after.as_ref() {
        [] => None,
        number => Some(u64::from_be_bytes(number.try_into().map_err(|_| bad_page())?)),
    };
    let until = TimestampMs(if call.until_ms == 0 { u64::MAX } else { call.until_ms });
    let times = (TimestampMs(call.from_ms), until);
    let (located, _) = locate(node, &call.queue, None).await?;
    let read = |view: &View<'_, QueueMachine>| -> Result<ListEventsReply, StoreFailure> {
        let page = view.machine.events(view.rows, located.queue, times, after, limit)?;
        let events = page.events.iter().map(|event| convert::event(view.machine, event)).collect();
        let next = page.next.map_or_else(Bytes::new, |next| Bytes::copy_from_slice(&next.to_be_bytes()));
        Ok(ListEventsReply { events, next })
    };
    located.group.read(read).await.map_err(read_failed)?.map_err(|failure| unreadable(&failure))
}

async fn rewind(node: &Node, call: RewindRequest) -> Result<RewindReply, Status> {
    let (located, request) = locate(node, &call.queue, call.request.as_ref()).await?;
    if request != RequestId::NONE
        && let Some(Reply::Rewound { messages }) = located.group.former_reply(request)
    {
        return Ok(RewindReply { messages });
    }
    let (to, until) = (TimestampMs(call.to_ms), Instant::now() + REWIND_MAX);
    let rewound = crate::rewind::rewind(&located.group, located.queue, to, request, until).await;
    let messages = rewound.map_err(|error| match error {
        RewindError::Propose(error) => propose_failed(error),
        RewindError::Read(error) => read_failed(error),
        RewindError::Store(failure) => unreadable(&failure),
        RewindError::Reply(Reply::Refused(refusal)) => machine_refused(refusal),
        RewindError::Reply(other) => unexpected(&other),
    })?;
    Ok(RewindReply { messages })
}

async fn dead_letter_sources(
    node: &Node,
    call: ListDeadLetterSourcesRequest,
) -> Result<ListDeadLetterSourcesReply, Status> {
    let place = node.place(&call.queue).await.map_err(locate_failed)?;
    let mut queues = Vec::new();
    for group in node.groups() {
        let id = group.id();
        let sources = group.read_anywhere(super::topics::DEADLINE, |view| {
            let name = |id| view.machine.status(id).map(|status| status.name);
            let sources = view.machine.dead_letter_sources(id, place.group, &call.queue);
            sources.into_iter().filter_map(name).collect::<Vec<_>>()
        });
        queues.append(&mut sources.await.map_err(read_failed)?);
    }
    queues.sort_by_key(|name| name.to_ascii_lowercase());
    Ok(ListDeadLetterSourcesReply { queues })
}

async fn start_redrive(node: &Node, call: StartRedriveRequest) -> Result<StartRedriveReply, Status> {
    let (located, request) = locate(node, &call.queue, call.request.as_ref()).await?;
    let target = Some(call.target.clone()).filter(|target| !target.is_empty());
    let [target] = node.addresses([target]).await.map_err(locate_failed)?;
    let order = convert::redrive_order(&call, target).map_err(machine_refused)?;
    let command = Command::Topic(TopicCommand::Redrive { queue: located.queue, order });
    match located.group.propose(request, &command).await.map_err(propose_failed)?.reply {
        Reply::Done => Ok(StartRedriveReply {}),
        Reply::Refused(refusal) => Err(machine_refused(refusal)),
        other => Err(unexpected(&other)),
    }
}
