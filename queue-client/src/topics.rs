//! Topics and subscriptions: created, listed, shown, changed, deleted; and published to.
//!
//! Must never: keep what it was told; another client may change a topic at any time.

use proto::queue::v1::{
    CreateTopicReply, CreateTopicRequest, DeleteTopicRequest, FilterKind, GetSubscriptionReply, GetSubscriptionRequest,
    GetTopicReply, GetTopicRequest, ListSubscriptionsReply, ListSubscriptionsRequest, ListTopicsReply,
    ListTopicsRequest, NewPublication, PublishReply, PublishRequest, SetSubscriptionRequest, SetTopicAttributesRequest,
    SubscribeReply, SubscribeRequest, Subscription, TopicAttributes, UnsubscribeRequest,
};

use crate::client::Client;
use crate::error::Error;
use crate::journey::Home;
use crate::queues::DIRECTORY;

/// What to change of a subscription. What is `None` stays; fields of `subscription` that are not given stay, too.
#[derive(Clone, Debug, Default)]
pub struct SubscriptionChange {
    /// Endpoint, strategy and format from now on. Its filters and dead-letter queue are not looked at.
    pub subscription: Subscription,
    /// Filters from now on; none in the list = everything is let through.
    pub filters: Option<Vec<String>>,
    /// Queue for what cannot be delivered from now on; empty = it is dropped.
    pub dead_letter_queue: Option<String>,
}

impl Client {
    /// Creates a topic; attributes that are absent get their defaults.
    pub async fn create_topic(
        &self,
        topic: &str,
        filter: FilterKind,
        attributes: TopicAttributes,
    ) -> Result<CreateTopicReply, Error> {
        let attributes = Some(attributes);
        let verb = CreateTopicRequest { request: None, topic: topic.to_owned(), attributes, filter: filter.into() };
        self.run(verb, DIRECTORY).await
    }

    /// Lists topics whose names contain `search`, in the order of their names.
    pub async fn list_topics(&self, search: &str, offset: u32, limit: u32) -> Result<ListTopicsReply, Error> {
        self.run(ListTopicsRequest { search: search.to_owned(), offset, limit }, DIRECTORY).await
    }

    /// Shows a topic.
    pub async fn get_topic(&self, topic: &str) -> Result<GetTopicReply, Error> {
        self.run(GetTopicRequest { topic: topic.to_owned() }, Home::Topic(topic)).await
    }

    /// Changes the attributes that are present.
    pub async fn set_topic_attributes(&self, topic: &str, attributes: TopicAttributes) -> Result<(), Error> {
        let verb = SetTopicAttributesRequest { request: None, topic: topic.to_owned(), attributes: Some(attributes) };
        self.run(verb, Home::Topic(topic)).await.map(drop)
    }

    /// Deletes a topic that has no subscriptions.
    pub async fn delete_topic(&self, topic: &str) -> Result<(), Error> {
        self.run(DeleteTopicRequest { request: None, topic: topic.to_owned() }, DIRECTORY).await.map(drop)
    }

    /// Adds the subscription `name` to a topic.
    pub async fn subscribe(
        &self,
        topic: &str,
        name: &str,
        subscription: Subscription,
    ) -> Result<SubscribeReply, Error> {
        let (name, subscription) = (name.to_owned(), Some(subscription));
        let verb = SubscribeRequest { request: None, topic: topic.to_owned(), name, subscription };
        self.run(verb, Home::Topic(topic)).await
    }

    /// Lists subscriptions of a topic whose names contain `search`, in the order of their names.
    pub async fn list_subscriptions(
        &self,
        topic: &str,
        search: &str,
        (offset, limit): (u32, u32),
    ) -> Result<ListSubscriptionsReply, Error> {
        let verb = ListSubscriptionsRequest { topic: topic.to_owned(), search: search.to_owned(), offset, limit };
        self.run(verb, Home::Topic(topic)).await
    }

    /// Shows a subscription.
    pub async fn get_subscription(&self, topic: &str, name: &str) -> Result<GetSubscriptionReply, Error> {
        let verb = GetSubscriptionRequest { topic: topic.to_owned(), name: name.to_owned() };
        self.run(verb, Home::Topic(topic)).await
    }

    /// Changes a subscription.
    pub async fn set_subscription(&self, topic: &str, name: &str, change: SubscriptionChange) -> Result<(), Error> {
        let SubscriptionChange { mut subscription, filters, dead_letter_queue } = change;
        let (set_filters, set_dead_letter_queue) = (filters.is_some(), dead_letter_queue.is_some());
        subscription.filters = filters.unwrap_or_default();
        subscription.dead_letter_queue = dead_letter_queue.unwrap_or_default();
        let verb = SetSubscriptionRequest {
            request: None,
            topic: topic.to_owned(),
            name: name.to_owned(),
            subscription: Some(subscription),
            set_filters,
            set_dead_letter_queue,
        };
        self.run(verb, Home::Topic(topic)).await.map(drop)
    }

    /// Removes a subscription with everything it has not delivered.
    pub async fn unsubscribe(&self, topic: &str, name: &str) -> Result<(), Error> {
        let verb = UnsubscribeRequest { request: None, topic: topic.to_owned(), name: name.to_owned() };
        self.run(verb, Home::Topic(topic)).await.map(drop)
    }

    /// Publishes messages, all or none. The answer means: fsynced on a majority, for every subscription that lets them
    /// through.
    ///
    /// Shape: 1 to 128 messages; their ids come back in order.
    pub async fn publish(&self, topic: &str, messages: Vec<NewPublication>) -> Result<PublishReply, Error> {
        let verb = PublishRequest { request: None, topic: topic.to_owned(), messages };
        self.run(verb, Home::Topic(topic)).await
    }
}
