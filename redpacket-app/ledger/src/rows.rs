//! Row keys: where each kind of row lies. The values' layouts stand with their types.
//!
//! ```text
//!  0x10 account key            -> Account           0x15 number u64            -> Link
//!  0x11 transfer key           -> StoredTransfer    0x16 account u128, number  -> version u8=1
//!  0x12 hold u128              -> HeldMoney         0x17 claim key             -> Claim
//!  0x13 deadline u64, hold     -> DueHold           0x18 number u64            -> ParkedCredit
//!  0x14 number u64             -> JournalEntry      0x1f                       -> State
//! ```
//!
//! Must never: give two kinds of rows the same first byte.

use bytes::Bytes;
use machine::{DecodeError, Key, Layout, LoadError, Reader, TimestampMs, Writer};

use crate::account::AccountKey;
use crate::claim::ClaimKey;
use crate::ids::{AccountId, JournalNumber, TransferId};
use crate::transfer::TransferKey;

pub(crate) const ACCOUNT: u8 = 0x10;
pub(crate) const TRANSFER: u8 = 0x11;
pub(crate) const HOLD: u8 = 0x12;
pub(crate) const DEADLINE: u8 = 0x13;
pub(crate) const JOURNAL: u8 = 0x14;
pub(crate) const LINK: u8 = 0x15;
pub(crate) const BILL: u8 = 0x16;
pub(crate) const CLAIM: u8 = 0x17;
pub(crate) const PARKED: u8 = 0x18;
pub(crate) const STATE: u8 = 0x1f;

fn key(tag: u8, part: &impl Layout) -> Key {
    let mut key = Writer::with_capacity(48);
    key.u8(tag);
    part.encode(&mut key);
    key.finish()
}

pub(crate) fn account(account: AccountKey) -> Key {
    key(ACCOUNT, &account)
}

pub(crate) fn transfer(transfer: TransferKey) -> Key {
    key(TRANSFER, &transfer)
}

pub(crate) fn hold(hold: TransferId) -> Key {
    key(HOLD, &hold)
}

pub(crate) fn deadline(deadline: TimestampMs, hold: TransferId) -> Key {
    key(DEADLINE, &Pair(deadline, hold))
}

pub(crate) fn journal(number: JournalNumber) -> Key {
    key(JOURNAL, &number)
}

pub(crate) fn link(last: JournalNumber) -> Key {
    key(LINK, &last)
}

pub(crate) fn bill(account: AccountId, number: JournalNumber) -> Key {
    key(BILL, &Pair(account, number))
}

/// The prefix of all bill rows of an account.
pub(crate) fn bills(account: AccountId) -> Key {
    key(BILL, &account)
}

pub(crate) fn claim(claim: &ClaimKey) -> Key {
    key(CLAIM, claim)
}

/// The prefix of all claims of an account.
pub(crate) fn claims(account: AccountId) -> Key {
    key(CLAIM, &account)
}

pub(crate) fn parked(number: JournalNumber) -> Key {
    key(PARKED, &number)
}

pub(crate) fn state() -> Key {
    Key::from_static(&[STATE])
}

/// A value as bytes, with room for it from the start: most rows and steps are shorter than this.
pub(crate) fn bytes_of(value: &impl Layout) -> Bytes {
    let mut out = Writer::with_capacity(128);
    value.encode(&mut out);
    out.finish()
}

/// The part of a row's key behind its tag.
pub(crate) fn name<T: Layout>(key: &[u8]) -> Result<T, LoadError> {
    let bytes = Key::copy_from_slice(key);
    let mut input = Reader::new(bytes);
    let read = input.u8().and_then(|_| T::decode(&mut input)).and_then(|name| input.end().map(|()| name));
    read.map_err(|error| LoadError::row(key, error))
}

/// A row's value.
pub(crate) fn value<T: Layout>(key: &[u8], value: &[u8]) -> Result<T, LoadError> {
    T::from_bytes(&Key::copy_from_slice(value)).map_err(|error| LoadError::row(key, error))
}

/// Two names that follow one another in a key.
#[derive(Debug)]
pub(crate) struct Pair<A, B>(pub(crate) A, pub(crate) B);

impl<A: Layout, B: Layout> Layout for Pair<A, B> {
    fn encode(&self, out: &mut Writer) {
        self.0.encode(out);
        self.1.encode(out);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self(A::decode(input)?, B::decode(input)?))
    }
}
