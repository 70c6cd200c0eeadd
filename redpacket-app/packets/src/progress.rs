//! How far a packet has come: shares taken, fen left, the luckiest so far, and how it ended.
//!
//! ```text
//!  Live ──last share──> SoldOut
//!    └───expiry───────> RefundPending ──refund booked──> Refunded
//!
//!  progress row  version u8=1 | taken u16 | left i64 | refund i64 | phase u8 | ended_ms u64
//!                | best 0 or 1 + {share u16 | fen i64 | user u128}
//! ```
//!
//! Invariant: the fen of all claims + left + refund = the packet's total; left is 0 unless the phase is Live.

use machine::{DecodeError, Layout, Reader, TimestampMs, Writer};

use crate::fen::Fen;
use crate::ids::UserId;
use crate::packet::Packet;
use crate::refusal::Refusal;
use crate::rows::{ROW_VERSION, check_version};

/// Where a packet stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// Shares are left, and it was not closed.
    Live = 1,
    /// All shares are taken.
    SoldOut = 2,
    /// Closed with fen left, which the ledger has not returned yet.
    RefundPending = 3,
    /// Closed, and the rest is back with its payer.
    Refunded = 4,
}

impl Layout for Phase {
    fn encode(&self, out: &mut Writer) {
        out.u8(*self as u8);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        match input.u8()? {
            1 => Ok(Self::Live),
            2 => Ok(Self::SoldOut),
            3 => Ok(Self::RefundPending),
            4 => Ok(Self::Refunded),
            tag => Err(DecodeError::Unknown { what: "phase", tag }),
        }
    }
}

/// The largest share so far, the earliest of equals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Best {
    /// Its number.
    pub share: u16,
    /// Its fen.
    pub fen: Fen,
    /// Who has it.
    pub user: UserId,
}

impl Layout for Best {
    fn encode(&self, out: &mut Writer) {
        out.u16(self.share);
        self.fen.encode(out);
        self.user.encode(out);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self { share: input.u16()?, fen: Fen::decode(input)?, user: UserId::decode(input)? })
    }
}

/// What opens and the expiry change of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Shares claimed.
    pub taken: u16,
    /// Fen that can still be claimed.
    pub left: Fen,
    /// Fen that go, or went, back to the payer.
    pub refund: Fen,
    /// Where the packet stands.
    pub phase: Phase,
    /// When it ended; 0 while it lives.
    pub ended: TimestampMs,
    /// The largest share so far.
    pub best: Option<Best>,
}

impl Progress {
    /// A packet of `total` fen that nobody has opened.
    #[must_use]
    pub const fn fresh(total: Fen) -> Self {
        Self { taken: 0, left: total, refund: Fen::ZERO, phase: Phase::Live, ended: TimestampMs(0), best: None }
    }

    /// Shares of `packet` that are not taken, whether or not they can still be opened.
    #[must_use]
    pub const fn shares_left(&self, packet: &Packet) -> u16 {
        packet.terms.shares.saturating_sub(self.taken)
    }

    /// Whether somebody without a share may have one at `now`, as far as `packet` itself is concerned.
    ///
    /// Refuses: `SoldOut`, then `Expired`. In this order both stay true: a packet that was sold out never expires.
    pub fn available(&self, packet: &Packet, now: TimestampMs) -> Result<(), Refusal> {
        if self.phase == Phase::SoldOut {
            return Err(Refusal::SoldOut);
        }
        if self.phase != Phase::Live || now >= packet.expires() {
            return Err(Refusal::Expired);
        }
        Ok(())
    }

    /// Gives `user` the next share, which holds `fen`; answers its number.
    pub(crate) fn take(&mut self, packet: &Packet, user: UserId, fen: Fen, now: TimestampMs) -> u16 {
        self.taken = self.taken.saturating_add(1);
        self.left = self.left.minus(fen);
        if self.best.is_none_or(|best| fen > best.fen) {
            self.best = Some(Best { share: self.taken, fen, user });
        }
        if self.shares_left(packet) == 0 {
            assert!(self.left == Fen::ZERO, "the last share takes the rest");
            self.phase = Phase::SoldOut;
            self.ended = now;
        }
        self.taken
    }

    /// Ends a live packet: what is left becomes its refund.
    pub(crate) const fn close(&mut self, now: TimestampMs) {
        self.refund = self.left;
        self.left = Fen::ZERO;
        self.phase = Phase::RefundPending;
        self.ended = now;
    }

    /// Who was luckiest, once that cannot change any more; never for equal shares.
    #[must_use]
    pub fn luckiest(&self, packet: &Packet) -> Option<UserId> {
        let is_decided = packet.terms.kind.is_lucky() && self.phase != Phase::Live;
        self.best.filter(|_| is_decided).map(|best| best.user)
    }
}

impl Layout for Progress {
    fn encode(&self, out: &mut Writer) {
        out.u8(ROW_VERSION);
        out.u16(self.taken);
        self.left.encode(out);
        self.refund.encode(out);
        self.phase.encode(out);
        self.ended.encode(out);
        out.option(self.best.as_ref());
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        check_version(input, "progress row")?;
        Ok(Self {
            taken: input.u16()?,
            left: Fen::decode(input)?,
            refund: Fen::decode(input)?,
            phase: Phase::decode(input)?,
            ended: TimestampMs::decode(input)?,
            best: input.option()?,
        })
    }
}
