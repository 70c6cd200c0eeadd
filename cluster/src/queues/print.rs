//! Queues and messages for people.
//!
//! Must never: let a body speak to the terminal: control characters are shown, not sent.

use std::fmt::Write as _;

use proto::queue::v1::{ExplainReply, GetQueueReply, GetRedriveReply, PeekedMessage, QueueAttributes};

use crate::limits::BODY_CHARS_SHOWN;

/// A queue: what it is, what it holds.
pub(super) fn queue(shown: &GetQueueReply) -> String {
    let counters = shown.counters.unwrap_or_default();
    let mut text = format!("queue {} in group {}", shown.queue, shown.group);
    for (name, value) in [
        ("visible", counters.visible),
        ("leased", counters.leased),
        ("delayed", counters.delayed),
        ("arriving", counters.arriving),
        ("half", counters.half),
        ("rewindable", counters.rewindable),
        ("sent", counters.sent),
        ("acked", counters.acked),
        ("redelivered", counters.redelivered),
        ("dead_lettered", counters.dead_lettered),
        ("expired", counters.expired),
        ("purged", counters.purged),
    ] {
        // A String takes whatever is written to it.
        let _ = write!(text, "\n  {name:<18} {value}");
    }
    if !shown.dead_letter_blocked.is_empty() {
        let _ = write!(text, "\n  dead letters do not move: {}", shown.dead_letter_blocked);
    }
    text.push('\n');
    text + &attributes(&shown.attributes.clone().unwrap_or_default())
}

/// Attributes, one a line.
pub(super) fn attributes(set: &QueueAttributes) -> String {
    let number = |value: Option<u32>| value.map(|value| value.to_string());
    let dead = set.dead_letter.as_ref().filter(|policy| !policy.queue.is_empty());
    let lines = [
        ("messages_max", set.messages_max.map(|value| value.to_string())),
        ("poll_wait_s", number(set.poll_wait_s)),
        ("lease_s", number(set.lease_s)),
        ("message_bytes_max", number(set.message_bytes_max)),
        ("retention_s", number(set.retention_s)),
        ("rewind_s", number(set.rewind_s)),
        ("dedup_window_s", number(set.dedup_window_s)),
        ("trace", set.trace.map(|value| value.to_string())),
        ("dead_letter", dead.map(|policy| format!("{} after {}", policy.queue, policy.times_max))),
    ];
    let lines = lines.into_iter().filter_map(|(name, value)| Some(format!("  {name:<18} {}", value?)));
    lines.collect::<Vec<_>>().join("\n")
}

/// A message in a line.
pub(super) fn peeked(peeked: &PeekedMessage) -> String {
    let message = peeked.message.clone().unwrap_or_default();
    let state = peeked.state().as_str_name().trim_start_matches("MESSAGE_STATE_").to_lowercase();
    format!(
        "{}  {state}  sent {}  received {} failed {}  {}",
        message.id,
        message.enqueued_ms,
        message.times_received,
        message.times_failed,
        body(&message.body)
    )
}

/// The beginning of a body as harmless text.
fn body(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let shown: String = text.chars().take(BODY_CHARS_SHOWN).flat_map(char::escape_debug).collect();
    let rest = text.chars().count().saturating_sub(BODY_CHARS_SHOWN);
    if rest == 0 { shown } else { format!("{shown}… ({} bytes)", bytes.len()) }
}

/// How a redrive goes.
pub(super) fn redrive(state: &GetRedriveReply) -> String {
    if state.none {
        return "none was ever started".to_owned();
    }
    let word = if state.ended { "ended" } else { "runs" };
    let mut text = format!("{word}: {} looked at, {} match, {} moved", state.scanned, state.matched, state.moved);
    if !state.blocked.is_empty() {
        let _ = write!(text, "\n  blocked: {}", state.blocked);
    }
    text
}

/// Where a message is, and its timeline.
pub(super) fn story(id: u64, story: &ExplainReply) -> String {
    let mut text = match &story.message {
        Some(message) => peeked(message),
        None => format!("{id}: the queue does not hold it (any more)"),
    };
    for event in &story.events {
        let other = if event.other_queue.is_empty() { String::new() } else { format!(" <-> {}", event.other_queue) };
        let _ = write!(text, "\n  {}  {:<14} {}  {}{other}", event.at_ms, event.kind, event.detail, event.queue);
    }
    if story.events.is_empty() {
        text.push_str("\n  no timeline: the queue is not traced (`cluster queue edit QUEUE --trace true`)");
    }
    if !story.complete {
        text.push_str("\n  not everything was looked at");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_cannot_speak_to_the_terminal() {
        assert_eq!(body(b"plain"), "plain");
        assert_eq!(body(b"\x1b[2J\n"), "\\u{1b}[2J\\n");
        let long = body(&[b'x'; 5000]);
        assert!(long.ends_with("… (5000 bytes)"), "{long}");
    }

    #[test]
    fn a_story_says_what_is_missing() {
        let text = story(7, &ExplainReply::default());
        assert!(text.contains("does not hold it") && text.contains("no timeline") && text.contains("not everything"));
    }
}
