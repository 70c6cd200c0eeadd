//! The service `tercet.queue.v1.Topics`: topics themselves, and publishing. Subscriptions stand in `subscriptions`.

use std::sync::Arc;
use std::time::Duration;

use machine::{GroupId, RequestId};
use proto::queue::v1::topics_server::Topics;
use proto::queue::v1::*;
use queue_core::{Command, QueueMachine, Refusal, Reply, TopicAttributes as Attributes, TopicCommand, TopicId};
use replica::Group;
use tonic::{Request, Response, Status};

use super::entrance::admitted;
use super::failure::{
    DoorRefusal, door_refused, locate_failed, machine_refused, no_room, propose_failed, read_failed, topic_missing,
};
use super::send::durability;
use super::service::request_id;
use super::subscriptions;
use crate::doors::convert::{self, unexpected};
use crate::doors::pages::all;
use crate::node::{LocatedTopic, Node};
use crate::tally::Deed;

/// A call that may be served by a copy that follows waits so long for it.
pub(super) const DEADLINE: Duration = Duration::from_secs(3);
const PAGE_MAX: u32 = 1_000;

/// Answers the topics' calls.
#[derive(Clone)]
pub(crate) struct TopicsDoor {
    node: Arc<Node>,
}

impl TopicsDoor {
    pub(crate) const fn new(node: Arc<Node>) -> Self {
        Self { node }
    }
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl Topics for TopicsDoor {
    async fn create_topic(&self, request: Request<CreateTopicRequest>) -> Answer<CreateTopicReply> {
        create(&self.node, admitted(request)?).await.map(Response::new)
    }

    async fn list_topics(&self, request: Request<ListTopicsRequest>) -> Answer<ListTopicsReply> {
        list(&self.node, admitted(request)?).await.map(Response::new)
    }

    async fn get_topic(&self, request: Request<GetTopicRequest>) -> Answer<GetTopicReply> {
        get(&self.node, admitted(request)?).await.map(Response::new)
    }

    async fn set_topic_attributes(
        &self,
        request: Request<SetTopicAttributesRequest>,
    ) -> Answer<SetTopicAttributesReply> {
        let call = admitted(request)?;
        let changes = call.attributes.as_ref().map(convert::topic_changes).unwrap_or_default();
        let command = TopicCommand::Set { name: call.topic.clone(), changes };
        done(&self.node, &call.topic, call.request.as_ref(), command).await?;
        Ok(Response::new(SetTopicAttributesReply {}))
    }

    async fn delete_topic(&self, request: Request<DeleteTopicRequest>) -> Answer<DeleteTopicReply> {
        delete(&self.node, admitted(request)?).await.map(Response::new)
    }

    async fn subscribe(&self, request: Request<SubscribeRequest>) -> Answer<SubscribeReply> {
        subscriptions::subscribe(&self.node, admitted(request)?).await.map(Response::new)
    }

    async fn list_subscriptions(&self, request: Request<ListSubscriptionsRequest>) -> Answer<ListSubscriptionsReply> {
        subscriptions::list(&self.node, admitted(request)?).await.map(Response::new)
    }

    async fn get_subscription(&self, request: Request<GetSubscriptionRequest>) -> Answer<GetSubscriptionReply> {
        subscriptions::get(&self.node, admitted(request)?).await.map(Response::new)
    }

    async fn set_subscription(&self, request: Request<SetSubscriptionRequest>) -> Answer<SetSubscriptionReply> {
        subscriptions::set(&self.node, admitted(request)?).await.map(Response::new)
    }

    async fn unsubscribe(&self, request: Request<UnsubscribeRequest>) -> Answer<UnsubscribeReply> {
        let call = admitted(request)?;
        let command = TopicCommand::Unsubscribe { topic: call.topic.clone(), name: call.name };
        done(&self.node, &call.topic, call.request.as_ref(), command).await?;
        Ok(Response::new(UnsubscribeReply {}))
    }

    async fn publish(&self, request: Request<PublishRequest>) -> Answer<PublishReply> {
        publish(&self.node, admitted(request)?).await.map(Response::new)
    }
}

/// Most names of a page. Errors: it asks for more than a page may hold.
pub(super) fn page_limit(limit: u32) -> Result<usize, Status> {
    match limit {
        0 => Ok(20),
        limit @ 1..=PAGE_MAX => Ok(limit as usize),
        _ => Err(door_refused(DoorRefusal::BadPage, "a page holds at most 1000 names")),
    }
}

/// The group of a topic, whether this node leads it or not.
pub(super) async fn group_of(node: &Node, topic: &str) -> Result<Group<QueueMachine>, Status> {
    let place = node.place_of_topic(topic).await.map_err(locate_failed)?;
    serve(node, place.group)
}

fn serve(node: &Node, group: GroupId) -> Result<Group<QueueMachine>, Status> {
    node.group(group).ok_or_else(|| door_refused(DoorRefusal::NoSuchGroup, "the group is not served here"))
}

/// Proposes a command about a topic on the node that leads its group.
pub(super) async fn propose(
    node: &Node,
    topic: &str,
    request: Option<&proto::queue::v1::RequestId>,
    command: TopicCommand,
) -> Result<Reply, Status> {
    let LocatedTopic { group, .. } = node.locate_topic(topic).await.map_err(locate_failed)?;
    let request = request_id(request, group.id())?;
    Ok(group.propose(request, &Command::Topic(command)).await.map_err(propose_failed)?.reply)
}

/// As [`propose`], of a command that answers `Done`.
pub(super) async fn done(
    node: &Node,
    topic: &str,
    request: Option<&proto::queue::v1::RequestId>,
    command: TopicCommand,
) -> Result<(), Status> {
    match propose(node, topic, request, command).await? {
        Reply::Done => Ok(()),
        Reply::Refused(refusal) => Err(machine_refused(refusal)),
        other => Err(unexpected(&other)),
    }
}

/// Places the name, then creates the topic in its group. A crash between the two leaves a place and no topic: harmless.
async fn create(node: &Node, call: CreateTopicRequest) -> Result<CreateTopicReply, Status> {
    let wanted = call.attributes.as_ref().map(convert::topic_changes).unwrap_or_default();
    let filter = convert::filter_kind(call.filter());
    let attributes = Attributes { filter, ..Attributes::default() }.changed(wanted);
    let place = node.place_new_topic(&call.topic).await.map_err(propose_failed)?;
    let group = serve(node, place.map_err(super::manage::not_placed)?.group)?;
    let request = request_id(call.request.as_ref(), group.id())?;
    let command = TopicCommand::Create { name: call.topic, attributes };
    match settle(&group, request, command).await? {
        Reply::TopicCreated { topic } => Ok(CreateTopicReply { topic_id: topic.0, group: group.id().0 }),
        Reply::Refused(refusal) => Err(machine_refused(refusal)),
        other => Err(unexpected(&other)),
    }
}

async fn delete(node: &Node, call: DeleteTopicRequest) -> Result<DeleteTopicReply, Status> {
    let group = group_of(node, &call.topic).await?;
    let request = request_id(call.request.as_ref(), group.id())?;
    match settle(&group, request, TopicCommand::Delete { name: call.topic }).await? {
        Reply::Done => Ok(DeleteTopicReply {}),
        Reply::Refused(Refusal::TopicMissing) => Err(topic_missing()),
        Reply::Refused(refusal) => Err(machine_refused(refusal)),
        other => Err(unexpected(&other)),
    }
}

/// Creates and deletes go to the group's leader from any node.
async fn settle(group: &Group<QueueMachine>, request: RequestId, command: TopicCommand) -> Result<Reply, Status> {
    let command = Command::Topic(command);
    Ok(group.propose_anywhere(request, &command, DEADLINE).await.map_err(propose_failed)?.reply)
}

async fn list(node: &Node, call: ListTopicsRequest) -> Result<ListTopicsReply, Status> {
    let limit = page_limit(call.limit)?;
    let mut topics = Vec::new();
    for group in node.groups() {
        let id = group.id().0;
        let name = |(topic_id, topic): (TopicId, String)| TopicName { topic, topic_id: topic_id.0, group: id };
        let names = group.read_anywhere(DEADLINE, |view| all_topics(view.machine, &call.search));
        topics.extend(names.await.map_err(read_failed)?.into_iter().map(name));
    }
    topics.sort_by_key(|topic: &TopicName| topic.topic.to_ascii_lowercase());
    let total = u32::try_from(topics.len()).unwrap_or(u32::MAX);
    Ok(ListTopicsReply { total, topics: topics.into_iter().skip(call.offset as usize).take(limit).collect() })
}

/// All names that contain `search`.
fn all_topics(machine: &QueueMachine, search: &str) -> Vec<(TopicId, String)> {
    all(|offset| {
        let page = machine.topics(search, offset, usize::MAX);
        (page.total, page.topics)
    })
}

async fn get(node: &Node, call: GetTopicRequest) -> Result<GetTopicReply, Status> {
    let group = group_of(node, &call.topic).await?;
    let status = group
        .read_anywhere(DEADLINE, |view| view.machine.topic_status(view.machine.topic_id(&call.topic)?))
        .await
        .map_err(read_failed)?
        .ok_or_else(topic_missing)?;
    Ok(convert::topic(status, group.id()))
}

/// Copies messages to every subscription that lets them through, all or none.
async fn publish(node: &Node, call: PublishRequest) -> Result<PublishReply, Status> {
    let LocatedTopic { group, topic } = node.locate_topic(&call.topic).await.map_err(locate_failed)?;
    let request = request_id(call.request.as_ref(), group.id())?;
    node.room_to_send().map_err(no_room)?;
    let bytes = call.messages.iter().fold(0_u64, |bytes, message| bytes + message.body.len() as u64);
    node.tally().count(group.id(), topic.0, Deed::publish(call.messages.len()));
    node.tally().add(group.id(), topic.0, Deed::PublishBytes, bytes);
    let messages = call.messages.into_iter().map(convert::publication).collect();
    let command = Command::Topic(TopicCommand::Publish { topic, messages });
    let applied = group.propose(request, &command).await.map_err(propose_failed)?;
    match applied.reply {
        Reply::Published { ids, .. } => Ok(PublishReply {
            ids: ids.into_iter().map(|id| id.0).collect(),
            durability: Some(durability(applied.receipt)),
        }),
        Reply::Refused(refusal) => Err(machine_refused(refusal)),
        other => Err(unexpected(&other)),
    }
}
