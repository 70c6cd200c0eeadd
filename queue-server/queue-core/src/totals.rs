//! What a queue has done since it was created.
//!
//! Must never: count down.

use machine::{DecodeError, Layout, Reader, Writer};

/// Totals over the life of a queue. Units: messages.
///
/// Invariant: `sent + arrived + rewound` = visible + leased + delayed + half + `acked` + `expired` + `purged` +
/// `dead_lettered` + `half_rolled_back` + `half_expired` + `forwarded` + `given_up` + `redriven`; of a queue that comes from
/// another group, + what is still on its way. What was kept for a rewind does not come, and counts as acked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Sent by producers, delayed ones included; of a subscription, copies of what was published.
    pub sent: u64,
    /// Came from other queues: as dead letters, forwarded, or redriven.
    pub arrived: u64,
    /// Deliveries.
    pub received: u64,
    /// Deliveries that were not a message's first in this queue.
    pub redelivered: u64,
    /// Consumed.
    pub acked: u64,
    /// Outlived the retention.
    pub expired: u64,
    /// Dropped by a purge.
    pub purged: u64,
    /// Moved to the dead-letter queue.
    pub dead_lettered: u64,
    /// Bytes of the bodies that were sent. Not a count of messages.
    pub sent_bytes: u64,
    /// Sent as half messages; they count as sent too.
    pub half_sent: u64,
    /// Half messages that were committed.
    pub half_committed: u64,
    /// Half messages that were rolled back.
    pub half_rolled_back: u64,
    /// Half messages that were rolled back because no question about them was answered.
    pub half_expired: u64,
    /// Acked messages that a rewind made visible again.
    pub rewound: u64,
    /// Moved to the queue of their subscription's endpoint.
    pub forwarded: u64,
    /// Dropped by a subscription that could not deliver them.
    pub given_up: u64,
    /// Moved by a redrive.
    pub redriven: u64,
}

impl Totals {
    /// Both together.
    pub(crate) const fn plus(&self, other: &Self) -> Self {
        Self {
            sent: self.sent.saturating_add(other.sent),
            arrived: self.arrived.saturating_add(other.arrived),
            received: self.received.saturating_add(other.received),
            redelivered: self.redelivered.saturating_add(other.redelivered),
            acked: self.acked.saturating_add(other.acked),
            expired: self.expired.saturating_add(other.expired),
            purged: self.purged.saturating_add(other.purged),
            dead_lettered: self.dead_lettered.saturating_add(other.dead_lettered),
            sent_bytes: self.sent_bytes.saturating_add(other.sent_bytes),
            half_sent: self.half_sent.saturating_add(other.half_sent),
            half_committed: self.half_committed.saturating_add(other.half_committed),
            half_rolled_back: self.half_rolled_back.saturating_add(other.half_rolled_back),
            half_expired: self.half_expired.saturating_add(other.half_expired),
            rewound: self.rewound.saturating_add(other.rewound),
            forwarded: self.forwarded.saturating_add(other.forwarded),
            given_up: self.given_up.saturating_add(other.given_up),
            redriven: self.redriven.saturating_add(other.redriven),
        }
    }
}

impl Layout for Totals {
    fn encode(&self, out: &mut Writer) {
        out.u64(self.sent);
        out.u64(self.arrived);
        out.u64(self.received);
        out.u64(self.redelivered);
        out.u64(self.acked);
        out.u64(self.expired);
        out.u64(self.purged);
        out.u64(self.dead_lettered);
        out.u64(self.sent_bytes);
        out.u64(self.half_sent);
        out.u64(self.half_committed);
        out.u64(self.half_rolled_back);
        out.u64(self.half_expired);
        out.u64(self.rewound);
        out.u64(self.forwarded);
        out.u64(self.given_up);
        out.u64(self.redriven);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            sent: input.u64()?,
            arrived: input.u64()?,
            received: input.u64()?,
            redelivered: input.u64()?,
            acked: input.u64()?,
            expired: input.u64()?,
            purged: input.u64()?,
            dead_lettered: input.u64()?,
            sent_bytes: input.u64()?,
            half_sent: input.u64()?,
            half_committed: input.u64()?,
            half_rolled_back: input.u64()?,
            half_expired: input.u64()?,
            rewound: input.u64()?,
            forwarded: input.u64()?,
            given_up: input.u64()?,
            redriven: input.u64()?,
        })
    }
}
