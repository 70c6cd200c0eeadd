//! What time brings in the naive model: the items of a tick, and messages that move from queue to queue.
//!
//! Must never: find out for itself what is due. The machine says it, and here it is held against every message.

use machine::TimestampMs;
use queue_core::limits::DEAD_LETTER_RETRY_MS;
use queue_core::{DeliveryNumber, Due, EventKind, MessageId, QueueId, Tries};

use super::{Message, Model, Queue, Role, State};

impl Model {
    /// Moves one item of a tick, if it is due.
    pub(crate) fn move_due(&mut self, item: &Due, now: TimestampMs) {
        match item {
            Due::Lease { queue, delivery, seq } => self.end_lease(*queue, *delivery, *seq, now),
            Due::Delay { queue: id, due, id: message, .. } => {
                let (id, message) = (*id, *message);
                let Some(queue) = self.live(id) else { return };
                let is_it = |it: &Message| it.id == message && matches!(it.state, State::Delayed { .. });
                let found = queue.messages.iter().position(is_it);
                if let Some(at) = found.filter(|_| *due <= now) {
                    let seq = queue.next_seq(&queue.messages[at].order.clone());
                    let it = &mut queue.messages[at];
                    (it.seq, it.state, it.enqueued) = (seq, State::Visible, now);
                    self.log(id, message, &[EventKind::Visible]);
                }
            }
            Due::Expire { queue, seq } => self.expire(*queue, *seq, now),
            Due::Half { queue, id } => self.end_half(*queue, *id, now),
            Due::Age { queue: id, seq, .. } => {
                let (id, seq) = (*id, *seq);
                let Some(queue) = self.live(id) else { return };
                let is_it = |message: &Message| message.seq == seq && message.state == State::Visible;
                let Some(at) = queue.messages.iter().position(is_it) else { return };
                if queue.aged_retry <= now && queue.is_aged(&queue.messages[at], now) {
                    self.bury(id, at, now);
                }
            }
            Due::Forget { queue, seq } => {
                let Some(queue) = self.live(*queue) else { return };
                let is_it = |message: &&Message| message.seq == *seq && message.state == State::Done;
                let Some(last) = queue.messages.iter().find(is_it).cloned() else { return };
                if queue.is_too_old_for_rewind(&last, now) {
                    queue.forget(&last.order, *seq);
                }
            }
            Due::Erase { queue } => {
                let Some(queue) = self.live(*queue) else { return };
                queue.stale.clear();
                queue.stale_done.clear();
                queue.tidy();
                queue.forget_floors();
            }
            Due::Events { .. } | Due::Window { .. } => {}
            Due::Forward { queue, seq, .. } => self.forward(*queue, *seq, now),
            Due::Carry { .. } | Due::Ship { .. } => panic!("these queues are of one group"),
            Due::Redrive { .. } => panic!("a redrive is told to the model as a whole"),
        }
    }

    fn expire(&mut self, id: QueueId, seq: u64, now: TimestampMs) {
        let Some(queue) = self.live(id) else { return };
        let is_last = |message: &&Message| message.seq == seq && message.state == State::Visible;
        let Some(last) = queue.messages.iter().find(is_last).cloned() else { return };
        if !queue.outlives(&last, now) {
            return;
        }
        let is_past = |message: &Message| message.seq >> 40 == seq >> 40 && message.seq != 0 && message.seq <= seq;
        let goes = |message: &Message| message.state == State::Visible && is_past(message);
        let (gone, left): (Vec<Message>, Vec<Message>) = queue.messages.drain(..).partition(goes);
        queue.messages = left;
        queue.totals.expired += gone.len() as u64;
        queue.stale.insert(last.order.clone());
        queue.forget(&last.order, seq);
        for message in queue.messages.iter_mut().filter(|message| is_past(message)) {
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
        let it = queue.remove(found);
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
            queue.remove(at);
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
        let message = Message { origin: Some((queue.id, queue.name.clone())), ..queue.remove(at) };
        queue.totals.dead_lettered += 1;
        self.log(source, message.id, &[EventKind::DeadLettered]);
        self.arrive(target, message, now);
    }

    fn arrive(&mut self, target: usize, message: Message, now: TimestampMs) {
        let target = &mut self.queues[target];
        target.totals.arrived += 1;
        let (seq, state, tries) = (target.next_seq(&message.order), State::Visible, Tries::default());
        let (id, target_id) = (message.id, target.id);
        let fresh = Message { seq, state, tries, enqueued: now, is_purged: false, is_expired: false, ..message };
        target.messages.push(fresh);
        self.log(target_id, id, &[EventKind::Arrived]);
    }

    /// The place in the list of an open queue that `name` leads to.
    fn open(&self, name: &str) -> Option<usize> {
        let has_room = |at: &usize| (self.queues[*at].held() as u64) < self.queues[*at].attributes.max_messages;
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
        let message = queue.remove(at);
        self.arrive(target, message, now);
    }

    /// The place in the list of the queue in which a message died, or of one of its name, if it is open.
    fn home(&self, message: &Message) -> Option<usize> {
        let (id, name) = message.origin.as_ref()?;
        let same = self.queues.iter().position(|queue| queue.id == *id && !queue.is_deleted);
        let has_room = |at: &usize| (self.queues[*at].held() as u64) < self.queues[*at].attributes.max_messages;
        same.or_else(|| self.named(name)).filter(has_room)
    }

    /// Moves visible messages at some places that took them by `until`, in their order, to the queue called `to` or to where
    /// they died, until one finds no way or `most` have moved. Answers: how many moved, and whether one found no way.
    pub(crate) fn redrive(
        &mut self,
        source: usize,
        (now, until, places): (TimestampMs, TimestampMs, &[u64]),
        to: Option<&str>,
        most: u64,
    ) -> (u64, bool) {
        let (mut moved, queue) = (0, self.queues[source].id);
        self.queues[source].messages.sort_by_key(|message| message.seq);
        let mut at = 0;
        while let Some(message) = self.queues[source].messages.get(at).cloned() {
            let is_wanted =
                message.state == State::Visible && message.enqueued <= until && places.contains(&message.seq);
            let has_home = message.origin.as_ref().is_some_and(|(origin, _)| *origin != queue);
            if !is_wanted || (to.is_none() && !has_home) {
                at += 1;
                continue;
            }
            if moved == most {
                break;
            }
            let target = to.map_or_else(|| self.home(&message), |to| self.open(to));
            let Some(target) = target else { return (moved, true) };
            let name = self.queues[source].name.clone();
            let origin = message.origin.or(Some((queue, name)));
            let message = Message { origin, ..self.queues[source].remove(at) };
            self.queues[source].totals.redriven += 1;
            self.log(queue, message.id, &[EventKind::Redriven]);
            self.arrive(target, message, now);
            moved += 1;
        }
        (moved, false)
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
