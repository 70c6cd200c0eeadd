//! How RocksDB keeps rows: its column families, the shape of its tables, and the memory that all stores of a process share.
//!
//! Must never: give a store a log of its own, or a compaction the processor that somebody else wants.

use std::path::Path;

use machine::StoreFailure;
use rocksdb::{
    BlockBasedIndexType, BlockBasedOptions, Cache, ColumnFamily, DB, DBCompressionType, Env, LruCacheOptions, Options,
    WriteBufferManager,
};

use super::weight::LogWeight;
use crate::limits::{
    BODY_STORED_BYTES_MAX, FIRST_LEVEL_BYTES, ROWS_CACHE_SHARD_BITS, ROWS_MEMORY_BYTES, TABLE_FILE_BYTES,
    TABLE_FILES_OPEN_MAX, WRITE_BUFFERS_BYTES,
};

pub(super) const ROWS: &str = "rows";
pub(super) const BODIES: &str = "bodies";
pub(super) const PLACES: &str = "places";
pub(super) const POSITION: &str = "position";

/// What all row stores of a process share: memory, and the log.
#[derive(Clone)]
pub(crate) struct RocksBudget {
    cache: Cache,
    buffers: WriteBufferManager,
    pub(super) in_log: LogWeight,
    /// `None`: RocksDB has none to give.
    env: Option<Env>,
}

impl Default for RocksBudget {
    fn default() -> Self {
        let mut shape = LruCacheOptions::default();
        shape.set_capacity(ROWS_MEMORY_BYTES);
        shape.set_num_shard_bits(ROWS_CACHE_SHARD_BITS);
        let cache = Cache::new_lru_cache_opts(&shape);
        let buffers =
            WriteBufferManager::new_write_buffer_manager_with_cache(WRITE_BUFFERS_BYTES, false, cache.clone());
        Self { cache, buffers, in_log: LogWeight::default(), env: patient_env() }
    }
}

/// Compactions come in bursts, on all replicas at once: they take what processor nobody else wants.
fn patient_env() -> Option<Env> {
    let mut env = Env::new().ok()?;
    env.lower_thread_pool_cpu_priority();
    Some(env)
}

/// Opens the database in a folder, or makes it. Errors: the disk, damage.
pub(super) fn open_db(path: &Path, budget: &RocksBudget) -> Result<DB, rocksdb::Error> {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_atomic_flush(true);
    options.set_write_buffer_manager(&budget.buffers);
    if let Some(env) = &budget.env {
        options.set_env(env);
    }
    options.set_max_background_jobs(2);
    options.set_keep_log_file_num(4);
    options.set_max_open_files(TABLE_FILES_OPEN_MAX);
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(&budget.cache);
    table.set_bloom_filter(10.0, false);
    // The index and the filter of a file are read by parts: as one block each they outgrow a shard of a small cache, and
    // would be read and checked whole for every lookup.
    table.set_index_type(BlockBasedIndexType::TwoLevelIndexSearch);
    table.set_partition_filters(true);
    table.set_cache_index_and_filter_blocks(true);
    table.set_pin_top_level_index_and_filter(true);
    let mut family = Options::default();
    family.set_block_based_table_factory(&table);
    family.set_compression_type(DBCompressionType::Lz4);
    // Rows that live shortly should die in memory: several write buffers are merged before they reach a file.
    family.set_write_buffer_size(32 * 1024 * 1024);
    family.set_max_write_buffer_number(6);
    family.set_min_write_buffer_number_to_merge(2);
    // Rows of messages come in the order of their keys, beside few that are written again and again. With a small first level
    // of small files what was merged once is not merged again: it goes down as it is, since nothing there overlaps it.
    family.set_max_bytes_for_level_base(FIRST_LEVEL_BYTES);
    family.set_target_file_size_base(TABLE_FILE_BYTES);
    // A body that was moved is written once more and never again: compactions carry its key alone.
    let mut bodies = family.clone();
    bodies.set_enable_blob_files(true);
    bodies.set_min_blob_size(BODY_STORED_BYTES_MAX as u64);
    bodies.set_enable_blob_gc(true);
    let families = [
        (ROWS, family.clone()),
        (PLACES, family.clone()),
        (BODIES, bodies),
        (POSITION, family),
        ("default", Options::default()),
    ];
    DB::open_cf_with_opts(&options, path, families)
}

/// A column family by its name. Errors: there is none.
pub(super) fn family<'db>(db: &'db DB, name: &str) -> Result<&'db ColumnFamily, StoreFailure> {
    db.cf_handle(name).ok_or_else(|| StoreFailure(format!("column family {name} is missing")))
}

pub(super) fn failed(error: impl std::fmt::Display) -> StoreFailure {
    StoreFailure(error.to_string())
}
