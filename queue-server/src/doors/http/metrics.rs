//! Prometheus metrics. Names and labels are documented here and bounded: groups by number, queues by name (at most 1000 a
//! group).
//!
//! | metric | is |
//! |---|---|
//! | `tercet_fsync_total`, `tercet_fsync_us{quantile}` | fsyncs of the log, and how long they take |
//! | `tercet_trace_spans_total`, `tercet_trace_exported_total`, `tercet_trace_dropped_total` | with `--otlp`: spans that have ended; that the collector took; that it did not, or for which there was no room |
//! | `tercet_disk_free_bytes`, `tercet_disk_sends_refused` | the disk of the data; 1 while sends are refused for it |
//! | `tercet_tls_certificate_expires_seconds{of}`, `tercet_tls_renewed_total`, `tercet_tls_trouble` | with certificates: seconds to the end of the `node`'s and of its `authority`'s; new ones taken; 1 while the newest files are not good |
//! | `tercet_tls_refused_total{door}` | connections that were sent away for want of a good certificate |
//! | `tercet_scrub_bytes_total`, `_damaged_total`, `_passed_timestamp_seconds` | bytes read in search of damage; how often some was found; when the last whole pass ended, 0 = none has |
//! | `tercet_group_leader`, `_term`, `_last_index`, `_applied_index{group}` | where a group stands on this node |
//! | `tercet_group_format`, `_parked{group}` | what all members of a group know; 1 while it stands still here |
//! | `tercet_queue_visible`, `_leased`, `_delayed`, `_oldest_ms{queue,group}` | what a queue holds |
//! | `tercet_queue_sent_total`, `_acked_total`, `_redelivered_total`, `_dead_lettered_total{queue,group}` | what it has done |
//! | `tercet_queue_sent_bytes_total`, `_half`, `_rewindable`, `_expired_total{queue,group}` | the rest of it |
//! | `tercet_queue_send_requests_total` and so on `{queue,group}` | what this node was asked, see `tally` |
//! | `tercet_topic_published_total`, `_waiting`, `_subscriptions{topic,group}` | what a topic has done and holds |
//! | `tercet_topic_publish_requests_total` and so on `{topic,group}` | what this node was asked, see `tally` |

use std::fmt::Write as _;

use queue_core::QueueMachine;
use replica::{Group, Role};

use crate::doors::overview;
use crate::doors::pages::all;
use crate::node::Node;
use crate::tally::Deed;

/// The page in Prometheus' text format.
pub(super) fn render(node: &Node) -> String {
    let mut page = String::new();
    let (p50, p99, count) = node.replica().fsyncs();
    line(&mut page, "tercet_fsync_total", "", count);
    line(&mut page, "tercet_fsync_us", "quantile=\"0.5\"", p50);
    line(&mut page, "tercet_fsync_us", "quantile=\"0.99\"", p99);
    line(&mut page, "tercet_disk_free_bytes", "", node.replica().disk().0);
    line(&mut page, "tercet_disk_sends_refused", "", u64::from(node.room_to_send().is_err()));
    let scrubbed = node.replica().scrubbed();
    line(&mut page, "tercet_scrub_bytes_total", "", scrubbed.bytes);
    line(&mut page, "tercet_scrub_damaged_total", "", scrubbed.damaged);
    line(&mut page, "tercet_scrub_passed_timestamp_seconds", "", scrubbed.passed_ms / 1000);
    if let Some(spans) = proto::traces::counts() {
        line(&mut page, "tercet_trace_spans_total", "", spans.ended);
        line(&mut page, "tercet_trace_exported_total", "", spans.exported);
        line(&mut page, "tercet_trace_dropped_total", "", spans.dropped);
    }
    if let Some(standing) = node.seals().identity.standing() {
        let expires = "tercet_tls_certificate_expires_seconds";
        line(&mut page, expires, "of=\"node\"", standing.own_seconds_left);
        line(&mut page, expires, "of=\"authority\"", standing.authority_seconds_left);
        line(&mut page, "tercet_tls_renewed_total", "", standing.renewed);
        line(&mut page, "tercet_tls_trouble", "", u64::from(standing.trouble.is_some()));
        for (door, refused) in node.seals().refused() {
            line(&mut page, "tercet_tls_refused_total", &format!("door=\"{door}\""), refused);
        }
    }
    for status in node.replica().status() {
        let labels = format!("group=\"{}\"", status.group.0);
        line(&mut page, "tercet_group_leader", &labels, u64::from(status.role == Role::Leader));
        line(&mut page, "tercet_group_term", &labels, status.term);
        line(&mut page, "tercet_group_last_index", &labels, status.last);
        line(&mut page, "tercet_group_applied_index", &labels, status.applied);
        line(&mut page, "tercet_group_format", &labels, status.format.into());
        line(&mut page, "tercet_group_parked", &labels, u64::from(status.trouble.is_some()));
    }
    for group in node.groups() {
        for queue in overview::queues(&group) {
            let labels = format!("queue=\"{}\",group=\"{}\"", queue.queue, queue.group);
            for (name, value) in [
                ("tercet_queue_visible", queue.visible),
                ("tercet_queue_leased", queue.leased),
                ("tercet_queue_delayed", queue.delayed),
                ("tercet_queue_oldest_ms", queue.oldest_ms),
                ("tercet_queue_sent_total", queue.sent),
                ("tercet_queue_acked_total", queue.acked),
                ("tercet_queue_redelivered_total", queue.redelivered),
                ("tercet_queue_dead_lettered_total", queue.dead_lettered),
            ] {
                line(&mut page, name, &labels, value);
            }
        }
        asked(&mut page, node, &group);
    }
    page
}

/// What the machine and this node counted of each queue and topic of a group.
fn asked(page: &mut String, node: &Node, group: &Group<QueueMachine>) {
    let id = group.id();
    let of_queue = |machine: &QueueMachine, offset| {
        let found = machine.queues("", offset, usize::MAX);
        (found.total, found.queues.into_iter().filter_map(|(queue, _)| machine.status(queue)).collect::<Vec<_>>())
    };
    let of_topic = |machine: &QueueMachine, offset| {
        let found = machine.topics("", offset, usize::MAX);
        (found.total, found.topics.into_iter().filter_map(|(topic, _)| machine.topic_status(topic)).collect::<Vec<_>>())
    };
    let queues = group.read_stale(|view| all(|offset| of_queue(view.machine, offset))).unwrap_or_default();
    for queue in queues {
        let labels = format!("queue=\"{}\",group=\"{}\"", queue.name, id.0);
        line(page, "tercet_queue_sent_bytes_total", &labels, queue.totals.sent_bytes);
        line(page, "tercet_queue_expired_total", &labels, queue.totals.expired);
        line(page, "tercet_queue_half", &labels, queue.counts.half);
        line(page, "tercet_queue_rewindable", &labels, queue.counts.rewindable);
        for ((_, name), count) in Deed::ALL.iter().zip(node.tally().of(id, queue.queue.0)).take(QUEUE_DEEDS) {
            line(page, &format!("tercet_queue_{name}_total"), &labels, count);
        }
    }
    let topics = group.read_stale(|view| all(|offset| of_topic(view.machine, offset))).unwrap_or_default();
    for topic in topics {
        let labels = format!("topic=\"{}\",group=\"{}\"", topic.name, id.0);
        line(page, "tercet_topic_published_total", &labels, topic.published);
        line(page, "tercet_topic_waiting", &labels, topic.waiting);
        line(page, "tercet_topic_subscriptions", &labels, topic.subscriptions as u64);
        for ((_, name), count) in Deed::ALL.iter().zip(node.tally().of(id, topic.topic.0)).skip(QUEUE_DEEDS) {
            line(page, &format!("tercet_topic_{name}_total"), &labels, count);
        }
    }
}

/// The deeds that are done to queues; those to topics follow.
const QUEUE_DEEDS: usize = Deed::Publish as usize;

fn line(page: &mut String, name: &str, labels: &str, value: u64) {
    // Writing to a String cannot fail.
    let _ =
        if labels.is_empty() { writeln!(page, "{name} {value}") } else { writeln!(page, "{name}{{{labels}}} {value}") };
}
