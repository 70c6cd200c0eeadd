//! The actions: their names, the right each needs and on what, and where each goes.
//!
//! Names are matched whatever their letters' case: a Java SDK asks for `ClearSUbscriptionFIlterTags`.
//!
//! Must never: run an action whose right was not checked.

use queue_core::Right;

use super::answers::Fields;
use super::params::Params;
use super::{message_actions as messages, queue_actions as queues, topic_actions as topics};
use crate::doors::cmq::{Broker, Caller, Said, no};

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    CreateQueue,
    ListQueue,
    GetQueueAttributes,
    SetQueueAttributes,
    DeleteQueue,
    RewindQueue,
    SendMessage,
    BatchSendMessage,
    ReceiveMessage,
    BatchReceiveMessage,
    DeleteMessage,
    BatchDeleteMessage,
    CreateTopic,
    SetTopicAttributes,
    ListTopic,
    GetTopicAttributes,
    DeleteTopic,
    PublishMessage,
    BatchPublishMessage,
    Subscribe,
    ListSubscriptionByTopic,
    SetSubscriptionAttributes,
    GetSubscriptionAttributes,
    Unsubscribe,
    ClearSubscriptionFilterTags,
    QueryQueueRoute,
    QueryTopicRoute,
    ClearQueue,
    DescribeDeadLetterSourceQueues,
    UnbindDeadLetter,
    ConfirmTransaction,
    QueryTransaction,
    DescribeMessageTrace,
}

/// An action and who may ask for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Action {
    pub(super) name: &'static str,
    pub(super) verb: Verb,
    pub(super) right: Right,
    /// The parameter that names what the right is on; empty: all there is.
    pub(super) on: &'static str,
}

const fn action(name: &'static str, verb: Verb, right: Right, on: &'static str) -> Action {
    Action { name, verb, right, on }
}

/// API 2.0, then the routes of the TCP SDK, then what API 3.0 has and 2.0 lacks, then our own.
pub(super) const ACTIONS: [Action; 33] = [
    action("CreateQueue", Verb::CreateQueue, Right::Manage, "queueName"),
    action("ListQueue", Verb::ListQueue, Right::Manage, ""),
    action("GetQueueAttributes", Verb::GetQueueAttributes, Right::Manage, "queueName"),
    action("SetQueueAttributes", Verb::SetQueueAttributes, Right::Manage, "queueName"),
    action("DeleteQueue", Verb::DeleteQueue, Right::Manage, "queueName"),
    action("RewindQueue", Verb::RewindQueue, Right::Manage, "queueName"),
    action("SendMessage", Verb::SendMessage, Right::Send, "queueName"),
    action("BatchSendMessage", Verb::BatchSendMessage, Right::Send, "queueName"),
    action("ReceiveMessage", Verb::ReceiveMessage, Right::Receive, "queueName"),
    action("BatchReceiveMessage", Verb::BatchReceiveMessage, Right::Receive, "queueName"),
    action("DeleteMessage", Verb::DeleteMessage, Right::Receive, "queueName"),
    action("BatchDeleteMessage", Verb::BatchDeleteMessage, Right::Receive, "queueName"),
    action("CreateTopic", Verb::CreateTopic, Right::Manage, "topicName"),
    action("SetTopicAttributes", Verb::SetTopicAttributes, Right::Manage, "topicName"),
    action("ListTopic", Verb::ListTopic, Right::Manage, ""),
    action("GetTopicAttributes", Verb::GetTopicAttributes, Right::Manage, "topicName"),
    action("DeleteTopic", Verb::DeleteTopic, Right::Manage, "topicName"),
    action("PublishMessage", Verb::PublishMessage, Right::Send, "topicName"),
    action("BatchPublishMessage", Verb::BatchPublishMessage, Right::Send, "topicName"),
    action("Subscribe", Verb::Subscribe, Right::Manage, "topicName"),
    action("ListSubscriptionByTopic", Verb::ListSubscriptionByTopic, Right::Manage, "topicName"),
    action("SetSubscriptionAttributes", Verb::SetSubscriptionAttributes, Right::Manage, "topicName"),
    action("GetSubscriptionAttributes", Verb::GetSubscriptionAttributes, Right::Manage, "topicName"),
    action("Unsubscribe", Verb::Unsubscribe, Right::Manage, "topicName"),
    action("ClearSubscriptionFilterTags", Verb::ClearSubscriptionFilterTags, Right::Manage, "topicName"),
    action("QueryQueueRoute", Verb::QueryQueueRoute, Right::Send, "queueName"),
    action("QueryTopicRoute", Verb::QueryTopicRoute, Right::Send, "topicName"),
    action("ClearQueue", Verb::ClearQueue, Right::Manage, "queueName"),
    action(
        "DescribeDeadLetterSourceQueues",
        Verb::DescribeDeadLetterSourceQueues,
        Right::Manage,
        "deadLetterQueueName",
    ),
    action("UnbindDeadLetter", Verb::UnbindDeadLetter, Right::Manage, "queueName"),
    action("ConfirmTransaction", Verb::ConfirmTransaction, Right::Send, "queueName"),
    action("QueryTransaction", Verb::QueryTransaction, Right::Send, "queueName"),
    action("DescribeMessageTrace", Verb::DescribeMessageTrace, Right::Manage, "queueName"),
];

impl Action {
    /// The action that is called `name`. Flaw: there is none.
    pub(super) fn named(name: &str) -> Said<Self> {
        let found = ACTIONS.iter().find(|action| action.name.eq_ignore_ascii_case(name));
        found.copied().ok_or_else(|| no::ACTION.about(name))
    }

    /// Whether a repeat of it would do something a second time.
    pub(super) const fn is_change(self) -> bool {
        !matches!(
            self.verb,
            Verb::ListQueue
                | Verb::GetQueueAttributes
                | Verb::ListTopic
                | Verb::GetTopicAttributes
                | Verb::ListSubscriptionByTopic
                | Verb::GetSubscriptionAttributes
                | Verb::QueryQueueRoute
                | Verb::QueryTopicRoute
                | Verb::DescribeDeadLetterSourceQueues
                | Verb::QueryTransaction
                | Verb::DescribeMessageTrace
        )
    }

    /// The parameter that may name a queue into which the action lets messages flow; who does so must be allowed to send
    /// there.
    pub(super) const fn flows_into(self) -> Option<&'static str> {
        match self.verb {
            Verb::CreateQueue | Verb::SetQueueAttributes => Some("deadLetterQueueName"),
            Verb::Subscribe | Verb::SetSubscriptionAttributes => Some("endpoint"),
            _ => None,
        }
    }

    /// Runs it, its right being checked.
    pub(super) async fn run(self, params: &Params<'_>, broker: &dyn Broker, caller: Caller) -> Said<Fields> {
        match self.verb {
            Verb::CreateQueue => queues::create(params, broker).await,
            Verb::ListQueue => queues::list(params, broker).await,
            Verb::GetQueueAttributes => queues::get(params, broker).await,
            Verb::SetQueueAttributes => queues::set(params, broker).await,
            Verb::DeleteQueue => queues::delete(params, broker).await,
            Verb::RewindQueue => queues::rewind(params, broker).await,
            Verb::ClearQueue => queues::clear(params, broker).await,
            Verb::DescribeDeadLetterSourceQueues => queues::dead_letter_sources(params, broker).await,
            Verb::UnbindDeadLetter => queues::unbind_dead_letter(params, broker).await,
            Verb::QueryQueueRoute => queues::route(params, broker).await,
            Verb::SendMessage => messages::send(params, broker).await,
            Verb::BatchSendMessage => messages::batch_send(params, broker).await,
            Verb::ReceiveMessage => messages::receive(params, broker, caller).await,
            Verb::BatchReceiveMessage => messages::batch_receive(params, broker, caller).await,
            Verb::DeleteMessage => messages::delete(params, broker).await,
            Verb::BatchDeleteMessage => messages::batch_delete(params, broker).await,
            Verb::ConfirmTransaction => messages::confirm(params, broker).await,
            Verb::QueryTransaction => messages::check_backs(params, broker).await,
            Verb::DescribeMessageTrace => messages::trace(params, broker).await,
            Verb::CreateTopic => topics::create(params, broker).await,
            Verb::SetTopicAttributes => topics::set(params, broker).await,
            Verb::ListTopic => topics::list(params, broker).await,
            Verb::GetTopicAttributes => topics::get(params, broker).await,
            Verb::DeleteTopic => topics::delete(params, broker).await,
            Verb::PublishMessage => topics::publish(params, broker).await,
            Verb::BatchPublishMessage => topics::batch_publish(params, broker).await,
            Verb::QueryTopicRoute => topics::route(params, broker).await,
            Verb::Subscribe => topics::subscribe(params, broker).await,
            Verb::ListSubscriptionByTopic => topics::subscriptions(params, broker).await,
            Verb::SetSubscriptionAttributes => topics::set_subscription(params, broker).await,
            Verb::GetSubscriptionAttributes => topics::subscription(params, broker).await,
            Verb::Unsubscribe => topics::unsubscribe(params, broker).await,
            Verb::ClearSubscriptionFilterTags => topics::clear_filter_tags(params, broker).await,
        }
    }
}
