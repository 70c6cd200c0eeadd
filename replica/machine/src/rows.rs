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

use crate::ids::{BodyRef, GroupId};

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

/// The overlay that `apply` reads and writes: rows loaded for the batch, and the changes so far.
#[derive(Debug, Default)]
pub struct Rows {
    loaded: BTreeMap<Key, Option<Bytes>>,
    changes: BTreeMap<Key, Option<Bytes>>,
    bodies: BTreeMap<BodyRef, BodyChange>,
    posts: Vec<(GroupId, Bytes)>,
}

impl Rows {
    /// An overlay over rows that were read for this batch.
    #[must_use]
    pub fn new(loaded: BTreeMap<Key, Option<Bytes>>) -> Self {
        Self { loaded, ..Self::default() }
    }

    /// The row under `key`, with the changes of earlier commands of the batch.
    ///
    /// Invariant: the command named `key` in [`crate::Machine::keys`], or wrote it in this batch.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<&Bytes> {
        if let Some(changed) = self.changes.get(key) {
            return changed.as_ref();
        }
        let loaded = self.loaded.get(key);
        assert!(loaded.is_some(), "a machine reads only rows that its command named");
        loaded.and_then(Option::as_ref)
    }

    /// Writes a row.
    pub fn put(&mut self, key: Key, value: Bytes) {
        self.changes.insert(key, Some(value));
    }

    /// Removes a row; removing what is not there changes nothing.
    pub fn delete(&mut self, key: Key) {
        self.changes.insert(key, None);
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
    pub fn post(&mut self, target: GroupId, record: Bytes) {
        self.posts.push((target, record));
    }

    pub(crate) fn take_posts(&mut self) -> Vec<(GroupId, Bytes)> {
        std::mem::take(&mut self.posts)
    }

    /// Row changes in key order: `None` deletes.
    pub fn changes(&self) -> impl Iterator<Item = (&Key, Option<&Bytes>)> {
        self.changes.iter().map(|(key, value)| (key, value.as_ref()))
    }

    /// Body changes in order.
    pub fn bodies(&self) -> impl Iterator<Item = (BodyRef, &BodyChange)> {
        self.bodies.iter().map(|(body, change)| (*body, change))
    }
}
