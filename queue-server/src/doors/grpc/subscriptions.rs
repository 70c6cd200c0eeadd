//! Subscriptions of a topic: added, listed, shown, changed.

use proto::queue::v1::{
    GetSubscriptionReply, GetSubscriptionRequest, ListSubscriptionsReply, ListSubscriptionsRequest,
    SetSubscriptionReply, SetSubscriptionRequest, SubscribeReply, SubscribeRequest, SubscriptionName,
};
use queue_core::{QueueId, Refusal, Reply, TopicCommand};
use tonic::Status;

use super::failure::{locate_failed, machine_refused, read_failed, topic_missing};
use super::topics::{DEADLINE, done, group_of, page_limit, propose};
use crate::doors::convert::{self, unexpected};
use crate::doors::pages::all;
use crate::node::Node;

/// Adds a subscription; it gets what is published from now on.
pub(super) async fn subscribe(node: &Node, call: SubscribeRequest) -> Result<SubscribeReply, Status> {
    let wanted = call.subscription.unwrap_or_default();
    let queues = convert::named_queues(&wanted);
    let queues = node.addresses(queues).await.map_err(locate_failed)?;
    let attributes = convert::subscription_attributes(wanted, queues).map_err(machine_refused)?;
    let command = TopicCommand::Subscribe { topic: call.topic.clone(), name: call.name, attributes };
    match propose(node, &call.topic, call.request.as_ref(), command).await? {
        Reply::Subscribed { queue } => Ok(SubscribeReply { subscription_id: queue.0 }),
        Reply::Refused(refusal) => Err(machine_refused(refusal)),
        other => Err(unexpected(&other)),
    }
}

/// Changes what the call says.
pub(super) async fn set(node: &Node, call: SetSubscriptionRequest) -> Result<SetSubscriptionReply, Status> {
    let wanted = call.subscription.unwrap_or_default();
    let queues = node.addresses(convert::named_queues(&wanted)).await.map_err(locate_failed)?;
    let set = convert::SetParts { filters: call.set_filters, dead_letter: call.set_dead_letter_queue };
    let changes = convert::subscription_changes(wanted, queues, set);
    let command = TopicCommand::SetSubscription { topic: call.topic.clone(), name: call.name, changes };
    done(node, &call.topic, call.request.as_ref(), command).await?;
    Ok(SetSubscriptionReply {})
}

/// A page of names.
pub(super) async fn list(node: &Node, call: ListSubscriptionsRequest) -> Result<ListSubscriptionsReply, Status> {
    let limit = page_limit(call.limit)?;
    let group = group_of(node, &call.topic).await?;
    let read = group.read_anywhere(DEADLINE, |view| {
        let topic = view.machine.topic_id(&call.topic)?;
        Some(all(|offset| {
            let page = view.machine.subscriptions(topic, &call.search, offset, usize::MAX);
            (page.total, page.subscriptions)
        }))
    });
    let names = read.await.map_err(read_failed)?.ok_or_else(topic_missing)?;
    let total = u32::try_from(names.len()).unwrap_or(u32::MAX);
    let name = |(queue, name): (QueueId, String)| SubscriptionName { name, subscription_id: queue.0 };
    let subscriptions = names.into_iter().skip(call.offset as usize).take(limit).map(name).collect();
    Ok(ListSubscriptionsReply { total, subscriptions })
}

/// One subscription.
pub(super) async fn get(node: &Node, call: GetSubscriptionRequest) -> Result<GetSubscriptionReply, Status> {
    let group = group_of(node, &call.topic).await?;
    let read = group.read_anywhere(DEADLINE, |view| {
        let Some(topic) = view.machine.topic_id(&call.topic) else { return Err(topic_missing()) };
        let queue = view.machine.subscription_queue(topic, &call.name);
        let status = queue.and_then(|queue| view.machine.subscription_status(queue));
        status.ok_or_else(|| machine_refused(Refusal::SubscriptionMissing))
    });
    read.await.map_err(read_failed)?.map(convert::subscription)
}
