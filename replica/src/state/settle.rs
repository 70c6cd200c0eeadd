//! Bodies that outlive their place in the log are moved: into the store, before the log is purged, or into a snapshot.
//!
//! ```text
//!  log ── 128 MiB ──┐                         settle(upto):  places with an entry up to it ─> bodies, in small batches
//!  places ──────────┴─> body                  complete:      all places of a checkpoint    ─> bodies.log beside it
//!  bodies ────────────> body                  ingest:        bodies.log ─> bodies; the places of the sender are dropped
//! ```
//!
//! Must never: bring back a body that was dropped meanwhile, or drop a place before what it named is in the same batch.

use std::io;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use machine::{BodyRef, StoreFailure};
use parking_lot::Mutex;
use rocksdb::{ColumnFamily, DB, FlushOptions, IteratorMode, Options, ReadOptions, WriteBatch, WriteOptions};

use super::bodies::{BodiesWriter, Kept, read_bodies, read_kept};
use super::quarantine::Quarantine;
use super::tables::{BODIES, PLACES, POSITION, ROWS, failed, family};
use super::weight::Bodies;
use crate::limits::{COUNTED_AT_ONCE, MOVE_PAUSE_MS_MAX, MOVED_BYTES_MAX, MOVED_COUNT_MAX};
use crate::log::GroupLog;

/// Held by whoever writes: a commit, or a batch of bodies that is moved. True once the store may hold bodies: to drop one is
/// to drop it there too, and most stores never do.
pub(super) type Commits = Mutex<bool>;

/// The bytes of a kept body. `None`: the log holds its entry no more. Errors: the disk fails, or the bytes are damaged.
pub(super) fn read_kept_body(log: &GroupLog, body: BodyRef, kept: &Kept) -> Result<Option<Bytes>, StoreFailure> {
    let Some(bytes) = log.body(&kept.place).map_err(failed)? else { return Ok(None) };
    if kept.is(&bytes) {
        return Ok(Some(bytes));
    }
    Err(StoreFailure(format!("body {} in entry {} of the log fails its checksum", body.0, kept.place.index)))
}

pub(super) fn body_of(key: &[u8]) -> Result<BodyRef, StoreFailure> {
    let number = <[u8; 8]>::try_from(key).map_err(|_| StoreFailure("the key of a place has 8 bytes".to_owned()))?;
    Ok(BodyRef(u64::from_be_bytes(number)))
}

/// Every place of `places`.
pub(super) fn visit_places(
    db: &DB,
    places: &ColumnFamily,
    visit: &mut dyn FnMut(BodyRef, Kept) -> Result<(), StoreFailure>,
) -> Result<(), StoreFailure> {
    // What is read once would push out what is read often.
    let mut once = ReadOptions::default();
    once.fill_cache(false);
    for item in db.iterator_cf_opt(places, once, IteratorMode::Start) {
        let (key, value) = item.map_err(failed)?;
        visit(body_of(&key)?, read_kept(value.into_vec())?)?;
    }
    Ok(())
}

/// Moves the bodies of entries up to `upto` out of the log. `commits` is held for each batch: a body that a commit drops
/// meanwhile is gone when its batch is made, or is dropped from the store after it. After each batch as much time passes as
/// it took. What is damaged stays where it is, and is set aside. Returns what is left in the log.
pub(super) fn settle(
    db: &DB,
    log: &GroupLog,
    upto: u64,
    commits: &Commits,
    quarantine: &Quarantine,
) -> Result<Bodies, StoreFailure> {
    let places = family(db, PLACES)?;
    let (mut moved, mut bytes_moved, mut begun, mut left) = (Vec::new(), 0, Instant::now(), Bodies::default());
    visit_places(db, places, &mut |body, kept| {
        if kept.place.index > upto {
            left.add(u64::from(kept.place.bytes));
            return Ok(());
        }
        let gone = || StoreFailure(format!("body {} is not in the log any more", body.0));
        let bytes = match read_kept_body(log, body, &kept) {
            Ok(Some(bytes)) => bytes,
            // Dropped since the scan began and purged with its entry: nothing is missed.
            Ok(None) if db.get_cf(places, body.0.to_be_bytes()).map_err(failed)?.is_none() => return Ok(()),
            Ok(None) => {
                quarantine.add(body, kept, &gone());
                return Ok(());
            }
            Err(failure) => {
                quarantine.add(body, kept, &failure);
                return Ok(());
            }
        };
        bytes_moved += bytes.len();
        moved.push((body, bytes));
        if bytes_moved >= MOVED_BYTES_MAX || moved.len() >= MOVED_COUNT_MAX {
            bytes_moved = 0;
            move_batch(db, std::mem::take(&mut moved), commits)?;
            give_way(&mut begun);
        }
        Ok(())
    })?;
    move_batch(db, moved, commits)?;
    Ok(left)
}

/// Counts the places. After some of them as much time passes as they took.
pub(super) fn count(db: &DB) -> Result<Bodies, StoreFailure> {
    let (mut found, mut begun) = (Bodies::default(), Instant::now());
    visit_places(db, family(db, PLACES)?, &mut |_, kept| {
        found.add(u64::from(kept.place.bytes));
        if found.count.is_multiple_of(COUNTED_AT_ONCE) {
            give_way(&mut begun);
        }
        Ok(())
    })?;
    Ok(found)
}

/// Lets as much time pass as was spent since `begun`: whoever sends goes on beside.
fn give_way(begun: &mut Instant) {
    thread::sleep(begun.elapsed().min(Duration::from_millis(MOVE_PAUSE_MS_MAX)));
    *begun = Instant::now();
}

/// Puts bodies into the store in the place of their places. One that was dropped meanwhile stays dropped.
pub(super) fn move_batch(db: &DB, moved: Vec<(BodyRef, Bytes)>, commits: &Commits) -> Result<(), StoreFailure> {
    let (places, bodies) = (family(db, PLACES)?, family(db, BODIES)?);
    let mut has_stored = commits.lock();
    let mut batch = WriteBatch::default();
    for (body, bytes) in moved {
        let key = body.0.to_be_bytes();
        if db.get_pinned_cf(places, key).map_err(failed)?.is_some() {
            *has_stored = true;
            batch.put_cf(bodies, key, bytes);
            batch.delete_cf(places, key);
        }
    }
    db.write_opt(batch, &no_wal()).map_err(failed)
}

/// Writes the bodies that the places of the checkpoint in `folder` name beside it. Errors: the disk fails, or some are
/// damaged; those are set aside, and a later checkpoint has them whole.
pub(super) fn complete(folder: &Path, log: &GroupLog, quarantine: &Quarantine) -> io::Result<()> {
    let db = DB::open_cf_for_read_only(&Options::default(), folder, [ROWS, BODIES, PLACES, POSITION], false);
    let db = db.map_err(io::Error::other)?;
    let mut out = BodiesWriter::create(folder)?;
    let places = family(&db, PLACES).map_err(io::Error::other)?;
    let mut damage = None;
    let written = visit_places(&db, places, &mut |body, kept| {
        let gone = || StoreFailure(format!("body {} is not in the log any more", body.0));
        match read_kept_body(log, body, &kept).and_then(|bytes| bytes.ok_or_else(gone)) {
            Ok(bytes) => out.add(body, &bytes).map_err(failed),
            Err(failure) => {
                quarantine.add(body, kept, &failure);
                damage.get_or_insert(failure);
                Ok(())
            }
        }
    });
    written.map_err(io::Error::other)?;
    match damage {
        Some(failure) => Err(io::Error::other(failure)),
        None => out.finish(),
    }
}

/// Takes the bodies of the snapshot in `folder` into the store of `db`, whose places are another replica's, and flushes.
pub(super) fn ingest(db: &DB, folder: &Path) -> Result<(), StoreFailure> {
    let (places, bodies) = (family(db, PLACES)?, family(db, BODIES)?);
    let mut batch = WriteBatch::default();
    batch.delete_range_cf(places, [0; 8].as_slice(), [u8::MAX; 9].as_slice());
    let read = read_bodies(folder, &mut |body, bytes| {
        batch.put_cf(bodies, body.to_be_bytes(), bytes);
        if batch.size_in_bytes() < MOVED_BYTES_MAX {
            return Ok(());
        }
        db.write_opt(std::mem::take(&mut batch), &no_wal()).map_err(io::Error::other)
    });
    read.map_err(failed)?;
    db.write_opt(batch, &no_wal()).map_err(failed)?;
    let all = [family(db, ROWS)?, bodies, places, family(db, POSITION)?];
    db.flush_cfs_opt(&all, &FlushOptions::default()).map_err(failed)
}

/// Rows have no log of their own.
pub(super) fn no_wal() -> WriteOptions {
    let mut options = WriteOptions::default();
    options.disable_wal(true);
    options
}
