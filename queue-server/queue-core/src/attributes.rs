//! The attributes of a queue: their ranges, their defaults, and how some of them are changed.
//!
//! Source: CMQ documentation 406/5832 (CreateQueue); dead-letter policy: API 3.0 (`MaxReceiveCount`, `MaxTimeToLive`);
//! transactions: API 3.0 (`FirstQueryInterval`, `MaxQueryCount`).
//!
//! Must never: let a queue hold attributes that creating it would have refused.

use machine::{DecodeError, GroupId, Layout, Reader, TimestampMs, Writer};

use crate::limits::{
    DEAD_LETTER_AGE_S_MAX, DEAD_LETTER_AGE_S_MIN, DEAD_LETTER_LIMIT_MAX, DEDUP_WINDOW_S_MAX, FIRST_QUERY_S_MAX,
    FIRST_QUERY_S_MIN, MAX_MESSAGE_BYTES_DEFAULT, MAX_MESSAGE_BYTES_MAX, MAX_MESSAGE_BYTES_MIN, MAX_MESSAGES_DEFAULT,
    MAX_MESSAGES_MAX, MAX_MESSAGES_MIN, POLLING_WAIT_S_MAX, QUERIES_MAX, RETENTION_S_DEFAULT, RETENTION_S_MAX,
    RETENTION_S_MIN, VISIBILITY_TIMEOUT_S_DEFAULT, VISIBILITY_TIMEOUT_S_MAX, VISIBILITY_TIMEOUT_S_MIN,
};
use crate::refusal::Refusal;
use crate::relocate::{QueueAddress, check_group, put_group, read_group};
use crate::tries::Tries;

/// What a queue's owner chose for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// Messages the queue may hold, visible, leased and delayed ones together (CMQ: maxMsgHeapNum).
    pub max_messages: u64,
    /// How long a receive waits if it does not say so. Units: seconds. Kept for the doors.
    pub polling_wait_s: u32,
    /// How long a lease lasts if the receive does not say so. Units: seconds.
    pub visibility_timeout_s: u32,
    /// Bytes of one body.
    pub max_message_bytes: u32,
    /// How long a message stays. Units: seconds, from when it became visible in this queue.
    pub retention_s: u32,
    /// How long an acked message stays for a rewind; 0 = not at all. Units: seconds, at most the retention.
    pub rewind_s: u32,
    /// How long the deduplication id of a message is remembered, whatever becomes of the message: a repeated send of what
    /// was consumed, purged or rolled back is a duplicate too. 0 = not at all. Units: seconds.
    pub dedup_window_s: u32,
    /// Where messages go that nobody can consume; `None`: they stay.
    pub dead_letter: Option<DeadLetterPolicy>,
    /// Whether producers may send half messages, and how they are asked about them; `None`: they may not.
    pub transaction: Option<TransactionPolicy>,
    /// Whether every step of a message is written down.
    pub trace: bool,
}

/// How a producer is asked about a half message that it left undecided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionPolicy {
    /// How long after it was sent the first question comes; each next one takes twice as long, up to an hour. Units:
    /// seconds.
    pub first_query_s: u32,
    /// Questions; the message is rolled back if the last one is not answered either.
    pub max_queries: u32,
}

/// When a message becomes a dead letter, and where it goes then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetterPolicy {
    /// The group that holds the dead-letter queue; `None`: that of the queue itself.
    pub group: Option<GroupId>,
    /// Name of the dead-letter queue.
    pub queue: String,
    /// What is counted.
    pub count: DeadLetterCount,
    /// The message moves when its delivery ends and the count has reached this; by age, once it is as old as this. Units:
    /// times, or seconds since it took its place, then less than the retention.
    pub limit: u32,
}

/// What a dead-letter policy looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeadLetterCount {
    /// Times received (CMQ's policy 0).
    Received,
    /// Times released as failed, or its lease run out.
    Failed,
    /// Seconds since it took its place (CMQ's policy 1). A message under a lease moves when that ends.
    Age,
}

/// Some attributes to be changed; `None` leaves one as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttributeChanges {
    /// See [`Attributes::max_messages`].
    pub max_messages: Option<u64>,
    /// See [`Attributes::polling_wait_s`].
    pub polling_wait_s: Option<u32>,
    /// See [`Attributes::visibility_timeout_s`].
    pub visibility_timeout_s: Option<u32>,
    /// See [`Attributes::max_message_bytes`].
    pub max_message_bytes: Option<u32>,
    /// See [`Attributes::retention_s`].
    pub retention_s: Option<u32>,
    /// See [`Attributes::rewind_s`].
    pub rewind_s: Option<u32>,
    /// See [`Attributes::dedup_window_s`].
    pub dedup_window_s: Option<u32>,
    /// See [`Attributes::dead_letter`]; `Some(None)` takes the policy away.
    pub dead_letter: Option<Option<DeadLetterPolicy>>,
    /// See [`Attributes::transaction`]; `Some(None)` takes the policy away: half messages that are there can still be
    /// decided, and are not asked about any more.
    pub transaction: Option<Option<TransactionPolicy>>,
    /// See [`Attributes::trace`]. What was written down stays for its time.
    pub trace: Option<bool>,
}

impl Default for Attributes {
    fn default() -> Self {
        Self {
            max_messages: MAX_MESSAGES_DEFAULT,
            polling_wait_s: 0,
            visibility_timeout_s: VISIBILITY_TIMEOUT_S_DEFAULT,
            max_message_bytes: MAX_MESSAGE_BYTES_DEFAULT,
            retention_s: RETENTION_S_DEFAULT,
            rewind_s: 0,
            dedup_window_s: 0,
            dead_letter: None,
            transaction: None,
            trace: false,
        }
    }
}

impl DeadLetterPolicy {
    /// Where its dead letters go.
    pub(crate) fn address(&self) -> QueueAddress {
        QueueAddress { group: self.group, queue: self.queue.clone() }
    }
}

impl Attributes {
    /// Holds each attribute against its range.
    ///
    /// Refuses, in precedence: from `MaxMessagesOutOfRange` to `DeadLetterLimitOutOfRange`.
    pub fn check(&self) -> Result<(), Refusal> {
        let visibility = VISIBILITY_TIMEOUT_S_MIN..=VISIBILITY_TIMEOUT_S_MAX;
        let message_bytes = MAX_MESSAGE_BYTES_MIN..=MAX_MESSAGE_BYTES_MAX;
        let age = DEAD_LETTER_AGE_S_MIN..=DEAD_LETTER_AGE_S_MAX;
        let limit_fits = |policy: &DeadLetterPolicy| match policy.count {
            DeadLetterCount::Age => age.contains(&policy.limit) && policy.limit < self.retention_s,
            DeadLetterCount::Received | DeadLetterCount::Failed => (1..=DEAD_LETTER_LIMIT_MAX).contains(&policy.limit),
        };
        Refusal::MaxMessagesOutOfRange.unless((MAX_MESSAGES_MIN..=MAX_MESSAGES_MAX).contains(&self.max_messages))?;
        Refusal::PollingWaitOutOfRange.unless(self.polling_wait_s <= POLLING_WAIT_S_MAX)?;
        Refusal::VisibilityTimeoutOutOfRange.unless(visibility.contains(&self.visibility_timeout_s))?;
        Refusal::MaxMessageBytesOutOfRange.unless(message_bytes.contains(&self.max_message_bytes))?;
        Refusal::RetentionOutOfRange.unless((RETENTION_S_MIN..=RETENTION_S_MAX).contains(&self.retention_s))?;
        Refusal::RewindOutOfRange.unless(self.rewind_s <= self.retention_s)?;
        Refusal::DeadLetterLimitOutOfRange.unless(self.dead_letter.as_ref().is_none_or(limit_fits))
    }

    /// Holds what [`Self::check`] does not against its range: it comes last in precedence.
    ///
    /// Refuses: `DedupWindowOutOfRange`.
    pub fn check_window(&self) -> Result<(), Refusal> {
        Refusal::DedupWindowOutOfRange.unless(self.dedup_window_s <= DEDUP_WINDOW_S_MAX)
    }

    /// Holds the transaction policy against its ranges. Refuses: `TransactionOutOfRange`.
    pub fn check_transaction(&self) -> Result<(), Refusal> {
        let fits = |policy: &TransactionPolicy| {
            let first_fits = (FIRST_QUERY_S_MIN..=FIRST_QUERY_S_MAX).contains(&policy.first_query_s);
            first_fits && (1..=QUERIES_MAX).contains(&policy.max_queries)
        };
        Refusal::TransactionOutOfRange.unless(self.transaction.as_ref().is_none_or(fits))
    }

    /// Refuses: `GroupOutOfRange`.
    pub(crate) fn check_group(&self) -> Result<(), Refusal> {
        check_group(self.dead_letter.as_ref().and_then(|policy| policy.group))
    }

    /// The same attributes as the queue's own group writes them.
    pub(crate) fn seen_from(mut self, home: GroupId) -> Self {
        if let Some(policy) = &mut self.dead_letter {
            policy.group = policy.group.filter(|group| *group != home);
        }
        self
    }

    /// These attributes with `changes` made.
    #[must_use]
    pub fn changed(&self, changes: AttributeChanges) -> Self {
        Self {
            max_messages: changes.max_messages.unwrap_or(self.max_messages),
            polling_wait_s: changes.polling_wait_s.unwrap_or(self.polling_wait_s),
            visibility_timeout_s: changes.visibility_timeout_s.unwrap_or(self.visibility_timeout_s),
            max_message_bytes: changes.max_message_bytes.unwrap_or(self.max_message_bytes),
            retention_s: changes.retention_s.unwrap_or(self.retention_s),
            rewind_s: changes.rewind_s.unwrap_or(self.rewind_s),
            dedup_window_s: changes.dedup_window_s.unwrap_or(self.dedup_window_s),
            dead_letter: changes.dead_letter.unwrap_or_else(|| self.dead_letter.clone()),
            transaction: changes.transaction.unwrap_or(self.transaction),
            trace: changes.trace.unwrap_or(self.trace),
        }
    }

    /// Units: milliseconds.
    pub(crate) fn visibility_timeout_ms(&self) -> u64 {
        u64::from(self.visibility_timeout_s).saturating_mul(1_000)
    }

    /// Units: milliseconds.
    pub(crate) fn retention_ms(&self) -> u64 {
        u64::from(self.retention_s).saturating_mul(1_000)
    }

    /// Whether a message with these tries is a dead letter once its delivery has ended.
    pub(crate) fn is_spent(&self, tries: &Tries) -> bool {
        self.dead_letter.as_ref().is_some_and(|policy| match policy.count {
            DeadLetterCount::Received => tries.received >= policy.limit,
            DeadLetterCount::Failed => tries.failed >= policy.limit,
            DeadLetterCount::Age => false,
        })
    }

    /// How old a message may become before it is a dead letter. Units: milliseconds. `None`: the policy counts no age.
    pub(crate) fn dead_letter_age_ms(&self) -> Option<u64> {
        let policy = self.dead_letter.as_ref().filter(|policy| policy.count == DeadLetterCount::Age);
        policy.map(|policy| u64::from(policy.limit).saturating_mul(1_000))
    }

    /// Whether a message that took its place at `enqueued` is too old for its queue at `now`.
    pub(crate) fn is_aged(&self, enqueued: TimestampMs, now: TimestampMs) -> bool {
        self.dead_letter_age_ms().is_some_and(|age_ms| enqueued.plus(age_ms) <= now)
    }

    /// Units: milliseconds; 0 = an acked message is gone.
    pub(crate) fn rewind_ms(&self) -> u64 {
        u64::from(self.rewind_s).saturating_mul(1_000)
    }
}

impl Layout for DeadLetterCount {
    fn encode(&self, out: &mut Writer) {
        out.u8(match self {
            Self::Received => 0,
            Self::Failed => 1,
            Self::Age => 2,
        });
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        match input.u8()? {
            0 => Ok(Self::Received),
            1 => Ok(Self::Failed),
            2 => Ok(Self::Age),
            tag => Err(DecodeError::Unknown { what: "dead-letter count", tag }),
        }
    }
}

impl Layout for DeadLetterPolicy {
    fn encode(&self, out: &mut Writer) {
        put_group(out, self.group);
        out.str(&self.queue);
        self.count.encode(out);
        out.u32(self.limit);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            group: read_group(input)?,
            queue: input.str()?,
            count: DeadLetterCount::decode(input)?,
            limit: input.u32()?,
        })
    }
}

impl Layout for TransactionPolicy {
    fn encode(&self, out: &mut Writer) {
        out.u32(self.first_query_s);
        out.u32(self.max_queries);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self { first_query_s: input.u32()?, max_queries: input.u32()? })
    }
}

impl Layout for Attributes {
    fn encode(&self, out: &mut Writer) {
        out.u64(self.max_messages);
        out.u32(self.polling_wait_s);
        out.u32(self.visibility_timeout_s);
        out.u32(self.max_message_bytes);
        out.u32(self.retention_s);
        out.u32(self.rewind_s);
        out.u32(self.dedup_window_s);
        out.option(self.dead_letter.as_ref());
        out.option(self.transaction.as_ref());
        out.bool(self.trace);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            max_messages: input.u64()?,
            polling_wait_s: input.u32()?,
            visibility_timeout_s: input.u32()?,
            max_message_bytes: input.u32()?,
            retention_s: input.u32()?,
            rewind_s: input.u32()?,
            dedup_window_s: input.u32()?,
            dead_letter: input.option()?,
            transaction: input.option()?,
            trace: input.bool()?,
        })
    }
}

impl Layout for AttributeChanges {
    fn encode(&self, out: &mut Writer) {
        out.bool(self.max_messages.is_some());
        if let Some(value) = self.max_messages {
            out.u64(value);
        }
        let small = [
            self.polling_wait_s,
            self.visibility_timeout_s,
            self.max_message_bytes,
            self.retention_s,
            self.rewind_s,
            self.dedup_window_s,
        ];
        for value in small {
            out.bool(value.is_some());
            if let Some(value) = value {
                out.u32(value);
            }
        }
        out.bool(self.dead_letter.is_some());
        if let Some(policy) = &self.dead_letter {
            out.option(policy.as_ref());
        }
        out.bool(self.transaction.is_some());
        if let Some(policy) = &self.transaction {
            out.option(policy.as_ref());
        }
        out.bool(self.trace.is_some());
        if let Some(trace) = self.trace {
            out.bool(trace);
        }
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            max_messages: if input.bool()? { Some(input.u64()?) } else { None },
            polling_wait_s: small(input)?,
            visibility_timeout_s: small(input)?,
            max_message_bytes: small(input)?,
            retention_s: small(input)?,
            rewind_s: small(input)?,
            dedup_window_s: small(input)?,
            dead_letter: if input.bool()? { Some(input.option()?) } else { None },
            transaction: if input.bool()? { Some(input.option()?) } else { None },
            trace: if input.bool()? { Some(input.bool()?) } else { None },
        })
    }
}

fn small(input: &mut Reader) -> Result<Option<u32>, DecodeError> {
    if input.bool()? { input.u32().map(Some) } else { Ok(None) }
}
