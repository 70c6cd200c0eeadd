//! Laws of the logs: openraft's own suite over both engines, and what damage of the files on disk is seen as.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use bytes::Bytes;
use machine::{Context, DecodeError, GroupId, Key, Layout, LoadError, Machine, Reader, RowSource, Rows, Writer};
use openraft::StorageError;
use openraft::impls::leader_id_adv::LeaderId;
use openraft::testing::log::{StoreBuilder, Suite};
use tempfile::TempDir;

use super::engine::{Job, LogEngine, LogOp, LogStart};
use super::{FsyncGauge, GroupLog, MemoryDisk, MemoryLog, SegmentLog};
use crate::codec;
use crate::identity::Knowledge;
use crate::raft_types::{Config, Entry, LogId, Payload};
use crate::state::{Applied, Driver, MemoryRows, RocksBudget, RocksRows, RowEngine};

const GROUP: GroupId = GroupId(7);

/// The machine of the suite: it is told nothing.
#[derive(Debug)]
struct Nothing;

/// Its command and its reply.
#[derive(Debug)]
struct Silence;

impl Layout for Silence {
    fn encode(&self, _: &mut Writer) {}

    fn decode(_: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self)
    }
}

impl Machine for Nothing {
    type Command = Silence;
    type Reply = Silence;

    fn load(_: &dyn RowSource) -> Result<Self, LoadError> {
        Ok(Self)
    }

    fn keys(_: &Silence, _: &mut Vec<Key>) {}

    fn apply(&mut self, _: &Context, _: Silence, _: &mut Rows) -> Silence {
        Silence
    }

    fn seal(&mut self, _: &mut Rows) {}
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn open(folder: &Path) -> io::Result<SegmentLog> {
    SegmentLog::open(&folder.join("log"), Arc::default())
}

fn driver(rows: Arc<dyn RowEngine>, log: GroupLog) -> Driver<Nothing> {
    Driver::new(Arc::new(Applied::load(GROUP, rows, Knowledge::latest()).expect("empty rows load")), log)
}

struct OnDisk;

impl StoreBuilder<Config, GroupLog, Driver<Nothing>, TempDir> for OnDisk {
    async fn build(&self) -> Result<(TempDir, GroupLog, Driver<Nothing>), StorageError<Config>> {
        let folder = folder();
        let log = GroupLog::open(GROUP, Arc::new(open(folder.path()).expect("a new log opens")));
        let log = log.expect("an empty group opens");
        let rows = RocksRows::open(&folder.path().join("rows"), RocksBudget::default(), log.clone());
        Ok((folder, log.clone(), driver(Arc::new(rows.expect("new rows open")), log)))
    }
}

struct InMemory;

impl StoreBuilder<Config, GroupLog, Driver<Nothing>> for InMemory {
    async fn build(&self) -> Result<((), GroupLog, Driver<Nothing>), StorageError<Config>> {
        let engine = MemoryLog::open(Arc::new(MemoryDisk::default()), || Duration::from_micros(100));
        let log = GroupLog::open(GROUP, Arc::new(engine)).expect("an empty group opens");
        Ok(((), log.clone(), driver(Arc::new(MemoryRows::default()), log)))
    }
}

#[tokio::test]
async fn segments_keep_what_raft_demands_of_a_store() {
    Suite::test_all(OnDisk).await.expect("every law of the suite holds");
}

#[tokio::test]
async fn memory_keeps_what_raft_demands_of_a_store() {
    Suite::test_all(InMemory).await.expect("every law of the suite holds");
}

fn append(index: u64) -> LogOp {
    let log_id = LogId::new(LeaderId { term: 1, node_id: 1 }, index);
    let payload = openraft::EntryPayload::Normal(Payload(Bytes::from(vec![0x5a; 300])));
    LogOp::Append { index, frame: codec::Frame::of(&Entry { log_id, payload }) }
}

fn try_submit(log: &SegmentLog, ops: Vec<LogOp>) -> io::Result<()> {
    let (sender, receiver) = channel();
    let done = move |result: io::Result<()>| sender.send(result).expect("the test waits");
    log.submit(Job { group: GROUP, ops, done: Some(Box::new(done)) });
    receiver.recv().expect("the writer answers")
}

fn submit(log: &SegmentLog, ops: Vec<LogOp>) {
    try_submit(log, ops).expect("written");
}

/// A log of `entries` entries, each synced on its own, and closed.
fn written(entries: u64) -> TempDir {
    let folder = folder();
    let log = open(folder.path()).expect("a new log opens");
    for index in 0..entries {
        submit(&log, vec![append(index)]);
    }
    folder
}

fn reopened(folder: &Path) -> io::Result<LogStart> {
    open(folder)?.start(GROUP)
}

/// The segment of a log that was written by one boot, and where its records end.
fn records(folder: &Path) -> (PathBuf, u64) {
    let mark = fs::read(folder.join("log.synced")).expect("the mark");
    let place = u32::from_be_bytes(mark[8..12].try_into().expect("the mark ends with the place"));
    (folder.join("log").join("segment-00000000000000000001"), u64::from(place))
}

#[test]
fn a_log_that_was_closed_opens_where_it_ended() {
    let folder = written(20);
    let start = reopened(folder.path()).expect("an intact log opens");
    assert_eq!(start.last.map(|id| id.index), Some(19));
}

#[test]
fn a_truncated_log_is_refused() {
    for cut in [1, 100, 1000, 4000] {
        let folder = written(20);
        let (path, length) = records(folder.path());
        File::options().write(true).open(&path).expect("the file").set_len(length - cut).expect("cut");
        let found = reopened(folder.path());
        assert!(found.is_err(), "{cut} bytes were cut off and nobody saw it: {found:?}");
    }
}

#[test]
fn a_flipped_bit_is_refused_wherever_it_lies() {
    const PLACES: u64 = 60;
    for place in 0..PLACES {
        let folder = written(20);
        let (path, length) = records(folder.path());
        let file = File::options().read(true).write(true).open(&path).expect("the file");
        let at = length * place / PLACES + 3;
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).expect("a byte");
        file.write_all_at(&[byte[0] ^ 0x10], at).expect("the byte flipped");
        let found = reopened(folder.path());
        assert!(found.is_err(), "a bit of byte {at} was flipped and nobody saw it: {found:?}");
    }
}

#[test]
fn a_record_that_was_damaged_before_it_was_written_is_refused() {
    let folder = written(5);
    let LogOp::Append { index, frame } = append(5) else { panic!("an append is an append") };
    let mut broken = frame.join().to_vec();
    broken[40] ^= 1;
    let log = open(folder.path()).expect("an intact log opens");
    submit(
        &log,
        vec![
            LogOp::Append { index, frame: codec::Frame { head: Bytes::from(broken), payload: Bytes::new() } },
            append(6),
        ],
    );
    drop(log);
    let found = reopened(folder.path());
    assert!(found.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::InvalidData), "{found:?}");
}

#[test]
fn a_hole_in_the_log_is_refused() {
    let folder = written(5);
    let log = open(folder.path()).expect("an intact log opens");
    let refused = try_submit(&log, vec![append(7)]);
    assert!(refused.as_ref().is_err_and(|error| error.to_string().contains("hole")), "{refused:?}");
    let later = try_submit(&log, vec![append(5)]);
    assert!(later.is_err(), "a log that failed takes nothing more");
    drop(log);
    let found = reopened(folder.path()).expect("what was written before is whole");
    assert_eq!(found.last.map(|id| id.index), Some(4));
}

#[test]
fn fsyncs_are_counted() {
    let folder = folder();
    let gauge = Arc::new(FsyncGauge::default());
    let log = SegmentLog::open(&folder.path().join("log"), Arc::clone(&gauge)).expect("a new log opens");
    submit(&log, vec![append(0), append(1)]);
    submit(&log, vec![append(2)]);
    assert_eq!(gauge.count(), 2, "a job is one fsync, however many entries it has");
}
