//! The journal: every movement of money, in order, for ever.
//!
//! ```text
//!  row 0x14 number u64 -> version u8=1|2 | transfer key | debit key | credit key | amount i64 | currency u16 | code u16
//!                         | at_ms u64 | debit balance i64 | credit balance i64 | memo u128 (version 2 only)
//!  row 0x15 last u64   -> version u8=1 | link 32 bytes
//! ```
//!
//! A link seals what one command wrote: SHA-256(former link | number | entry | number | entry ...). A command, not a
//! batch of the road: how commands were batched must not be seen in any row.
//!
//! Must never: change or remove an entry.

use bytes::Bytes;
use machine::{DecodeError, Layout, Reader, TimestampMs, Writer};
use sha2::{Digest, Sha256};

use crate::account::AccountKey;
use crate::fen::{Fen, Money};
use crate::ids::{AccountId, JournalNumber};
use crate::transfer::TransferKey;

const PLAIN: u8 = 1;
const WITH_MEMO: u8 = 2;
const LINK_VERSION: u8 = 1;

/// One movement of money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalEntry {
    /// The identity it was booked under; many entries never share one.
    pub key: TransferKey,
    /// The account that paid.
    pub debit: AccountKey,
    /// The account that was paid.
    pub credit: AccountKey,
    /// How much.
    pub money: Money,
    /// The caller's word for what it was; 0 where the ledger moved the money itself.
    pub code: u16,
    /// The caller's reference. Of a posted hold: the hold; of a credit between groups: its number between the two; of a
    /// parked credit that landed: the entry that parked it.
    pub memo: u128,
    /// Machine time.
    pub at: TimestampMs,
    /// Balance of the debited account behind it.
    pub debit_balance: Fen,
    /// Balance of the credited account behind it.
    pub credit_balance: Fen,
}

impl JournalEntry {
    /// What it did to a customer's account, as (signed change, balance behind it); `None` if it did not touch it.
    #[must_use]
    pub fn change_of(&self, account: AccountId) -> Option<(Fen, Fen)> {
        let key = AccountKey::Customer(account);
        if self.debit == key {
            Some((Fen(self.money.amount.0.saturating_neg()), self.debit_balance))
        } else if self.credit == key {
            Some((self.money.amount, self.credit_balance))
        } else {
            None
        }
    }
}

impl Layout for JournalEntry {
    fn encode(&self, out: &mut Writer) {
        out.u8(if self.memo == 0 { PLAIN } else { WITH_MEMO });
        self.key.encode(out);
        self.debit.encode(out);
        self.credit.encode(out);
        self.money.encode(out);
        out.u16(self.code);
        self.at.encode(out);
        self.debit_balance.encode(out);
        self.credit_balance.encode(out);
        if self.memo != 0 {
            out.u128(self.memo);
        }
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        let has_memo = match input.u8()? {
            PLAIN => false,
            WITH_MEMO => true,
            tag => return Err(DecodeError::Unknown { what: "journal version", tag }),
        };
        Ok(Self {
            key: TransferKey::decode(input)?,
            debit: AccountKey::decode(input)?,
            credit: AccountKey::decode(input)?,
            money: Money::decode(input)?,
            code: input.u16()?,
            at: TimestampMs::decode(input)?,
            debit_balance: Fen::decode(input)?,
            credit_balance: Fen::decode(input)?,
            memo: if has_memo { input.u128()? } else { 0 },
        })
    }
}

/// The seal over the journal up to an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Link(pub [u8; 32]);

/// A link in the making, over the entries of one command.
#[derive(Clone, Debug)]
pub(crate) struct Seal(Sha256);

impl Seal {
    /// Behind `link`, over nothing yet.
    pub(crate) fn behind(link: Link) -> Self {
        Self(Sha256::new_with_prefix(link.0))
    }

    /// Takes in the next entry.
    pub(crate) fn add(&mut self, number: JournalNumber, entry: &Bytes) {
        self.0.update(number.0.to_be_bytes());
        self.0.update(entry);
    }

    /// The link.
    pub(crate) fn close(self) -> Link {
        Link(self.0.finalize().into())
    }
}

impl Layout for Link {
    fn encode(&self, out: &mut Writer) {
        out.u8(LINK_VERSION);
        out.raw(&self.0);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        match input.u8()? {
            LINK_VERSION => {
                let raw = input.raw(32)?;
                Ok(Self(<[u8; 32]>::try_from(raw.as_ref()).map_err(|_| DecodeError::Short)?))
            }
            tag => Err(DecodeError::Unknown { what: "link version", tag }),
        }
    }
}

/// A range of the journal, with the links that seal it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JournalPage {
    /// Entries in order.
    pub entries: Vec<(JournalNumber, JournalEntry)>,
    /// Links at or behind the first entry and up to the last, each under the last entry it seals.
    pub links: Vec<(JournalNumber, Link)>,
}
