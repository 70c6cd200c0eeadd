//! The naive model: queues as plain lists of messages, searched from end to end for every step.
//!
//! Must never: be clever. It knows no ranges, pages, floors or spans; where it and the machine differ, one of them is wrong
//! and this one can be read.

use std::collections::{BTreeMap, BTreeSet};

use machine::TimestampMs;
use queue_core::limits::DEAD_LETTER_RETRY_MS;
use queue_core::{
    Attributes, Counts, DeadLetterCount, Delivery, DeliveryNumber, Due, MessageId, NewMessage, QueueId, Refusal, Reply,
    Totals, Tries,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Visible,
    Held { receipt: DeliveryNumber, until: TimestampMs },
    Parked { receipt: DeliveryNumber, until: TimestampMs },
    Delayed { until: TimestampMs },
}

#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) id: MessageId,
    /// 0 while delayed.
    pub(crate) seq: u64,
    pub(crate) enqueued: TimestampMs,
    pub(crate) state: State,
    pub(crate) order: Order,
    pub(crate) tries: Tries,
    /// It must not become visible again.
    pub(crate) is_purged: bool,
    pub(crate) is_expired: bool,
}

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

#[derive(Clone, Debug)]
pub(crate) struct Queue {
    pub(crate) id: QueueId,
    pub(crate) name: String,
    pub(crate) attributes: Attributes,
    pub(crate) messages: Vec<Message>,
    pub(crate) totals: Totals,
    pub(crate) is_deleted: bool,
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
}

impl Queue {
    fn id_of_next(&mut self, group: u64) -> MessageId {
        self.sent += 1;
        self.totals.sent += 1;
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
        self.attributes.dead_letter.as_ref().is_some_and(|policy| match policy.count {
            DeadLetterCount::Received => tries.received >= policy.limit,
            DeadLetterCount::Failed => tries.failed >= policy.limit,
        })
    }

    fn outlives(&self, message: &Message, now: TimestampMs) -> bool {
        now >= message.enqueued.plus(u64::from(self.attributes.retention_s) * 1_000)
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

    pub(crate) fn send(&mut self, at: usize, messages: &[NewMessage], now: TimestampMs) -> Reply {
        let queue = &mut self.queues[at];
        let mut fresh = BTreeSet::new();
        let is_new = |message: &&NewMessage| {
            let remembers = queue.attributes.dedup_window_s > 0 && !message.dedup_id.is_empty();
            !remembers || queue.former(message, now).is_none() && fresh.insert(message.dedup_id.clone())
        };
        let new = messages.iter().filter(is_new).count();
        if new > 0 && (queue.messages.len() + new) as u64 > queue.attributes.max_messages {
            return Reply::Refused(Refusal::QueueFull);
        }
        let (mut ids, mut first_seq, mut duplicates) = (Vec::new(), 0, Vec::new());
        for (index, message) in (0..).zip(messages) {
            if let Some(id) = queue.former(message, now).filter(|_| !message.dedup_id.is_empty()) {
                ids.push(id);
                duplicates.push(index);
                continue;
            }
            let id = queue.id_of_next(7);
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
            first_seq = if first_seq == 0 { seq } else { first_seq };
            let tries = Tries::default();
            let (is_purged, is_expired) = (false, false);
            queue.messages.push(Message { id, seq, enqueued, state, order, tries, is_purged, is_expired });
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
        if deliveries.is_empty() { Reply::Empty } else { Reply::Received { deliveries } }
    }

    pub(crate) fn ack(&mut self, at: usize, receipts: &[DeliveryNumber], now: TimestampMs) -> Reply {
        let queue = &mut self.queues[at];
        let mut results = Vec::new();
        for receipt in receipts {
            let found = queue.find(*receipt, now);
            if let Some(at) = found {
                self.acked.insert(queue.messages.remove(at).id);
                queue.totals.acked += 1;
            }
            queue.tidy();
            results.push(if found.is_some() { None } else { Some(Refusal::StaleReceipt) });
        }
        Reply::Settled { results }
    }

    pub(crate) fn extend(&mut self, at: usize, receipt: DeliveryNumber, lease_ms: u64, now: TimestampMs) -> Reply {
        let queue = &mut self.queues[at];
        let deadline = now.plus(lease_ms);
        let Some(at) = queue.find(receipt, now) else {
            return Reply::Extended { deadline, results: vec![Some(Refusal::StaleReceipt)] };
        };
        queue.messages[at].state = State::Held { receipt, until: deadline };
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
        let message = &queue.messages[at];
        let is_spent = queue.is_spent(&message.tries);
        if message.is_purged || message.is_expired {
            queue.drop_at(at);
        } else if is_spent {
            queue.messages[at].state = State::Parked { receipt, until: now };
        } else if delay_ms > 0 {
            queue.messages[at].state = State::Parked { receipt, until: now.plus(delay_ms) };
        } else {
            queue.messages[at].state = State::Visible;
        }
        Reply::Settled { results: vec![None] }
    }

    pub(crate) fn purge(&mut self, at: usize) -> Reply {
        let queue = &mut self.queues[at];
        let before = queue.messages.len();
        let visible = queue.messages.iter().filter(|message| message.state == State::Visible);
        queue.ghosts.extend(visible.map(|message| message.order.clone()));
        queue.messages.retain(|message| matches!(message.state, State::Held { .. }));
        for message in &mut queue.messages {
            message.is_purged = true;
        }
        let messages = (before - queue.messages.len()) as u64;
        queue.totals.purged += messages;
        queue.tidy();
        Reply::Purged { messages }
    }

    /// Moves one item of a tick, if it is due.
    pub(crate) fn move_due(&mut self, item: &Due, now: TimestampMs) {
        match *item {
            Due::Lease { queue, delivery, seq } => self.end_lease(queue, delivery, seq, now),
            Due::Delay { queue, due, id, .. } => {
                let Some(queue) = self.live(queue) else { return };
                let found = queue.messages.iter().position(|message| message.id == id && message.seq == 0);
                if let Some(at) = found.filter(|_| due <= now) {
                    let seq = queue.next_seq(&queue.messages[at].order.clone());
                    let message = &mut queue.messages[at];
                    (message.seq, message.state, message.enqueued) = (seq, State::Visible, now);
                }
            }
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
                }
            }
            Due::Erase { queue } => {
                let Some(queue) = self.live(queue) else { return };
                queue.ghosts.clear();
                queue.tidy();
            }
            Due::Window { .. } => {}
        }
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
        if matches!(queue.messages[at].state, State::Held { .. }) {
            queue.messages[at].tries.failed += 1;
        }
        let message = queue.messages[at].clone();
        if message.is_purged || message.is_expired || queue.outlives(&message, now) {
            queue.drop_at(at);
        } else if queue.is_spent(&message.tries) {
            self.bury(id, at, now);
        } else {
            queue.messages[at].state = State::Visible;
        }
    }

    fn bury(&mut self, source: QueueId, at: usize, now: TimestampMs) {
        let policy = self.live(source).and_then(|queue| queue.attributes.dead_letter.clone());
        let target = policy.and_then(|policy| self.named(&policy.queue));
        let has_room = |queue: &Queue| (queue.messages.len() as u64) < queue.attributes.max_messages;
        let target = target.filter(|target| has_room(&self.queues[*target]));
        let Some(queue) = self.live(source) else { return };
        let Some(target) = target else {
            if let State::Held { receipt, .. } | State::Parked { receipt, .. } = queue.messages[at].state {
                queue.messages[at].state = State::Parked { receipt, until: now.plus(DEAD_LETTER_RETRY_MS) };
            }
            return;
        };
        let message = queue.messages.remove(at);
        queue.tidy();
        queue.totals.dead_lettered += 1;
        let target = &mut self.queues[target];
        target.totals.arrived += 1;
        let (seq, state, tries) = (target.next_seq(&message.order), State::Visible, Tries::default());
        let fresh = Message { seq, state, tries, enqueued: now, is_purged: false, is_expired: false, ..message };
        target.messages.push(fresh);
    }

    /// What should have moved by `now` and has not.
    pub(crate) fn overdue(&self, now: TimestampMs) -> Vec<(QueueId, Message)> {
        let mut overdue = Vec::new();
        for queue in self.queues.iter().filter(|queue| !queue.is_deleted) {
            let is_overdue = |message: &&Message| match message.state {
                State::Visible => queue.outlives(message, now),
                State::Held { until, .. } | State::Parked { until, .. } | State::Delayed { until } => until <= now,
            };
            overdue.extend(queue.messages.iter().filter(is_overdue).map(|message| (queue.id, message.clone())));
        }
        overdue
    }
}
