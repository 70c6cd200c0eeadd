//! The attributes of a queue: their ranges, their defaults, and how some of them are changed.
//!
//! Source: CMQ documentation 406/5832 (CreateQueue); dead-letter policy: API 3.0 (`MaxReceiveCount`).
//!
//! Must never: let a queue hold attributes that creating it would have refused.

use machine::{DecodeError, Layout, Reader, Writer};

use crate::limits::{
    DEAD_LETTER_LIMIT_MAX, DEDUP_WINDOW_S_MAX, MAX_MESSAGE_BYTES_DEFAULT, MAX_MESSAGE_BYTES_MAX, MAX_MESSAGE_BYTES_MIN,
    MAX_MESSAGES_DEFAULT, MAX_MESSAGES_MAX, MAX_MESSAGES_MIN, POLLING_WAIT_S_MAX, RETENTION_S_DEFAULT, RETENTION_S_MAX,
    RETENTION_S_MIN, VISIBILITY_TIMEOUT_S_DEFAULT, VISIBILITY_TIMEOUT_S_MAX, VISIBILITY_TIMEOUT_S_MIN,
};
use crate::refusal::Refusal;
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
    /// How long the deduplication id of a message is remembered; 0 = not at all. Units: seconds.
    pub dedup_window_s: u32,
    /// Where messages go that nobody can consume; `None`: they stay.
    pub dead_letter: Option<DeadLetterPolicy>,
}

/// When a message becomes a dead letter, and where it goes then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetterPolicy {
    /// Name of the dead-letter queue, in the same machine.
    pub queue: String,
    /// What is counted.
    pub count: DeadLetterCount,
    /// The message moves when its delivery ends and the count has reached this.
    pub limit: u32,
}

/// Which of a message's two counters a dead-letter policy looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeadLetterCount {
    /// Times received (CMQ's policy 0).
    Received,
    /// Times released as failed, or its lease run out.
    Failed,
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
        }
    }
}

impl Attributes {
    /// Holds each attribute against its range.
    ///
    /// Refuses, in precedence: from `MaxMessagesOutOfRange` to `DeadLetterLimitOutOfRange`.
    pub fn check(&self) -> Result<(), Refusal> {
        let visibility = VISIBILITY_TIMEOUT_S_MIN..=VISIBILITY_TIMEOUT_S_MAX;
        let message_bytes = MAX_MESSAGE_BYTES_MIN..=MAX_MESSAGE_BYTES_MAX;
        let limit_fits = |policy: &DeadLetterPolicy| (1..=DEAD_LETTER_LIMIT_MAX).contains(&policy.limit);
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
        })
    }
}

impl Layout for DeadLetterCount {
    fn encode(&self, out: &mut Writer) {
        out.u8(match self {
            Self::Received => 0,
            Self::Failed => 1,
        });
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        match input.u8()? {
            0 => Ok(Self::Received),
            1 => Ok(Self::Failed),
            tag => Err(DecodeError::Unknown { what: "dead-letter count", tag }),
        }
    }
}

impl Layout for DeadLetterPolicy {
    fn encode(&self, out: &mut Writer) {
        out.str(&self.queue);
        self.count.encode(out);
        out.u32(self.limit);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self { queue: input.str()?, count: DeadLetterCount::decode(input)?, limit: input.u32()? })
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
        })
    }
}

fn small(input: &mut Reader) -> Result<Option<u32>, DecodeError> {
    if input.bool()? { input.u32().map(Some) } else { Ok(None) }
}
