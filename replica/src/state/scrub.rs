//! The scrub of bodies: those in damaged entries of the log are looked for, and those in the store are read.
//!
//! ```text
//!  a damaged entry of the log ─> the places that name it ─> their checksums ─> quarantine
//!  bodies of the store, part by part ─> RocksDB's checksums ─> damage that no peer repairs: as when one is read
//! ```
//! A body that lies in the log is a part of its entry, and the scrub of the log reads it.
//!
//! Must never: keep an iterator from one part to the next. It would keep files and memory that are needed no more.

use std::collections::BTreeSet;

use machine::StoreFailure;
use rocksdb::{DB, ReadOptions};

use super::quarantine::Quarantine;
use super::settle::{body_of, read_kept_body, visit_places};
use super::tables::{BODIES, PLACES, failed, family};
use crate::log::GroupLog;

/// What a part of the store came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct StoreScrubbed {
    /// Bytes read.
    pub bytes: u64,
    /// The body to go on with. `None`: all were read.
    pub next: Option<u64>,
}

/// Reads the bodies that lie in these entries of the log, and sets aside those that are damaged.
pub(super) fn entries(
    db: &DB,
    log: &GroupLog,
    entries: &BTreeSet<u64>,
    quarantine: &Quarantine,
) -> Result<(), StoreFailure> {
    let places = family(db, PLACES)?;
    visit_places(db, places, &mut |body, kept| {
        if entries.contains(&kept.place.index)
            && let Err(failure) = read_kept_body(log, body, &kept)
            && db.get_pinned_cf(places, body.0.to_be_bytes()).map_err(failed)?.is_some()
        {
            quarantine.add(body, kept, &failure);
        }
        Ok(())
    })
}

/// Reads about `bytes_max` of the bodies in the store, from one on. Errors: one of them cannot be read.
pub(super) fn stored(db: &DB, from: u64, bytes_max: u64) -> Result<StoreScrubbed, StoreFailure> {
    // What is read once would push out what is read often.
    let mut once = ReadOptions::default();
    once.fill_cache(false);
    let mut bodies = db.raw_iterator_cf_opt(family(db, BODIES)?, once);
    let mut scrubbed = StoreScrubbed::default();
    bodies.seek(from.to_be_bytes());
    while let Some((key, value)) = bodies.item() {
        if scrubbed.bytes >= bytes_max {
            scrubbed.next = Some(body_of(key)?.0);
            break;
        }
        scrubbed.bytes += (key.len() + value.len()) as u64;
        bodies.next();
    }
    bodies.status().map_err(failed)?;
    Ok(scrubbed)
}
