//! The workers of a node: they carry on what doors began, and stop when the node does.
//!
//! ```text
//!  on every node      consumers of "credits", "packet-paid", "packet-expiry"; the patrol of the ledger; the switches
//!  where it leads     the outbox and the feed of a ledger shard, the sweep of a packet group, rounds of the audit
//! ```
//!
//! Must never: end while the node runs.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use queue_client::Delivery;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::app::App;
use crate::audit::{patrol, rounds};
use crate::limits::WORKER_PLACES;
use crate::packet::expiry::ExpiryWorker;
use crate::packet::sweep::Sweep;
use crate::queues::{CREDITS, PACKET_EXPIRY, PACKET_PAID, Queues};
use crate::tenpay::credits::CreditWorker;
use crate::tenpay::feed::{Feed, Words};
use crate::tenpay::outbox;
use crate::tenpay::refunds::Refunds;

const REST: Duration = Duration::from_secs(1);

/// Starts all workers of `app`.
pub(crate) fn start(app: &App, stop: &watch::Receiver<bool>) -> JoinSet<()> {
    let mut workers = JoinSet::new();
    let queues = &app.opening.queues;
    for shard in app.homes.ledgers() {
        workers.spawn(outbox::carry(Arc::clone(shard), queues.clone(), app.notices.clone(), stop.clone()));
        workers.spawn(patrol::walk(Arc::clone(shard), app.watchbook.clone(), stop.clone()));
    }
    workers.spawn(rounds::walk(Arc::clone(&app.homes), app.findings.clone(), app.resend_after_ms, stop.clone()));
    for shard in app.homes.packet_shards() {
        let sweep = Sweep {
            shard: Arc::clone(shard),
            queues: queues.clone(),
            marks: app.opening.marks.clone(),
            refunds: Refunds { booking: app.opening.booking.clone() },
            resend_after_ms: app.resend_after_ms,
        };
        workers.spawn(sweep.run(stop.clone()));
    }
    let credits = Arc::new(CreditWorker {
        booking: app.opening.booking.clone(),
        marks: app.opening.marks.clone(),
        pending: app.opening.pending.clone(),
    });
    workers.spawn(consume(queues.clone(), CREDITS, stop.clone(), move |delivery| Arc::clone(&credits).work(delivery)));
    let making = Arc::new(app.sending.making.clone());
    workers
        .spawn(consume(queues.clone(), PACKET_PAID, stop.clone(), move |delivery| Arc::clone(&making).work(delivery)));
    let refunds = Refunds { booking: app.opening.booking.clone() };
    let expiry = Arc::new(ExpiryWorker { homes: Arc::clone(&app.homes), refunds });
    workers.spawn(consume(queues.clone(), PACKET_EXPIRY, stop.clone(), move |delivery| {
        Arc::clone(&expiry).work(delivery)
    }));
    let (switches, data, stop) = (Arc::clone(&app.switches), app.data.clone(), stop.clone());
    workers.spawn(async move { switches.follow(&data, stop).await });
    workers
}

/// Starts the feeds of `topic`: the journal of each shard, in `words`.
pub(crate) fn start_feeds(
    workers: &mut JoinSet<()>,
    app: &App,
    (topic, words): (&str, Words),
    stop: &watch::Receiver<bool>,
) {
    for shard in app.homes.ledgers() {
        let queues = app.opening.queues.clone();
        let feed = Feed { shard: Arc::clone(shard), queues, topic: topic.to_owned(), words };
        workers.spawn(feed.run(stop.clone()));
    }
}

/// Consumes `queue` until `stop`, whatever happens to it.
async fn consume<H, W, E>(queues: Queues, queue: &'static str, mut stop: watch::Receiver<bool>, work: H)
where
    H: Fn(Delivery) -> W + Clone + Send + Sync + 'static,
    W: Future<Output = Result<(), E>> + Send + 'static,
    E: Display + Send + 'static,
{
    while !*stop.borrow() {
        queues.make(&mut stop).await;
        let consumed = queues.consumer(queue).run(work.clone(), WORKER_PLACES, stop.clone()).await;
        if let Err(error) = consumed {
            tracing::warn!(queue, %error, "a queue cannot be consumed");
            tokio::select! {
                () = tokio::time::sleep(REST) => {}
                _ = stop.wait_for(|stopped| *stopped) => return,
            }
        }
    }
}
