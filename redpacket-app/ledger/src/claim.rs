//! Claims: an index of the credits that are on their way to an account, so that spending can force them.
//!
//! ```text
//!  row 0x17 account u128, source u32, packet u128, share u32 -> version u8=1 | money | announced_ms u64
//! ```
//!
//! Why: the phone shows an amount the moment it is drawn; whoever wants to spend it must find the credit without asking
//! every packet. The index moves no money. A claim leaves it when its credit is booked here, landed or parked.
//!
//! Must never: be the reason why a credit is paid; the packet's escrow is.

use machine::{DecodeError, GroupId, Layout, Reader, TimestampMs, Writer};

use crate::account::AccountKey;
use crate::book::Book;
use crate::fen::Money;
use crate::ids::{AccountId, ShareId};
use crate::limits::CLAIMS_PER_ACCOUNT_MAX;
use crate::refusal::Refusal;
use crate::reply::{Answer, Done};
use crate::rows;
use crate::transfer::TransferKey;
use crate::verb::AnnounceClaim;

const VERSION: u8 = 1;

/// Names a claim: who gets which share, and from where it will come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClaimKey {
    /// Who gets it; lives in this shard.
    pub account: AccountId,
    /// The group of the packet's payer; may be this one.
    pub source: GroupId,
    /// The share.
    pub share: ShareId,
}

impl Layout for ClaimKey {
    fn encode(&self, out: &mut Writer) {
        self.account.encode(out);
        out.u32(self.source.0);
        self.share.encode(out);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        let account = AccountId::decode(input)?;
        Ok(Self { account, source: GroupId(input.u32()?), share: ShareId::decode(input)? })
    }
}

/// A claim that waits for its credit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// How much will come.
    pub money: Money,
    /// Machine time of the announcement.
    pub announced: TimestampMs,
}

impl Layout for Claim {
    fn encode(&self, out: &mut Writer) {
        out.u8(VERSION);
        self.money.encode(out);
        self.announced.encode(out);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        match input.u8()? {
            VERSION => Ok(Self { money: Money::decode(input)?, announced: TimestampMs::decode(input)? }),
            tag => Err(DecodeError::Unknown { what: "claim version", tag }),
        }
    }
}

impl Book<'_> {
    /// Answers how the credit was booked, if it was already.
    ///
    /// Refuses: `IdReused`, `AmountNotPositive`, `AmountTooLarge`, `AccountUnknown`, `AccountClosed`, `CurrencyMismatch`,
    /// `TooManyClaims`.
    pub(crate) fn announce_claim(&mut self, announce: &AnnounceClaim) -> Answer {
        let AnnounceClaim { claim, money } = announce;
        let is_here = claim.source == self.context.group;
        let credit =
            if is_here { TransferKey::Credit(claim.share) } else { TransferKey::Arrival(claim.source, claim.share) };
        if let Some(booked) = self.stored(credit) {
            return Ok(booked.done);
        }
        if let Some(known) = self.get::<Claim>(rows::claim(claim)) {
            return if known.money == *money { Ok(Done::Announced) } else { Err(Refusal::IdReused) };
        }
        money.amount.check_amount()?;
        let account = self.account(AccountKey::Customer(claim.account)).ok_or(Refusal::AccountUnknown)?;
        let customer = account.customer().ok_or(Refusal::AccountUnknown)?;
        if !customer.is_open() {
            return Err(Refusal::AccountClosed);
        }
        if account.currency != money.currency {
            return Err(Refusal::CurrencyMismatch);
        }
        if customer.claims >= CLAIMS_PER_ACCOUNT_MAX {
            return Err(Refusal::TooManyClaims);
        }
        self.adjust(claim.account, |customer| customer.claims = customer.claims.saturating_add(1));
        self.state.counts.claims = self.state.counts.claims.saturating_add(1);
        self.put(rows::claim(claim), Claim { money: *money, announced: self.context.now }.to_bytes());
        Ok(Done::Announced)
    }

    /// Takes a claim out of the index, if it is in it.
    pub(crate) fn forget_claim(&mut self, claim: &ClaimKey) -> Done {
        if self.get::<Claim>(rows::claim(claim)).is_some() {
            self.delete(rows::claim(claim));
            self.adjust(claim.account, |customer| customer.claims = customer.claims.saturating_sub(1));
            self.state.counts.claims = self.state.counts.claims.saturating_sub(1);
        }
        Done::Forgotten
    }
}
