//! The naive model: queues, subscriptions' too, as plain lists of messages, searched from end to end for every step.
//!
//! Must never: be clever. It knows no ranges, pages, floors or spans; where it and the machine differ, one of them is wrong
//! and this one can be read.

use std::collections::BTreeSet;

use machine::TimestampMs;
use queue_core::limits::DEAD_LETTER_RETRY_MS;
use queue_core::{
    Attributes, Counts, DeadLetterCount, Delivery, DeliveryNumber, Due, MessageId, QueueId, Refusal, Reply, Totals,
    Tries,
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
    pub(crate) role: Role,
    /// Forwards that found no way, since the last that did, and when the next is tried.
    pub(crate) held_back: (u32, TimestampMs),
    sent: u64,
    placed: u64,
    delivered: u64,
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

    fn next_seq(&mut self) -> u64 {
        self.placed += 1;
        self.placed
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
            role: Role::Named,
            held_back: (0, TimestampMs(0)),
            sent: 0,
            placed: 0,
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

    pub(crate) fn send(&mut self, at: usize, delays: &[u64], now: TimestampMs) -> Reply {
        let queue = &mut self.queues[at];
        if (queue.messages.len() + delays.len()) as u64 > queue.attributes.max_messages {
            return Reply::Refused(Refusal::QueueFull);
        }
        let (mut ids, mut first_seq) = (Vec::new(), 0);
        for delay in delays {
            let id = queue.id_of_next(7);
            let enqueued = now.plus(*delay);
            let (seq, state) =
                if *delay == 0 { (queue.next_seq(), State::Visible) } else { (0, State::Delayed { until: enqueued }) };
            first_seq = if first_seq == 0 { seq } else { first_seq };
            let tries = Tries::default();
            let fresh = Message { id, seq, enqueued, state, tries, origin: None, is_purged: false, is_expired: false };
            queue.messages.push(fresh);
            ids.push(id);
        }
        Reply::Sent { ids, first_seq }
    }

    pub(crate) fn receive(&mut self, at: usize, count: usize, lease_ms: u64, now: TimestampMs) -> Reply {
        let queue = &mut self.queues[at];
        queue.messages.sort_by_key(|message| message.seq);
        let mut deliveries = Vec::new();
        for message in queue.messages.iter_mut().filter(|message| message.state == State::Visible).take(count) {
            queue.delivered += 1;
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
        queue.messages.retain(|message| matches!(message.state, State::Held { .. }));
        for message in &mut queue.messages {
            message.is_purged = true;
        }
        let messages = (before - queue.messages.len()) as u64;
        queue.totals.purged += messages;
        Reply::Purged { messages }
    }

    /// Moves one item of a tick, if it is due.
    pub(crate) fn move_due(&mut self, item: &Due, now: TimestampMs) {
        match item {
            Due::Lease { queue, delivery, seq } => self.end_lease(*queue, *delivery, *seq, now),
            Due::Delay { queue, due, id, .. } => {
                let Some(queue) = self.live(*queue) else { return };
                let found = queue.messages.iter().position(|message| message.id == *id && message.seq == 0);
                if let Some(at) = found.filter(|_| *due <= now) {
                    let seq = queue.next_seq();
                    let message = &mut queue.messages[at];
                    (message.seq, message.state, message.enqueued) = (seq, State::Visible, now);
                }
            }
            Due::Expire { queue, seq } => {
                let (Some(queue), seq) = (self.live(*queue), *seq) else { return };
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
                }
            }
            Due::Erase { .. } => {}
            Due::Forward { queue, seq, .. } => self.forward(*queue, *seq, now),
            Due::Carry { .. } => panic!("these queues are of one group"),
            Due::Redrive { .. } => panic!("a redrive is told to the model as a whole"),
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
        if queue.attributes.dead_letter.is_none() {
            queue.messages.remove(at);
            queue.totals.given_up += 1;
            return;
        }
        let Some(target) = target else {
            if let State::Held { receipt, .. } | State::Parked { receipt, .. } = queue.messages[at].state {
                queue.messages[at].state = State::Parked { receipt, until: now.plus(DEAD_LETTER_RETRY_MS) };
            }
            return;
        };
        let message = Message { origin: Some((queue.id, queue.name.clone())), ..queue.messages.remove(at) };
        queue.totals.dead_lettered += 1;
        self.arrive(target, message, now);
    }

    fn arrive(&mut self, target: usize, message: Message, now: TimestampMs) {
        let target = &mut self.queues[target];
        target.totals.arrived += 1;
        let (seq, state, tries) = (target.next_seq(), State::Visible, Tries::default());
        let fresh = Message { seq, state, tries, enqueued: now, is_purged: false, is_expired: false, ..message };
        target.messages.push(fresh);
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
        let fresh = Message { id, seq, enqueued: now, state, tries, origin: None, is_purged: false, is_expired: false };
        queue.messages.push(fresh);
    }

    /// What should have moved by `now` and has not.
    pub(crate) fn overdue(&self, now: TimestampMs) -> Vec<(QueueId, Message)> {
        let mut overdue = Vec::new();
        for queue in self.queues.iter().filter(|queue| !queue.is_deleted) {
            let is_overdue = |message: &&Message| match message.state {
                State::Visible => {
                    let is_forwarded = matches!(queue.role, Role::Forwarded { .. });
                    queue.outlives(message, now) || (is_forwarded && queue.held_back.1 <= now)
                }
                State::Held { until, .. } | State::Parked { until, .. } | State::Delayed { until } => until <= now,
            };
            overdue.extend(queue.messages.iter().filter(is_overdue).map(|message| (queue.id, message.clone())));
        }
        overdue
    }
}
