//! What a queue has done since it was created.
//!
//! Must never: count down.

use machine::{DecodeError, Layout, Reader, Writer};

/// Totals over the life of a queue. Units: messages.
///
/// Invariant: `sent + arrived + rewound` = visible + leased + delayed + half + `acked` + `expired` + `purged` +
/// `dead_lettered` + `half_rolled_back` + `half_expired` + `forwarded` + `given_up` + `redriven`.
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
