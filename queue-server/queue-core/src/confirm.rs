//! Transactions: half messages are kept, asked about, and committed or rolled back.
//!
//! A half message has no place in the order until it is committed; it takes one then. Whether it is still undecided is
//! judged by the entry's stamp, whether or not a tick has come.
//!
//! Must never: show a half message to a receive, or let one decision follow another.

use machine::{Context, Layout, Rows, TimestampMs};

use crate::event::{EventKind, Step};
use crate::half::{Decision, Half};
use crate::ids::MessageId;
use crate::keys;
use crate::limits::QUERY_INTERVAL_MS_MAX;
use crate::message::{self, MessageRow};
use crate::queue::Queue;
use crate::refusal::Refusal;
use crate::reply::{Question, Reply};
use crate::tick::Moved;

/// How long after `queries` questions the next one comes. Units: milliseconds.
fn interval_ms(first_query_s: u32, queries: u32) -> u64 {
    let first_ms = u64::from(first_query_s).saturating_mul(1_000);
    let times = 1_u64.checked_shl(queries).unwrap_or(u64::MAX);
    first_ms.saturating_mul(times).min(QUERY_INTERVAL_MS_MAX)
}

impl Queue {
    /// Keeps a half message that was just sent. Invariant: the queue has a transaction policy.
    pub(crate) fn keep_half(&mut self, row: &MessageRow, rows: &mut Rows) {
        let first_query_s = self.definition.attributes.transaction.map_or(0, |policy| policy.first_query_s);
        let next = row.sent.plus(interval_ms(first_query_s, 0));
        rows.put(keys::half(self.id, row.id), row.to_bytes());
        let lane = self.lane_for(row);
        self.lanes.wait(lane);
        self.put_half(row.id, Half { sent: row.sent, next, queries: 0, is_spent: false, lane }, rows);
        self.counters.totals.half_sent = self.counters.totals.half_sent.saturating_add(1);
        self.note(Step::new(row.sent, row.id, EventKind::HalfSent, next.0), rows);
    }

    pub(crate) fn put_half(&mut self, id: MessageId, half: Half, rows: &mut Rows) {
        rows.put(keys::question(self.id, id), half.to_bytes());
        self.halves.put(id, half);
    }

    pub(crate) fn take_half(&mut self, id: MessageId, rows: &mut Rows) {
        rows.delete(keys::half(self.id, id));
        rows.delete(keys::question(self.id, id));
        if let Some(half) = self.halves.remove(id) {
            self.lanes.end_wait(half.lane);
        }
    }

    fn decide_half(&mut self, decision: Decision, rows: &mut Rows) {
        let (number, forgotten) = self.halves.decide(decision);
        rows.put(keys::decision(self.id, number), decision.to_bytes());
        if let Some(number) = forgotten {
            rows.delete(keys::decision(self.id, number));
        }
    }

    /// Whether a half message is given up at `now`.
    fn is_half_over(&self, half: &Half, now: TimestampMs) -> bool {
        let is_old = half.sent.plus(self.definition.attributes.retention_ms()) <= now;
        is_old || (half.is_spent && half.next <= now)
    }

    /// Decides a confirmation. Each message has its own result.
    pub(crate) fn confirm(&mut self, context: &Context, ids: &[MessageId], is_commit: bool, rows: &mut Rows) -> Reply {
        let mut confirm = |id: &MessageId| self.confirm_one(context, Decision { id: *id, is_commit }, rows).err();
        Reply::Settled { results: ids.iter().map(&mut confirm).collect() }
    }

    fn confirm_one(&mut self, context: &Context, decision: Decision, rows: &mut Rows) -> Result<(), Refusal> {
        let Decision { id, is_commit } = decision;
        if let Some(former) = self.halves.decision(id) {
            return Refusal::HalfSettled.unless(former == is_commit);
        }
        let count = id.count_in(context.group, self.id);
        let was_sent = count.is_some_and(|count| (1..self.counters.next_message).contains(&count));
        // One that came with a moved queue was given its id elsewhere.
        let half = self.halves.get(id).copied();
        Refusal::HalfUnknown.unless(was_sent || half.is_some())?;
        let half = half.ok_or(Refusal::HalfSettled)?;
        Refusal::HalfSettled.unless(!self.is_half_over(&half, context.now))?;
        let row = message::read(&keys::half(self.id, id), rows).ok_or(Refusal::HalfSettled)?;
        let totals = &mut self.counters.totals;
        if is_commit {
            totals.half_committed = totals.half_committed.saturating_add(1);
            // It takes its place before its lane stops waiting for it: the lane is open for it until then.
            let seq = self.place(&MessageRow { enqueued: context.now, ..row }, rows);
            self.note(Step::new(context.now, id, EventKind::Committed, seq), rows);
        } else {
            totals.half_rolled_back = totals.half_rolled_back.saturating_add(1);
            rows.drop_body(id.body());
            self.note(Step::new(context.now, id, EventKind::RolledBack, 0), rows);
        }
        self.take_half(id, rows);
        self.decide_half(decision, rows);
        Ok(())
    }

    /// Decides a taking of questions. Refuses: see [`crate::Command::QueryHalf`].
    pub(crate) fn query_half(&mut self, now: TimestampMs, count: usize, rows: &mut Rows) -> Result<Reply, Refusal> {
        let policy = self.definition.attributes.transaction.ok_or(Refusal::NotTransactional)?;
        let due: Vec<MessageId> = self.halves.questions(now).take(count).collect();
        let mut questions = Vec::with_capacity(due.len());
        for id in due {
            let Some(half) = self.halves.get(id).copied().filter(|half| !self.is_half_over(half, now)) else {
                continue;
            };
            let queries = half.queries.saturating_add(1);
            let next = now.plus(interval_ms(policy.first_query_s, queries));
            self.put_half(id, Half { next, queries, is_spent: queries >= policy.max_queries, ..half }, rows);
            self.note(Step::new(now, id, EventKind::Queried, u64::from(queries)), rows);
            questions.push(Question { id, sent: half.sent, queries, next });
        }
        Ok(if questions.is_empty() { Reply::Empty } else { Reply::Questions { questions } })
    }

    /// A half message is given up: it has outlived the retention, or its last question was not answered.
    pub(crate) fn end_half(&mut self, id: MessageId, now: TimestampMs, rows: &mut Rows) -> Moved {
        let Some(half) = self.halves.get(id).copied().filter(|half| self.is_half_over(half, now)) else {
            return Moved::Not;
        };
        let is_unanswered = half.is_spent && half.next <= now;
        self.take_half(id, rows);
        self.decide_half(Decision { id, is_commit: false }, rows);
        rows.drop_body(id.body());
        let totals = &mut self.counters.totals;
        let total = if is_unanswered { &mut totals.half_expired } else { &mut totals.expired };
        *total = total.saturating_add(1);
        let kind = if is_unanswered { EventKind::HalfExpired } else { EventKind::Expired };
        self.note(Step::new(now, id, kind, 0), rows);
        Moved::Done
    }

    /// Drops all half messages. Answers: how many.
    pub(crate) fn drop_halves(&mut self, rows: &mut Rows) -> u64 {
        let ids: Vec<MessageId> = self.halves.iter().map(|(id, _)| id).collect();
        for id in &ids {
            self.take_half(*id, rows);
            rows.drop_body(id.body());
        }
        u64::try_from(ids.len()).unwrap_or(u64::MAX)
    }

    /// Forgets what became of half messages: the queue goes.
    pub(crate) fn forget_decisions(&mut self, rows: &mut Rows) {
        for number in self.halves.clear_decisions() {
            rows.delete(keys::decision(self.id, number));
        }
    }
}
