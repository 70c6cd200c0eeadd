//! Row keys: where each kind of row lies. The values' layouts stand with their types.
//!
//! ```text
//!  0x10 account key            -> Account           0x16 account u128, first number u64 -> BillChunk
//!  0x11 transfer key           -> StoredTransfer    0x17 claim key                      -> Claim
//!  0x12 hold u128              -> HeldMoney         0x18 number u64                     -> ParkedCredit
//!  0x13 deadline u64, hold     -> DueHold           0x1f                                -> State
//!  0x14 first number u64       -> SealedPage        0x19 account u128                   -> Allowance
//!  0x1a order u128             -> Order             0x1b account u128                   -> Verifier
//! ```
//!
//! Why a type of their own: a key is looked up far more often than it is kept, and a look-up needs no allocation.
//!
//! Must never: give two kinds of rows the same first byte.

use bytes::Bytes;
use machine::{DecodeError, Key, Layout, LoadError, Reader, TimestampMs, Writer};

use crate::account::AccountKey;
use crate::claim::ClaimKey;
use crate::ids::{AccountId, JournalNumber, OrderId, TransferId};
use crate::transfer::TransferKey;

pub(crate) const ACCOUNT: u8 = 0x10;
pub(crate) const TRANSFER: u8 = 0x11;
pub(crate) const HOLD: u8 = 0x12;
pub(crate) const DEADLINE: u8 = 0x13;
pub(crate) const JOURNAL: u8 = 0x14;
pub(crate) const BILL: u8 = 0x16;
pub(crate) const CLAIM: u8 = 0x17;
pub(crate) const PARKED: u8 = 0x18;
pub(crate) const ALLOWANCE: u8 = 0x19;
pub(crate) const ORDER: u8 = 0x1a;
pub(crate) const VERIFIER: u8 = 0x1b;
pub(crate) const STATE: u8 = 0x1f;

/// Bytes of the longest key, with room to spare.
const KEY_BYTES_MAX: usize = 48;

/// A key on the stack.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowKey {
    bytes: [u8; KEY_BYTES_MAX],
    length: usize,
}

impl RowKey {
    /// An empty name.
    pub(crate) const fn new() -> Self {
        Self { bytes: [0; KEY_BYTES_MAX], length: 0 }
    }

    fn tagged(tag: u8) -> Self {
        let mut key = Self::new();
        key.u8(tag);
        key
    }

    fn push(&mut self, bytes: &[u8]) {
        let end = self.length.saturating_add(bytes.len());
        let place = self.bytes.get_mut(self.length..end);
        assert!(place.is_some(), "a key of the ledger is no longer than its limit");
        if let Some(place) = place {
            place.copy_from_slice(bytes);
        }
        self.length = end;
    }

    pub(crate) fn u8(&mut self, value: u8) {
        self.push(&[value]);
    }

    pub(crate) fn u16(&mut self, value: u16) {
        self.push(&value.to_be_bytes());
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.push(&value.to_be_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.push(&value.to_be_bytes());
    }

    pub(crate) fn u128(&mut self, value: u128) {
        self.push(&value.to_be_bytes());
    }

    /// Its bytes.
    pub(crate) fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    /// A key to be kept.
    pub(crate) fn to_key(self) -> Key {
        Key::copy_from_slice(self.as_slice())
    }
}

pub(crate) fn account(account: AccountKey) -> RowKey {
    let mut key = RowKey::tagged(ACCOUNT);
    account.name(&mut key);
    key
}

pub(crate) fn transfer(transfer: TransferKey) -> RowKey {
    let mut key = RowKey::tagged(TRANSFER);
    transfer.name(&mut key);
    key
}

pub(crate) fn hold(hold: TransferId) -> RowKey {
    let mut key = RowKey::tagged(HOLD);
    key.u128(hold.0);
    key
}

pub(crate) fn deadline(deadline: TimestampMs, hold: TransferId) -> RowKey {
    let mut key = RowKey::tagged(DEADLINE);
    key.u64(deadline.0);
    key.u128(hold.0);
    key
}

pub(crate) fn journal(first: JournalNumber) -> RowKey {
    let mut key = RowKey::tagged(JOURNAL);
    key.u64(first.0);
    key
}

pub(crate) fn bill(account: AccountId, first: JournalNumber) -> RowKey {
    let mut key = bills(account);
    key.u64(first.0);
    key
}

/// The prefix of all bill rows of an account.
pub(crate) fn bills(account: AccountId) -> RowKey {
    let mut key = RowKey::tagged(BILL);
    key.u128(account.0);
    key
}

pub(crate) fn claim(claim: &ClaimKey) -> RowKey {
    let mut key = claims(claim.account);
    key.u32(claim.source.0);
    key.u128(claim.share.packet.0);
    key.u32(claim.share.share);
    key
}

/// The prefix of all claims of an account.
pub(crate) fn claims(account: AccountId) -> RowKey {
    let mut key = RowKey::tagged(CLAIM);
    key.u128(account.0);
    key
}

pub(crate) fn parked(number: JournalNumber) -> RowKey {
    let mut key = RowKey::tagged(PARKED);
    key.u64(number.0);
    key
}

pub(crate) fn allowance(account: AccountId) -> RowKey {
    let mut key = RowKey::tagged(ALLOWANCE);
    key.u128(account.0);
    key
}

pub(crate) fn order(order: OrderId) -> RowKey {
    let mut key = RowKey::tagged(ORDER);
    key.u128(order.0);
    key
}

pub(crate) fn verifier(account: AccountId) -> RowKey {
    let mut key = RowKey::tagged(VERIFIER);
    key.u128(account.0);
    key
}

pub(crate) fn state() -> RowKey {
    RowKey::tagged(STATE)
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
