//! What every queue of a group holds: for operators and metrics, from this replica's own copy.

use proto::admin::v1::QueueOverview;
use queue_core::QueueMachine;
use replica::Group;

/// One line a queue, as this replica knows it. A group that cannot be read shows none.
pub(crate) fn queues(group: &Group<QueueMachine>) -> Vec<QueueOverview> {
    let id = group.id().0;
    let read = group.read_stale(|view| {
        let mut lines = Vec::new();
        loop {
            let page = view.machine.queues("", lines.len(), usize::MAX);
            for (queue, name) in &page.queues {
                let Some(status) = view.machine.status(*queue) else { continue };
                let oldest = view.machine.oldest_visible(view.rows, *queue).ok().flatten();
                lines.push(QueueOverview {
                    queue: name.clone(),
                    group: id,
                    visible: status.counts.visible,
                    leased: status.counts.leased,
                    delayed: status.counts.delayed,
                    oldest_ms: oldest.map_or(0, |oldest| view.now.since(oldest)),
                    sent: status.totals.sent,
                    acked: status.totals.acked,
                    redelivered: status.totals.redelivered,
                    dead_lettered: status.totals.dead_lettered,
                });
            }
            if page.queues.is_empty() || lines.len() >= page.total {
                return lines;
            }
        }
    });
    read.unwrap_or_default()
}
