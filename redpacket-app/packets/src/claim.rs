//! The claim: a user has a share. Two rows, because two questions are asked of it.
//!
//! ```text
//!  claim row  (packet, user)   version u8=1 | share u16 | fen i64 | claimed_ms u64                  never changes
//!  share row  (packet, share)  version u8=1 | user u128 | fen i64 | claimed_ms u64 | state u8 | since_ms u64
//!
//!  Waiting ──put in the queue──> Queued ──booked by the ledger──> Collected
//!     └──────booked by the ledger──────> Credited
//! ```
//!
//! Why: an open asks by user and is answered from a row that never changes, so a repeat gets the former reply to the
//! byte; a credit asks by share and is marked on its way.

use machine::{DecodeError, Layout, Reader, TimestampMs, Writer};

use crate::fen::Fen;
use crate::ids::{AccountId, PacketId, TransferId, UserId, credit_id, refund_id};
use crate::rows::{ROW_VERSION, check_version};

/// What a user claimed of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Number of the share, from 1, in the order of the opens.
    pub share: u16,
    /// What it holds.
    pub fen: Fen,
    /// When it was opened.
    pub claimed: TimestampMs,
}

impl Layout for Claim {
    fn encode(&self, out: &mut Writer) {
        out.u8(ROW_VERSION);
        out.u16(self.share);
        self.fen.encode(out);
        self.claimed.encode(out);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        check_version(input, "claim row")?;
        Ok(Self { share: input.u16()?, fen: Fen::decode(input)?, claimed: TimestampMs::decode(input)? })
    }
}

/// How far the credit of a share has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum CreditState {
    /// Claimed; nobody has said that the credit is on its way.
    Waiting = 1,
    /// The credit is in the queue.
    Queued = 2,
    /// The ledger has booked it, before it was in the queue: *arrived*.
    Credited = 3,
    /// The ledger has booked it, after it was in the queue: *arrived*, too.
    Collected = 4,
}

impl CreditState {
    /// The state once the ledger has booked the credit.
    pub(crate) const fn booked(self) -> Self {
        match self {
            Self::Waiting | Self::Credited => Self::Credited,
            Self::Queued | Self::Collected => Self::Collected,
        }
    }
}

impl Layout for CreditState {
    fn encode(&self, out: &mut Writer) {
        out.u8(*self as u8);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        match input.u8()? {
            1 => Ok(Self::Waiting),
            2 => Ok(Self::Queued),
            3 => Ok(Self::Credited),
            4 => Ok(Self::Collected),
            tag => Err(DecodeError::Unknown { what: "credit state", tag }),
        }
    }
}

/// A share that somebody has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Who.
    pub user: UserId,
    /// What it holds.
    pub fen: Fen,
    /// When it was opened.
    pub claimed: TimestampMs,
    /// How far its credit has come.
    pub state: CreditState,
    /// Since when; moves with each time that the credit is put in the queue.
    pub since: TimestampMs,
}

impl Share {
    /// Whether the money is with its user.
    #[must_use]
    pub const fn is_credited(&self) -> bool {
        matches!(self.state, CreditState::Credited | CreditState::Collected)
    }
}

impl Layout for Share {
    fn encode(&self, out: &mut Writer) {
        out.u8(ROW_VERSION);
        self.user.encode(out);
        self.fen.encode(out);
        self.claimed.encode(out);
        self.state.encode(out);
        self.since.encode(out);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        check_version(input, "share row")?;
        Ok(Self {
            user: UserId::decode(input)?,
            fen: Fen::decode(input)?,
            claimed: TimestampMs::decode(input)?,
            state: CreditState::decode(input)?,
            since: TimestampMs::decode(input)?,
        })
    }
}

/// The promise of an open: this transfer will be booked. All that a worker needs to book it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credit {
    /// The packet, whose escrow pays.
    pub packet: PacketId,
    /// Number of the share.
    pub share: u16,
    /// The amount.
    pub fen: Fen,
    /// When the share was opened.
    pub claimed: TimestampMs,
    /// The account that paid the packet; the escrow lives in its group.
    pub payer: AccountId,
    /// Who has the share.
    pub user: UserId,
    /// That user's account.
    pub payee: AccountId,
}

impl Credit {
    /// The ledger's id for it, the same on every retry.
    #[must_use]
    pub fn id(&self) -> TransferId {
        credit_id(self.packet, self.share)
    }
}

impl Layout for Credit {
    fn encode(&self, out: &mut Writer) {
        self.packet.encode(out);
        out.u16(self.share);
        self.fen.encode(out);
        self.claimed.encode(out);
        self.payer.encode(out);
        self.user.encode(out);
        self.payee.encode(out);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            packet: PacketId::decode(input)?,
            share: input.u16()?,
            fen: Fen::decode(input)?,
            claimed: TimestampMs::decode(input)?,
            payer: AccountId::decode(input)?,
            user: UserId::decode(input)?,
            payee: AccountId::decode(input)?,
        })
    }
}

/// The promise of a closed packet: what was left goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refund {
    /// The packet, whose escrow pays.
    pub packet: PacketId,
    /// The account that gets it.
    pub payer: AccountId,
    /// The amount; 0 for a packet that was sold out.
    pub fen: Fen,
    /// When the packet ended.
    pub ended: TimestampMs,
}

impl Refund {
    /// The ledger's id for it, the same on every retry.
    #[must_use]
    pub const fn id(&self) -> TransferId {
        refund_id(self.packet)
    }
}

impl Layout for Refund {
    fn encode(&self, out: &mut Writer) {
        self.packet.encode(out);
        self.payer.encode(out);
        self.fen.encode(out);
        self.ended.encode(out);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            packet: PacketId::decode(input)?,
            payer: AccountId::decode(input)?,
            fen: Fen::decode(input)?,
            ended: TimestampMs::decode(input)?,
        })
    }
}
