//! The pushers: one watch a group, one worker a subscription that has something ready.
//!
//! ```text
//!  watch ──pushable()──> worker of a subscription ──receive──> posts (at most WIDTH at once) ──> ack | release
//!                             └── nothing ready, nothing under way: it ends and says so; the watch starts it again
//! ```
//!
//! Why a worker for each: a subscriber that hangs holds up its own places and no others. One that fails gets a single
//! place until it has taken something again, so that a dead endpoint costs one connection and not a crowd of them.
//!
//! Must never: post what is not under its lease, or settle a message otherwise than its endpoint answered.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use machine::{RequestId, StoreFailure};
use parking_lot::Mutex;
use queue_core::{
    Command, Delivery, Endpoint, NotifyFormat, QueueId, QueueMachine, Reply, RetryStrategy, SubscriptionAttributes,
    TopicId, next_retry,
};
use replica::{Group, View};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, sleep, timeout};

use super::guard::Reach;
use super::notice::Notice;
use super::post::{POST_TIMEOUT, post};
use super::trust::Trust;
use crate::node::Node;
use crate::tally::{Deed, Tally};

/// Posts under way to one endpoint.
const WIDTH_MAX: usize = 16;
/// Posts under way from one node.
const POSTS_MAX: usize = 4_096;
/// The lease of a post outlives its time-out, so that no second one begins before the first one has ended.
const LEASE: Duration = POST_TIMEOUT.saturating_add(Duration::from_secs(15));
/// Pause before a settlement that nobody took is offered again: about an election's time.
const SETTLE_AGAIN: Duration = Duration::from_millis(250);
/// Pause between two looks of a watch at what is ready.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Pushes for every group this node leads, until `stopped` is true.
pub(crate) async fn run(node: Arc<Node>, reach: Reach, trust: Trust, mut stopped: watch::Receiver<bool>) {
    let posts = Arc::new(Semaphore::new(POSTS_MAX));
    let pusher = |group| {
        let (trust, posts, tally) = (trust.clone(), Arc::clone(&posts), Arc::clone(node.tally()));
        Pusher { group, reach, trust, posts, tally }
    };
    let watches = node.groups().into_iter().map(|group| tokio::spawn(keep(pusher(group))));
    let watches: Vec<_> = watches.collect();
    // A closed channel stops the pushers too: the node is gone.
    let _ = stopped.wait_for(|stopped| *stopped).await;
    watches.iter().for_each(tokio::task::JoinHandle::abort);
}

#[derive(Clone)]
struct Pusher {
    group: Group<QueueMachine>,
    reach: Reach,
    trust: Trust,
    posts: Arc<Semaphore>,
    tally: Arc<Tally>,
}

/// Starts a worker wherever there is something to push and none is at work. Looks again when an entry was applied, and
/// when a worker has ended: what became ready after its last look was passed over as long as it counted as busy.
async fn keep(pusher: Pusher) {
    let busy = Arc::new(Busy::default());
    let mut applied = pusher.group.applied_index();
    loop {
        applied.mark_unchanged();
        let ready = if pusher.group.is_leader() {
            pusher.group.read_stale(|view| view.machine.pushable()).unwrap_or_default()
        } else {
            Vec::new()
        };
        for queue in ready.into_iter().map(|pushable| pushable.queue) {
            if let Some(place) = Place::take(queue, &busy) {
                let pusher = pusher.clone();
                tokio::spawn(async move {
                    pusher.work(queue).await;
                    drop(place);
                });
            }
        }
        sleep(LOOK_EVERY).await;
        tokio::select! {
            changed = applied.changed() => {
                if changed.is_err() {
                    return;
                }
            }
            () = busy.ended.notified() => {}
        }
    }
}

/// The subscriptions that a worker serves.
#[derive(Default)]
struct Busy {
    queues: Mutex<BTreeSet<QueueId>>,
    /// A worker has ended since the watch last asked.
    ended: Notify,
}

/// A worker's entry among the busy ones; gone with the worker, however it ends.
struct Place {
    queue: QueueId,
    busy: Arc<Busy>,
}

impl Place {
    /// `None`: a worker is at work there.
    fn take(queue: QueueId, busy: &Arc<Busy>) -> Option<Self> {
        busy.queues.lock().insert(queue).then(|| Self { queue, busy: Arc::clone(busy) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.busy.queues.lock().remove(&self.queue);
        self.busy.ended.notify_one();
    }
}

/// A subscription as its worker needs it.
struct Subscriber {
    queue: QueueId,
    topic_id: TopicId,
    topic: String,
    name: String,
    attributes: SubscriptionAttributes,
}

impl Subscriber {
    fn find(view: &View<'_, QueueMachine>, queue: QueueId) -> Option<Self> {
        let status = view.machine.subscription_status(queue)?;
        let topic = view.machine.topic_status(status.topic)?.name;
        Some(Self { queue, topic_id: status.topic, topic, name: status.name, attributes: status.attributes })
    }
}

/// A message under a lease, ready to be posted.
struct Letter {
    delivery: Delivery,
    notice: Notice,
    _post: OwnedSemaphorePermit,
}

impl Pusher {
    /// Posts what is ready until nothing is. A message that cannot be received, read or settled comes again when its
    /// lease has run out.
    async fn work(&self, queue: QueueId) {
        let mut under_way = FuturesUnordered::new();
        let mut width = WIDTH_MAX;
        loop {
            let room = width.saturating_sub(under_way.len());
            let found = self.group.read_stale(|view| Subscriber::find(view, queue)).ok().flatten();
            let letters = match found {
                Some(subscriber) if room > 0 => self.take(&Arc::new(subscriber), room).await,
                _ => Vec::new(),
            };
            under_way.extend(letters.into_iter().map(|(subscriber, letter)| self.deliver(subscriber, letter)));
            // A post may hang; what comes meanwhile is looked for all the same.
            match timeout(LOOK_EVERY, under_way.next()).await {
                Ok(Some(is_taken)) => width = if is_taken { WIDTH_MAX } else { 1 },
                Ok(None) => {
                    // Something may be ready that could not be taken: it is looked for again, but not at once.
                    if self.group.read_stale(|view| view.machine.has_ready(queue)).unwrap_or(false) {
                        sleep(SETTLE_AGAIN).await;
                    }
                    return;
                }
                Err(_) => {}
            }
        }
    }

    /// Takes leases on up to `count` messages, and reads them.
    async fn take(&self, subscriber: &Arc<Subscriber>, count: usize) -> Vec<(Arc<Subscriber>, Letter)> {
        let is_ready = self.group.read_stale(|view| view.machine.has_ready(subscriber.queue)).unwrap_or(false);
        if !is_ready {
            return Vec::new();
        }
        let mut permits = Vec::new();
        while permits.len() < count {
            match Arc::clone(&self.posts).try_acquire_owned() {
                Ok(permit) => permits.push(permit),
                Err(_) => break,
            }
        }
        let count = u32::try_from(permits.len()).unwrap_or(0);
        let lease_ms = u64::try_from(LEASE.as_millis()).ok();
        if count == 0 {
            return Vec::new();
        }
        let command = Command::Receive { queue: subscriber.queue, count, lease_ms };
        let Ok(applied) = self.group.propose(RequestId::NONE, &command).await else { return Vec::new() };
        let Reply::Received { deliveries } = applied.reply else { return Vec::new() };
        let notices = self.group.read_stale(|view| read(view, subscriber, &deliveries));
        let notices = match notices {
            Ok(Ok(notices)) => notices,
            Ok(Err(failure)) => {
                tracing::error!(%failure, "messages for a subscriber cannot be read");
                return Vec::new();
            }
            Err(_) => return Vec::new(),
        };
        let letters = notices.into_iter().zip(permits);
        let letter = |((delivery, notice), post)| (Arc::clone(subscriber), Letter { delivery, notice, _post: post });
        letters.map(letter).collect()
    }

    /// Posts a letter and settles it. Answers: whether the subscriber has taken it.
    async fn deliver(&self, subscriber: Arc<Subscriber>, letter: Letter) -> bool {
        let Endpoint::Http { url } = &subscriber.attributes.endpoint else {
            // Its endpoint is a queue now: the machine forwards what is given back.
            self.settle(release(subscriber.queue, &letter.delivery, 0, false)).await;
            return false;
        };
        let (group, topic) = (self.group.id(), subscriber.topic_id.0);
        self.tally.count(group, topic, Deed::Notify);
        let posted = post(url, &letter.notice, self.reach, &self.trust).await;
        if posted.is_ok() {
            self.tally.count(group, topic, Deed::NotifyDone);
        }
        let receipts = vec![letter.delivery.receipt];
        let command = match &posted {
            Ok(()) => Command::Ack { queue: subscriber.queue, receipts },
            Err(error) => {
                let (topic, name) = (&subscriber.topic, &subscriber.name);
                tracing::debug!(%topic, subscription = %name, message = letter.notice.message, %error, "a push failed");
                let delay_ms = pause_ms(subscriber.attributes.strategy, letter.delivery.tries.failed);
                release(subscriber.queue, &letter.delivery, delay_ms, true)
            }
        };
        self.settle(command).await;
        posted.is_ok()
    }

    /// Says what became of a post to whoever leads, again as long as its lease may live: settled twice is settled once,
    /// and without it a message that was taken is posted again, and one that failed waits for its lease's end.
    async fn settle(&self, command: Command) {
        let deadline = Instant::now() + LEASE.saturating_sub(POST_TIMEOUT);
        let left = || deadline.saturating_duration_since(Instant::now());
        while let Err(error) = self.group.propose_anywhere(RequestId::NONE, &command, left()).await {
            if Instant::now() >= deadline {
                tracing::debug!(%error, "a push could not be settled; it is made again when its lease has run out");
                return;
            }
            sleep(SETTLE_AGAIN).await;
        }
    }
}

/// How long a message that has failed once more waits. After the last try the machine gives it up, whatever is said here.
fn pause_ms(strategy: RetryStrategy, failed_before: u32) -> u64 {
    next_retry(strategy, failed_before.saturating_add(1), rand::random()).unwrap_or(0)
}

fn release(queue: QueueId, delivery: &Delivery, delay_ms: u64, failed: bool) -> Command {
    Command::Release { queue, receipts: vec![delivery.receipt], delay_ms, failed }
}

/// What was received, as its subscriber gets it. What has gone since is left out.
fn read(
    view: &View<'_, QueueMachine>,
    subscriber: &Subscriber,
    deliveries: &[Delivery],
) -> Result<Vec<(Delivery, Notice)>, StoreFailure> {
    let seqs: Vec<u64> = deliveries.iter().map(|delivery| delivery.seq).collect();
    let stored = view.machine.messages(view.rows, subscriber.queue, &seqs)?;
    let mut notices = Vec::with_capacity(deliveries.len());
    for (delivery, stored) in deliveries.iter().zip(stored) {
        let Some((stored, body)) = stored.zip(view.rows.body(delivery.id.body())?) else { continue };
        let (message, tags) = match stored.published {
            Some(published) => (published.id.0, published.tags),
            None => (stored.id.0, Vec::new()),
        };
        let notice = Notice {
            topic: subscriber.topic.clone(),
            subscription: subscriber.name.clone(),
            message,
            tags,
            published_ms: stored.sent.0,
            body,
            is_simplified: subscriber.attributes.format == NotifyFormat::Simplified,
        };
        notices.push((*delivery, notice));
    }
    Ok(notices)
}
