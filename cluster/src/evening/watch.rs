//! The watch: once a second, how the cluster stands while the crowd acts.
//!
//! Must never: wait for a node. What is not known within the second is not known.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proto::admin::v1::QueuesRequest;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::books::Books;
use super::crowd::Crowd;
use super::series::{Look, Series};
use super::streams::Heard;
use super::tide::Tide;
use crate::admin;
use crate::file::{ClusterFile, Folder, Kind};
use crate::limits::STATUS_MAX;
use crate::screen::{Progress, bar};

/// The queue of credits.
const CREDITS: &str = "credits";
/// Classes by which the app counts what it sends away.
const CLASSES: [&str; 4] = ["money", "open", "grab", "list"];

/// What nodes said they have sent away so far; one that is started anew begins at nothing.
#[derive(Debug, Default)]
struct Shed(BTreeMap<usize, [u64; 4]>);

impl Shed {
    /// What has been sent away since the last look, and the part of levels that the most pressed node admits.
    fn turn(&mut self, pages: &[(usize, String)]) -> ([u64; 4], u64) {
        let (mut sum, mut admitted) = ([0; 4], 1000);
        for (node, page) in pages {
            let now = CLASSES.map(|class| value(page, &format!("tercet_app_requests_shed{{class=\"{class}\"}}")));
            let before = self.0.insert(*node, now).unwrap_or_default();
            for (sum, (now, before)) in sum.iter_mut().zip(now.into_iter().zip(before)) {
                *sum += if now < before { now } else { now - before };
            }
            admitted = admitted.min(value(page, "tercet_app_admitted_per_mille"));
        }
        (sum, admitted)
    }
}

/// The value of a metric; 0 if the page has none.
fn value(page: &str, name: &str) -> u64 {
    page.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok()).unwrap_or(0)
}

/// Looks each second, and shows where the evening stands. Never ends.
pub(crate) async fn watch(folder: &Folder, crowd: &Crowd, tide: &Tide, series: &Series, heard: &Arc<Heard>) {
    let mut progress = Progress::new();
    let mut ticks = interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut shed = Shed::default();
    shed.turn(&crowd.metrics().await);
    let mut before: Option<Books> = None;
    loop {
        ticks.tick().await;
        let Ok(cluster) = folder.cluster() else { continue };
        let ((queued, oldest_ms), pages) = tokio::join!(queued(&cluster), crowd.metrics());
        let books = Books::read(&cluster);
        let cores = before.as_ref().map(|before| books.since(before)).unwrap_or_default();
        before = Some(books);
        let ((shed, admitted), (streams, ..)) = (shed.turn(&pages), heard.counts());
        series.looked(Look { queued, oldest_ms, cores, shed, admitted, streams });
        let now = series.elapsed();
        let (answered, opens) = series.answered(now.saturating_sub(Duration::from_secs(2)), now);
        progress.show(&format!(
            "{:>4} s  {} {:<8} {:.0} wanted, {} answered, {} opens a second; {} shed; {queued} credits queued; generator {:.0} %",
            now.as_secs(),
            bar(now.as_secs(), tide.length.as_secs(), 20),
            tide.part(now).name(),
            tide.rate(now),
            answered / 2,
            opens / 2,
            shed.iter().sum::<u64>(),
            cores.generator_share() * 100.0,
        ));
    }
}

/// Credits in the queue, and the age of the oldest in milliseconds.
pub(crate) async fn queued(cluster: &ClusterFile) -> (u64, u64) {
    let (mut most, mut oldest) = (0, 0);
    for address in cluster.addresses(Kind::Queue) {
        let Ok(mut client) = admin::client(&address) else { continue };
        let Ok(Ok(reply)) = timeout(STATUS_MAX / 2, client.queues(QueuesRequest {})).await else { continue };
        for queue in reply.into_inner().queues.iter().filter(|queue| queue.queue.starts_with(CREDITS)) {
            most = most.max(queue.visible + queue.leased + queue.delayed);
            oldest = oldest.max(queue.oldest_ms);
        }
    }
    (most, oldest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_shed_is_counted_once_and_a_node_that_is_new_begins_at_nothing() {
        let page = |open: u64, admitted: u64| {
            format!("tercet_app_requests_shed{{class=\"open\"}} {open}\ntercet_app_admitted_per_mille {admitted}\n")
        };
        let mut shed = Shed::default();
        assert_eq!(shed.turn(&[(0, page(5, 1000)), (1, page(7, 300))]), ([0, 12, 0, 0], 300));
        assert_eq!(shed.turn(&[(0, page(6, 1000))]), ([0, 1, 0, 0], 1000));
        assert_eq!(shed.turn(&[(0, page(2, 1000)), (1, page(7, 1000))]), ([0, 2, 0, 0], 1000));
    }
}
