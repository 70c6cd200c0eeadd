//! Rows in RocksDB, without a write-ahead log of its own: after a crash the Raft log brings back what was not flushed.
//!
//! ```text
//!  folder/CURRENT        name of the folder in force, replaced by rename
//!  folder/rows-7/        the database: column families rows, places, bodies, position
//!  folder/checkpoint-9/  the newest snapshot (hard links)
//!  folder/incoming-…/    a snapshot under way
//! ```
//!
//! Invariant: all column families flush together (atomic flush), so that rows, bodies and position always agree. A body
//! lies in the log or in the store, never in neither, while the machine keeps it.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use machine::{BodyChange, BodyRef, Key, Layout as _, LogIndex, RowSource, Rows, StoreFailure};
use parking_lot::{Mutex, RwLock};
use rocksdb::checkpoint::Checkpoint;
use rocksdb::{DB, Direction, IteratorMode, Options, ReadOptions, WriteBatch};

use super::bodies::{BODIES_FILE, Kept, Payloads, read_kept};
use super::engine::{Position, RowEngine, read_position};
use super::quarantine::Quarantine;
use super::scrub::{self, StoreScrubbed};
use super::settle::{Commits, complete, count, ingest, move_batch, no_wal, read_kept_body, settle};
use super::snapshot::{SnapshotData, SnapshotWriter};
use super::tables::{BODIES, PLACES, POSITION, ROWS, RocksBudget, failed, family, open_db};
use super::weight::{Bodies, GroupWeight};
use crate::limits::BODY_STORED_BYTES_MAX;
use crate::log::GroupLog;

pub(super) const CURRENT: &str = "CURRENT";

/// The rows of one group.
pub(crate) struct RocksRows {
    folder: PathBuf,
    budget: RocksBudget,
    db: RwLock<Arc<DB>>,
    next_folder: AtomicU64,
    log: GroupLog,
    commits: Commits,
    in_log: GroupWeight,
    quarantine: Arc<Quarantine>,
    /// The first thing that could not be read and that no peer can bring.
    damage: Mutex<Option<String>>,
}

impl RocksRows {
    /// Opens or creates the rows in `folder`, whose bodies lie in `log`, and removes what an interrupted snapshot left.
    pub(crate) fn open(folder: &Path, budget: RocksBudget, log: GroupLog) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let current = match fs::read_to_string(folder.join(CURRENT)) {
            Ok(name) => name,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                write_current(folder, "rows-0")?;
                "rows-0".to_owned()
            }
            Err(error) => return Err(error),
        };
        let mut highest: u64 = 0;
        for item in fs::read_dir(folder)? {
            let item = item?;
            let name = item.file_name().to_string_lossy().into_owned();
            highest = highest.max(name.rsplit('-').next().and_then(|tail| tail.parse().ok()).unwrap_or(0));
            if name != CURRENT && name != current && !name.starts_with("incoming-") {
                fs::remove_dir_all(item.path())?;
            }
        }
        let db = open_db(&folder.join(current), &budget).map_err(io::Error::other)?;
        let has_any = |name| has_any(&db, name).map_err(io::Error::other);
        Ok(Self {
            folder: folder.to_owned(),
            in_log: GroupWeight::new(budget.in_log.clone(), !has_any(PLACES)?),
            budget,
            commits: Commits::new(has_any(BODIES)?),
            db: RwLock::new(Arc::new(db)),
            next_folder: AtomicU64::new(highest.saturating_add(1)),
            log,
            quarantine: Arc::default(),
            damage: Mutex::new(None),
        })
    }

    pub(super) fn db(&self) -> Arc<DB> {
        Arc::clone(&self.db.read())
    }

    fn new_path(&self, kind: &str) -> PathBuf {
        self.folder.join(format!("{kind}-{}", self.next_folder.fetch_add(1, Ordering::Relaxed)))
    }

    fn read_body(&self, body: BodyRef) -> Result<Option<Bytes>, StoreFailure> {
        let (db, key) = (self.db(), body.0.to_be_bytes());
        let kept = db.get_cf(family(&db, PLACES)?, key).map_err(failed)?.map(read_kept).transpose()?;
        if let Some(kept) = kept {
            match read_kept_body(&self.log, body, &kept) {
                Ok(None) => {}
                Ok(bytes) => return Ok(bytes),
                Err(failure) if db.get_cf(family(&db, PLACES)?, key).map_err(failed)?.is_some() => {
                    self.quarantine.add(body, kept, &failure);
                    return Err(failure);
                }
                // It was dropped or repaired meanwhile: the store knows.
                Err(_) => return Ok(db.get_cf(family(&db, BODIES)?, key).map_err(failed)?.map(Bytes::from)),
            }
        }
        // It was never in the log, or was moved while it was looked for there.
        let stored = db.get_cf(family(&db, BODIES)?, key).map_err(failed)?.map(Bytes::from);
        match (stored, kept) {
            (None, Some(kept)) => {
                let index = kept.place.index;
                let gone = StoreFailure(format!("body {} is not in the log any more, nor its entry {index}", body.0));
                self.quarantine.add(body, kept, &gone);
                Err(gone)
            }
            (stored, _) => Ok(stored),
        }
    }

    /// Places for the bodies that came in these entries; small ones, and what a machine made itself, go to the store. Returns
    /// whether the store may hold bodies now.
    fn add_bodies(
        &self,
        db: &DB,
        batch: &mut WriteBatch,
        rows: &Rows,
        entries: &[(LogIndex, Bytes)],
        mut has_stored: bool,
    ) -> Result<bool, StoreFailure> {
        let (places, bodies) = (family(db, PLACES)?, family(db, BODIES)?);
        let (payloads, mut in_log, mut dropped) = (Payloads::new(entries), Bodies::default(), 0);
        for (body, change) in rows.bodies() {
            let key = body.0.to_be_bytes();
            match change {
                BodyChange::Keep(bytes) => {
                    let place = payloads.find(bytes).filter(|_| bytes.len() > BODY_STORED_BYTES_MAX);
                    if let Some(place) = place {
                        let kept = Kept { place, checksum: crc32fast::hash(bytes) };
                        batch.put_cf(places, key, kept.to_bytes());
                        in_log.add(u64::from(place.bytes));
                    } else {
                        has_stored = true;
                        batch.put_cf(bodies, key, bytes);
                    }
                }
                BodyChange::Drop => {
                    dropped += 1;
                    batch.delete_cf(places, key);
                    if has_stored {
                        batch.delete_cf(bodies, key);
                    }
                }
            }
        }
        self.in_log.commit(in_log, dropped);
        Ok(has_stored)
    }

    fn scan_in(
        &self,
        options: ReadOptions,
        mode: IteratorMode,
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StoreFailure> {
        let db = self.db();
        for item in db.iterator_cf_opt(family(&db, ROWS)?, options, mode) {
            let (key, value) = item.map_err(failed)?;
            if !visit(&key, &value) {
                break;
            }
        }
        Ok(())
    }
}

impl RowSource for RocksRows {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreFailure> {
        let db = self.db();
        Ok(db.get_cf(family(&db, ROWS)?, key).map_err(failed)?.map(Bytes::from))
    }

    fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Bytes>>, StoreFailure> {
        let db = self.db();
        let values = db.batched_multi_get_cf(family(&db, ROWS)?, keys, true);
        let value = |value: Result<Option<rocksdb::DBPinnableSlice<'_>>, rocksdb::Error>| {
            Ok(value.map_err(failed)?.map(|slice| Bytes::copy_from_slice(&slice)))
        };
        values.into_iter().map(value).collect()
    }

    fn scan(&self, from: &[u8], to: &[u8], visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), StoreFailure> {
        if from >= to {
            return Ok(());
        }
        self.scan_in(between(from, to), IteratorMode::From(from, Direction::Forward), visit)
    }

    fn scan_back(
        &self,
        from: &[u8],
        to: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StoreFailure> {
        if from >= to {
            return Ok(());
        }
        self.scan_in(between(from, to), IteratorMode::End, visit)
    }

    fn body(&self, body: BodyRef) -> Result<Option<Bytes>, StoreFailure> {
        let read = self.read_body(body);
        if let Err(failure) = &read
            && self.quarantine.is_lost(body, &[]).is_none()
        {
            self.damage.lock().get_or_insert_with(|| failure.0.clone());
        }
        read
    }
}

impl RowEngine for RocksRows {
    fn commit(
        &self,
        rows: Option<&Rows>,
        entries: &[(LogIndex, Bytes)],
        position: &Position,
    ) -> Result<(), StoreFailure> {
        let db = self.db();
        let row_family = family(&db, ROWS)?;
        let mut has_stored = self.commits.lock();
        let mut batch = WriteBatch::default();
        if let Some(rows) = rows {
            for (key, value) in rows.changes() {
                match value {
                    Some(value) => batch.put_cf(row_family, key, value),
                    None => batch.delete_cf(row_family, key),
                }
            }
            *has_stored = self.add_bodies(&db, &mut batch, rows, entries, *has_stored)?;
        }
        batch.put_cf(family(&db, POSITION)?, POSITION, position.to_bytes());
        db.write_opt(batch, &no_wal()).map_err(failed)
    }

    fn position(&self) -> Result<Position, StoreFailure> {
        let db = self.db();
        position_of(&db)
    }

    fn checkpoint(&self) -> Result<(Position, SnapshotData), StoreFailure> {
        let db = self.db();
        let path = self.new_path("checkpoint");
        Checkpoint::new(&db).and_then(|checkpoint| checkpoint.create_checkpoint(&path)).map_err(failed)?;
        // The copy says itself where it stands: commits may have gone on while it was made.
        let copy = DB::open_cf_for_read_only(&Options::default(), &path, [ROWS, BODIES, PLACES, POSITION], false);
        let position = copy.map_err(failed).and_then(|copy| position_of(&copy))?;
        let (log, folder, quarantine) = (self.log.clone(), path.clone(), Arc::clone(&self.quarantine));
        let data = SnapshotData::of_folder(path).map_err(failed)?;
        Ok((position, data.completed_by(move || complete(&folder, &log.held(), &quarantine))))
    }

    fn settle(&self, upto: u64) -> Result<(), StoreFailure> {
        self.in_log.recount(|| settle(&self.db(), &self.log, upto, &self.commits, &self.quarantine))
    }

    fn bytes_in_log(&self) -> Option<u64> {
        self.budget.in_log.bytes()
    }

    fn count_in_log(&self) -> Result<(), StoreFailure> {
        if self.in_log.begin_count() { self.in_log.recount(|| count(&self.db())) } else { Ok(()) }
    }

    fn quarantine(&self) -> Vec<(BodyRef, String)> {
        let listed = self.quarantine.list();
        if listed.is_empty() {
            return listed;
        }
        let db = self.db();
        // What was dropped or moved since has no place any more, and nobody asks for it: peers have dropped it too.
        let is_wanted = |body: &BodyRef| {
            let place = family(&db, PLACES).map(|places| db.get_pinned_cf(places, body.0.to_be_bytes()));
            !matches!(place, Ok(Ok(None)))
        };
        let (wanted, done): (Vec<_>, Vec<_>) = listed.into_iter().partition(|(body, _)| is_wanted(body));
        done.iter().for_each(|(body, _)| self.quarantine.release(*body));
        wanted
    }

    fn repair(&self, body: BodyRef, bytes: &Bytes) -> Result<bool, StoreFailure> {
        match self.quarantine.is_lost(body, bytes) {
            None => Ok(true),
            Some(false) => Ok(false),
            Some(true) => {
                move_batch(&self.db(), vec![(body, bytes.clone())], &self.commits)?;
                self.quarantine.release(body);
                Ok(true)
            }
        }
    }

    fn scrub_entries(&self, entries: &BTreeSet<u64>) -> Result<(), StoreFailure> {
        scrub::entries(&self.db(), &self.log, entries, &self.quarantine)
    }

    fn scrub_store(&self, from: u64, bytes_max: u64) -> Result<StoreScrubbed, StoreFailure> {
        scrub::stored(&self.db(), from, bytes_max).inspect_err(|failure| {
            self.damage.lock().get_or_insert_with(|| failure.0.clone());
        })
    }

    fn damage(&self) -> Option<String> {
        self.damage.lock().clone().or_else(|| self.quarantine.overflow())
    }

    fn install(&self, data: &SnapshotData) -> Result<(), StoreFailure> {
        // One that came from another node is complete already.
        let data = data.complete().map_err(failed)?;
        let source = data.folder().ok_or_else(|| StoreFailure("the snapshot is not a folder".to_owned()))?;
        let path = self.new_path("rows");
        copy_links(source, &path).map_err(failed)?;
        let db = open_db(&path, &self.budget).map_err(failed)?;
        ingest(&db, source)?;
        *self.commits.lock() = true;
        self.in_log.clear();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        write_current(&self.folder, &name).map_err(failed)?;
        let old = std::mem::replace(&mut *self.db.write(), Arc::new(db));
        let old_path = old.path().to_owned();
        drop(old);
        // Readers may still hold the old database; what cannot go now goes at the next start.
        if let Err(error) = fs::remove_dir_all(&old_path) {
            tracing::warn!(folder = %old_path.display(), %error, "old rows could not be removed yet");
        }
        Ok(())
    }

    fn receive(&self, from: u64, id: u64) -> Result<SnapshotWriter, StoreFailure> {
        let mine = format!("incoming-{from}-{id}");
        for item in fs::read_dir(&self.folder).map_err(failed)? {
            let item = item.map_err(failed)?;
            let name = item.file_name();
            if name.to_string_lossy().starts_with("incoming-") && name.to_string_lossy() != mine {
                fs::remove_dir_all(item.path()).map_err(failed)?;
            }
        }
        let folder = self.folder.join(mine);
        fs::create_dir_all(&folder).map_err(failed)?;
        Ok(SnapshotWriter::Folder(folder))
    }

    fn visit_rows(&self, visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StoreFailure> {
        self.scan_in(ReadOptions::default(), IteratorMode::Start, &mut |key, value| {
            visit(key, value);
            true
        })
    }
}

fn has_any(db: &DB, name: &str) -> Result<bool, StoreFailure> {
    let mut keys = db.raw_iterator_cf(family(db, name)?);
    keys.seek_to_first();
    let is_one = keys.valid();
    keys.status().map_err(failed)?;
    Ok(is_one)
}

pub(super) fn position_of(db: &DB) -> Result<Position, StoreFailure> {
    let value = db.get_cf(family(db, POSITION)?, POSITION).map_err(failed)?;
    value.map_or_else(|| Ok(Position::default()), read_position)
}

fn between(from: &[u8], to: &[u8]) -> ReadOptions {
    let mut options = ReadOptions::default();
    options.set_iterate_lower_bound(from);
    options.set_iterate_upper_bound(to);
    options
}

/// Names the folder in force: written beside, synced, renamed, and the folder synced.
fn write_current(folder: &Path, name: &str) -> io::Result<()> {
    let beside = folder.join("CURRENT.new");
    let mut file = File::create(&beside)?;
    file.write_all(name.as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, folder.join(CURRENT))?;
    File::open(folder)?.sync_all()
}

fn copy_links(source: &Path, target: &Path) -> io::Result<()> {
    fs::create_dir_all(target)?;
    for item in fs::read_dir(source)? {
        let item = item?;
        if item.file_name() == BODIES_FILE {
            continue;
        }
        let to = target.join(item.file_name());
        // Table files never change and can be shared; the few others are written to and must be copies.
        let name = item.file_name();
        let shared = [".sst", ".blob"].iter().any(|end| name.to_string_lossy().ends_with(end));
        if shared {
            fs::hard_link(item.path(), &to)?;
        } else {
            fs::copy(item.path(), &to)?;
        }
        File::open(&to)?.sync_all()?;
    }
    File::open(target)?.sync_all()
}
