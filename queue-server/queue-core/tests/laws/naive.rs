//! The naive model: queues, subscriptions' too, as plain lists of messages, searched from end to end for every step.
//!
//! Must never: be clever. It knows no ranges, pages, floors or spans; where it and the machine differ, one of them is wrong
//! and this one can be read.

mod lanes;
mod ticks;

use std::collections::{BTreeMap, BTreeSet};

use machine::TimestampMs;
use queue_core::limits::QUERY_INTERVAL_MS_MAX;
use queue_core::{
    Attributes, Counts, DeadLetterCount, Delivery, DeliveryNumber, EventKind, MessageId, NewMessage, Question, QueueId,
    Refusal, Reply, Totals, Tries,
};

use lanes::{Lanes, Order, plain};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Visible,
    Held {
        receipt: DeliveryNumber,
        until: TimestampMs,
    },
    Parked {
        receipt: DeliveryNumber,
        until: TimestampMs,
    },
    Delayed {
        until: TimestampMs,
    },
    Half {
        next: TimestampMs,
        queries: u32,
        is_spent: bool,
    },
    /// Acked, and kept for a rewind.
    Done,
}

#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) id: MessageId,
    /// 0 while delayed or half.
    pub(crate) seq: u64,
    pub(crate) sent: TimestampMs,
    pub(crate) enqueued: TimestampMs,
    pub(crate) state: State,
    pub(crate) order: Order,
    pub(crate) tries: Tries,
    /// Id and name of the queue in which it died, if it did.
    pub(crate) origin: Option<(QueueId, String)>,
    /// It must not become visible again.
    pub(crate) is_purged: bool,
    pub(crate) is_expired: bool,
}

/// What a queue is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Named,
    Pushed { attempts: u32 },
    Forwarded { to: String },
}

#[derive(Clone, Debug)]
pub(crate) struct Queue {
    pub(crate) id: QueueId,
    pub(crate) name: String,
    pub(crate) attributes: Attributes,
    pub(crate) messages: Vec<Message>,
    pub(crate) totals: Totals,
    pub(crate) is_deleted: bool,
    /// Half messages that were decided: committed or not.
    decided: BTreeMap<MessageId, bool>,
    /// What is too old is not offered to the dead-letter queue earlier.
    aged_retry: TimestampMs,
    /// Of each lane: what is acked below is not kept.
    done_floors: BTreeMap<Order, u64>,
    /// Lanes of messages that were visible, were dropped, and wait to be erased.
    stale: BTreeSet<Order>,
    /// The same of messages that were kept for a rewind.
    stale_done: BTreeSet<Order>,
    lanes: Lanes,
    /// Deduplication ids: until when, and of which message.
    seen: BTreeMap<String, (TimestampMs, MessageId)>,
    pub(crate) role: Role,
    /// Forwards that found no way, since the last that did, and when the next is tried.
    pub(crate) held_back: (u32, TimestampMs),
    sent: u64,
    delivered: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) queues: Vec<Queue>,
    pub(crate) acked: BTreeSet<MessageId>,
    /// What happened to each message, and in which queue.
    pub(crate) events: BTreeMap<MessageId, Vec<(QueueId, EventKind)>>,
}

/// A message that was just sent and is visible.
fn fresh(id: MessageId, seq: u64, order: Order, now: TimestampMs) -> Message {
    let (state, tries, origin) = (State::Visible, Tries::default(), None);
    Message { id, seq, sent: now, enqueued: now, state, order, tries, origin, is_purged: false, is_expired: false }
}

impl Queue {
    fn id_of_next(&mut self, group: u64) -> MessageId {
        self.sent += 1;
        self.totals.sent += 1;
        self.totals.sent_bytes += 1;
        MessageId(group << 56 | u64::from(self.id.0) << 36 | self.sent)
    }

    /// Opens the lane of a message behind all who wait.
    fn open(&mut self, order: &Order) {
        self.lanes.open(order, self.delivered + 1);
    }

    fn next_seq(&mut self, order: &Order) -> u64 {
        self.open(order);
        self.lanes.next_seq(order)
    }

    /// Closes what nothing stands in.
    fn tidy(&mut self) {
        let mut used: BTreeSet<Order> = self.messages.iter().map(|message| message.order.clone()).collect();
        used.extend(self.stale.iter().chain(&self.stale_done).cloned());
        self.lanes.close_unused(&used);
    }

    fn remove(&mut self, at: usize) -> Message {
        let message = self.messages.remove(at);
        self.tidy();
        message
    }

    /// The message whose turn it is.
    fn next(&self) -> Option<usize> {
        let is_out = |message: &Message| matches!(message.state, State::Held { .. } | State::Parked { .. });
        let is_blocked =
            |order: &Order| !order.2.is_empty() && self.messages.iter().any(|it| it.order == *order && is_out(it));
        let may_go = |message: &Message| message.state == State::Visible && !is_blocked(&message.order);
        let waiting = self.messages.iter().enumerate().filter(|(_, message)| may_go(message));
        waiting.min_by_key(|(_, message)| (self.lanes.turn(&message.order), message.seq)).map(|(at, _)| at)
    }

    /// The message that is known under the deduplication id of another.
    fn former(&self, message: &NewMessage, now: TimestampMs) -> Option<MessageId> {
        let is_asked = self.attributes.dedup_window_s > 0 && !message.dedup_id.is_empty();
        let seen = self.seen.get(&message.dedup_id).filter(|(until, _)| is_asked && now < *until);
        seen.map(|(_, id)| *id)
    }

    fn remember(&mut self, message: &NewMessage, id: MessageId, now: TimestampMs) {
        if self.attributes.dedup_window_s > 0 && !message.dedup_id.is_empty() {
            let until = now.plus(u64::from(self.attributes.dedup_window_s) * 1_000);
            self.seen.insert(message.dedup_id.clone(), (until, id));
        }
    }

    /// Those that are not there yet, each once.
    fn new_ones<'a>(&self, messages: &'a [NewMessage], now: TimestampMs) -> Vec<&'a NewMessage> {
        let mut fresh = BTreeSet::new();
        let mut is_new = |message: &&NewMessage| {
            let remembers = self.attributes.dedup_window_s > 0 && !message.dedup_id.is_empty();
            !remembers || (self.former(message, now).is_none() && fresh.insert(message.dedup_id.clone()))
        };
        messages.iter().filter(|message| is_new(message)).collect()
    }

    fn is_spent(&self, tries: &Tries) -> bool {
        match self.role {
            Role::Named => {}
            Role::Pushed { attempts } => return tries.failed >= attempts,
            Role::Forwarded { .. } => return false,
        }
        self.attributes.dead_letter.as_ref().is_some_and(|policy| match policy.count {
            DeadLetterCount::Received => tries.received >= policy.limit,
            DeadLetterCount::Failed => tries.failed >= policy.limit,
            DeadLetterCount::Age => false,
        })
    }

    fn outlives(&self, message: &Message, now: TimestampMs) -> bool {
        now >= message.enqueued.plus(u64::from(self.attributes.retention_s) * 1_000)
    }

    fn is_aged(&self, message: &Message, now: TimestampMs) -> bool {
        let policy = self.attributes.dead_letter.as_ref().filter(|policy| policy.count == DeadLetterCount::Age);
        policy.is_some_and(|policy| now >= message.enqueued.plus(u64::from(policy.limit) * 1_000))
    }

    fn is_half_over(&self, message: &Message, now: TimestampMs) -> bool {
        let State::Half { next, is_spent, .. } = message.state else { return false };
        self.outlives(message, now) || (is_spent && next <= now)
    }

    fn is_too_old_for_rewind(&self, message: &Message, now: TimestampMs) -> bool {
        now >= message.enqueued.plus(u64::from(self.attributes.rewind_s) * 1_000)
    }

    /// Messages that count as held.
    fn held(&self) -> usize {
        self.messages.iter().filter(|message| message.state != State::Done).count()
    }

    /// Whether what is acked at the place of `message` is not kept.
    fn is_forgotten(&self, message: &Message) -> bool {
        self.done_floors.get(&message.order).is_some_and(|floor| message.seq < *floor)
    }

    /// Drops what is kept in a lane at `seq` or before.
    fn forget(&mut self, order: &Order, seq: u64) {
        let goes = |it: &Message| it.state == State::Done && it.order == *order && it.seq <= seq;
        if self.messages.iter().any(goes) {
            self.stale_done.insert(order.clone());
        }
        if self.stale_done.contains(order) {
            let floor = self.done_floors.entry(order.clone()).or_default();
            *floor = (*floor).max(seq + 1);
        }
        self.messages.retain(|message| !goes(message));
    }

    /// Drops all that is kept.
    pub(crate) fn forget_all(&mut self) {
        let done = self.messages.iter().filter(|message| message.state == State::Done);
        let places: Vec<(Order, u64)> = done.map(|message| (message.order.clone(), message.seq)).collect();
        for (order, seq) in places {
            self.forget(&order, seq);
        }
    }

    /// A lane in which nothing is kept, nor waits to be erased, forgets what was not to be kept.
    fn forget_floors(&mut self) {
        let done = self.messages.iter().filter(|message| message.state == State::Done);
        let kept: BTreeSet<Order> = done.map(|message| message.order.clone()).collect();
        self.done_floors.retain(|order, _| kept.contains(order) || self.stale_done.contains(order));
    }

    fn find(&self, receipt: DeliveryNumber, now: TimestampMs) -> Option<usize> {
        self.messages.iter().position(
            |message| matches!(message.state, State::Held { receipt: held, until } if held == receipt && now < until),
        )
    }

    fn drop_at(&mut self, at: usize) {
        let message = self.remove(at);
        let total = if message.is_purged { &mut self.totals.purged } else { &mut self.totals.expired };
        *total += 1;
    }

    pub(crate) fn counts(&self) -> Counts {
        let count =
            |wanted: fn(&State) -> bool| self.messages.iter().filter(|message| wanted(&message.state)).count() as u64;
        Counts {
            visible: count(|state| matches!(state, State::Visible)),
            leased: count(|state| matches!(state, State::Held { .. })),
            delayed: count(|state| matches!(state, State::Parked { .. } | State::Delayed { .. })),
            half: count(|state| matches!(state, State::Half { .. })),
            rewindable: count(|state| matches!(state, State::Done)),
            stale: 0,
            arriving: 0,
        }
    }
}

impl Model {
    pub(crate) fn create(&mut self, name: &str, attributes: Attributes) -> QueueId {
        let id = QueueId(u32::try_from(self.queues.len()).expect("histories are short") + 1);
        let (name, totals) = (name.to_owned(), Totals::default());
        let messages = Vec::new();
        self.queues.push(Queue {
            id,
            name,
            attributes,
            messages,
            totals,
            is_deleted: false,
            decided: BTreeMap::new(),
            aged_retry: TimestampMs(0),
            done_floors: BTreeMap::new(),
            stale: BTreeSet::new(),
            stale_done: BTreeSet::new(),
            lanes: Lanes::new(),
            seen: BTreeMap::new(),
            role: Role::Named,
            held_back: (0, TimestampMs(0)),
            sent: 0,
            delivered: 0,
        });
        id
    }

    pub(crate) fn named(&self, name: &str) -> Option<usize> {
        self.queues.iter().position(|queue| queue.name == name && !queue.is_deleted)
    }

    fn live(&mut self, id: QueueId) -> Option<&mut Queue> {
        self.queues.iter_mut().find(|queue| queue.id == id && !queue.is_deleted)
    }

    pub(crate) fn delete(&mut self, at: usize) {
        self.queues[at].is_deleted = true;
        self.queues[at].messages.clear();
    }

    fn log(&mut self, queue: QueueId, id: MessageId, kinds: &[EventKind]) {
        if !self.queues.iter().any(|it| it.id == queue && it.attributes.trace) {
            return;
        }
        let events = self.events.entry(id).or_default();
        events.extend(kinds.iter().map(|kind| (queue, *kind)));
    }

    pub(crate) fn send(&mut self, at: usize, messages: &[NewMessage], now: TimestampMs) -> Reply {
        let queue = &self.queues[at];
        let new = queue.new_ones(messages, now);
        if !new.is_empty() && (queue.held() + new.len()) as u64 > queue.attributes.max_messages {
            return Reply::Refused(Refusal::QueueFull);
        }
        let policy = queue.attributes.transaction;
        if policy.is_some() && new.iter().any(|message| message.delay_ms > 0) {
            return Reply::Refused(Refusal::DelayInTransaction);
        }
        if policy.is_none() && new.iter().any(|message| message.is_half) {
            return Reply::Refused(Refusal::NotTransactional);
        }
        let (mut ids, mut first_seq, mut duplicates) = (Vec::new(), 0, Vec::new());
        for (index, message) in (0..).zip(messages) {
            if let Some(id) = self.queues[at].former(message, now) {
                self.log(self.queues[at].id, id, &[EventKind::Duplicate]);
                ids.push(id);
                duplicates.push(index);
                continue;
            }
            let (id, seq) = self.store(at, message, now);
            first_seq = if first_seq == 0 { seq } else { first_seq };
            ids.push(id);
        }
        Reply::Sent { ids, first_seq, duplicates }
    }

    /// A message that is new enters a queue. Answers: its id, and its place if it takes one at once.
    fn store(&mut self, at: usize, message: &NewMessage, now: TimestampMs) -> (MessageId, u64) {
        let queue = &mut self.queues[at];
        let id = queue.id_of_next(7);
        queue.remember(message, id, now);
        let order = (message.priority, message.tenant.clone(), message.group.clone());
        queue.open(&order);
        let enqueued = now.plus(message.delay_ms);
        let (seq, state, kinds): (_, _, &[EventKind]) = if message.is_half {
            queue.totals.half_sent += 1;
            let first_s = queue.attributes.transaction.map_or(0, |policy| policy.first_query_s);
            let next = now.plus(u64::from(first_s) * 1_000);
            (0, State::Half { next, queries: 0, is_spent: false }, &[EventKind::HalfSent])
        } else if message.delay_ms == 0 {
            (queue.next_seq(&order), State::Visible, &[EventKind::Sent])
        } else {
            (0, State::Delayed { until: enqueued }, &[EventKind::Sent, EventKind::Delayed])
        };
        queue.messages.push(Message { enqueued, state, ..fresh(id, seq, order, now) });
        let queue = queue.id;
        self.log(queue, id, kinds);
        (id, seq)
    }

    pub(crate) fn receive(&mut self, at: usize, count: usize, lease_ms: u64, now: TimestampMs) -> Reply {
        let queue = &mut self.queues[at];
        let mut deliveries = Vec::new();
        while let Some(at) = queue.next().filter(|_| deliveries.len() < count) {
            queue.delivered += 1;
            let message = &mut queue.messages[at];
            queue.lanes.serve(&message.order, queue.delivered + 1);
            let receipt = DeliveryNumber(u64::from(queue.id.0) << 44 | queue.delivered);
            let first_received = if message.tries.received == 0 { now } else { message.tries.first_received };
            message.tries = Tries { received: message.tries.received + 1, first_received, ..message.tries };
            let deadline = now.plus(lease_ms);
            message.state = State::Held { receipt, until: deadline };
            queue.totals.received += 1;
            queue.totals.redelivered += u64::from(message.tries.received > 1);
            deliveries.push(Delivery { seq: message.seq, id: message.id, receipt, deadline, tries: message.tries });
        }
        let id = queue.id;
        for delivery in &deliveries {
            self.log(id, delivery.id, &[EventKind::Received]);
        }
        if deliveries.is_empty() { Reply::Empty } else { Reply::Received { deliveries } }
    }

    pub(crate) fn ack(&mut self, at: usize, receipts: &[DeliveryNumber], now: TimestampMs) -> Reply {
        let mut results = Vec::new();
        for receipt in receipts {
            let queue = &mut self.queues[at];
            let found = queue.find(*receipt, now);
            if let Some(at) = found {
                let message = &queue.messages[at];
                let id = message.id;
                self.acked.insert(id);
                queue.totals.acked += 1;
                let is_dropped = message.is_purged || message.is_expired || queue.is_forgotten(message);
                if queue.attributes.rewind_s == 0 || is_dropped {
                    queue.remove(at);
                } else {
                    let message = &mut queue.messages[at];
                    (message.state, message.tries) = (State::Done, Tries::default());
                }
                let queue = queue.id;
                self.log(queue, id, &[EventKind::Acked]);
            }
            results.push(if found.is_some() { None } else { Some(Refusal::StaleReceipt) });
        }
        Reply::Settled { results }
    }

    /// Rewinds the lanes of some numbers.
    pub(crate) fn rewind(&mut self, at: usize, to: TimestampMs, lanes: &BTreeSet<u64>) -> Reply {
        let queue = &mut self.queues[at];
        if queue.attributes.rewind_s == 0 {
            return Reply::Refused(Refusal::RewindOff);
        }
        let mut revived = Vec::new();
        let is_back = |it: &Message| it.state == State::Done && it.enqueued >= to && lanes.contains(&(it.seq >> 40));
        for message in queue.messages.iter_mut().filter(|it| is_back(it)) {
            message.state = State::Visible;
            revived.push(message.id);
        }
        queue.totals.rewound += revived.len() as u64;
        queue.forget_floors();
        let queue = queue.id;
        for id in &revived {
            self.acked.remove(id);
            self.log(queue, *id, &[EventKind::Rewound]);
        }
        Reply::Rewound { messages: revived.len() as u64 }
    }

    /// Numbers of the lanes in which something is kept for a rewind.
    pub(crate) fn lanes_with_done(&self, at: usize) -> BTreeSet<u64> {
        let done = self.queues[at].messages.iter().filter(|message| message.state == State::Done);
        done.map(|message| message.seq >> 40).collect()
    }

    pub(crate) fn confirm(&mut self, at: usize, ids: &[MessageId], is_commit: bool, now: TimestampMs) -> Reply {
        let results = ids.iter().map(|id| self.confirm_one(at, *id, is_commit, now).err()).collect();
        Reply::Settled { results }
    }

    fn confirm_one(&mut self, at: usize, id: MessageId, is_commit: bool, now: TimestampMs) -> Result<(), Refusal> {
        let queue = &mut self.queues[at];
        if let Some(former) = queue.decided.get(&id) {
            return if *former == is_commit { Ok(()) } else { Err(Refusal::HalfSettled) };
        }
        let (birth, count) = (id.0 >> 36 & 0xf_ffff, id.0 & 0xf_ffff_ffff);
        if birth != u64::from(queue.id.0) || count == 0 || count > queue.sent {
            return Err(Refusal::HalfUnknown);
        }
        let is_it = |message: &Message| message.id == id && matches!(message.state, State::Half { .. });
        let found = queue.messages.iter().position(is_it);
        let found = found.filter(|found| !queue.is_half_over(&queue.messages[*found], now));
        let found = found.ok_or(Refusal::HalfSettled)?;
        queue.decided.insert(id, is_commit);
        let kind = if is_commit {
            queue.totals.half_committed += 1;
            let seq = queue.next_seq(&queue.messages[found].order.clone());
            let message = &mut queue.messages[found];
            (message.seq, message.state, message.enqueued) = (seq, State::Visible, now);
            EventKind::Committed
        } else {
            queue.totals.half_rolled_back += 1;
            queue.remove(found);
            EventKind::RolledBack
        };
        let queue = queue.id;
        self.log(queue, id, &[kind]);
        Ok(())
    }

    pub(crate) fn query(&mut self, at: usize, count: usize, now: TimestampMs) -> Reply {
        let queue = &mut self.queues[at];
        let Some(policy) = queue.attributes.transaction else {
            return Reply::Refused(Refusal::NotTransactional);
        };
        let mut due: Vec<(TimestampMs, MessageId)> = Vec::new();
        for message in &queue.messages {
            if let State::Half { next, is_spent: false, .. } = message.state
                && next <= now
            {
                due.push((next, message.id));
            }
        }
        due.sort_unstable();
        let mut questions = Vec::new();
        for (_, id) in due.into_iter().take(count) {
            let Some(found) = queue.messages.iter().position(|message| message.id == id) else { continue };
            if queue.outlives(&queue.messages[found], now) {
                continue;
            }
            let message = &mut queue.messages[found];
            let State::Half { queries, .. } = message.state else { continue };
            let queries = queries + 1;
            let wait_ms = (u64::from(policy.first_query_s) * 1_000) << queries;
            let next = now.plus(wait_ms.min(QUERY_INTERVAL_MS_MAX));
            message.state = State::Half { next, queries, is_spent: queries >= policy.max_queries };
            questions.push(Question { id, sent: message.sent, queries, next });
        }
        let queue = queue.id;
        for question in &questions {
            self.log(queue, question.id, &[EventKind::Queried]);
        }
        if questions.is_empty() { Reply::Empty } else { Reply::Questions { questions } }
    }

    pub(crate) fn extend(&mut self, at: usize, receipt: DeliveryNumber, lease_ms: u64, now: TimestampMs) -> Reply {
        let queue = &mut self.queues[at];
        let deadline = now.plus(lease_ms);
        let Some(at) = queue.find(receipt, now) else {
            return Reply::Extended { deadline, results: vec![Some(Refusal::StaleReceipt)] };
        };
        queue.messages[at].state = State::Held { receipt, until: deadline };
        let (queue, id) = (queue.id, queue.messages[at].id);
        self.log(queue, id, &[EventKind::Extended]);
        Reply::Extended { deadline, results: vec![None] }
    }

    pub(crate) fn release(
        &mut self,
        at: usize,
        receipt: DeliveryNumber,
        (delay_ms, failed): (u64, bool),
        now: TimestampMs,
    ) -> Reply {
        let queue = &mut self.queues[at];
        let Some(at) = queue.find(receipt, now) else {
            return Reply::Settled { results: vec![Some(Refusal::StaleReceipt)] };
        };
        queue.messages[at].tries.failed += u32::from(failed);
        let message = queue.messages[at].clone();
        let is_spent = queue.is_spent(&message.tries);
        let kind = if failed { EventKind::Failed } else { EventKind::Released };
        let then = if message.is_purged || message.is_expired {
            queue.drop_at(at);
            Some(if message.is_purged { EventKind::Purged } else { EventKind::Expired })
        } else if is_spent {
            queue.messages[at].state = State::Parked { receipt, until: now };
            None
        } else if delay_ms > 0 {
            queue.messages[at].state = State::Parked { receipt, until: now.plus(delay_ms) };
            None
        } else {
            queue.messages[at].state = State::Visible;
            Some(EventKind::Visible)
        };
        let queue = queue.id;
        self.log(queue, message.id, &[kind]);
        self.log(queue, message.id, then.as_slice());
        Reply::Settled { results: vec![None] }
    }

    pub(crate) fn purge(&mut self, at: usize) -> Reply {
        let queue = &mut self.queues[at];
        queue.forget_all();
        let (held, dropped): (Vec<Message>, Vec<Message>) =
            queue.messages.drain(..).partition(|message| matches!(message.state, State::Held { .. }));
        queue.messages = held;
        let visible = dropped.iter().filter(|message| message.state == State::Visible);
        queue.stale.extend(visible.map(|message| message.order.clone()));
        for message in &mut queue.messages {
            message.is_purged = true;
        }
        let messages = dropped.len() as u64;
        queue.totals.purged += messages;
        queue.tidy();
        let queue = queue.id;
        for message in dropped {
            self.log(queue, message.id, &[EventKind::Purged]);
        }
        Reply::Purged { messages }
    }

    /// Numbers a topic takes from the count of queues.
    pub(crate) fn reserve(&mut self) -> u32 {
        let id = self.create("", Attributes::default());
        self.queues[id.0 as usize - 1].is_deleted = true;
        id.0
    }

    /// A copy enters the queue of a subscription.
    pub(crate) fn copy(&mut self, at: usize, now: TimestampMs) {
        let queue = &mut self.queues[at];
        let (id, seq) = (queue.id_of_next(7), queue.next_seq(&plain()));
        queue.messages.push(fresh(id, seq, plain(), now));
        let queue = queue.id;
        self.log(queue, id, &[EventKind::Sent]);
    }
}
