//! The queues beside the verdict: what each holds, and how fast it moves since the last look.
//!
//! Must never: take a number from a replica that does not lead the queue's group, if one does.

use std::collections::BTreeMap;

use futures::future::join_all;
use proto::admin::v1::{QueueOverview, QueuesRequest, Role};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use crate::admin::{self, View};
use crate::file::NodeEntry;
use crate::limits::STATUS_MAX;

/// All queues at an instant.
#[derive(Clone, Debug)]
pub(crate) struct Queues {
    at: Instant,
    /// By name, with how surely it is known: the term in which the node that told it leads, or 0.
    lines: BTreeMap<String, (u64, QueueOverview)>,
}

impl Queues {
    /// Asks every node that answered before.
    pub(crate) async fn look(nodes: &[NodeEntry], views: &[View]) -> Self {
        let asked = join_all(nodes.iter().map(|entry| async move {
            let client = admin::client(&entry.grpc).ok();
            let ask = async { client?.queues(QueuesRequest {}).await.ok() };
            let reply = timeout(STATUS_MAX, ask).await.ok().flatten();
            (entry.node.as_str(), reply.map(tonic::Response::into_inner).unwrap_or_default().queues)
        }));
        let mut lines: BTreeMap<String, (u64, QueueOverview)> = BTreeMap::new();
        for (node, queues) in asked.await {
            for queue in queues {
                let term = term_led(views, node, queue.group);
                match lines.get(&queue.queue) {
                    Some((known, _)) if *known >= term && *known > 0 => {}
                    _ => drop(lines.insert(queue.queue.clone(), (term, queue))),
                }
            }
        }
        Self { at: Instant::now(), lines }
    }

    /// Queues as if they had been told by their leaders.
    #[cfg(test)]
    pub(crate) fn of(queues: Vec<QueueOverview>) -> Self {
        Self { at: Instant::now(), lines: queues.into_iter().map(|queue| (queue.queue.clone(), (1, queue))).collect() }
    }

    /// A queue by its name.
    pub(crate) fn overview(&self, name: &str) -> Option<&QueueOverview> {
        self.lines.get(name).map(|(_, queue)| queue)
    }

    /// All of them, by name.
    pub(crate) fn overviews(&self) -> impl Iterator<Item = &QueueOverview> {
        self.lines.values().map(|(_, queue)| queue)
    }

    /// A table, one line a queue; with rates if there was a look before.
    pub(crate) fn text(&self, before: Option<&Self>) -> String {
        if self.lines.is_empty() {
            return String::new();
        }
        let head = ["visible", "leased", "delayed", "dead", "oldest s", "redelivered", "in/s", "out/s"];
        let mut lines = vec![row("queue", &head.map(str::to_owned))];
        for queue in self.overviews() {
            let rate = |count: fn(&QueueOverview) -> u64| {
                let then = before.and_then(|before| before.lines.get(&queue.queue).map(|(_, then)| (before.at, then)));
                then.map_or("-".to_owned(), |(at, then)| {
                    let seconds = self.at.duration_since(at).as_secs_f64().max(0.001);
                    let moved = u32::try_from(count(queue).saturating_sub(count(then))).unwrap_or(u32::MAX);
                    format!("{:.0}", f64::from(moved) / seconds)
                })
            };
            lines.push(row(
                &queue.queue,
                &[
                    queue.visible.to_string(),
                    queue.leased.to_string(),
                    queue.delayed.to_string(),
                    queue.dead_lettered.to_string(),
                    (queue.oldest_ms / 1000).to_string(),
                    queue.redelivered.to_string(),
                    rate(|queue| queue.sent),
                    rate(|queue| queue.acked),
                ],
            ));
        }
        lines.join("\n")
    }

    /// For scripts.
    pub(crate) fn json(&self) -> Value {
        self.overviews()
            .map(|queue| {
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
            })
            .collect()
    }
}

/// The term in which a node leads a group; 0 if it does not.
fn term_led(views: &[View], node: &str, group: u32) -> u64 {
    let own = views.iter().filter(|view| view.node == node).filter_map(|view| view.answer.as_ref().ok());
    let led = own.flat_map(|status| &status.groups).find(|replica| replica.group == group);
    led.filter(|replica| replica.role() == Role::Leader).map_or(0, |replica| replica.term)
}

fn row(name: &str, cells: &[String; 8]) -> String {
    let cells: Vec<String> = cells.iter().map(|cell| format!("{cell:>11}")).collect();
    format!("{name:<32} {}", cells.join(" "))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn rates_are_what_moved_since_the_last_look() {
        let at = Instant::now();
        let look = |at, sent, acked| {
            let queue = QueueOverview { queue: "q".to_owned(), sent, acked, ..QueueOverview::default() };
            Queues { at, lines: BTreeMap::from([("q".to_owned(), (1, queue))]) }
        };
        let (then, now) = (look(at, 100, 50), look(at + Duration::from_secs(2), 300, 60));
        let text = now.text(Some(&then));
        let cells: Vec<&str> = text.lines().last().unwrap_or_default().split_whitespace().collect();
        assert_eq!(cells[cells.len() - 2..], ["100", "5"], "{text}");
        assert!(now.text(None).ends_with('-'));
        assert!(Queues { at, lines: BTreeMap::new() }.text(None).is_empty());
    }
}
