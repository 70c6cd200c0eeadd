//! Rows in memory: the store of property tests and of the simulation, and the model the RocksDB store is held against.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;

use crate::contract::{LoadError, Machine};
use crate::entry::{Command, EntryWriter, RequestId};
use crate::host::{Answer, Host};
use crate::ids::{BodyRef, Format, GroupId, LogIndex, TimestampMs};
use crate::layout::{DecodeError, Layout};
use crate::rows::{BodyChange, Key, RowSource, Rows, StoreFailure};

/// Rows and bodies in ordered maps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryStore {
    rows: BTreeMap<Key, Bytes>,
    bodies: BTreeMap<BodyRef, Bytes>,
}

/// What [`MemoryStore::run`] hands back.
pub type Applied<R> = Result<R, String>;

impl MemoryStore {
    /// Commits a batch's changes.
    pub fn commit(&mut self, changes: &Rows) {
        for (key, value) in changes.changes() {
            match value {
                Some(value) => self.rows.insert(key.clone(), value.clone()),
                None => self.rows.remove(key),
            };
        }
        for (body, change) in changes.bodies() {
            match change {
                BodyChange::Keep(bytes) => self.bodies.insert(body, bytes.clone()),
                BodyChange::Drop => self.bodies.remove(&body),
            };
        }
    }

    /// All rows in key order.
    pub fn rows(&self) -> impl Iterator<Item = (&Key, &Bytes)> {
        self.rows.iter()
    }

    /// Replaces everything by these rows and bodies (a snapshot).
    pub fn replace(&mut self, rows: BTreeMap<Key, Bytes>, bodies: BTreeMap<BodyRef, Bytes>) {
        self.rows = rows;
        self.bodies = bodies;
    }

    /// All bodies in order.
    pub fn bodies(&self) -> impl Iterator<Item = (BodyRef, &Bytes)> {
        self.bodies.iter().map(|(body, bytes)| (*body, bytes))
    }

    /// Runs one machine command as an entry of its own at `index` and commits it: the short road of unit tests.
    ///
    /// Errors: the command, or its reply, does not survive its own layout.
    pub fn run<M: Machine>(
        &mut self,
        host: &mut Host<M>,
        index: LogIndex,
        now: TimestampMs,
        command: &M::Command,
    ) -> Applied<M::Reply> {
        let mut entry = EntryWriter::default();
        entry.push(RequestId::NONE, &Command::Machine(command.to_bytes()));
        let seed = index.0.wrapping_mul(0x5851_f42d_4c95_7f2d);
        let outcome = host.apply(&[(index, entry.finish(now, seed))], self).map_err(|failure| failure.to_string())?;
        if let Some(parked) = outcome.parked {
            return Err(format!("parked: {}", parked.error));
        }
        self.commit(&outcome.rows);
        let answer = outcome.answers.into_iter().flatten().next();
        match answer {
            Some(Answer::Reply(reply)) => M::Reply::from_bytes(&reply).map_err(|error| error.to_string()),
            Some(Answer::Refused(refusal)) => Err(refusal.to_string()),
            None => Err(DecodeError::Short.to_string()),
        }
    }

    /// A host rebuilt from these rows.
    pub fn host<M: Machine>(&self, group: GroupId) -> Result<Host<M>, LoadError> {
        Host::load(group, self, Format::LATEST)
    }
}

impl RowSource for MemoryStore {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreFailure> {
        Ok(self.rows.get(key).cloned())
    }

    fn scan(&self, from: &[u8], to: &[u8], visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), StoreFailure> {
        if from < to {
            for (key, value) in self.rows.range::<[u8], _>((Bound::Included(from), Bound::Excluded(to))) {
                if !visit(key, value) {
                    break;
                }
            }
        }
        Ok(())
    }

    fn scan_back(
        &self,
        from: &[u8],
        to: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StoreFailure> {
        if from < to {
            for (key, value) in self.rows.range::<[u8], _>((Bound::Included(from), Bound::Excluded(to))).rev() {
                if !visit(key, value) {
                    break;
                }
            }
        }
        Ok(())
    }

    fn body(&self, body: BodyRef) -> Result<Option<Bytes>, StoreFailure> {
        Ok(self.bodies.get(&body).cloned())
    }
}
