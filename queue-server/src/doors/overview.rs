//! What every queue of a group holds: for operators and metrics, from this replica's own copy.

use proto::admin::v1::QueueOverview;
use queue_core::{QueueId, QueueMachine};
use replica::Group;

use super::pages::all;

/// One line a queue, as this replica knows it. A group that cannot be read shows none.
pub(crate) fn queues(group: &Group<QueueMachine>) -> Vec<QueueOverview> {
    let id = group.id().0;
    let read = group.read_stale(|view| {
        let queues = all(|offset| {
            let page = view.machine.queues("", offset, usize::MAX);
            (page.total, page.queues)
        });
        let line = |(queue, name): (QueueId, String)| {
            let status = view.machine.status(queue)?;
            let oldest = view.machine.oldest_visible(view.rows, queue).ok().flatten();
            Some(QueueOverview {
                queue: name,
                group: id,
                visible: status.counts.visible,
                leased: status.counts.leased,
                delayed: status.counts.delayed,
                oldest_ms: oldest.map_or(0, |oldest| view.now.since(oldest)),
                sent: status.totals.sent,
                acked: status.totals.acked,
                redelivered: status.totals.redelivered,
                dead_lettered: status.totals.dead_lettered,
            })
        };
        queues.into_iter().filter_map(line).collect()
    });
    read.unwrap_or_default()
}
