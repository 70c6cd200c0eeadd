//! The wire's words as the page's JSON, and back.
//!
//! Ids are written as text: a browser's numbers hold 53 bits.
//!
//! Must never: send a receipt.

use std::fmt::Write as _;

use bytes::Bytes;
use proto::admin::v1::{GroupKind, QueueOverview, Role};
use proto::queue::v1::{
    DeadLetterCount, GetQueueReply, GetRedriveReply, GetSubscriptionReply, MessageEvent, MessageState, Origin,
    PeekedMessage, QueueAttributes, QueueCounters, subscription::Endpoint,
};
use serde_json::{Value, json};

pub(super) const fn role_word(role: Role) -> &'static str {
    match role {
        Role::Leader => "leader",
        Role::Follower => "follower",
        Role::Candidate => "candidate",
        Role::Learner => "learner",
        Role::Stopped | Role::Unspecified => "stopped",
    }
}

pub(super) const fn kind_word(kind: GroupKind) -> &'static str {
    match kind {
        GroupKind::Meta => "directory",
        GroupKind::Queue => "queues",
        GroupKind::Ledger => "ledger",
        GroupKind::Packets => "packets",
        GroupKind::Unspecified => "",
    }
}

/// The states of messages, as the page calls them.
const STATES: [(&str, MessageState); 5] = [
    ("visible", MessageState::Visible),
    ("leased", MessageState::Leased),
    ("delayed", MessageState::Delayed),
    ("half", MessageState::Half),
    ("rewindable", MessageState::Rewindable),
];

pub(super) fn state(word: &str) -> Option<MessageState> {
    STATES.iter().find(|(known, _)| *known == word).map(|(_, state)| *state)
}

fn state_word(state: MessageState) -> &'static str {
    STATES.iter().find(|(_, known)| *known == state).map_or("", |(word, _)| word)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

pub(super) fn from_hex(text: &str) -> Option<Bytes> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|letter| letter.is_ascii_hexdigit()) {
        return None;
    }
    let byte = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    (0..text.len()).step_by(2).map(byte).collect::<Option<Vec<u8>>>().map(Bytes::from)
}

/// A body as people can read it: text if it is some, else hex; and whether there is more.
fn body(body: &[u8], most: usize) -> Value {
    let text = std::str::from_utf8(body).ok();
    let is_plain =
        |text: &&str| !text.chars().any(|letter| letter.is_control() && !matches!(letter, '\n' | '\r' | '\t'));
    match text.filter(is_plain) {
        Some(text) => {
            let end = text.floor_char_boundary(most);
            json!({"text": text.get(..end), "bytes": body.len(), "is_cut": end < body.len()})
        }
        None => {
            let end = body.len().min(most / 2);
            json!({"hex": hex(body.get(..end).unwrap_or_default()), "bytes": body.len(), "is_cut": end < body.len()})
        }
    }
}

fn origin(origin: &Origin) -> Value {
    let reason = match origin.reason() {
        DeadLetterCount::Received => "received too often",
        DeadLetterCount::Failed => "failed too often",
        DeadLetterCount::Age => "too old",
        DeadLetterCount::Unspecified => "redriven",
    };
    json!({
        "queue": origin.queue,
        "reason": reason,
        "enqueued_ms": origin.enqueued_ms,
        "times_received": origin.times_received,
        "times_failed": origin.times_failed,
        "times_redriven": origin.times_redriven,
    })
}

/// A message, with so many bytes of its body.
pub(super) fn message(peeked: &PeekedMessage, body_bytes: usize) -> Value {
    let message = peeked.message.clone().unwrap_or_default();
    json!({
        "id": message.id.to_string(),
        "state": state_word(peeked.state()),
        "due_ms": peeked.due_ms,
        "body": body(&message.body, body_bytes),
        "headers": message.headers,
        "enqueued_ms": message.enqueued_ms,
        "first_received_ms": message.first_received_ms,
        "times_received": message.times_received,
        "times_failed": message.times_failed,
        "priority": message.priority,
        "tenant": message.tenant,
        "ordered_group": message.group,
        "origin": message.origin.as_ref().map(origin),
        "published": message.published.as_ref().map(|published| json!({
            "topic": published.topic, "id": published.id.to_string(), "tags": published.tags,
        })),
    })
}

/// What happened. A receipt under which a message may still be out is shown by its last digits: enough to find it in a
/// consumer's log, and no right to acknowledge.
pub(super) fn event(event: &MessageEvent) -> Value {
    let detail = event.detail.to_string();
    let shown = if event.kind == "received" { masked(&detail) } else { detail };
    json!({
        "at_ms": event.at_ms,
        "kind": event.kind,
        "detail": shown,
        "queue": event.queue,
        "other_queue": event.other_queue,
    })
}

/// The last four digits.
fn masked(digits: &str) -> String {
    format!("…{}", digits.get(digits.len().saturating_sub(4)..).unwrap_or_default())
}

pub(super) fn overview(queue: &QueueOverview) -> Value {
    json!({
        "queue": queue.queue,
        "group": queue.group,
        "visible": queue.visible,
        "leased": queue.leased,
        "delayed": queue.delayed,
        "oldest_ms": queue.oldest_ms,
        "sent": queue.sent,
        "acked": queue.acked,
        "redelivered": queue.redelivered,
        "dead_lettered": queue.dead_lettered,
    })
}

fn attributes(attributes: &QueueAttributes) -> Value {
    let dead_letter = attributes.dead_letter.as_ref().filter(|policy| !policy.queue.is_empty());
    json!({
        "messages_max": attributes.messages_max,
        "poll_wait_s": attributes.poll_wait_s,
        "lease_s": attributes.lease_s,
        "message_bytes_max": attributes.message_bytes_max,
        "retention_s": attributes.retention_s,
        "rewind_s": attributes.rewind_s,
        "dedup_window_s": attributes.dedup_window_s,
        "trace": attributes.trace,
        "dead_letter": dead_letter.map(|policy| json!({
            "queue": policy.queue, "times_max": policy.times_max, "counts": count_word(policy.count()),
        })),
    })
}

const fn count_word(count: DeadLetterCount) -> &'static str {
    match count {
        DeadLetterCount::Received => "times received",
        DeadLetterCount::Failed => "times failed",
        DeadLetterCount::Age => "seconds of age",
        DeadLetterCount::Unspecified => "",
    }
}

fn counters(counters: &QueueCounters) -> Value {
    json!({
        "visible": counters.visible,
        "leased": counters.leased,
        "delayed": counters.delayed,
        "half": counters.half,
        "rewindable": counters.rewindable,
        "sent": counters.sent,
        "received": counters.received,
        "acked": counters.acked,
        "redelivered": counters.redelivered,
        "expired": counters.expired,
        "purged": counters.purged,
        "dead_lettered": counters.dead_lettered,
        "arrived": counters.arrived,
        "redriven": counters.redriven,
        "sent_bytes": counters.sent_bytes,
    })
}

pub(super) fn queue(found: &GetQueueReply) -> Value {
    json!({
        "queue": found.queue,
        "group": found.group,
        "attributes": found.attributes.as_ref().map(attributes),
        "counters": found.counters.as_ref().map(counters),
        "created_ms": found.created_ms,
        "modified_ms": found.modified_ms,
        "oldest_visible_ms": found.oldest_visible_ms,
        "dead_letter_blocked": found.dead_letter_blocked,
    })
}

pub(super) fn redrive(job: &GetRedriveReply) -> Value {
    if job.none {
        return Value::Null;
    }
    json!({
        "is_ended": job.ended,
        "is_dry": job.dry_run,
        "scanned": job.scanned,
        "matched": job.matched,
        "moved": job.moved,
        "blocked": job.blocked,
        "started_ms": job.started_ms,
    })
}

pub(super) fn subscription(name: &str, found: &GetSubscriptionReply) -> Value {
    let subscription = found.subscription.clone().unwrap_or_default();
    let (kind, endpoint) = match subscription.endpoint {
        Some(Endpoint::Queue(queue)) => ("queue", queue),
        Some(Endpoint::Url(url)) => ("url", url),
        None => ("", String::new()),
    };
    json!({
        "name": name,
        "kind": kind,
        "endpoint": endpoint,
        "filters": subscription.filters,
        "dead_letter_queue": subscription.dead_letter_queue,
        "waiting": found.waiting,
        "given_up": found.given_up,
        "blocked": found.blocked,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::queue::v1::Message;

    #[test]
    fn hex_reads_back_and_refuses_the_rest() {
        for bytes in [&b""[..], b"\x00\xff", b"abc"] {
            assert_eq!(from_hex(&hex(bytes)).as_deref(), Some(bytes));
        }
        for bad in ["0", "xx", "00 1", "+1", "é"] {
            assert_eq!(from_hex(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_body_is_shown_as_text_or_as_hex_and_never_cut_within_a_letter() {
        let table = [
            (&b"hello"[..], 10, json!({"text": "hello", "bytes": 5, "is_cut": false})),
            ("红包".as_bytes(), 4, json!({"text": "红", "bytes": 6, "is_cut": true})),
            (b"\xff\x00", 10, json!({"hex": "ff00", "bytes": 2, "is_cut": false})),
            (b"a\x1b[31m", 4, json!({"hex": "611b", "bytes": 6, "is_cut": true})),
        ];
        for (bytes, most, expected) in table {
            assert_eq!(body(bytes, most), expected);
        }
    }

    #[test]
    fn a_message_is_shown_without_its_receipt_and_with_its_whole_id() {
        let inner = Message { id: u64::MAX, receipt: 77, ..Message::default() };
        let shown = message(&PeekedMessage { message: Some(inner), ..PeekedMessage::default() }, 10);
        assert_eq!(shown["id"], "18446744073709551615");
        assert!(shown.get("receipt").is_none());
        let received = MessageEvent { kind: "received".to_owned(), detail: 1_234_567, ..MessageEvent::default() };
        assert_eq!(event(&received)["detail"], "…4567");
    }
}
