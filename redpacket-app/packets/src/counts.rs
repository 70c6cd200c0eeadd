//! The counts of a group: all that the machine holds in memory.
//!
//! ```text
//!  counts row  version u8=1 | users u64 | chats u64 | packets u64 | live u64 | claims u64 | uncredited u64
//!              | refunds u64 | sent i64 | left i64 | claimed i64 | uncredited i64 | refunding i64 | refunded i64
//! ```
//!
//! Invariant: left + claimed + refunding + refunded = sent, after every command.

use machine::{DecodeError, Layout, Reader, Writer};

use crate::fen::Fen;
use crate::rows::{ROW_VERSION, check_version};

/// Where the fen of all packets are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FenCounts {
    /// In all packets ever created.
    pub sent: Fen,
    /// Not claimed, in live packets.
    pub left: Fen,
    /// In all claims.
    pub claimed: Fen,
    /// In claims that the ledger has not booked; part of `claimed`.
    pub uncredited: Fen,
    /// In refunds that the ledger has not booked.
    pub refunding: Fen,
    /// In refunds that are booked.
    pub refunded: Fen,
}

/// How much of everything a group holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Registered users.
    pub users: u64,
    /// Chat groups.
    pub chats: u64,
    /// Packets ever created.
    pub packets: u64,
    /// Packets neither sold out nor closed.
    pub live: u64,
    /// Claims ever made.
    pub claims: u64,
    /// Claims that the ledger has not booked.
    pub uncredited: u64,
    /// Refunds that the ledger has not booked.
    pub refunds: u64,
    /// Where the fen are.
    pub fen: FenCounts,
}

impl Counts {
    pub(crate) fn create(&mut self, total: Fen) {
        self.packets = self.packets.saturating_add(1);
        self.live = self.live.saturating_add(1);
        self.fen.sent = self.fen.sent.plus(total);
        self.fen.left = self.fen.left.plus(total);
    }

    pub(crate) fn claim(&mut self, fen: Fen) {
        self.claims = self.claims.saturating_add(1);
        self.uncredited = self.uncredited.saturating_add(1);
        self.fen.left = self.fen.left.minus(fen);
        self.fen.claimed = self.fen.claimed.plus(fen);
        self.fen.uncredited = self.fen.uncredited.plus(fen);
    }

    pub(crate) fn credit(&mut self, fen: Fen) {
        self.uncredited = self.uncredited.saturating_sub(1);
        self.fen.uncredited = self.fen.uncredited.minus(fen);
    }

    pub(crate) fn sell_out(&mut self) {
        self.live = self.live.saturating_sub(1);
    }

    pub(crate) fn close(&mut self, refund: Fen) {
        self.live = self.live.saturating_sub(1);
        self.refunds = self.refunds.saturating_add(1);
        self.fen.left = self.fen.left.minus(refund);
        self.fen.refunding = self.fen.refunding.plus(refund);
    }

    pub(crate) fn refund(&mut self, fen: Fen) {
        self.refunds = self.refunds.saturating_sub(1);
        self.fen.refunding = self.fen.refunding.minus(fen);
        self.fen.refunded = self.fen.refunded.plus(fen);
    }
}

impl Layout for Counts {
    fn encode(&self, out: &mut Writer) {
        out.u8(ROW_VERSION);
        for count in [self.users, self.chats, self.packets, self.live, self.claims, self.uncredited, self.refunds] {
            out.u64(count);
        }
        let fen = &self.fen;
        for amount in [fen.sent, fen.left, fen.claimed, fen.uncredited, fen.refunding, fen.refunded] {
            amount.encode(out);
        }
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        check_version(input, "counts row")?;
        Ok(Self {
            users: input.u64()?,
            chats: input.u64()?,
            packets: input.u64()?,
            live: input.u64()?,
            claims: input.u64()?,
            uncredited: input.u64()?,
            refunds: input.u64()?,
            fen: FenCounts {
                sent: Fen::decode(input)?,
                left: Fen::decode(input)?,
                claimed: Fen::decode(input)?,
                uncredited: Fen::decode(input)?,
                refunding: Fen::decode(input)?,
                refunded: Fen::decode(input)?,
            },
        })
    }
}
