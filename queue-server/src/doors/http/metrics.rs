//! Prometheus metrics. Names and labels are documented here and bounded: groups by number, queues by name (at most 1000 a
//! group).
//!
//! | metric | is |
//! |---|---|
//! | `tercet_fsync_total`, `tercet_fsync_us{quantile}` | fsyncs of the log, and how long they take |
//! | `tercet_group_leader`, `_term`, `_last_index`, `_applied_index{group}` | where a group stands on this node |
//! | `tercet_queue_visible`, `_leased`, `_delayed`, `_oldest_ms{queue,group}` | what a queue holds |
//! | `tercet_queue_sent_total`, `_acked_total`, `_redelivered_total`, `_dead_lettered_total{queue,group}` | what it has done |

use std::fmt::Write as _;

use replica::Role;

use crate::doors::overview;
use crate::node::Node;

/// The page in Prometheus' text format.
pub(super) fn render(node: &Node) -> String {
    let mut page = String::new();
    let (p50, p99, count) = node.replica().fsyncs();
    line(&mut page, "tercet_fsync_total", "", count);
    line(&mut page, "tercet_fsync_us", "quantile=\"0.5\"", p50);
    line(&mut page, "tercet_fsync_us", "quantile=\"0.99\"", p99);
    for status in node.replica().status() {
        let labels = format!("group=\"{}\"", status.group.0);
        line(&mut page, "tercet_group_leader", &labels, u64::from(status.role == Role::Leader));
        line(&mut page, "tercet_group_term", &labels, status.term);
        line(&mut page, "tercet_group_last_index", &labels, status.last);
        line(&mut page, "tercet_group_applied_index", &labels, status.applied);
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
    }
    page
}

fn line(page: &mut String, name: &str, labels: &str, value: u64) {
    // Writing to a String cannot fail.
    let _ =
        if labels.is_empty() { writeln!(page, "{name} {value}") } else { writeln!(page, "{name}{{{labels}}} {value}") };
}
