//! The naive model: queues, subscriptions' too, as plain lists of messages, searched from end to end for every step.
//!
//! Must never: be clever. It knows no ranges, pages, floors or spans; where it and the machine differ, one of them is wrong
//! and this one can be read.

use std::collections::{BTreeMap, BTreeSet};

use machine::TimestampMs;
use queue_core::limits::{DEAD_LETTER_RETRY_MS, QUERY_INTERVAL_MS_MAX};
use queue_core::{
<<<<<<< HEAD
    Attributes, Counts, DeadLetterCount, Delivery, DeliveryNumber, Due, EventKind, MessageId, Question, QueueId,
    Refusal, Reply, Totals, Tries,
||||||| b6c0865
    Attributes, Counts, DeadLetterCount, Delivery, DeliveryNumber, Due, MessageId, QueueId, Refusal, Reply, Totals,
    Tries,
=======
    Attributes, Counts, DeadLetterCount, Delivery, DeliveryNumber, Due, MessageId, NewMessage, QueueId, Refusal, Reply,
    Totals, Tries,
>>>>>>> core-order
};

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

<<<<<<< HEAD
/// What a queue is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Named,
    Pushed { attempts: u32 },
    Forwarded { to: String },
}

||||||| b6c0865
=======
/// Priority, tenant, ordered group.
pub(crate) type Order = (u8, String, String);

fn plain() -> Order {
    (4, String::new(), String::new())
}

#[derive(Clone, Debug)]
struct Lane {
    number: u64,
    placed: u64,
    turn: u64,
}

>>>>>>> core-order
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
    /// What is acked below is not kept.
    done_floor: u64,
    /// Messages that were kept wait to be erased.
    has_stale_done: bool,
    pub(crate) role: Role,
    /// Forwards that found no way, since the last that did, and when the next is tried.
    pub(crate) held_back: (u32, TimestampMs),
    sent: u64,
    delivered: u64,
    lanes: BTreeMap<Order, Lane>,
    tenants: BTreeMap<(u8, String), u64>,
    /// The largest number of all lanes that are closed.
    fresh: u64,
    /// Lanes of messages that are dropped and not erased.
    ghosts: Vec<Order>,
    /// Deduplication ids: until when, and of which message.
    seen: BTreeMap<String, (TimestampMs, MessageId)>,
}

#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) queues: Vec<Queue>,
    pub(crate) acked: BTreeSet<MessageId>,
    /// What happened to each message, and in which queue.
    pub(crate) events: BTreeMap<MessageId, Vec<(QueueId, EventKind)>>,
}

impl Queue {
    fn id_of_next(&mut self, group: u64) -> MessageId {
        self.sent += 1;
        self.totals.sent += 1;
        self.totals.sent_bytes += 1;
        MessageId(group << 56 | u64::from(self.id.0) << 36 | self.sent)
    }

    /// Opens a lane at the end of all turns.
    fn open(&mut self, order: &Order) {
        let turn = self.delivered + 1;
        self.tenants.entry((order.0, order.1.clone())).or_insert(turn);
        if !self.lanes.contains_key(order) {
            let number = (1..).find(|number| self.lanes.values().all(|lane| lane.number != *number));
            let number = number.expect("numbers do not end");
            self.lanes.insert(order.clone(), Lane { number, placed: self.fresh, turn });
        }
    }

    /// Closes what nothing stands in.
    fn tidy(&mut self) {
        let kept: BTreeSet<Order> = self.messages.iter().map(|message| message.order.clone()).collect();
        let is_kept = |order: &Order| *order == plain() || kept.contains(order) || self.ghosts.contains(order);
        for lane in self.lanes.iter().filter(|(order, _)| !is_kept(order)).map(|(_, lane)| lane) {
            self.fresh = self.fresh.max(lane.placed);
        }
        self.lanes.retain(|order, _| *order == plain() || kept.contains(order) || self.ghosts.contains(order));
        self.tenants.retain(|tenant, _| self.lanes.keys().any(|order| (order.0, order.1.clone()) == *tenant));
    }

    fn next_seq(&mut self, order: &Order) -> u64 {
        self.open(order);
        let lane = self.lanes.get_mut(order).expect("it was opened");
        lane.placed += 1;
        lane.number << 40 | lane.placed
    }

    /// The message whose turn it is.
    fn next(&self) -> Option<usize> {
        let is_out = |message: &Message| matches!(message.state, State::Held { .. } | State::Parked { .. });
        let is_blocked =
            |order: &Order| !order.2.is_empty() && self.messages.iter().any(|it| it.order == *order && is_out(it));
        let may_go = |message: &Message| message.state == State::Visible && !is_blocked(&message.order);
        let waiting = self.messages.iter().enumerate().filter(|(_, message)| may_go(message));
        let turn = |message: &Message| {
            let (priority, tenant, _) = &message.order;
            let tenant_turn = self.tenants[&(*priority, tenant.clone())];
            let lane = &self.lanes[&message.order];
            (9 - priority, tenant_turn, tenant.clone(), lane.turn, lane.number, message.seq)
        };
        waiting.min_by_key(|(_, message)| turn(message)).map(|(at, _)| at)
    }

    fn former(&self, message: &NewMessage, now: TimestampMs) -> Option<MessageId> {
        let seen = self.seen.get(&message.dedup_id).filter(|(until, _)| now < *until);
        seen.filter(|_| self.attributes.dedup_window_s > 0).map(|(_, id)| *id)
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

    /// Drops what is kept at `seq` or before.
    fn forget(&mut self, seq: u64) {
        let goes = |message: &Message| message.state == State::Done && message.seq <= seq;
        if self.messages.iter().any(goes) || self.has_stale_done {
            self.done_floor = self.done_floor.max(seq + 1);
        }
        self.has_stale_done |= self.messages.iter().any(goes);
        self.messages.retain(|message| !goes(message));
    }

    /// Drops all that is kept.
    pub(crate) fn forget_all(&mut self) {
        let done = self.messages.iter().filter(|message| message.state == State::Done).map(|message| message.seq);
        if let Some(last) = done.max() {
            self.forget(last);
        }
    }

    fn forget_floor_if_empty(&mut self) {
        if !self.has_stale_done && self.messages.iter().all(|message| message.state != State::Done) {
            self.done_floor = 0;
        }
    }

    fn find(&self, receipt: DeliveryNumber, now: TimestampMs) -> Option<usize> {
        self.messages.iter().position(
            |message| matches!(message.state, State::Held { receipt: held, until } if held == receipt && now < until),
        )
    }

    fn drop_at(&mut self, at: usize) {
        let message = self.messages.remove(at);
        let total = if message.is_purged { &mut self.totals.purged } else { &mut self.totals.expired };
        *total += 1;
        self.tidy();
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
            done_floor: 0,
            has_stale_done: false,
            role: Role::Named,
            held_back: (0, TimestampMs(0)),
            sent: 0,
            delivered: 0,
            lanes: BTreeMap::from([(plain(), Lane { number: 0, placed: 0, turn: 0 })]),
            tenants: BTreeMap::from([((4, String::new()), 0)]),
            fresh: 0,
            ghosts: Vec::new(),
            seen: BTreeMap::new(),
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

<<<<<<< HEAD
    fn log(&mut self, queue: QueueId, id: MessageId, kinds: &[EventKind]) {
        let events = self.events.entry(id).or_default();
        events.extend(kinds.iter().map(|kind| (queue, *kind)));
    }

    pub(crate) fn send(&mut self, at: usize, delays: &[u64], is_half: bool, now: TimestampMs) -> Reply {
||||||| b6c0865
    pub(crate) fn send(&mut self, at: usize, delays: &[u64], now: TimestampMs) -> Reply {
=======
    pub(crate) fn send(&mut self, at: usize, messages: &[NewMessage], now: TimestampMs) -> Reply {
>>>>>>> core-order
        let queue = &mut self.queues[at];
<<<<<<< HEAD
        if (queue.held() + delays.len()) as u64 > queue.attributes.max_messages {
||||||| b6c0865
        if (queue.messages.len() + delays.len()) as u64 > queue.attributes.max_messages {
=======
        let mut fresh = BTreeSet::new();
        let is_new = |message: &&NewMessage| {
            let remembers = queue.attributes.dedup_window_s > 0 && !message.dedup_id.is_empty();
            !remembers || queue.former(message, now).is_none() && fresh.insert(message.dedup_id.clone())
        };
        let new = messages.iter().filter(is_new).count();
        if new > 0 && (queue.messages.len() + new) as u64 > queue.attributes.max_messages {
>>>>>>> core-order
            return Reply::Refused(Refusal::QueueFull);
        }
<<<<<<< HEAD
        let policy = queue.attributes.transaction;
        if policy.is_some() && delays.iter().any(|delay| *delay > 0) {
            return Reply::Refused(Refusal::DelayInTransaction);
        }
        if is_half && policy.is_none() {
            return Reply::Refused(Refusal::NotTransactional);
        }
        let (mut ids, mut first_seq) = (Vec::new(), 0);
        for delay in delays {
            let queue = &mut self.queues[at];
||||||| b6c0865
        let (mut ids, mut first_seq) = (Vec::new(), 0);
        for delay in delays {
=======
        let (mut ids, mut first_seq, mut duplicates) = (Vec::new(), 0, Vec::new());
        for (index, message) in (0..).zip(messages) {
            if let Some(id) = queue.former(message, now).filter(|_| !message.dedup_id.is_empty()) {
                ids.push(id);
                duplicates.push(index);
                continue;
            }
>>>>>>> core-order
            let id = queue.id_of_next(7);
<<<<<<< HEAD
            let enqueued = now.plus(*delay);
            let (seq, state, kinds): (_, _, &[EventKind]) = if is_half {
                queue.totals.half_sent += 1;
                let first_s = policy.map_or(0, |policy| policy.first_query_s);
                let next = now.plus(u64::from(first_s) * 1_000);
                (0, State::Half { next, queries: 0, is_spent: false }, &[EventKind::HalfSent])
            } else if *delay == 0 {
                (queue.next_seq(), State::Visible, &[EventKind::Sent])
            } else {
                (0, State::Delayed { until: enqueued }, &[EventKind::Sent, EventKind::Delayed])
            };
||||||| b6c0865
            let enqueued = now.plus(*delay);
            let (seq, state) =
                if *delay == 0 { (queue.next_seq(), State::Visible) } else { (0, State::Delayed { until: enqueued }) };
=======
            if !message.dedup_id.is_empty() && queue.attributes.dedup_window_s > 0 {
                let until = now.plus(u64::from(queue.attributes.dedup_window_s) * 1_000);
                queue.seen.insert(message.dedup_id.clone(), (until, id));
            }
            let order = (message.priority, message.tenant.clone(), message.group.clone());
            queue.open(&order);
            let enqueued = now.plus(message.delay_ms);
            let (seq, state) = if message.delay_ms == 0 {
                (queue.next_seq(&order), State::Visible)
            } else {
                (0, State::Delayed { until: enqueued })
            };
>>>>>>> core-order
            first_seq = if first_seq == 0 { seq } else { first_seq };
            let tries = Tries::default();
<<<<<<< HEAD
            let (is_purged, is_expired, origin) = (false, false, None);
            queue.messages.push(Message { id, seq, sent: now, enqueued, state, tries, origin, is_purged, is_expired });
            let queue = queue.id;
            self.log(queue, id, kinds);
||||||| b6c0865
            queue.messages.push(Message { id, seq, enqueued, state, tries, is_purged: false, is_expired: false });
=======
            let (is_purged, is_expired) = (false, false);
            queue.messages.push(Message { id, seq, enqueued, state, order, tries, is_purged, is_expired });
>>>>>>> core-order
            ids.push(id);
        }
        Reply::Sent { ids, first_seq, duplicates }
    }

    pub(crate) fn receive(&mut self, at: usize, count: usize, lease_ms: u64, now: TimestampMs) -> Reply {
        let queue = &mut self.queues[at];
        let mut deliveries = Vec::new();
        while let Some(at) = queue.next().filter(|_| deliveries.len() < count) {
            queue.delivered += 1;
            let message = &mut queue.messages[at];
            let turn = queue.delivered + 1;
            queue.lanes.get_mut(&message.order).expect("a message has a lane").turn = turn;
            queue.tenants.insert((message.order.0, message.order.1.clone()), turn);
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
                let message = &mut queue.messages[at];
                let id = message.id;
                self.acked.insert(id);
                queue.totals.acked += 1;
                let is_dropped = message.is_purged || message.is_expired || message.seq < queue.done_floor;
                if queue.attributes.rewind_s == 0 || is_dropped {
                    queue.messages.remove(at);
                } else {
                    (message.state, message.tries) = (State::Done, Tries::default());
                }
                let queue = queue.id;
                self.log(queue, id, &[EventKind::Acked]);
            }
            queue.tidy();
            results.push(if found.is_some() { None } else { Some(Refusal::StaleReceipt) });
        }
        Reply::Settled { results }
    }

    pub(crate) fn rewind(&mut self, at: usize, to: TimestampMs) -> Reply {
        let queue = &mut self.queues[at];
        if queue.attributes.rewind_s == 0 {
            return Reply::Refused(Refusal::RewindOff);
        }
        let mut revived = Vec::new();
        for message in queue.messages.iter_mut().filter(|it| it.state == State::Done && it.enqueued >= to) {
            message.state = State::Visible;
            revived.push(message.id);
        }
        queue.totals.rewound += revived.len() as u64;
        queue.forget_floor_if_empty();
        let queue = queue.id;
        for id in &revived {
            self.acked.remove(id);
            self.log(queue, *id, &[EventKind::Rewound]);
        }
        Reply::Rewound { messages: revived.len() as u64 }
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
            let seq = queue.next_seq();
            let message = &mut queue.messages[found];
            (message.seq, message.state, message.enqueued) = (seq, State::Visible, now);
            EventKind::Committed
        } else {
            queue.totals.half_rolled_back += 1;
            queue.messages.remove(found);
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
<<<<<<< HEAD
        queue.forget_all();
        let (held, dropped): (Vec<Message>, Vec<Message>) =
            queue.messages.drain(..).partition(|message| matches!(message.state, State::Held { .. }));
        queue.messages = held;
||||||| b6c0865
        let before = queue.messages.len();
        queue.messages.retain(|message| matches!(message.state, State::Held { .. }));
=======
        let before = queue.messages.len();
        let visible = queue.messages.iter().filter(|message| message.state == State::Visible);
        queue.ghosts.extend(visible.map(|message| message.order.clone()));
        queue.messages.retain(|message| matches!(message.state, State::Held { .. }));
>>>>>>> core-order
        for message in &mut queue.messages {
            message.is_purged = true;
        }
        let messages = dropped.len() as u64;
        queue.totals.purged += messages;
<<<<<<< HEAD
        let queue = queue.id;
        for message in dropped {
            self.log(queue, message.id, &[EventKind::Purged]);
        }
||||||| b6c0865
=======
        queue.tidy();
>>>>>>> core-order
        Reply::Purged { messages }
    }

    /// Moves one item of a tick, if it is due.
    pub(crate) fn move_due(&mut self, item: &Due, now: TimestampMs) {
<<<<<<< HEAD
        match item {
            Due::Lease { queue, delivery, seq } => self.end_lease(*queue, *delivery, *seq, now),
            Due::Delay { queue: id, due, id: message, .. } => {
                let (id, message) = (*id, *message);
                let Some(queue) = self.live(id) else { return };
                let is_it = |it: &Message| it.id == message && matches!(it.state, State::Delayed { .. });
                let found = queue.messages.iter().position(is_it);
                if let Some(at) = found.filter(|_| *due <= now) {
                    let seq = queue.next_seq();
                    let it = &mut queue.messages[at];
                    (it.seq, it.state, it.enqueued) = (seq, State::Visible, now);
                    self.log(id, message, &[EventKind::Visible]);
||||||| b6c0865
        match *item {
            Due::Lease { queue, delivery, seq } => self.end_lease(queue, delivery, seq, now),
            Due::Delay { queue, due, id, .. } => {
                let Some(queue) = self.live(queue) else { return };
                let found = queue.messages.iter().position(|message| message.id == id && message.seq == 0);
                if let Some(at) = found.filter(|_| due <= now) {
                    let seq = queue.next_seq();
                    let message = &mut queue.messages[at];
                    (message.seq, message.state, message.enqueued) = (seq, State::Visible, now);
=======
        match *item {
            Due::Lease { queue, delivery, seq } => self.end_lease(queue, delivery, seq, now),
            Due::Delay { queue, due, id, .. } => {
                let Some(queue) = self.live(queue) else { return };
                let found = queue.messages.iter().position(|message| message.id == id && message.seq == 0);
                if let Some(at) = found.filter(|_| due <= now) {
                    let seq = queue.next_seq(&queue.messages[at].order.clone());
                    let message = &mut queue.messages[at];
                    (message.seq, message.state, message.enqueued) = (seq, State::Visible, now);
>>>>>>> core-order
                }
            }
<<<<<<< HEAD
            Due::Expire { queue, seq } => self.expire(*queue, *seq, now),
            Due::Half { queue, id } => self.end_half(*queue, *id, now),
            Due::Age { queue: id, seq, .. } => {
                let (id, seq) = (*id, *seq);
                let Some(queue) = self.live(id) else { return };
                let is_it = |message: &Message| message.seq == seq && message.state == State::Visible;
                let Some(at) = queue.messages.iter().position(is_it) else { return };
                if queue.aged_retry <= now && queue.is_aged(&queue.messages[at], now) {
                    self.bury(id, at, now);
||||||| b6c0865
            Due::Expire { queue, seq } => {
                let Some(queue) = self.live(queue) else { return };
                let is_last = |message: &&Message| message.seq == seq && message.state == State::Visible;
                let Some(last) = queue.messages.iter().find(is_last).cloned() else { return };
                if queue.outlives(&last, now) {
                    let before = queue.messages.len();
                    let goes = |message: &Message| message.state == State::Visible && message.seq <= seq;
                    queue.messages.retain(|message| !goes(message));
                    queue.totals.expired += (before - queue.messages.len()) as u64;
                    for message in queue.messages.iter_mut().filter(|message| message.seq != 0 && message.seq <= seq) {
                        message.is_expired = true;
                    }
=======
            Due::Expire { queue, seq } => {
                let Some(queue) = self.live(queue) else { return };
                let is_last = |message: &&Message| message.seq == seq && message.state == State::Visible;
                let Some(last) = queue.messages.iter().find(is_last).cloned() else { return };
                if queue.outlives(&last, now) {
                    let before = queue.messages.len();
                    let is_past = |message: &Message| message.seq >> 40 == seq >> 40 && message.seq <= seq;
                    let goes = |message: &Message| message.state == State::Visible && is_past(message);
                    let gone = queue.messages.iter().filter(|message| goes(message));
                    queue.ghosts.extend(gone.map(|message| message.order.clone()));
                    queue.messages.retain(|message| !goes(message));
                    queue.totals.expired += (before - queue.messages.len()) as u64;
                    for message in queue.messages.iter_mut().filter(|it| it.seq != 0 && is_past(it)) {
                        message.is_expired = true;
                    }
>>>>>>> core-order
                }
            }
<<<<<<< HEAD
            Due::Forget { queue, seq } => {
                let Some(queue) = self.live(*queue) else { return };
                let is_it = |message: &&Message| message.seq == *seq && message.state == State::Done;
                let Some(last) = queue.messages.iter().find(is_it).cloned() else { return };
                if queue.is_too_old_for_rewind(&last, now) {
                    queue.forget(*seq);
                }
            }
            Due::Erase { queue } => {
                let Some(queue) = self.live(*queue) else { return };
                queue.has_stale_done = false;
                queue.forget_floor_if_empty();
            }
            Due::Events { .. } => {}
            Due::Forward { queue, seq, .. } => self.forward(*queue, *seq, now),
            Due::Carry { .. } => panic!("these queues are of one group"),
            Due::Redrive { .. } => panic!("a redrive is told to the model as a whole"),
||||||| b6c0865
            Due::Erase { .. } => {}
=======
            Due::Erase { queue } => {
                let Some(queue) = self.live(queue) else { return };
                queue.ghosts.clear();
                queue.tidy();
            }
            Due::Window { .. } => {}
>>>>>>> core-order
        }
    }

    fn expire(&mut self, id: QueueId, seq: u64, now: TimestampMs) {
        let Some(queue) = self.live(id) else { return };
        let is_last = |message: &&Message| message.seq == seq && message.state == State::Visible;
        let Some(last) = queue.messages.iter().find(is_last).cloned() else { return };
        if !queue.outlives(&last, now) {
            return;
        }
        let goes = |message: &Message| message.state == State::Visible && message.seq <= seq;
        let (gone, left): (Vec<Message>, Vec<Message>) = queue.messages.drain(..).partition(goes);
        queue.messages = left;
        queue.totals.expired += gone.len() as u64;
        queue.forget(seq);
        for message in queue.messages.iter_mut().filter(|message| message.seq != 0 && message.seq <= seq) {
            message.is_expired = true;
        }
        for message in gone {
            self.log(id, message.id, &[EventKind::Expired]);
        }
    }

    fn end_half(&mut self, id: QueueId, message: MessageId, now: TimestampMs) {
        let Some(queue) = self.live(id) else { return };
        let found = queue.messages.iter().position(|it| it.id == message && queue.is_half_over(it, now));
        let Some(found) = found else { return };
        let it = queue.messages.remove(found);
        let is_unanswered = matches!(it.state, State::Half { next, is_spent: true, .. } if next <= now);
        queue.decided.insert(message, false);
        let total = if is_unanswered { &mut queue.totals.half_expired } else { &mut queue.totals.expired };
        *total += 1;
        self.log(id, message, &[if is_unanswered { EventKind::HalfExpired } else { EventKind::Expired }]);
    }

    fn end_lease(&mut self, id: QueueId, delivery: DeliveryNumber, seq: u64, now: TimestampMs) {
        let Some(queue) = self.live(id) else { return };
        let is_it = |message: &Message| {
            let (State::Held { receipt, until } | State::Parked { receipt, until }) = message.state else {
                return false;
            };
            message.seq == seq && receipt == delivery && until <= now
        };
        let Some(at) = queue.messages.iter().position(is_it) else { return };
        let is_held = matches!(queue.messages[at].state, State::Held { .. });
        queue.messages[at].tries.failed += u32::from(is_held);
        let message = queue.messages[at].clone();
        if is_held {
            self.log(id, message.id, &[EventKind::LeaseEnded]);
        }
        let Some(queue) = self.live(id) else { return };
        if message.is_purged || message.is_expired || queue.outlives(&message, now) {
            queue.drop_at(at);
            self.log(id, message.id, &[if message.is_purged { EventKind::Purged } else { EventKind::Expired }]);
        } else if queue.is_spent(&message.tries) || queue.is_aged(&message, now) {
            self.bury(id, at, now);
        } else {
            queue.messages[at].state = State::Visible;
            self.log(id, message.id, &[EventKind::Visible]);
        }
    }

    fn bury(&mut self, source: QueueId, at: usize, now: TimestampMs) {
        let policy = self.live(source).and_then(|queue| queue.attributes.dead_letter.clone());
        let target = policy.and_then(|policy| self.named(&policy.queue));
        let has_room = |queue: &Queue| (queue.held() as u64) < queue.attributes.max_messages;
        let target = target.filter(|target| has_room(&self.queues[*target]));
        let Some(queue) = self.live(source) else { return };
        if queue.attributes.dead_letter.is_none() {
            queue.messages.remove(at);
            queue.totals.given_up += 1;
            return;
        }
        let Some(target) = target else {
            if let State::Held { receipt, .. } | State::Parked { receipt, .. } = queue.messages[at].state {
                queue.messages[at].state = State::Parked { receipt, until: now.plus(DEAD_LETTER_RETRY_MS) };
                let id = queue.messages[at].id;
                self.log(source, id, &[EventKind::Stalled]);
            } else {
                queue.aged_retry = now.plus(DEAD_LETTER_RETRY_MS);
            }
            return;
        };
<<<<<<< HEAD
        let message = Message { origin: Some((queue.id, queue.name.clone())), ..queue.messages.remove(at) };
||||||| b6c0865
        let message = queue.messages.remove(at);
=======
        let message = queue.messages.remove(at);
        queue.tidy();
>>>>>>> core-order
        queue.totals.dead_lettered += 1;
        self.log(source, message.id, &[EventKind::DeadLettered]);
        self.arrive(target, message, now);
    }

    fn arrive(&mut self, target: usize, message: Message, now: TimestampMs) {
        let target = &mut self.queues[target];
        target.totals.arrived += 1;
<<<<<<< HEAD
        let (seq, state, tries) = (target.next_seq(), State::Visible, Tries::default());
        let (id, target_id) = (message.id, target.id);
||||||| b6c0865
        let (seq, state, tries) = (target.next_seq(), State::Visible, Tries::default());
=======
        let (seq, state, tries) = (target.next_seq(&message.order), State::Visible, Tries::default());
>>>>>>> core-order
        let fresh = Message { seq, state, tries, enqueued: now, is_purged: false, is_expired: false, ..message };
        target.messages.push(fresh);
        self.log(target_id, id, &[EventKind::Arrived]);
    }

    /// The place in the list of an open queue that `name` leads to.
    fn open(&self, name: &str) -> Option<usize> {
        let has_room = |at: &usize| (self.queues[*at].messages.len() as u64) < self.queues[*at].attributes.max_messages;
        self.named(name).filter(has_room)
    }

    fn forward(&mut self, source: QueueId, seq: u64, now: TimestampMs) {
        let Some(queue) = self.live(source) else { return };
        let Role::Forwarded { to } = queue.role.clone() else { return };
        let waits = |message: &Message| message.seq == seq && message.state == State::Visible;
        let Some(at) = queue.messages.iter().position(waits) else { return };
        if queue.held_back.1 > now || queue.outlives(&queue.messages[at], now) {
            return;
        }
        let target = self.open(&to);
        let Some(queue) = self.live(source) else { return };
        let Some(target) = target else {
            let wait_ms = (1_000 << queue.held_back.0.min(10)).min(60_000);
            queue.held_back = (queue.held_back.0 + 1, now.plus(wait_ms));
            return;
        };
        queue.held_back = (0, TimestampMs(0));
        queue.totals.forwarded += 1;
        let message = queue.messages.remove(at);
        self.arrive(target, message, now);
    }

    /// The place in the list of the queue in which a message died, or of one of its name, if it is open.
    fn home(&self, message: &Message) -> Option<usize> {
        let (id, name) = message.origin.as_ref()?;
        let same = self.queues.iter().position(|queue| queue.id == *id && !queue.is_deleted);
        let has_room = |at: &usize| (self.queues[*at].messages.len() as u64) < self.queues[*at].attributes.max_messages;
        same.or_else(|| self.named(name)).filter(has_room)
    }

    /// Moves visible messages that took their place by `until`, in their order, to the queue called `to` or to where they
    /// died, until one finds no way or `most` have moved. Answers: how many moved, and whether one found no way.
    pub(crate) fn redrive(
        &mut self,
        source: usize,
        (now, until): (TimestampMs, TimestampMs),
        to: Option<&str>,
        most: u64,
    ) -> (u64, bool) {
        let mut moved = 0;
        self.queues[source].messages.sort_by_key(|message| message.seq);
        let mut at = 0;
        while let Some(message) = self.queues[source].messages.get(at).cloned() {
            let is_wanted = message.state == State::Visible && message.enqueued <= until;
            if !is_wanted || (to.is_none() && message.origin.is_none()) {
                at += 1;
                continue;
            }
            if moved == most {
                break;
            }
            let target = to.map_or_else(|| self.home(&message), |to| self.open(to));
            let Some(target) = target else { return (moved, true) };
            self.queues[source].messages.remove(at);
            self.queues[source].totals.redriven += 1;
            let queue = self.queues[source].id;
            self.log(queue, message.id, &[EventKind::Redriven]);
            self.arrive(target, message, now);
            moved += 1;
        }
        (moved, false)
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
        let (id, seq) = (queue.id_of_next(7), queue.next_seq());
        let (state, tries) = (State::Visible, Tries::default());
        let (is_purged, is_expired, origin) = (false, false, None);
        let fresh = Message { id, seq, sent: now, enqueued: now, state, tries, origin, is_purged, is_expired };
        queue.messages.push(fresh);
    }

    /// What should have moved by `now` and has not.
    pub(crate) fn overdue(&self, now: TimestampMs) -> Vec<(QueueId, Message)> {
        let mut overdue = Vec::new();
        for queue in self.queues.iter().filter(|queue| !queue.is_deleted) {
            let is_overdue = |message: &&Message| match message.state {
                State::Visible => {
                    let is_forwarded = matches!(queue.role, Role::Forwarded { .. });
                    queue.outlives(message, now)
                        || (queue.is_aged(message, now) && queue.aged_retry <= now)
                        || (is_forwarded && queue.held_back.1 <= now)
                }
                State::Half { .. } => queue.is_half_over(message, now),
                State::Done => queue.is_too_old_for_rewind(message, now),
                State::Held { until, .. } | State::Parked { until, .. } | State::Delayed { until } => until <= now,
            };
            overdue.extend(queue.messages.iter().filter(is_overdue).map(|message| (queue.id, message.clone())));
        }
        overdue
    }
}
