//! Half messages in memory: which of them a queue keeps, when each is asked about, and what became of the last ones.
//!
//! ```text
//!             asking ──question──> asking ... ──last question──> spent ──no answer──> rolled back
//!   send ──────┘  └──commit──> a place in the queue              │
//!                 └──roll back──> gone <────────────────────────┘
//! ```
//!
//! Why in memory: a question is handed out by a command that cannot name the rows it will be about. The number of half
//! messages is bounded; their rows are not held.
//!
//! Must never: ask twice in one interval, or about a message that was decided.

use std::collections::{BTreeMap, BTreeSet};

use machine::{DecodeError, Layout, Reader, TimestampMs, Writer};

use crate::ids::MessageId;
use crate::limits::DECISIONS_MAX;
use crate::rows::{check_version, put_version};

/// When one half message is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Half {
    pub(crate) sent: TimestampMs,
    /// When the next question is due; after the last, when the message is rolled back.
    pub(crate) next: TimestampMs,
    pub(crate) queries: u32,
    /// The last question was asked.
    pub(crate) is_spent: bool,
    /// The lane it will come to.
    pub(crate) lane: u32,
}

/// What became of a half message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) id: MessageId,
    pub(crate) is_commit: bool,
}

/// The half messages of one queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Halves {
    by_id: BTreeMap<MessageId, Half>,
    /// Ids of another group, of a queue that was moved, do not follow the order of sends.
    by_sent: BTreeSet<(TimestampMs, MessageId)>,
    asking: BTreeSet<(TimestampMs, MessageId)>,
    spent: BTreeSet<(TimestampMs, MessageId)>,
    decisions: BTreeMap<u64, Decision>,
    decided: BTreeMap<MessageId, bool>,
}

impl Halves {
    /// Half messages.
    pub(crate) fn len(&self) -> u64 {
        u64::try_from(self.by_id.len()).unwrap_or(u64::MAX)
    }

    pub(crate) fn get(&self, id: MessageId) -> Option<&Half> {
        self.by_id.get(&id)
    }

    /// In the order of their ids, and so of their sends unless the queue was moved.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (MessageId, &Half)> {
        self.by_id.iter().map(|(id, half)| (*id, half))
    }

    /// From `id` on, in the order of their ids.
    pub(crate) fn from(&self, id: MessageId) -> impl Iterator<Item = (MessageId, &Half)> {
        self.by_id.range(id..).map(|(id, half)| (*id, half))
    }

    /// Adds a half message, or replaces what is known of it.
    pub(crate) fn put(&mut self, id: MessageId, half: Half) {
        self.remove(id);
        if half.is_spent {
            self.spent.insert((half.next, id))
        } else {
            self.asking.insert((half.next, id))
        };
        self.by_sent.insert((half.sent, id));
        self.by_id.insert(id, half);
    }

    pub(crate) fn remove(&mut self, id: MessageId) -> Option<Half> {
        let half = self.by_id.remove(&id)?;
        self.by_sent.remove(&(half.sent, id));
        self.asking.remove(&(half.next, id));
        self.spent.remove(&(half.next, id));
        Some(half)
    }

    /// The earliest question.
    pub(crate) fn first_question(&self) -> Option<TimestampMs> {
        self.asking.first().map(|(next, _)| *next)
    }

    /// Those that a question is due about at `now`, in the order in which they were due.
    pub(crate) fn questions(&self, now: TimestampMs) -> impl Iterator<Item = MessageId> {
        self.asking.iter().take_while(move |(next, _)| *next <= now).map(|(_, id)| *id)
    }

    /// No half message is given up earlier, if each is kept for `retention_ms`.
    pub(crate) fn first_end(&self, retention_ms: u64) -> Option<TimestampMs> {
        let oldest = self.by_sent.first().map(|(sent, _)| sent.plus(retention_ms));
        oldest.into_iter().chain(self.spent.first().map(|(next, _)| *next)).min()
    }

    /// Those that are given up at `now`: unanswered ones, then those that have outlived the retention.
    pub(crate) fn ended(&self, retention_ms: u64, now: TimestampMs) -> impl Iterator<Item = MessageId> {
        let is_unanswered = move |half: &Half| half.is_spent && half.next <= now;
        let unanswered = self.spent.iter().take_while(move |(next, _)| *next <= now).map(|(_, id)| *id);
        let old = self.by_sent.iter().take_while(move |(sent, _)| sent.plus(retention_ms) <= now);
        let is_answered = move |id: &MessageId| !self.get(*id).is_some_and(is_unanswered);
        unanswered.chain(old.map(|(_, id)| *id).filter(is_answered))
    }

    /// What became of a half message, if it is remembered: whether it was committed.
    pub(crate) fn decision(&self, id: MessageId) -> Option<bool> {
        self.decided.get(&id).copied()
    }

    /// Remembers a decision. Answers: its number, and that of an older one which is forgotten for it.
    pub(crate) fn decide(&mut self, decision: Decision) -> (u64, Option<u64>) {
        let number = self.decisions.last_key_value().map_or(0, |(last, _)| last.saturating_add(1));
        self.load_decision(number, decision);
        let forgotten = if self.decisions.len() > DECISIONS_MAX { self.decisions.pop_first() } else { None };
        if let Some((_, old)) = forgotten {
            self.decided.remove(&old.id);
        }
        (number, forgotten.map(|(number, _)| number))
    }

    /// Takes in the row of a decision.
    pub(crate) fn load_decision(&mut self, number: u64, decision: Decision) {
        self.decided.insert(decision.id, decision.is_commit);
        self.decisions.insert(number, decision);
    }

    /// Forgets all decisions. Answers: their numbers.
    pub(crate) fn clear_decisions(&mut self) -> Vec<u64> {
        self.decided.clear();
        std::mem::take(&mut self.decisions).into_keys().collect()
    }
}

impl Layout for Half {
    fn encode(&self, out: &mut Writer) {
        put_version(out);
        self.sent.encode(out);
        self.next.encode(out);
        out.u32(self.queries);
        out.bool(self.is_spent);
        out.u32(self.lane);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        check_version(input, "question row")?;
        Ok(Self {
            sent: TimestampMs::decode(input)?,
            next: TimestampMs::decode(input)?,
            queries: input.u32()?,
            is_spent: input.bool()?,
            lane: input.u32()?,
        })
    }
}

impl Layout for Decision {
    fn encode(&self, out: &mut Writer) {
        put_version(out);
        self.id.encode(out);
        out.bool(self.is_commit);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        check_version(input, "decision row")?;
        Ok(Self { id: MessageId::decode(input)?, is_commit: input.bool()? })
    }
}
