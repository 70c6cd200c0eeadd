//! What is drawn: the numbers of two looks, as lines. Pure.
//!
//! Must never: show a rate that was not measured.

use std::collections::BTreeMap;

use proto::admin::v1::{GroupStatus, QueueOverview, Role};
use tokio::time::Instant;

use crate::admin::View;
use crate::status::{Queues, Verdict};

/// One look at a cluster.
pub(crate) struct Look {
    pub(crate) verdict: Verdict,
    pub(crate) queues: Queues,
    /// Of the verdict's nodes so many come first and are the queue's; the others are the app's.
    pub(crate) queue_nodes: usize,
    pub(crate) at: Instant,
}

/// A node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NodeLine {
    pub(crate) node: String,
    pub(crate) leads: usize,
    pub(crate) groups: usize,
    /// The highest of its groups.
    pub(crate) term: u64,
    /// Entries that it has not applied and others know to be committed, in its worst group.
    pub(crate) behind: u64,
    /// Entries applied in a second.
    pub(crate) rate: Option<u64>,
    pub(crate) fsync_us: (u64, u64),
    pub(crate) disk_free_gb: u64,
    pub(crate) version: String,
    /// What is wrong with it.
    pub(crate) trouble: String,
}

/// A queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct QueueLine {
    pub(crate) queue: String,
    pub(crate) visible: u64,
    pub(crate) leased: u64,
    pub(crate) delayed: u64,
    pub(crate) dead: u64,
    pub(crate) oldest_ms: u64,
    pub(crate) redelivered: u64,
    /// Messages in and out, a second.
    pub(crate) rates: Option<(u64, u64)>,
}

/// A cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Picture {
    pub(crate) verdict: String,
    pub(crate) reasons: Vec<String>,
    pub(crate) nodes: Vec<NodeLine>,
    pub(crate) queues: Vec<QueueLine>,
}

impl Picture {
    /// The picture of `now`, with rates since `before`.
    pub(crate) fn of(now: &Look, before: Option<&Look>) -> Self {
        let seconds = before.map(|before| now.at.saturating_duration_since(before.at).as_secs_f64().max(0.001));
        let rate = |now: u64, then: u64| {
            let moved = u32::try_from(now.saturating_sub(then)).unwrap_or(u32::MAX);
            seconds.map(|seconds| rounded(f64::from(moved) / seconds))
        };
        let (queue, app) = now.verdict.views.split_at(now.queue_nodes.min(now.verdict.views.len()));
        let mut nodes = Vec::new();
        for views in [queue, app] {
            let committed = committed(views);
            for view in views {
                let then = before.and_then(|before| before.verdict.views.iter().find(|then| then.node == view.node));
                nodes.push(node(view, &committed, |applied| rate(applied, then.map(applied_of)?)));
            }
        }
        let queues = now.queues.overviews().map(|queue| {
            let then = before.and_then(|before| before.queues.overview(&queue.queue));
            let rates = then.and_then(|then| rate(queue.sent, then.sent).zip(rate(queue.acked, then.acked)));
            line(queue, rates)
        });
        let spoken = &now.verdict.spoken;
        Self { verdict: spoken.word().to_owned(), reasons: spoken.reasons.clone(), nodes, queues: queues.collect() }
    }

    /// The picture of a cluster of which nothing answers.
    pub(crate) fn nothing(reason: &str) -> Self {
        Self { verdict: "unknown".to_owned(), reasons: vec![reason.to_owned()], ..Self::default() }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate that is shown, not reckoned with")]
fn rounded(rate: f64) -> u64 {
    rate.round() as u64
}

fn line(queue: &QueueOverview, rates: Option<(u64, u64)>) -> QueueLine {
    QueueLine {
        queue: queue.queue.clone(),
        visible: queue.visible,
        leased: queue.leased,
        delayed: queue.delayed,
        dead: queue.dead_lettered,
        oldest_ms: queue.oldest_ms,
        redelivered: queue.redelivered,
        rates,
    }
}

/// What is known to be committed, by group.
fn committed(views: &[View]) -> BTreeMap<u32, u64> {
    let mut committed = BTreeMap::new();
    for group in views.iter().flat_map(groups) {
        let known: &mut u64 = committed.entry(group.group).or_default();
        *known = (*known).max(group.committed_index);
    }
    committed
}

fn groups(view: &View) -> &[GroupStatus] {
    view.answer.as_ref().map_or(&[], |status| &status.groups)
}

fn applied_of(view: &View) -> u64 {
    groups(view).iter().map(|group| group.applied_index).sum()
}

fn node(view: &View, committed: &BTreeMap<u32, u64>, rate: impl Fn(u64) -> Option<u64>) -> NodeLine {
    let status = match &view.answer {
        Ok(status) => status,
        Err(reason) => {
            return NodeLine { node: view.node.clone(), trouble: reason.clone(), ..NodeLine::default() };
        }
    };
    let behind = |group: &GroupStatus| {
        committed.get(&group.group).copied().unwrap_or_default().saturating_sub(group.applied_index)
    };
    let fsync = status.fsync.unwrap_or_default();
    let parked = status.groups.iter().map(|group| group.parked.as_str());
    let certificate = status.certificate.as_ref().map_or("", |certificate| certificate.trouble.as_str());
    let drained = if status.drained { "drained" } else { "" };
    let troubles = [status.quarantined.as_str(), certificate, drained].into_iter().chain(parked);
    NodeLine {
        node: view.node.clone(),
        leads: status.groups.iter().filter(|group| group.role() == Role::Leader).count(),
        groups: status.groups.len(),
        term: status.groups.iter().map(|group| group.term).max().unwrap_or_default(),
        behind: status.groups.iter().map(behind).max().unwrap_or_default(),
        rate: rate(applied_of(view)),
        fsync_us: (fsync.p50_us, fsync.p99_us),
        disk_free_gb: status.disk_free_bytes / 1_000_000_000,
        version: status.version.clone(),
        trouble: troubles.filter(|trouble| !trouble.is_empty()).collect::<Vec<_>>().join("; "),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proto::admin::v1::{FsyncStatus, StatusReply};

    use super::*;

    fn view(node: &str, role: Role, applied: u64) -> View {
        let group = GroupStatus {
            group: 1,
            role: role.into(),
            term: 4,
            committed_index: applied,
            applied_index: applied,
            ..GroupStatus::default()
        };
        let fsync = Some(FsyncStatus { count: 9, p50_us: 256, p99_us: 1024 });
        let status = StatusReply {
            node: node.to_owned(),
            groups: vec![group],
            fsync,
            disk_free_bytes: 5_000_000_000,
            version: "1".to_owned(),
            ..StatusReply::default()
        };
        View { node: node.to_owned(), answer: Ok(status) }
    }

    fn look(at: Instant, applied: u64, sent: u64) -> Look {
        let down = View { node: "3".to_owned(), answer: Err("gone".to_owned()) };
        let views = vec![view("1", Role::Leader, applied), view("2", Role::Follower, applied - 10), down];
        let queue = QueueOverview { queue: "q".to_owned(), sent, acked: 7, ..QueueOverview::default() };
        // An app's group of the same number has nothing to do with the queue's.
        let app = vec![view("a1", Role::Leader, 2)];
        let verdict = Verdict::over(&[("queue", views), ("app", app)]);
        Look { verdict, queues: Queues::of(vec![queue]), queue_nodes: 3, at }
    }

    #[test]
    fn rates_lags_and_leads_come_of_two_looks() {
        let at = Instant::now();
        let (then, now) = (look(at, 100, 50), look(at + Duration::from_secs(2), 300, 90));
        let picture = Picture::of(&now, Some(&then));
        let lines: Vec<_> = picture
            .nodes
            .iter()
            .map(|node| (node.node.as_str(), node.leads, node.behind, node.rate, node.trouble.as_str()))
            .collect();
        let expected = [
            ("1", 1, 0, Some(100), ""),
            ("2", 0, 10, Some(100), ""),
            ("3", 0, 0, None, "gone"),
            ("a1", 1, 0, Some(0), ""),
        ];
        assert_eq!(lines, expected);
        assert_eq!(picture.queues[0].rates, Some((20, 0)));
        let first = Picture::of(&now, None);
        assert_eq!((first.queues[0].rates, first.nodes[0].rate), (None, None));
        assert_eq!(picture.verdict, "degraded");
    }
}
