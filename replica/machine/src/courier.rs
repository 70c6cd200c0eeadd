//! The courier: the one primitive for everything that crosses groups.
//!
//! The source keeps a record until the target acknowledged it; each track of a (source, target) pair counts without gaps;
//! the target stores the last number it applied. So a record is applied exactly once, whatever is killed, and one that the
//! target cannot take stays at its source with the reason, and holds up its own track only.
//!
//! ```text
//!  source rows  0x03 target track sequence -> record    target rows  0x05 source track -> epoch u64 | last u64
//!               0x04 target track -> next u64 | acked u64
//!               0x06 -> epoch u64
//! ```

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::contract::LoadError;
use crate::ids::{Destination, GroupId, Track};
use crate::layout::{DecodeError, Layout, Reader, Writer};
use crate::limits::COURIER_BATCH_MAX;
use crate::rows::{Key, RowSource, Rows, StoreFailure, prefix_end};

const RECORD: u8 = 0x03;
const OUT: u8 = 0x04;
const IN: u8 = 0x05;
const EPOCH: u8 = 0x06;

/// The answer of a target to a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The last sequence the target has applied; the source may forget everything up to it.
    pub applied: u64,
    /// Why the record after `applied` was not taken, if one was offered.
    pub refused: Option<String>,
}

impl Layout for Delivery {
    fn encode(&self, out: &mut Writer) {
        out.u64(self.applied);
        out.str(self.refused.as_deref().unwrap_or(""));
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        let applied = input.u64()?;
        let reason = input.str()?;
        Ok(Self { applied, refused: if reason.is_empty() { None } else { Some(reason) } })
    }
}

/// A record under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its number in the sequence of its track.
    pub sequence: u64,
    /// Its bytes.
    pub bytes: Bytes,
}

/// How far a track has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CourierStatus {
    /// The target and track.
    pub target: Destination,
    /// Records it has not acknowledged.
    pub waiting: u64,
    /// Sequence of the first of them.
    pub first: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Outbox {
    next: u64,
    acked: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Inbox {
    epoch: u64,
    last: u64,
}

/// Both ends of a group's courier.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Courier {
    epoch: u64,
    out: BTreeMap<Destination, Outbox>,
    inbox: BTreeMap<(GroupId, Track), Inbox>,
    /// The newest epoch seen of each source: the highest of its tracks.
    sources: BTreeMap<GroupId, u64>,
}

impl Courier {
    pub(crate) fn load(rows: &dyn RowSource) -> Result<Self, LoadError> {
        let epoch = match rows.get(&[EPOCH])? {
            Some(value) => Reader::new(value).u64().map_err(|error| LoadError::row(&[EPOCH], error))?,
            None => 1,
        };
        let out = load_pairs(rows, OUT)?.into_iter().map(|(to, (next, acked))| (to, Outbox { next, acked })).collect();
        let (mut inbox, mut sources) = (BTreeMap::new(), BTreeMap::new());
        for (Destination { group: source, track }, (epoch, last)) in load_pairs(rows, IN)? {
            inbox.insert((source, track), Inbox { epoch, last });
            let newest = sources.entry(source).or_insert(epoch);
            *newest = epoch.max(*newest);
        }
        Ok(Self { epoch, out, inbox, sources })
    }

    pub(crate) const fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(crate) fn post(&mut self, target: Destination, record: Bytes, rows: &mut Rows) {
        let outbox = self.out.entry(target).or_insert(Outbox { next: 1, acked: 0 });
        rows.put(record_key(target, outbox.next), record);
        outbox.next = outbox.next.saturating_add(1);
        rows.put(pair_key(OUT, target), pair(outbox.next, outbox.acked));
    }

    pub(crate) fn acknowledge(&mut self, target: Destination, upto: u64, rows: &mut Rows) {
        let Some(outbox) = self.out.get_mut(&target) else { return };
        let upto = upto.min(outbox.next.saturating_sub(1));
        while outbox.acked < upto {
            outbox.acked = outbox.acked.saturating_add(1);
            rows.delete(record_key(target, outbox.acked));
        }
        rows.put(pair_key(OUT, target), pair(outbox.next, outbox.acked));
    }

    /// The last sequence applied of a source's track under `epoch`. `None`: the epoch is an old one.
    pub(crate) fn last(&self, source: GroupId, track: Track, epoch: u64) -> Option<u64> {
        if self.sources.get(&source).is_some_and(|newest| epoch < *newest) {
            return None;
        }
        let inbox = self.inbox.get(&(source, track)).filter(|inbox| inbox.epoch == epoch);
        Some(inbox.map_or(0, |inbox| inbox.last))
    }

    pub(crate) fn applied(&mut self, (source, track): (GroupId, Track), epoch: u64, last: u64, rows: &mut Rows) {
        self.inbox.insert((source, track), Inbox { epoch, last });
        self.sources.insert(source, epoch);
        rows.put(pair_key(IN, Destination { group: source, track }), pair(epoch, last));
    }

    pub(crate) fn status(&self) -> Vec<CourierStatus> {
        let status = |(target, outbox): (&Destination, &Outbox)| {
            let first = outbox.acked.saturating_add(1);
            CourierStatus { target: *target, waiting: outbox.next.saturating_sub(first), first }
        };
        self.out.iter().map(status).filter(|status| status.waiting > 0).collect()
    }

    /// The first records that wait for `target`, at most a delivery's worth by count and `bytes_max` (but one at least).
    pub(crate) fn waiting(
        &self,
        target: Destination,
        bytes_max: usize,
        rows: &dyn RowSource,
    ) -> Result<Vec<Record>, StoreFailure> {
        let mut records = Vec::new();
        let mut bytes = 0_usize;
        let Some(outbox) = self.out.get(&target) else { return Ok(records) };
        let mut sequence = outbox.acked.saturating_add(1);
        let (from, to) = (record_key(target, sequence), record_key(target, outbox.next));
        rows.scan(&from, &to, &mut |_, value| {
            bytes = bytes.saturating_add(value.len());
            if records.len() >= COURIER_BATCH_MAX || (bytes > bytes_max && !records.is_empty()) {
                return false;
            }
            records.push(Record { sequence, bytes: Bytes::copy_from_slice(value) });
            sequence = sequence.saturating_add(1);
            true
        })?;
        Ok(records)
    }
}

/// The changes that begin a source anew, after its group was restored from a copy: the next epoch, and the records that wait
/// numbered from 1. Their targets, whatever they applied before, take them all.
pub fn renewed_courier(rows: &dyn RowSource) -> Result<Rows, LoadError> {
    let courier = Courier::load(rows)?;
    let mut changes = Rows::default();
    let mut epoch = Writer::with_capacity(8);
    epoch.u64(courier.epoch.saturating_add(1));
    changes.put(Key::from_static(&[EPOCH]), epoch.finish());
    for (target, outbox) in courier.out {
        let first = outbox.acked.saturating_add(1);
        let mut waiting = Vec::new();
        rows.scan(&record_key(target, first), &record_key(target, outbox.next), &mut |key, value| {
            waiting.push((Bytes::copy_from_slice(key), Bytes::copy_from_slice(value)));
            true
        })?;
        let mut next: u64 = 1;
        let (keys, records): (Vec<Key>, Vec<Bytes>) = waiting.into_iter().unzip();
        keys.into_iter().for_each(|key| changes.delete(key));
        for record in records {
            changes.put(record_key(target, next), record);
            next = next.saturating_add(1);
        }
        changes.put(pair_key(OUT, target), pair(next, 0));
    }
    Ok(changes)
}

fn record_key(target: Destination, sequence: u64) -> Key {
    let mut key = Writer::with_capacity(15);
    key.u8(RECORD);
    target.encode(&mut key);
    key.u64(sequence);
    key.finish()
}

fn pair_key(kind: u8, place: Destination) -> Key {
    let mut key = Writer::with_capacity(7);
    key.u8(kind);
    place.encode(&mut key);
    key.finish()
}

fn pair(first: u64, second: u64) -> Bytes {
    let mut value = Writer::with_capacity(16);
    value.u64(first);
    value.u64(second);
    value.finish()
}

fn load_pairs(rows: &dyn RowSource, kind: u8) -> Result<BTreeMap<Destination, (u64, u64)>, LoadError> {
    let mut pairs = BTreeMap::new();
    let mut broken = None;
    rows.scan(&[kind], &prefix_end(&[kind]), &mut |key, value| {
        match read_pair(key, value) {
            Ok((place, numbers)) => {
                pairs.insert(place, numbers);
            }
            Err(error) => broken = Some(LoadError::row(key, error)),
        }
        broken.is_none()
    })?;
    broken.map_or(Ok(pairs), Err)
}

fn read_pair(key: &[u8], value: &[u8]) -> Result<(Destination, (u64, u64)), DecodeError> {
    let mut input = Reader::new(Bytes::copy_from_slice(key));
    input.u8()?;
    let place = Destination::decode(&mut input)?;
    input.end()?;
    let mut input = Reader::new(Bytes::copy_from_slice(value));
    let numbers = (input.u64()?, input.u64()?);
    input.end()?;
    Ok((place, numbers))
}
