//! Answers as JSON, in the spelling and the types that each SDK needs.
//!
//! Ids and handles are strings of digits, for some clients keep numbers as doubles; counts, sizes and seconds are numbers.
//! Some fields come twice, because clients disagree about their spelling: `docs/decisions/0013` says who reads which.
//!
//! Must never: leave out a field that an SDK reads without asking whether it is there.

use serde_json::{Map, Value, json};

use crate::doors::cmq::{
    CheckBack, ContentFormat, DeadWhen, Endpoint, FilterKind, Flaw, Listed, Named, QueueFacts, RetryStrategy,
    SubscriptionFacts, Taken, TopicFacts, TraceStep,
};

/// Fields besides `code`, `message` and `requestId`; a `code` of its own says how far a batch came.
pub(super) type Fields = Map<String, Value>;

/// The body of an answer.
pub(super) fn body(outcome: Result<Fields, Flaw>, request_id: &str) -> String {
    let mut fields = outcome.unwrap_or_else(|flaw| failed(&flaw));
    fields.entry("code").or_insert_with(|| json!(0));
    fields.entry("message").or_insert_with(|| json!(""));
    fields.insert("requestId".to_owned(), json!(request_id));
    Value::Object(fields).to_string()
}

/// An error's own fields.
pub(super) fn failed(flaw: &Flaw) -> Fields {
    object(json!({ "code": flaw.code, "message": flaw.message() }))
}

/// No fields of its own.
pub(super) fn nothing() -> Fields {
    Fields::new()
}

pub(super) fn object(value: Value) -> Fields {
    match value {
        Value::Object(fields) => fields,
        _ => Fields::new(),
    }
}

/// Milliseconds to the whole seconds of the wire.
const fn seconds(ms: u64) -> u64 {
    ms / 1_000
}

pub(super) fn queue_made(queue: &Named) -> Fields {
    object(json!({ "queueId": queue.id }))
}

pub(super) fn queue_facts(facts: &QueueFacts) -> Fields {
    let mut fields = object(json!({
        "queueId": facts.id,
        "queueName": facts.name,
        "maxMsgHeapNum": facts.messages_max,
        "pollingWaitSeconds": facts.poll_s,
        "visibilityTimeout": facts.visibility_s,
        "maxMsgSize": facts.message_bytes_max,
        "msgRetentionSeconds": facts.retention_s,
        "createTime": seconds(facts.created_ms),
        "lastModifyTime": seconds(facts.modified_ms),
        "activeMsgNum": facts.active,
        "inactiveMsgNum": facts.inactive,
        "delayMsgNum": facts.delayed,
        "rewindMsgNum": facts.rewindable,
        "rewindmsgNum": facts.rewindable,
        "rewindSeconds": facts.rewind_s,
        "minMsgTime": seconds(facts.oldest_ms),
        "trace": facts.trace,
        "transaction": u8::from(facts.transaction.is_some()),
    }));
    if let Some(rule) = &facts.dead_letter {
        fields.insert("deadLetterQueueName".to_owned(), json!(rule.queue));
        let (policy, field, limit) = match rule.when {
            DeadWhen::Received(times) => (0, "maxReceiveCount", times),
            DeadWhen::Old(seconds) => (1, "maxTimeToLive", seconds),
        };
        fields.insert("policy".to_owned(), json!(policy));
        fields.insert(field.to_owned(), json!(limit));
    }
    if let Some(rule) = &facts.transaction {
        fields.insert("firstQueryInterval".to_owned(), json!(rule.first_query_s.unwrap_or(0)));
        fields.insert("maxQueryCount".to_owned(), json!(rule.queries_max.unwrap_or(0)));
    }
    fields
}

/// A list: `kind` is `queue`, `topic` or `subscription`.
pub(super) fn listed(kind: &str, list: &Listed) -> Fields {
    let element = |named: &Named| json!({ format!("{kind}Id"): named.id, format!("{kind}Name"): named.name });
    let part: Vec<Value> = list.part.iter().map(element).collect();
    object(json!({ "totalCount": list.total, format!("{kind}List"): part }))
}

pub(super) fn sent_one(ids: &[u64]) -> Fields {
    object(json!({ "msgId": ids.first().copied().unwrap_or(0).to_string() }))
}

pub(super) fn sent_many(ids: &[u64]) -> Fields {
    let list: Vec<Value> = ids.iter().map(|id| json!({ "msgId": id.to_string() })).collect();
    object(json!({ "msgList": list }))
}

/// One message. A body that is not text has the bytes replaced that are none: this wire carries text alone.
pub(super) fn taken(message: &Taken) -> Fields {
    let mut fields = object(json!({
        "msgBody": String::from_utf8_lossy(&message.body),
        "msgId": message.id.to_string(),
        "receiptHandle": message.handle.to_string(),
        "enqueueTime": seconds(message.enqueued_ms),
        "firstDequeueTime": seconds(message.first_dequeued_ms),
        "nextVisibleTime": seconds(message.next_visible_ms),
        "dequeueCount": message.dequeued,
    }));
    if let Some(origin) = &message.origin {
        fields.insert("originalQueueName".to_owned(), json!(origin.queue));
        fields.insert("originalEnqueueTime".to_owned(), json!(seconds(origin.enqueued_ms)));
        fields.insert("originalDequeueCount".to_owned(), json!(origin.dequeued));
    }
    fields
}

pub(super) fn taken_many(messages: &[Taken]) -> Fields {
    let list: Vec<Value> = messages.iter().map(|message| Value::Object(taken(message))).collect();
    object(json!({ "msgInfoList": list }))
}

/// What could not be done of a batch: `flaw` is that of the whole.
pub(super) fn partly(flaw: &Flaw, key: &str, errors: &[(u64, Flaw)]) -> Fields {
    let error = |(id, flaw): &(u64, Flaw)| json!({ "code": flaw.code, "message": flaw.message(), key: id.to_string() });
    let list: Vec<Value> = errors.iter().map(error).collect();
    let mut fields = failed(flaw);
    fields.insert("errorList".to_owned(), json!(list));
    fields
}

pub(super) fn routes(addresses: &[String]) -> Fields {
    object(json!({ "addr": addresses }))
}

pub(super) fn topic_made(topic: &Named) -> Fields {
    object(json!({ "topicId": topic.id }))
}

pub(super) fn topic_facts(facts: &TopicFacts) -> Fields {
    let filter_type = match facts.filter {
        FilterKind::Tags => 1,
        FilterKind::RoutingKey => 2,
    };
    object(json!({
        "topicId": facts.id,
        "topicName": facts.name,
        "msgCount": facts.messages,
        "maxMsgSize": facts.message_bytes_max,
        "msgRetentionSeconds": facts.retention_s,
        "createTime": seconds(facts.created_ms),
        "lastModifyTime": seconds(facts.modified_ms),
        "filterType": filter_type,
    }))
}

pub(super) fn subscribed(subscription: &Named) -> Fields {
    object(json!({ "subscriptionId": subscription.id }))
}

pub(super) fn subscription_facts(facts: &SubscriptionFacts) -> Fields {
    let (protocol, endpoint) = match &facts.endpoint {
        Endpoint::Http(url) => ("http", url),
        Endpoint::Queue(name) => ("queue", name),
    };
    let strategy = match facts.strategy {
        RetryStrategy::Backoff => "BACKOFF_RETRY",
        RetryStrategy::ExponentialDecay => "EXPONENTIAL_DECAY_RETRY",
    };
    let format = match facts.format {
        ContentFormat::Json => "JSON",
        ContentFormat::Simplified => "SIMPLIFIED",
    };
    object(json!({
        "subscriptionId": facts.id,
        "subscriptionName": facts.name,
        "endpoint": endpoint,
        "protocol": protocol,
        "protocal": protocol,
        "notifyStrategy": strategy,
        "notifyContentFormat": format,
        "topicOwner": facts.topic_owner,
        "createTime": seconds(facts.created_ms),
        "lastModifyTime": seconds(facts.modified_ms),
        "msgCount": facts.messages,
        "filterTag": facts.filter_tags,
        "filterTags": facts.filter_tags,
        "bindingKey": facts.binding_keys,
        "bindindKey": facts.binding_keys,
    }))
}

pub(super) fn check_backs(list: &[CheckBack]) -> Fields {
    let one = |check: &CheckBack| json!({ "queueName": check.queue, "msgId": check.id.to_string() });
    object(json!({ "msgList": list.iter().map(one).collect::<Vec<Value>>() }))
}

pub(super) fn trace(steps: &[TraceStep]) -> Fields {
    let one = |step: &TraceStep| json!({ "event": step.what, "time": step.at_ms, "text": step.text });
    object(json!({ "traceList": steps.iter().map(one).collect::<Vec<Value>>() }))
}
