//! How often a message was tried: the two counters that a consumer sees and a dead-letter policy looks at.
//!
//! Must never: forget a try while the message is in its queue; the counters start anew only where it arrives as a dead
//! letter.

use machine::{DecodeError, Layout, Reader, TimestampMs, Writer};

use crate::rows::{check_version, put_version};

/// The tries of one message in one queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tries {
    /// Times received.
    pub received: u32,
    /// Times released as failed, or its lease run out.
    pub failed: u32,
    /// When it was first received.
    pub first_received: TimestampMs,
}

impl Tries {
    /// With one more receive at `now`.
    pub(crate) fn receive(self, now: TimestampMs) -> Self {
        let first_received = if self.received == 0 { now } else { self.first_received };
        Self { received: self.received.saturating_add(1), first_received, ..self }
    }

    /// With one more failure.
    pub(crate) const fn fail(self) -> Self {
        Self { failed: self.failed.saturating_add(1), ..self }
    }
}

impl Layout for Tries {
    fn encode(&self, out: &mut Writer) {
        out.u32(self.received);
        out.u32(self.failed);
        self.first_received.encode(out);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self { received: input.u32()?, failed: input.u32()?, first_received: TimestampMs::decode(input)? })
    }
}

/// The row of a message's tries while it is ready again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TriesRow(pub(crate) Tries);

impl Layout for TriesRow {
    fn encode(&self, out: &mut Writer) {
        put_version(out);
        self.0.encode(out);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        check_version(input, "tries row")?;
        Ok(Self(Tries::decode(input)?))
    }
}
