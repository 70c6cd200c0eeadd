//! The journal: every movement of money, in order, for ever, sealed page by page.
//!
//! ```text
//!  row 0x14 first number u64 -> version u8=1 | link 32 bytes | body
//!  body:  at_ms packed | count u8 | count x entry
//!  entry: flags u8 | id | debit | credit | amount | currency | code u16? | memo u128? | serial packed?
//!         | debit balance | credit balance
//!         flags: bits 0-2 kind of id, 3 debit is a customer, 4 credit is one, 5 code, 6 memo, 7 serial follow
//! ```
//!
//! A page holds entries of one log entry only, at most thirty-two, so that commands which shared a log entry share a
//! link: SHA-256(former link | first number | body). The chain of links shows whether an entry was changed, taken out or
//! put in; what a page holds follows from the log alone, however its entries were batched on the way.
//!
//! Must never: change or remove an entry.

use bytes::Bytes;
use machine::{DecodeError, Layout, LogIndex, Reader, TimestampMs, Writer};
use sha2::{Digest, Sha256};

use crate::account::AccountKey;
use crate::bill::BillKind;
use crate::fen::{Fen, Money};
use crate::ids::{AccountId, JournalNumber};
use crate::limits::LINKED_ENTRIES_MAX;
use crate::order::{PAYMENT_CODE, REFUND_CODE};
use crate::packed;
use crate::transfer::TransferKey;

const VERSION: u8 = 1;
const KEY_KIND: u8 = 0x07;
const DEBIT_CUSTOMER: u8 = 0x08;
const CREDIT_CUSTOMER: u8 = 0x10;
const HAS_CODE: u8 = 0x20;
const HAS_MEMO: u8 = 0x40;
const HAS_SERIAL: u8 = 0x80;

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
    /// The caller's word for what it was, or the ledger's own for what belongs to an order; 0 where the ledger moved
    /// the money itself. Of a payment that came back: the number of the refusal that sent it back.
    pub code: u16,
    /// The caller's reference. Of an order's payment: the order; of a posted hold: the hold; of a parked credit that landed: the entry that parked it.
    pub memo: u128,
    /// Of a payment between shards: its number among those of this currency from the one to the other; else 0.
    pub serial: u64,
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

    /// What it is on a bill.
    #[must_use]
    pub const fn kind(&self) -> BillKind {
        match (self.key, self.debit, self.credit) {
            (TransferKey::Order(_), ..) => BillKind::Packet,
            (TransferKey::Credit(_) | TransferKey::Arrival(..), ..) | (_, AccountKey::Suspense(_), _) => {
                BillKind::Credit
            }
            (TransferKey::Refund(_), ..) => BillKind::Refund,
            (TransferKey::Returned(..) | TransferKey::Bounce(..), ..) => BillKind::Returned,
            (TransferKey::Own(_) | TransferKey::Crossing(..), ..)
                if matches!(self.code, PAYMENT_CODE | REFUND_CODE) =>
            {
                BillKind::Payment
            }
            (TransferKey::Own(_), AccountKey::Issue(_), _) => BillKind::Funded,
            (TransferKey::Own(_), _, AccountKey::Issue(_)) => BillKind::Withdrawn,
            (TransferKey::Own(_) | TransferKey::Crossing(..), ..) => BillKind::Transfer,
        }
    }

    fn encode(&self, out: &mut Writer) {
        let bit = |is_set: bool, bit: u8| if is_set { bit } else { 0 };
        let flags = (self.key.kind() & KEY_KIND)
            | bit(matches!(self.debit, AccountKey::Customer(_)), DEBIT_CUSTOMER)
            | bit(matches!(self.credit, AccountKey::Customer(_)), CREDIT_CUSTOMER)
            | bit(self.code != 0, HAS_CODE)
            | bit(self.memo != 0, HAS_MEMO)
            | bit(self.serial != 0, HAS_SERIAL);
        out.u8(flags);
        self.key.encode_body(out);
        for account in [self.debit, self.credit] {
            match account {
                AccountKey::Customer(account) => account.encode(out),
                house => house.encode(out),
            }
        }
        self.money.encode(out);
        if self.code != 0 {
            out.u16(self.code);
        }
        if self.memo != 0 {
            out.u128(self.memo);
        }
        if self.serial != 0 {
            packed::put(out, self.serial);
        }
        self.debit_balance.encode(out);
        self.credit_balance.encode(out);
    }

    fn decode(at: TimestampMs, input: &mut Reader) -> Result<Self, DecodeError> {
        let flags = input.u8()?;
        let has = |bit: u8| flags & bit != 0;
        let key = TransferKey::decode_body(flags & KEY_KIND, input)?;
        let account = |is_customer: bool, input: &mut Reader| match is_customer {
            true => AccountId::decode(input).map(AccountKey::Customer),
            false => AccountKey::decode(input),
        };
        Ok(Self {
            key,
            debit: account(has(DEBIT_CUSTOMER), input)?,
            credit: account(has(CREDIT_CUSTOMER), input)?,
            money: Money::decode(input)?,
            code: if has(HAS_CODE) { input.u16()? } else { 0 },
            memo: if has(HAS_MEMO) { input.u128()? } else { 0 },
            serial: if has(HAS_SERIAL) { packed::get(input)? } else { 0 },
            at,
            debit_balance: Fen::decode(input)?,
            credit_balance: Fen::decode(input)?,
        })
    }
}

/// The seal over the journal up to an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Link(pub [u8; 32]);

impl Link {
    fn of(former: Self, first: JournalNumber, body: &[u8]) -> Self {
        let hash = Sha256::new_with_prefix(former.0).chain_update(first.0.to_be_bytes());
        Self(hash.chain_update(body).finalize().into())
    }
}

impl Layout for Link {
    fn encode(&self, out: &mut Writer) {
        out.raw(&self.0);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        let raw = input.raw(32)?;
        Ok(Self(<[u8; 32]>::try_from(raw.as_ref()).map_err(|_| DecodeError::Short)?))
    }
}

/// Entries under one link, as a row holds them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedPage {
    /// Seals them and all before them.
    pub link: Link,
    /// What is sealed: the layout of the entries, and their time.
    pub body: Bytes,
}

impl SealedPage {
    /// Whether the link is the one that follows `former`.
    #[must_use]
    pub fn follows(&self, former: Link, first: JournalNumber) -> bool {
        self.link == Link::of(former, first, &self.body)
    }

    /// Its entries in order.
    pub fn entries(&self) -> Result<Vec<JournalEntry>, DecodeError> {
        let mut input = Reader::new(self.body.clone());
        let (at, count) = (packed::get_time(&mut input)?, input.u8()?);
        let entries = (0..count).map(|_| JournalEntry::decode(at, &mut input)).collect::<Result<Vec<_>, _>>()?;
        input.end().map(|()| entries)
    }

    /// The body of a page: `entries`, all booked at `at`.
    #[must_use]
    pub fn body_of(at: TimestampMs, entries: &[JournalEntry]) -> Bytes {
        let mut out = Writer::default();
        packed::put_time(&mut out, at);
        out.u8(u8::try_from(entries.len()).unwrap_or(u8::MAX));
        entries.iter().for_each(|entry| entry.encode(&mut out));
        out.finish()
    }

    /// Machine time of its entries, and how many there are.
    pub(crate) fn head(&self) -> Result<(TimestampMs, u8), DecodeError> {
        let mut input = Reader::new(self.body.clone());
        Ok((packed::get_time(&mut input)?, input.u8()?))
    }
}

impl Layout for SealedPage {
    fn encode(&self, out: &mut Writer) {
        out.u8(VERSION);
        self.link.encode(out);
        out.raw(&self.body);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        match input.u8()? {
            VERSION => Ok(Self { link: Link::decode(input)?, body: input.raw(input.left())? }),
            tag => Err(DecodeError::Unknown { what: "journal version", tag }),
        }
    }
}

/// A page that is not sealed yet: it lives within one batch of the road, and never in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OpenPage {
    /// The log entry whose commands it belongs to.
    pub(crate) index: LogIndex,
    first: JournalNumber,
    at: TimestampMs,
    count: u8,
    entries: Vec<u8>,
}

impl OpenPage {
    pub(crate) const fn begin(index: LogIndex, first: JournalNumber, at: TimestampMs) -> Self {
        Self { index, first, at, count: 0, entries: Vec::new() }
    }

    /// Adds an entry. True: the page is full.
    pub(crate) fn push(&mut self, entry: &JournalEntry) -> bool {
        let mut out = Writer::with_capacity(160);
        entry.encode(&mut out);
        self.entries.extend_from_slice(&out.finish());
        self.count = self.count.saturating_add(1);
        self.count >= LINKED_ENTRIES_MAX
    }

    /// The page behind `former`, with the number it is kept under.
    pub(crate) fn seal(&self, former: Link) -> (JournalNumber, SealedPage) {
        let mut body = Writer::with_capacity(self.entries.len().saturating_add(16));
        packed::put_time(&mut body, self.at);
        body.u8(self.count);
        body.raw(&self.entries);
        let body = body.finish();
        (self.first, SealedPage { link: Link::of(former, self.first, &body), body })
    }
}

/// A range of the journal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JournalPage {
    /// Entries in order.
    pub entries: Vec<(JournalNumber, JournalEntry)>,
    /// Links, each under the last entry it seals; only of entries that are in the range.
    pub links: Vec<(JournalNumber, Link)>,
}
