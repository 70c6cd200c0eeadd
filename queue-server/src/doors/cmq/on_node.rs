//! Queues and their messages, on this node's groups. Any node serves: commands go to the group's leader, and what is
//! looked at is this node's own copy, behind a barrier where the caller may rely on it.
//!
//! Must never: say that something was not applied when it may have been, or wait longer than a poll and the time of one
//! answer.

use std::sync::Arc;
use std::time::Duration;

use machine::{RequestId, StoreFailure};
use proto::limits::BODY_BYTES_PER_CALL_MAX;
use queue_core::{Command, Delivery, DeliveryNumber, NewMessage, QueueId, QueueMachine, Refusal, Reply, is_queue_name};
use replica::{Applied, Group, ProposeError, ReadError, View};
use tokio::time::{Instant, timeout, timeout_at};

use super::broker::QueueVerbs;
use super::flaw::{Flaw, no};
use super::limits::ANSWER_MAX;
use super::on_node_further::facts;
use super::words::{Caller, Listed, Named, Outgoing, Page, QueueFacts, QueueWish, Said, Taken, TakenFrom, Wanted};
use crate::doors::pages::all;
use crate::doors::traced::{self, Asked, Sends};
use crate::node::{LocateError, Node, unfound};
use crate::tally::Deed;

/// However late it is, a copy gets this long to apply what its leader has applied: the answer hangs on it.
const CATCH_UP_MIN: Duration = Duration::from_millis(400);

/// The broker that this node is.
pub(crate) struct NodeBroker {
    pub(super) node: Arc<Node>,
    routes: Vec<String>,
}

/// A queue in its group.
pub(super) struct Spot {
    pub(super) group: Group<QueueMachine>,
    pub(super) queue: QueueId,
}

impl NodeBroker {
    /// `routes`: addresses of the TCP door that clients are told.
    pub(crate) const fn new(node: Arc<Node>, routes: Vec<String>) -> Self {
        Self { node, routes }
    }

    async fn group(&self, name: &str, until: Instant) -> Said<Group<QueueMachine>> {
        Flaw::unless(is_queue_name(name), no::QUEUE_NAME)?;
        let place = timeout_at(until, self.node.place(name)).await.map_err(|_| unavailable("no answer in time"))?;
        let place = place.map_err(|error| match error {
            LocateError::Unknown => no::QUEUE_MISSING.into(),
            LocateError::Unavailable(reason) => unavailable(&reason),
            LocateError::NotHere(_) => unavailable("another node leads the group"),
        })?;
        self.node.group(place.group).ok_or_else(|| unavailable("the group is not served here"))
    }

    /// The queue called `name`; from this node's copy alone unless `is_fresh`.
    pub(super) async fn spot(&self, name: &str, is_fresh: bool, until: Instant) -> Said<Spot> {
        let group = self.group(name, until).await?;
        let find = |view: &View<'_, QueueMachine>| view.machine.queue_id(name);
        let known = if is_fresh { None } else { group.read_stale(find).map_err(|error| unread(&error))? };
        let known = match known {
            Some(queue) => Some(queue),
            None => group.read_anywhere(left(until), find).await.map_err(|error| unread(&error))?,
        };
        match known {
            Some(queue) => Ok(Spot { group, queue }),
            None => Err(absent(&group, name)),
        }
    }

    /// Proposes a command to a queue, wherever its leader is. The id may be that of a queue deleted since, for this
    /// node's copy may lag: a queue that is missing is looked up once more, behind a barrier.
    pub(super) async fn command(
        &self,
        name: &str,
        until: Instant,
        command: impl Fn(QueueId) -> Command,
    ) -> Said<(Spot, Applied<Reply>)> {
        let spot = self.spot(name, false, until).await?;
        let applied = propose(&spot.group, &command(spot.queue), until).await?;
        if !matches!(applied.reply, Reply::Refused(Refusal::QueueMissing | Refusal::Moved)) {
            return Ok((spot, applied));
        }
        let fresh = self.spot(name, true, until).await?;
        let applied = propose(&fresh.group, &command(fresh.queue), until).await?;
        Ok((fresh, applied))
    }

    /// Sends new messages, which carry the trace that the call is of.
    pub(super) async fn send_new(&self, name: &str, new: impl Fn() -> Vec<NewMessage>) -> Said<(Spot, Applied<Reply>)> {
        let sends = Sends::bare(name);
        let context = sends.mark();
        let command = |queue| {
            let mut messages = new();
            traced::mark(&mut messages, context);
            Command::Send { queue, messages }
        };
        let proposed = self.command(name, Instant::now() + ANSWER_MAX, command);
        sends.proposed(self.node.replica(), proposed, |(_, applied)| applied.receipt).await
    }

    /// Counts what was asked of a queue.
    fn tell(&self, spot: &Spot, deed: Deed) {
        self.node.tally().count(spot.group.id(), spot.queue.0, deed);
    }

    /// Proposes a command that names its queue itself.
    async fn named(
        &self,
        name: &str,
        command: &Command,
        until: Instant,
    ) -> Said<(Group<QueueMachine>, Applied<Reply>)> {
        let group = self.group(name, until).await?;
        let applied = propose(&group, command, until).await?;
        Ok((group, applied))
    }
}

#[tonic::async_trait]
impl QueueVerbs for NodeBroker {
    async fn create_queue(&self, name: &str, wish: QueueWish) -> Said<Named> {
        Flaw::unless(is_queue_name(name), no::QUEUE_NAME)?;
        let until = Instant::now() + ANSWER_MAX;
        let beside = wish.dead_letter.as_ref().map_or("", |rule| rule.queue.as_str()).to_owned();
        let attributes = queue_core::Attributes::default().changed(self.attribute_changes(wish, until).await?);
        let placed = timeout_at(until, self.node.place_new(name, &beside)).await;
        // A place without a queue harms nobody: whatever happened to it, no queue was made.
        let placed = placed.map_err(|_| unavailable("no answer in time"))?.map_err(|error| not_placed(&error))?;
        let place = placed.map_err(|_| no::TOO_MANY_QUEUES)?;
        let group = self.node.group(place.group).ok_or_else(|| unavailable("the group is not served here"))?;
        let command = Command::CreateQueue { name: name.to_owned(), attributes };
        match propose(&group, &command, until).await?.reply {
            Reply::Created { queue } => Ok(Named { id: queue_text(place.group.0, queue), name: name.to_owned() }),
            other => Err(refused(other)),
        }
    }

    async fn set_queue(&self, name: &str, wish: QueueWish) -> Said<QueueFacts> {
        let until = Instant::now() + ANSWER_MAX;
        let changes = self.attribute_changes(wish, until).await?;
        let command = Command::SetQueueAttributes { name: name.to_owned(), changes };
        let (group, applied) = self.named(name, &command, until).await?;
        done(applied.reply)?;
        // It is done: that this copy cannot show it in time changes nothing about that.
        caught_up(&group, applied.receipt.index, left(until).max(CATCH_UP_MIN)).await.ok_or(no::UNKNOWN)?;
        facts_of(&group, name).map_err(|_| no::UNKNOWN)?.ok_or(no::UNKNOWN.into())
    }

    async fn queue(&self, name: &str) -> Said<QueueFacts> {
        let until = Instant::now() + ANSWER_MAX;
        let group = self.group(name, until).await?;
        group.read_anywhere(left(until), |_| ()).await.map_err(|error| unread(&error))?;
        facts_of(&group, name)?.ok_or(no::QUEUE_MISSING.into())
    }

    async fn queues(&self, page: Page) -> Said<Listed> {
        let until = Instant::now() + ANSWER_MAX;
        let mut found = Vec::new();
        for group in self.node.groups() {
            let id = group.id().0;
            let names = group.read_anywhere(left(until), |view| all_names(view.machine, &page.search));
            let names = names.await.map_err(|error| unread(&error))?;
            found.extend(names.into_iter().map(|(queue, name)| Named { id: queue_text(id, queue), name }));
        }
        found.sort_by_key(|queue| queue.name.to_ascii_lowercase());
        let total = found.len();
        Ok(Listed { total, part: found.into_iter().skip(page.offset).take(page.limit).collect() })
    }

    async fn delete_queue(&self, name: &str) -> Said<()> {
        let command = Command::DeleteQueue { name: name.to_owned() };
        done(self.named(name, &command, Instant::now() + ANSWER_MAX).await?.1.reply)
    }

    async fn clear_queue(&self, name: &str) -> Said<()> {
        let until = Instant::now() + ANSWER_MAX;
        match self.command(name, until, |queue| Command::Purge { queue }).await?.1.reply {
            Reply::Purged { .. } => Ok(()),
            other => Err(refused(other)),
        }
    }

    async fn send(&self, messages: Outgoing) -> Said<Vec<u64>> {
        self.node.room_to_send().map_err(|reason| unavailable(&reason))?;
        if messages.half.is_some() {
            return self.send_half(messages).await;
        }
        let delay_ms = u64::from(messages.delay_s) * 1_000;
        let new = |body: &bytes::Bytes| NewMessage { body: body.clone(), delay_ms, ..NewMessage::default() };
        let bodies = &messages.bodies;
        let (spot, applied) = self.send_new(&messages.queue, || bodies.iter().map(new).collect()).await?;
        self.tell(&spot, Deed::send(bodies.len()));
        match applied.reply {
            Reply::Sent { ids, .. } => Ok(ids.into_iter().map(|id| id.0).collect()),
            other => Err(refused(other)),
        }
    }

    async fn receive(&self, wanted: Wanted, caller: Caller) -> Said<Vec<Taken>> {
        let started = Instant::now();
        let spot = self.spot(&wanted.queue, false, started + ANSWER_MAX).await?;
        self.tell(&spot, Deed::receive(wanted.count));
        let taken = match take(&spot, &wanted, started, caller.clone()).await {
            // The queue may be another one by now: see `command`.
            Err(flaw) if flaw == no::QUEUE_MISSING.into() => {
                let fresh = self.spot(&wanted.queue, true, Instant::now() + ANSWER_MAX).await?;
                if (fresh.group.id(), fresh.queue) == (spot.group.id(), spot.queue) {
                    Err(flaw)
                } else {
                    take(&fresh, &wanted, started, caller).await
                }
            }
            other => other,
        }?;
        if taken.is_empty() {
            self.tell(&spot, Deed::receive_null(wanted.count));
        }
        Ok(taken)
    }

    async fn delete_messages(&self, queue: &str, handles: &[u64]) -> Said<Vec<Option<Flaw>>> {
        let receipts = || handles.iter().map(|handle| DeliveryNumber(*handle)).collect();
        let command = |queue| Command::Ack { queue, receipts: receipts() };
        let (spot, applied) = self.command(queue, Instant::now() + ANSWER_MAX, command).await?;
        self.tell(&spot, Deed::Delete);
        match applied.reply {
            Reply::Settled { results } => Ok(results.into_iter().map(|result| result.map(flaw_of)).collect()),
            other => Err(refused(other)),
        }
    }

    fn routes(&self) -> Vec<String> {
        self.routes.clone()
    }
}

/// Takes leases, waiting for the first message until the poll ends or the caller is gone.
async fn take(spot: &Spot, wanted: &Wanted, started: Instant, mut caller: Caller) -> Said<Vec<Taken>> {
    let Spot { group, queue } = spot;
    let read = group.read_stale(|view| view.machine.status(*queue).map(|status| status.attributes));
    let attributes = read.map_err(|error| unread(&error))?.ok_or(no::QUEUE_MISSING)?;
    let poll = wanted.poll.unwrap_or(Duration::from_secs(u64::from(attributes.polling_wait_s)));
    let (until, last) = (started + poll, started + poll + ANSWER_MAX);
    let fitting = (BODY_BYTES_PER_CALL_MAX / (attributes.max_message_bytes as usize).max(1)).max(1);
    let count = u32::try_from(wanted.count.min(fitting)).unwrap_or(1);
    let lease_ms = wanted.visibility.map(|lease| u64::try_from(lease.as_millis()).unwrap_or(u64::MAX));
    let command = Command::Receive { queue: *queue, count, lease_ms };
    let mut applied = group.applied_index();
    let mut is_ready = first_look(group, *queue, until.max(started + ANSWER_MAX)).await?;
    loop {
        applied.mark_unchanged();
        if is_ready {
            let began = Instant::now().into_std();
            let received = propose(group, &command, last).await?;
            match received.reply {
                Reply::Received { deliveries } => {
                    let asked = Asked { queue: &wanted.queue, fsyncs: None, began, receipt: received.receipt };
                    return read_taken(spot, &asked, &deliveries, left(last)).await;
                }
                Reply::Refused(Refusal::Moved) => return Err(no::QUEUE_MISSING.into()),
                // Somebody else was faster. This copy shall know it too before it is asked again.
                Reply::Empty => drop(caught_up(group, received.receipt.index, left(until)).await),
                other => return Err(refused(other)),
            }
        }
        is_ready = group.read_stale(|view| view.machine.has_ready(*queue)).map_err(|error| unread(&error))?;
        if is_ready && Instant::now() < until {
            continue;
        }
        tokio::select! {
            changed = timeout_at(until, applied.changed()) => match changed {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err(unavailable("the replica is stopping")),
                Err(_) => return Ok(Vec::new()),
            },
            () = caller.gone() => return Ok(Vec::new()),
        }
        let (is_there, has_moved) = group
            .read_stale(|view| (view.machine.has_ready(*queue), view.machine.has_moved(*queue)))
            .map_err(|error| unread(&error))?;
        Flaw::unless(!has_moved, no::QUEUE_MISSING)?;
        is_ready = is_there;
    }
}

/// A queue that its group does not know: it is on its way between groups, or there is none.
fn absent(group: &Group<QueueMachine>, name: &str) -> Flaw {
    match unfound(group, name) {
        LocateError::Unavailable(reason) => unavailable(&reason),
        LocateError::Unknown | LocateError::NotHere(_) => no::QUEUE_MISSING.into(),
    }
}

/// Whether something is ready. What was acknowledged on another node counts, so a copy that follows asks its leader first.
async fn first_look(group: &Group<QueueMachine>, queue: QueueId, until: Instant) -> Said<bool> {
    let look = |view: &View<'_, QueueMachine>| view.machine.has_ready(queue);
    let read = if group.is_leader() {
        group.read_stale(look)
    } else {
        group.read_anywhere(left(until).min(ANSWER_MAX), look).await
    };
    read.map_err(|error| unread(&error))
}

/// Reads rows and bodies of a receive from this node's copy, once it has applied the receive. What has gone since is
/// left out. The leases stand, so a copy that cannot be read leaves the outcome unknown.
async fn read_taken(spot: &Spot, asked: &Asked<'_>, deliveries: &[Delivery], within: Duration) -> Said<Vec<Taken>> {
    caught_up(&spot.group, asked.receipt.index, within.max(CATCH_UP_MIN)).await.ok_or(no::UNKNOWN)?;
    let seqs: Vec<u64> = deliveries.iter().map(|delivery| delivery.seq).collect();
    let read = |view: &View<'_, QueueMachine>| -> Result<Vec<Taken>, StoreFailure> {
        let stored = view.machine.messages(view.rows, spot.queue, &seqs)?;
        let mut taken = Vec::with_capacity(deliveries.len());
        for (delivery, stored) in deliveries.iter().zip(stored) {
            let Some((stored, body)) = stored.zip(view.rows.body(delivery.id.body())?) else { continue };
            traced::received(asked, std::iter::once(traced::line_of(&stored.headers)));
            let origin = stored.origin.map(|origin| TakenFrom {
                queue: origin.name,
                enqueued_ms: origin.enqueued.0,
                dequeued: origin.tries.received,
            });
            taken.push(Taken {
                id: delivery.id.0,
                handle: delivery.receipt.0,
                body,
                enqueued_ms: stored.sent.0,
                next_visible_ms: delivery.deadline.0,
                first_dequeued_ms: delivery.tries.first_received.0,
                dequeued: delivery.tries.received,
                origin,
            });
        }
        Ok(taken)
    };
    spot.group.read_stale(read).map_err(|_| no::UNKNOWN)?.map_err(|_| no::UNKNOWN.into())
}

/// Waits until this node's copy has applied `index`. `None`: not in time.
async fn caught_up(group: &Group<QueueMachine>, index: u64, within: Duration) -> Option<()> {
    let mut applied = group.applied_index();
    let reached = timeout(within, applied.wait_for(|applied| *applied >= index)).await;
    reached.ok()?.ok().map(|_| ())
}

fn facts_of(group: &Group<QueueMachine>, name: &str) -> Said<Option<QueueFacts>> {
    let id = group.id().0;
    let read = group.read_stale(|view| {
        let status = view.machine.status(view.machine.queue_id(name)?)?;
        let oldest = view.machine.oldest_visible(view.rows, status.queue);
        Some(oldest.map(|oldest| facts(queue_text(id, status.queue), status, oldest.map_or(0, |oldest| oldest.0))))
    });
    let read = read.map_err(|error| unread(&error))?;
    read.transpose().map_err(|failure| unavailable(&failure.to_string()))
}

fn all_names(machine: &QueueMachine, search: &str) -> Vec<(QueueId, String)> {
    all(|offset| {
        let page = machine.queues(search, offset, usize::MAX);
        (page.total, page.queues)
    })
}

/// A queue's id as clients see it.
pub(super) fn queue_text(group: u32, queue: QueueId) -> String {
    format!("queue-{group:02x}{:05x}", queue.0)
}

pub(super) fn left(until: Instant) -> Duration {
    until.saturating_duration_since(Instant::now())
}

pub(super) async fn propose(group: &Group<QueueMachine>, command: &Command, until: Instant) -> Said<Applied<Reply>> {
    let proposed = group.propose_anywhere(RequestId::NONE, command, left(until)).await;
    proposed.map_err(unproposed)
}

pub(super) fn unproposed(error: ProposeError) -> Flaw {
    match error {
        ProposeError::Unknown(reason) => {
            tracing::debug!(%reason, "the outcome of a command is unknown");
            no::UNKNOWN.into()
        }
        other => unavailable(&other.to_string()),
    }
}

fn not_placed(error: &ProposeError) -> Flaw {
    unavailable(&error.to_string())
}

pub(super) fn unread(error: &ReadError) -> Flaw {
    unavailable(&error.to_string())
}

/// Surely not applied, for now: CMQ's own word for "come back later".
pub(super) fn unavailable(reason: &str) -> Flaw {
    no::THROTTLED.because(reason)
}

pub(super) fn done(reply: Reply) -> Said<()> {
    match reply {
        Reply::Done => Ok(()),
        other => Err(refused(other)),
    }
}

/// A reply that is a refusal; any other is a fault of this release, and its outcome nothing that a caller can know.
pub(super) fn refused(reply: Reply) -> Flaw {
    match reply {
        Reply::Refused(refusal) => flaw_of(refusal),
        other => {
            tracing::error!(?other, "the machine gave a reply of another kind");
            no::UNKNOWN.into()
        }
    }
}

/// A refusal in CMQ's words.
pub(super) fn flaw_of(refusal: Refusal) -> Flaw {
    match refusal {
        Refusal::CountOutOfRange => no::BATCH_SIZE.about("batch"),
        Refusal::NameInvalid => no::QUEUE_NAME.into(),
        Refusal::QueueMissing | Refusal::DeadLetterQueueMissing => no::QUEUE_MISSING.into(),
        Refusal::Moved | Refusal::QueueMoving => unavailable(&refusal.to_string()),
        Refusal::QueueExists => no::QUEUE_EXISTS.into(),
        Refusal::MaxMessagesOutOfRange => no::OUT_OF_RANGE.about("maxMsgHeapNum"),
        Refusal::PollingWaitOutOfRange => no::OUT_OF_RANGE.about("pollingWaitSeconds"),
        Refusal::VisibilityTimeoutOutOfRange | Refusal::LeaseOutOfRange => no::OUT_OF_RANGE.about("visibilityTimeout"),
        Refusal::MaxMessageBytesOutOfRange => no::OUT_OF_RANGE.about("maxMsgSize"),
        Refusal::RetentionOutOfRange => no::OUT_OF_RANGE.about("msgRetentionSeconds"),
        Refusal::RewindOutOfRange => no::OUT_OF_RANGE.about("rewindSeconds"),
        Refusal::DeadLetterLimitOutOfRange => no::OUT_OF_RANGE.about("maxReceiveCount"),
        Refusal::DeadLetterQueueIsItself => no::OUT_OF_RANGE.about("deadLetterQueueName"),
        Refusal::TooManyQueues => no::TOO_MANY_QUEUES.into(),
        Refusal::DelayOutOfRange => no::DELAY.into(),
        Refusal::BodyEmpty => no::BODY_EMPTY.into(),
        Refusal::BodyTooLarge => no::MESSAGE_SIZE.into(),
        Refusal::SendTooLarge => no::BATCH_BYTES.into(),
        Refusal::QueueFull | Refusal::NumbersExhausted => no::HEAP.into(),
        Refusal::TooManyDelayed | Refusal::TooManyLeased => no::TOO_MANY_UNACKED.into(),
        Refusal::StaleReceipt => no::STALE_HANDLE.into(),
        Refusal::TransactionOutOfRange => no::OUT_OF_RANGE.about("firstQueryInterval"),
        Refusal::DelayInTransaction => no::DELAY.into(),
        Refusal::NotTransactional => no::NOT_TRANSACTIONAL.into(),
        Refusal::TooManyHalves => no::TOO_MANY_UNACKED.into(),
        Refusal::HalfUnknown => no::MESSAGE_ID.into(),
        Refusal::HalfSettled => no::NOT_ALLOWED.into(),
        Refusal::RewindOff => no::NOT_REWINDABLE.into(),
        Refusal::TopicMissing => no::TOPIC_MISSING.into(),
        Refusal::TopicExists => no::TOPIC_EXISTS.into(),
        Refusal::TooManyTopics => no::TOO_MANY_TOPICS.into(),
        Refusal::TopicHasSubscriptions => no::HAS_SUBSCRIPTIONS.into(),
        Refusal::SubscriptionMissing => no::REQUEST.because("subscription is not existed"),
        Refusal::SubscriptionExists => no::SUBSCRIPTION_EXISTS.into(),
        Refusal::TooManySubscriptions => no::TOO_MANY_SUBSCRIPTIONS.into(),
        Refusal::TagsOutOfRange => no::MESSAGE_TAGS.into(),
        Refusal::BindingKeysOutOfRange => no::BINDING_KEYS.into(),
        Refusal::RoutingKeyOutOfRange => no::OUT_OF_RANGE.about("routingKey"),
        Refusal::EndpointInvalid => no::ENDPOINT.into(),
        Refusal::EndpointQueueMissing => no::QUEUE_MISSING.into(),
        Refusal::NoSubscription => no::NO_SUBSCRIPTION.into(),
        Refusal::NothingMatches => no::NOTHING_MATCHES.into(),
        Refusal::PublishTooLarge => no::BATCH_BYTES.into(),
        // Nothing that CMQ has a word for.
        _ => no::REQUEST.into(),
    }
}
