//! Rows: the durable state of a machine, seen by `apply` as a small overlay over what its commands named.
//!
//! ```text
//!  keys(command) ──multi-get──> loaded ─┐
//!                                       ├─ get: changes first, then loaded
//!  put / delete ──────────────> changes ┘        seal ──> one write batch
//! ```
//!
//! Must never: wait or fail inside `apply`. A row that was not named is a bug of the machine, not an input.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::ids::{BodyRef, Destination};

/// A row's key. First byte 0x00..0x0f belongs to the host (sessions, courier); machines use 0x10 and above.
pub type Key = Bytes;

/// A store that cannot answer (a failing disk, a bad checksum). The replica that meets it stops.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreFailure(pub String);

impl core::fmt::Display for StoreFailure {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "the row store failed: {}", self.0)
    }
}

impl core::error::Error for StoreFailure {}

/// Reads committed rows in key order. Implemented by RocksDB in `replica` and by [`crate::MemoryStore`].
pub trait RowSource {
    /// The row under `key`. Errors: the store failed.
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreFailure>;

    /// The rows under `keys`, in their order; one round to the store.
    fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Bytes>>, StoreFailure> {
        keys.iter().map(|key| self.get(key)).collect()
    }

    /// Visits rows with `from <= key < to` in key order until `visit` answers false.
    fn scan(&self, from: &[u8], to: &[u8], visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), StoreFailure>;

    /// Visits rows with `from <= key < to` in falling key order until `visit` answers false.
    fn scan_back(
        &self,
        from: &[u8],
        to: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StoreFailure>;

    /// The body `body` names, if it is still kept.
    fn body(&self, body: BodyRef) -> Result<Option<Bytes>, StoreFailure>;
}

/// The first key behind all keys that begin with `prefix` (the end of a prefix scan).
#[must_use]
pub fn prefix_end(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if let Some(next) = last.checked_add(1) {
            end.push(next);
            return end;
        }
    }
    // All bytes were 0xff: no key of ours is longer than 1 KiB of them.
    vec![0xff; 1024]
}

/// What a batch does to a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BodyChange {
    /// Keep these bytes; they are a slice of the entry that brought them.
    Keep(Bytes),
    /// Nobody will ask for it again.
    Drop,
}

/// A row that was read for the batch, and what became of it.
#[derive(Debug)]
struct Named {
    key: Key,
    loaded: Option<Bytes>,
    change: Option<Option<Bytes>>,
}

/// The overlay that `apply` reads and writes: rows loaded for the batch, and the changes so far.
///
/// Named rows stand in key order and are found by a table of hints; few others are written, and those lie in a map.
#[derive(Debug, Default)]
pub struct Rows {
    named: Vec<Named>,
    /// Open addressing over `named`; its length is a power of two, and at least half of it is [`FREE`].
    hints: Vec<u32>,
    written: BTreeMap<Key, Option<Bytes>>,
    bodies: BTreeMap<BodyRef, BodyChange>,
    posts: Vec<(Destination, Bytes)>,
}

const FREE: u32 = u32::MAX;
/// Hints looked at before the rows themselves are searched: keys are made by callers, and may be made to collide.
const PROBES_MAX: usize = 16;

/// Where the hints of `key` begin, before it is cut to the table's length.
fn hash(key: &[u8]) -> usize {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let (words, rest) = key.as_chunks::<8>();
    let rest =
        rest.iter().fold(u64::try_from(key.len()).unwrap_or(0), |sum, byte| sum.wrapping_shl(8) ^ u64::from(*byte));
    let sum = words.iter().fold(rest, |sum, word| (sum ^ u64::from_ne_bytes(*word)).wrapping_mul(ODD).rotate_left(29));
    usize::try_from(sum.wrapping_mul(ODD) >> 32).unwrap_or(0)
}

impl Rows {
    /// An overlay over rows that were read for this batch.
    #[must_use]
    pub fn new(loaded: BTreeMap<Key, Option<Bytes>>) -> Self {
        let named: Vec<Named> = loaded.into_iter().map(|(key, loaded)| Named { key, loaded, change: None }).collect();
        let size = named.len().saturating_mul(2).next_power_of_two();
        let mut rows = Self { named, hints: vec![FREE; size], ..Self::default() };
        for place in 0..rows.named.len() {
            rows.hint(place);
        }
        rows
    }

    fn hint(&mut self, place: usize) {
        let Some(named) = self.named.get(place) else { return };
        let mask = self.hints.len().saturating_sub(1);
        let first = hash(&named.key);
        for probe in 0..PROBES_MAX {
            let Some(hint) = self.hints.get_mut(first.wrapping_add(probe) & mask) else { return };
            if *hint == FREE {
                *hint = u32::try_from(place).unwrap_or(FREE);
                return;
            }
        }
    }

    /// The place of `key` among the named rows.
    fn place(&self, key: &[u8]) -> Option<usize> {
        let mask = self.hints.len().saturating_sub(1);
        let first = hash(key);
        for probe in 0..PROBES_MAX {
            let hint = *self.hints.get(first.wrapping_add(probe) & mask)?;
            if hint == FREE {
                return None;
            }
            let place = usize::try_from(hint).unwrap_or(usize::MAX);
            if self.named.get(place).is_some_and(|named| named.key == key) {
                return Some(place);
            }
        }
        self.named.binary_search_by(|named| named.key.as_ref().cmp(key)).ok()
    }

    /// The row under `key`, with the changes of earlier commands of the batch.
    ///
    /// Invariant: the command named `key` in [`crate::Machine::keys`], or wrote it in this batch.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<&Bytes> {
        if let Some(named) = self.place(key).and_then(|place| self.named.get(place)) {
            return named.change.as_ref().unwrap_or(&named.loaded).as_ref();
        }
        let written = self.written.get(key);
        assert!(written.is_some(), "a machine reads only rows that its command named");
        written.and_then(Option::as_ref)
    }

    /// Writes a row.
    pub fn put(&mut self, key: Key, value: Bytes) {
        self.change(key, Some(value));
    }

    /// Writes a row under a key that its caller does not own; a named row has one of its own.
    pub fn set(&mut self, key: &[u8], value: Bytes) {
        match self.place(key).and_then(|place| self.named.get_mut(place)) {
            Some(named) => named.change = Some(Some(value)),
            None => drop(self.written.insert(Key::copy_from_slice(key), Some(value))),
        }
    }

    /// Removes a row; removing what is not there changes nothing.
    pub fn delete(&mut self, key: Key) {
        self.change(key, None);
    }

    fn change(&mut self, key: Key, value: Option<Bytes>) {
        match self.place(&key).and_then(|place| self.named.get_mut(place)) {
            Some(named) => named.change = Some(value),
            None => drop(self.written.insert(key, value)),
        }
    }

    /// Keeps a body under a name that the machine has never used before.
    pub fn keep_body(&mut self, name: BodyRef, body: Bytes) {
        self.bodies.insert(name, BodyChange::Keep(body));
    }

    /// Lets a body go.
    pub fn drop_body(&mut self, body: BodyRef) {
        self.bodies.insert(body, BodyChange::Drop);
    }

    /// Hands a record to the courier for `target`: it stays in this group's rows until the target acknowledged it.
    pub fn post(&mut self, target: impl Into<Destination>, record: Bytes) {
        self.posts.push((target.into(), record));
    }

    pub(crate) fn take_posts(&mut self) -> Vec<(Destination, Bytes)> {
        std::mem::take(&mut self.posts)
    }

    /// Row changes in key order: `None` deletes.
    pub fn changes(&self) -> impl Iterator<Item = (&Key, Option<&Bytes>)> {
        let mut named = self.named.iter().filter_map(|row| Some((&row.key, row.change.as_ref()?.as_ref()))).peekable();
        let mut written = self.written.iter().map(|(key, value)| (key, value.as_ref())).peekable();
        std::iter::from_fn(move || match (named.peek(), written.peek()) {
            (Some((one, _)), Some((other, _))) if one > other => written.next(),
            (Some(_), _) => named.next(),
            (None, _) => written.next(),
        })
    }

    /// Body changes in order.
    pub fn bodies(&self) -> impl Iterator<Item = (BodyRef, &BodyChange)> {
        self.bodies.iter().map(|(body, change)| (*body, change))
    }
}
