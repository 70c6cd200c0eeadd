//! Where the rows lie: every key of the crate, and how values are read.
//!
//! ```text
//!  10 user                    user, with totals       30 expires_ms packet          live packets by expiry
//!  11 chat                    chat                    31 since_ms packet share      uncredited claims by age
//!  12 chat user               member                  32 ended_ms packet            refunds that are pending
//!  13 user chat               the user's chats        40 sender    created_ms packet   sent
//!  14 order                   packet of the order     41 user      claimed_ms packet   received
//!  20 packet                  packet                  42 recipient created_ms packet   offered directly
//!  21 packet                  progress                43 chat      created_ms packet   shown in the chat
//!  22 packet user             claim                   44 user year packet              luckiest of
//!  23 packet share            share                   50                               counts
//! ```
//!
//! Why: keys are big-endian, so each list is a range in the order it is shown in, and needs no row that grows.
//! Rows of 13, 30..32, 40, 42..44 are keys alone; a received row holds the number of the share.
//!
//! Must never: reuse a tag for something else.

use bytes::Bytes;
use machine::{DecodeError, Key, Layout, LoadError, Reader, RowSource, Rows, TimestampMs, Writer};

use crate::ids::{ChatId, OrderId, PacketId, UserId};

pub(crate) const USER: u8 = 0x10;
pub(crate) const CHAT: u8 = 0x11;
pub(crate) const MEMBER: u8 = 0x12;
pub(crate) const CHAT_OF: u8 = 0x13;
pub(crate) const ORDER: u8 = 0x14;
pub(crate) const PACKET: u8 = 0x20;
pub(crate) const PROGRESS: u8 = 0x21;
pub(crate) const CLAIM: u8 = 0x22;
pub(crate) const SHARE: u8 = 0x23;
pub(crate) const EXPIRY: u8 = 0x30;
pub(crate) const UNCREDITED: u8 = 0x31;
pub(crate) const REFUND: u8 = 0x32;
pub(crate) const SENT: u8 = 0x40;
pub(crate) const RECEIVED: u8 = 0x41;
pub(crate) const OFFERED: u8 = 0x42;
pub(crate) const SHOWN: u8 = 0x43;
pub(crate) const LUCKIEST: u8 = 0x44;
pub(crate) const COUNTS: u8 = 0x50;

/// The version byte that opens every row with a value.
pub(crate) const ROW_VERSION: u8 = 1;

/// Reads the version byte of a row. Errors: another release wrote it.
pub(crate) fn check_version(input: &mut Reader, what: &'static str) -> Result<(), DecodeError> {
    match input.u8()? {
        ROW_VERSION => Ok(()),
        tag => Err(DecodeError::Unknown { what, tag }),
    }
}

fn one(tag: u8, id: u128) -> Key {
    let mut key = Writer::with_capacity(17);
    key.u8(tag);
    key.u128(id);
    key.finish()
}

fn two(tag: u8, first: u128, second: u128) -> Key {
    let mut key = Writer::with_capacity(33);
    key.u8(tag);
    key.u128(first);
    key.u128(second);
    key.finish()
}

pub(crate) fn user(user: UserId) -> Key {
    one(USER, user.0)
}

pub(crate) fn chat(chat: ChatId) -> Key {
    one(CHAT, chat.0)
}

pub(crate) fn member(chat: ChatId, user: UserId) -> Key {
    two(MEMBER, chat.0, user.0)
}

pub(crate) fn chat_of(user: UserId, chat: ChatId) -> Key {
    two(CHAT_OF, user.0, chat.0)
}

pub(crate) fn order(order: OrderId) -> Key {
    one(ORDER, order.0)
}

pub(crate) fn packet(packet: PacketId) -> Key {
    one(PACKET, packet.bits())
}

pub(crate) fn progress(packet: PacketId) -> Key {
    one(PROGRESS, packet.bits())
}

pub(crate) fn claim(packet: PacketId, user: UserId) -> Key {
    two(CLAIM, packet.bits(), user.0)
}

pub(crate) fn share(packet: PacketId, share: u16) -> Key {
    let mut key = Writer::with_capacity(19);
    key.u8(SHARE);
    packet.encode(&mut key);
    key.u16(share);
    key.finish()
}

/// All rows of `tag` that begin with `id`.
pub(crate) fn under(tag: u8, id: u128) -> Key {
    one(tag, id)
}

/// A row of an index by time: [`EXPIRY`] or [`REFUND`].
pub(crate) fn timed(tag: u8, at: TimestampMs, packet: PacketId) -> Key {
    let mut key = Writer::with_capacity(25);
    key.u8(tag);
    at.encode(&mut key);
    packet.encode(&mut key);
    key.finish()
}

/// The first possible row of an index by time at `at`.
pub(crate) fn from_time(tag: u8, at: TimestampMs) -> Key {
    let mut key = Writer::with_capacity(9);
    key.u8(tag);
    at.encode(&mut key);
    key.finish()
}

pub(crate) fn uncredited(since: TimestampMs, packet: PacketId, share: u16) -> Key {
    let mut key = Writer::with_capacity(27);
    key.u8(UNCREDITED);
    since.encode(&mut key);
    packet.encode(&mut key);
    key.u16(share);
    key.finish()
}

/// A row of a list, newest last: [`SENT`], [`RECEIVED`], [`OFFERED`] or [`SHOWN`].
pub(crate) fn listed(tag: u8, owner: u128, at: TimestampMs, packet: PacketId) -> Key {
    let mut key = Writer::with_capacity(41);
    key.u8(tag);
    key.u128(owner);
    at.encode(&mut key);
    packet.encode(&mut key);
    key.finish()
}

/// All packets of `year` in which `user` was luckiest.
pub(crate) fn luckiest_in(user: UserId, year: u16) -> Key {
    let mut key = Writer::with_capacity(19);
    key.u8(LUCKIEST);
    user.encode(&mut key);
    key.u16(year);
    key.finish()
}

pub(crate) fn luckiest(user: UserId, year: u16, packet: PacketId) -> Key {
    let mut key = Writer::with_capacity(35);
    key.raw(&luckiest_in(user, year));
    packet.encode(&mut key);
    key.finish()
}

pub(crate) const fn counts() -> Key {
    Bytes::from_static(&[COUNTS])
}

/// Within `apply`: the value under `key`. Invariant: this machine wrote it, so it decodes.
pub(crate) fn get<T: Layout>(rows: &Rows, key: &[u8]) -> Option<T> {
    let decoded = T::from_bytes(rows.get(key)?);
    assert!(decoded.is_ok(), "a row of this machine decodes");
    decoded.ok()
}

/// Outside `apply`: the value under `key`. Errors: the store, or a row that does not decode.
pub(crate) fn read<T: Layout>(source: &dyn RowSource, key: &[u8]) -> Result<Option<T>, LoadError> {
    source.get(key)?.map(|value| decode(key, &value)).transpose()
}

/// Outside `apply`: the values under `keys`, in one round. Errors: as [`read`]; a row that an index or a claim names
/// and that is not there.
pub(crate) fn read_all<T: Layout>(source: &dyn RowSource, keys: &[Key]) -> Result<Vec<T>, LoadError> {
    let values = source.get_many(keys)?;
    let present = |(key, value): (&Key, Option<Bytes>)| match value {
        Some(value) => decode(key, &value),
        None => Err(LoadError::row(key, DecodeError::Invalid("row: an index names it, and it is missing"))),
    };
    keys.iter().zip(values).map(present).collect()
}

/// Outside `apply`: a row's value. Errors: it does not decode.
pub(crate) fn decode<T: Layout>(key: &[u8], value: &Bytes) -> Result<T, LoadError> {
    T::from_bytes(value).map_err(|error| LoadError::row(key, error))
}

/// Outside `apply`: what `parse` makes of the rows of a range, at most `limit`, in key order or against it.
pub(crate) fn collect<T>(
    source: &dyn RowSource,
    range: (&[u8], &[u8]),
    order: Order,
    limit: usize,
    parse: impl Fn(&mut Reader, &[u8]) -> Result<T, DecodeError>,
) -> Result<Vec<T>, LoadError> {
    let mut found = Vec::new();
    let mut broken = None;
    let mut visit = |key: &[u8], value: &[u8]| {
        if found.len() >= limit {
            return false;
        }
        // The tag is the range's own.
        let mut input = Reader::new(Bytes::copy_from_slice(key.get(1..).unwrap_or_default()));
        match parse(&mut input, value) {
            Ok(item) => found.push(item),
            Err(error) => broken = Some(LoadError::row(key, error)),
        }
        broken.is_none()
    };
    match order {
        Order::Rising => source.scan(range.0, range.1, &mut visit)?,
        Order::Falling => source.scan_back(range.0, range.1, &mut visit)?,
    }
    broken.map_or(Ok(found), Err)
}

/// The direction of [`collect`].
#[derive(Clone, Copy)]
pub(crate) enum Order {
    /// By key.
    Rising,
    /// Against it.
    Falling,
}
