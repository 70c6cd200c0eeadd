//! Actions on topics and subscriptions.
//!
//! Source: CMQ documentation 406/7405 to 7418; what SDKs send against it is in `docs/decisions/0013`.
//!
//! Must never: decide what a topic's filter type demands; only whoever keeps the topic knows it.

use queue_core::is_queue_name;

use super::answers::{self, Fields};
use super::message_actions::checked_bodies;
use super::params::Params;
use crate::doors::cmq::{
    Broker, ContentFormat, ENDPOINT_BYTES_MAX, Endpoint, FilterKind, Flaw, MESSAGE_BYTES, Published,
    ROUTING_KEY_BYTES_MAX, ROUTING_KEY_DOTS_MAX, RetryStrategy, Said, SubscriptionName, SubscriptionWish,
    TAG_CHARS_MAX, TAGS_MAX, TOPIC_RETENTION_S, TopicWish, no,
};

pub(super) async fn create(params: &Params<'_>, broker: &dyn Broker) -> Said<Fields> {
    let topic = broker.create_topic(topic(params)?, wish(params)?).await?;
    Ok(answers::topic_made(&topic))
}

pub(super) async fn set(params: &Params<'_>, broker: &dyn Broker) -> Said<Fields> {
    let wish = TopicWish { filter: None, ..wish(params)? };
    broker.set_topic(topic(params)?, wish).await.map(|()| answers::nothing())
}

pub(super) async fn list(params: &Params<'_>, broker: &dyn Broker) -> Said<Fields> {
    Ok(answers::listed("topic", &broker.topics(params.page()?).await?))
}

pub(super) async fn get(params: &Params<'_>, broker: &dyn Broker) -> Said<Fields> {
    Ok(answers::topic_facts(&broker.topic(topic(params)?).await?))
}

pub(super) async fn delete(params: &Params<'_>, broker: &dyn Broker) -> Said<Fields> {
    broker.delete_topic(topic(params)?).await.map(|()| answers::nothing())
}

pub(super) async fn route(params: &Params<'_>, broker: &dyn Broker) -> Said<Fields> {
    broker.topic(topic(params)?).await?;
    Ok(answers::routes(&broker.routes()))
}

pub(super) async fn publish(params: &Params<'_>, broker: &dyn Broker) -> Said<Fields> {
    let body = params.raw("msgBody").ok_or_else(|| no::LACKS.about("msgBody"))?;
    let ids = broker.publish(published(params, &[body])?).await?;
    Ok(answers::sent_one(&ids))
}

pub(super) async fn batch_publish(params: &Params<'_>, broker: &dyn Broker) -> Said<Fields> {
    let bodies = params.required_list("msgBody")?;
    let ids = broker.publish(published(params, &bodies)?).await?;
    Ok(answers::sent_many(&ids))
}

fn published(params: &Params<'_>, bodies: &[&str]) -> Said<Published> {
    let topic = topic(params)?.to_owned();
    let routing_key = params.text("routingKey").map(routing_key).transpose()?;
    let tags = texts(params.list("msgTag")?);
    checked_tags(&tags, no::MESSAGE_TAGS, "msgTag")?;
    Ok(Published { topic, bodies: checked_bodies(bodies)?, tags, routing_key })
}

pub(super) async fn subscribe(params: &Params<'_>, broker: &dyn Broker) -> Said<Fields> {
    let name = subscription_name(params)?;
    params.required("protocol")?;
    params.required("endpoint")?;
    Ok(answers::subscribed(&broker.subscribe(name, subscription_wish(params)?).await?))
}

pub(super) async fn set_subscription(params: &Params<'_>, broker: &dyn Broker) -> Said<Fields> {
    let wish = subscription_wish(params)?;
    broker.set_subscription(subscription_name(params)?, wish).await.map(|()| answers::nothing())
}

pub(super) async fn subscription(params: &Params<'_>, broker: &dyn Broker) -> Said<Fields> {
    Ok(answers::subscription_facts(&broker.subscription(subscription_name(params)?).await?))
}

pub(super) async fn subscriptions(params: &Params<'_>, broker: &dyn Broker) -> Said<Fields> {
    Ok(answers::listed("subscription", &broker.subscriptions(topic(params)?, params.page()?).await?))
}

pub(super) async fn unsubscribe(params: &Params<'_>, broker: &dyn Broker) -> Said<Fields> {
    broker.unsubscribe(subscription_name(params)?).await.map(|()| answers::nothing())
}

pub(super) async fn clear_filter_tags(params: &Params<'_>, broker: &dyn Broker) -> Said<Fields> {
    broker.clear_filter_tags(subscription_name(params)?).await.map(|()| answers::nothing())
}

fn topic<'a>(params: &Params<'a>) -> Said<&'a str> {
    let topic = params.required("topicName")?;
    Flaw::unless(is_queue_name(topic), no::TOPIC_NAME)?;
    Ok(topic)
}

fn subscription_name(params: &Params<'_>) -> Said<SubscriptionName> {
    let topic = topic(params)?.to_owned();
    let name = params.required("subscriptionName")?;
    Flaw::unless(is_queue_name(name), no::SUBSCRIPTION_NAME)?;
    Ok(SubscriptionName { topic, name: name.to_owned() })
}

fn wish(params: &Params<'_>) -> Said<TopicWish> {
    let filter = params.number("filterType", &(1..=2))?;
    Ok(TopicWish {
        message_bytes_max: params.small("maxMsgSize", &MESSAGE_BYTES)?,
        filter: filter.map(|kind| if kind == 2 { FilterKind::RoutingKey } else { FilterKind::Tags }),
        retention_s: params.small("msgRetentionSeconds", &TOPIC_RETENTION_S)?,
        trace: params.flag("trace")?,
    })
}

fn subscription_wish(params: &Params<'_>) -> Said<SubscriptionWish> {
    let endpoint = endpoint(params)?;
    let is_queue = matches!(endpoint, Some(Endpoint::Queue(_)));
    let strategy = match params.text("notifyStrategy") {
        None => None,
        Some("BACKOFF_RETRY") => Some(RetryStrategy::Backoff),
        Some("EXPONENTIAL_DECAY_RETRY") => Some(RetryStrategy::ExponentialDecay),
        Some(_) => return Err(no::STRATEGY.into()),
    };
    let format = match params.text("notifyContentFormat") {
        None => is_queue.then_some(ContentFormat::Simplified),
        // The pages refuse JSON for queues (10640), yet a Java SDK always sends it: a queue gets the bare body.
        Some("JSON") => Some(if is_queue { ContentFormat::Simplified } else { ContentFormat::Json }),
        Some("SIMPLIFIED") => Some(ContentFormat::Simplified),
        Some(_) => return Err(no::CONTENT_FORMAT.into()),
    };
    let filter_tags = texts(params.list("filterTag")?);
    checked_tags(&filter_tags, no::FILTER_TAGS, "filterTag")?;
    let binding_keys = params.list("bindingKey")?;
    Flaw::unless(binding_keys.len() <= TAGS_MAX, no::BINDING_KEYS)?;
    let binding_keys = binding_keys.into_iter().map(routing_key).collect::<Said<Vec<String>>>()?;
    Ok(SubscriptionWish {
        endpoint,
        strategy,
        format,
        filter_tags: Some(filter_tags).filter(|tags| !tags.is_empty()),
        binding_keys: Some(binding_keys).filter(|keys| !keys.is_empty()),
    })
}

fn endpoint(params: &Params<'_>) -> Said<Option<Endpoint>> {
    let (protocol, endpoint) = match (params.text("protocol"), params.text("endpoint")) {
        (None, None) => return Ok(None),
        (None, Some(_)) => return Err(no::LACKS.about("protocol")),
        (Some(_), None) => return Err(no::LACKS.about("endpoint")),
        (Some(protocol), Some(endpoint)) => (protocol.to_ascii_lowercase(), endpoint),
    };
    match protocol.as_str() {
        "http" => {
            Flaw::unless(!endpoint.contains(char::is_whitespace), no::BLANK_URL)?;
            let host = endpoint.strip_prefix("http://").filter(|host| !host.is_empty() && !host.starts_with('/'));
            Flaw::unless(host.is_some() && endpoint.len() <= ENDPOINT_BYTES_MAX, no::ENDPOINT)?;
            Ok(Some(Endpoint::Http(endpoint.to_owned())))
        }
        "queue" => {
            Flaw::unless(is_queue_name(endpoint), no::ENDPOINT)?;
            Ok(Some(Endpoint::Queue(endpoint.to_owned())))
        }
        _ => Err(no::PROTOCOL.into()),
    }
}

fn texts(list: Vec<&str>) -> Vec<String> {
    list.into_iter().filter(|text| !text.is_empty()).map(str::to_owned).collect()
}

fn checked_tags(tags: &[String], too_many: crate::doors::cmq::No, name: &str) -> Said<()> {
    Flaw::unless(tags.len() <= TAGS_MAX, too_many)?;
    Flaw::unless(tags.iter().all(|tag| tag.chars().count() <= TAG_CHARS_MAX), no::OUT_OF_RANGE.about(name))
}

fn routing_key(key: &str) -> Said<String> {
    Flaw::unless(key.len() <= ROUTING_KEY_BYTES_MAX, no::OUT_OF_RANGE.about("routingKey"))?;
    Flaw::unless(key.matches('.').count() <= ROUTING_KEY_DOTS_MAX, no::DOTS)?;
    Ok(key.to_owned())
}
