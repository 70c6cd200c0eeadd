//! Laws of bodies: read from the log, moved before it goes, sent with a snapshot, never handed out damaged.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;

use bytes::Bytes;
use machine::{BodyRef, GroupId, LogIndex, RowSource as _, Rows, StoreFailure};
use openraft::impls::leader_id_adv::LeaderId;
use tempfile::TempDir;

use super::bodies::BODIES_FILE;
use super::tables::{BODIES, PLACES, family};
use super::{Position, RocksBudget, RocksRows, RowEngine as _};
use crate::codec;
use crate::log::{GroupLog, Job, LogEngine, LogOp, SegmentLog};
use crate::raft_types::{Entry, LogId, Payload};

const GROUP: GroupId = GroupId(7);
const BODY_BYTES: usize = 900;

/// One replica's log and rows. Body n comes with entry n.
struct Room {
    folder: TempDir,
    engine: Arc<SegmentLog>,
    rows: RocksRows,
}

fn id(index: u64) -> LogId {
    LogId::new(LeaderId { term: 1, node_id: 1 }, index)
}

fn text(number: u64) -> Bytes {
    Bytes::from(vec![u8::try_from(number % 251).expect("small"); BODY_BYTES])
}

/// The payload of entry `number`: its body, and something around it.
fn payload(number: u64) -> Bytes {
    Bytes::from([b"head ".as_slice(), &text(number), b" tail"].concat())
}

fn open_rows(folder: &Path, engine: &Arc<SegmentLog>) -> RocksRows {
    let log = GroupLog::open(GROUP, Arc::clone(engine) as Arc<dyn LogEngine>).expect("the log is whole");
    RocksRows::open(folder, RocksBudget::default(), log).expect("the rows open")
}

impl Room {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let engine = Arc::new(SegmentLog::open_small(&folder.path().join("log"), 4096).expect("a new log opens"));
        let rows = open_rows(&folder.path().join("rows"), &engine);
        Self { folder, engine, rows }
    }

    fn submit(&self, op: LogOp) {
        let (sender, receiver) = channel();
        let done = move |result: std::io::Result<()>| sender.send(result).expect("the test waits");
        self.engine.submit(Job { group: GROUP, ops: vec![op], done: Some(Box::new(done)) });
        receiver.recv().expect("the writer answers").expect("written");
    }

    /// Writes and applies the entries `numbers`.
    fn add(&self, numbers: std::ops::RangeInclusive<u64>) {
        for number in numbers {
            let payload = payload(number);
            let entry = Entry { log_id: id(number), payload: openraft::EntryPayload::Normal(Payload(payload.clone())) };
            self.submit(LogOp::Append { index: number, frame: codec::Frame::of(&entry) });
            apply(&self.rows, number, &payload);
        }
    }

    fn drop_bodies(&self, numbers: impl IntoIterator<Item = u64>) {
        let mut rows = Rows::new(BTreeMap::new());
        numbers.into_iter().for_each(|number| rows.drop_body(BodyRef(number)));
        self.rows.commit(Some(&rows), &[], &Position::default()).expect("committed");
    }

    fn body(&self, number: u64) -> Result<Option<Bytes>, StoreFailure> {
        self.rows.body(BodyRef(number))
    }

    /// Bodies with a place in the log, and bodies in the store.
    fn counts(&self) -> (usize, usize) {
        let db = self.rows.db();
        let count = |name| db.iterator_cf(family(&db, name).expect("a family"), rocksdb::IteratorMode::Start).count();
        (count(PLACES), count(BODIES))
    }

    /// Turns a byte over on the disk.
    fn damage_body_2(&self) {
        let path = self.folder.path().join("log/segment-00000000000000000001");
        let bytes = fs::read(&path).expect("the segment");
        let at = bytes.windows(4).position(|window| window == [2; 4]).expect("body 2 lies in the first segment") + 100;
        let file = fs::File::options().write(true).open(&path).expect("the segment");
        file.write_all_at(&[9], u64::try_from(at).expect("small")).expect("damaged");
    }

    fn segments(&self) -> usize {
        let names = fs::read_dir(self.folder.path().join("log")).expect("the log");
        names
            .filter(|name| name.as_ref().is_ok_and(|name| name.file_name().to_string_lossy().starts_with("segment")))
            .count()
    }
}

/// Applies an entry: its body is a slice of it.
fn apply(rows: &RocksRows, number: u64, payload: &Bytes) {
    let mut changes = Rows::new(BTreeMap::new());
    changes.keep_body(BodyRef(number), payload.slice(5..5 + BODY_BYTES));
    let position = Position { applied: Some(id(number)), ..Position::default() };
    rows.commit(Some(&changes), &[(LogIndex(number), payload.clone())], &position).expect("committed");
}

#[test]
fn a_body_is_read_from_the_log_that_brought_it() {
    let room = Room::new();
    room.add(1..=20);
    assert_eq!(room.counts(), (20, 0), "nothing was written twice");
    for number in 1..=20 {
        assert_eq!(room.body(number), Ok(Some(text(number))));
    }
    room.drop_bodies([3]);
    assert_eq!(room.body(3), Ok(None));
    assert_eq!(room.body(21), Ok(None));
}

#[test]
fn bodies_a_machine_made_itself_and_small_ones_are_stored() {
    let room = Room::new();
    let mut rows = Rows::new(BTreeMap::new());
    let small = payload(2).slice(0..10);
    rows.keep_body(BodyRef(1), text(1));
    rows.keep_body(BodyRef(2), small.clone());
    room.rows.commit(Some(&rows), &[(LogIndex(1), payload(2))], &Position::default()).expect("committed");
    assert_eq!(room.counts(), (0, 2));
    assert_eq!((room.body(1), room.body(2)), (Ok(Some(text(1))), Ok(Some(small))));
    room.drop_bodies([1, 2]);
    assert_eq!(room.counts(), (0, 0));
}

#[test]
fn an_old_message_pins_no_segment() {
    let room = Room::new();
    room.add(1..=40);
    let old = [1, 10, 20, 30];
    room.drop_bodies((1..=30).filter(|number| !old.contains(number)));
    let before = room.segments();
    room.rows.settle(30).expect("moved");
    assert_eq!(room.counts(), (10, 4), "what is young stays in the log");
    room.rows.checkpoint().expect("flushed");
    room.submit(LogOp::Purge { upto: id(30) });
    assert!(room.segments() < before / 2, "{} of {before} segments are left", room.segments());
    for number in old.into_iter().chain(31..=40) {
        assert_eq!(room.body(number), Ok(Some(text(number))), "body {number}");
    }
    assert_eq!(room.body(2), Ok(None));
    room.drop_bodies(old);
    assert_eq!(room.counts(), (10, 0), "a moved body is dropped too");
    assert_eq!(room.rows.damage(), None);
}

#[test]
fn how_much_of_the_log_is_alive_is_known_and_counted_again_after_a_start() {
    let room = Room::new();
    let bytes = |bodies: usize| Some((bodies * BODY_BYTES) as u64);
    room.add(1..=40);
    assert_eq!(room.rows.bytes_in_log(), bytes(40));
    room.drop_bodies(1..=10);
    assert_eq!(room.rows.bytes_in_log(), bytes(30));
    room.rows.settle(20).expect("moved");
    assert_eq!(room.rows.bytes_in_log(), bytes(20), "what was moved lies there no more");
    room.drop_bodies([11]);
    assert_eq!(room.rows.bytes_in_log(), bytes(19), "a body of the store is taken for one of the log");
    room.rows.settle(20).expect("nothing is left to move");
    assert_eq!(room.rows.bytes_in_log(), bytes(20), "until the places are looked at again");
    room.rows.checkpoint().expect("flushed");
    let Room { folder, engine, rows } = room;
    drop(rows);
    let rows = open_rows(&folder.path().join("rows"), &engine);
    assert_eq!(rows.bytes_in_log(), None);
    rows.count_in_log().expect("counted");
    assert_eq!(rows.bytes_in_log(), bytes(20));
}

#[test]
fn a_snapshot_holds_every_live_body() {
    let (source, target) = (Room::new(), Room::new());
    source.add(1..=30);
    source.rows.settle(10).expect("moved");
    source.drop_bodies([5, 25]);
    target.add(1..=3);
    let (_, snapshot) = source.rows.checkpoint().expect("a checkpoint");
    assert!(!snapshot.files.iter().any(|file| file.name == BODIES_FILE), "most snapshots are never sent");
    let whole = snapshot.complete().expect("the log holds what is named");
    assert!(whole.files.iter().any(|file| file.name == BODIES_FILE));
    assert_eq!(snapshot.complete().expect("again").files, whole.files, "a transfer resumes with the same files");
    // The sender goes on.
    source.drop_bodies(1..=30);
    target.rows.install(&whole).expect("installed");
    let check = |rows: &RocksRows, when: &str| {
        for number in 1..=30 {
            let expected = if [5, 25].contains(&number) { None } else { Some(text(number)) };
            assert_eq!(rows.body(BodyRef(number)), Ok(expected), "body {number} {when}");
        }
    };
    check(&target.rows, "when installed");
    assert_eq!(target.counts(), (0, 28), "no place of the sender's log, and none of its own former rows");
    let Room { folder, engine, rows } = target;
    drop(rows);
    check(&open_rows(&folder.path().join("rows"), &engine), "after a restart");
}

#[test]
fn rows_that_a_crash_took_are_rebuilt_from_the_log_with_their_places() {
    let room = Room::new();
    room.add(1..=10);
    room.rows.settle(4).expect("moved");
    let (_, flushed) = room.rows.checkpoint().expect("flushed");
    room.add(11..=20);
    // What was not flushed is gone: the image is the last checkpoint.
    let image = room.folder.path().join("image");
    fs::create_dir_all(image.join("rows-0")).expect("made");
    fs::write(image.join("CURRENT"), "rows-0").expect("written");
    let from = flushed.folder().expect("on disk");
    for item in fs::read_dir(from).expect("a checkpoint") {
        let item = item.expect("an item");
        fs::copy(item.path(), image.join("rows-0").join(item.file_name())).expect("copied");
    }
    let rows = open_rows(&image, &room.engine);
    let from = rows.position().expect("read").applied.expect("something was applied").index + 1;
    assert_eq!(from, 11);
    for (number, frame) in (from..).zip(room.engine.read(GROUP, from, 21, usize::MAX).expect("the log is whole")) {
        let entry = codec::read_entry(&frame).expect("whole");
        let openraft::EntryPayload::Normal(payload) = entry.payload else { panic!("an entry of commands") };
        apply(&rows, number, &payload.0);
    }
    for number in 1..=20 {
        assert_eq!(rows.body(BodyRef(number)), Ok(Some(text(number))), "body {number}");
    }
}

#[test]
fn a_damaged_body_is_not_handed_out_until_the_right_bytes_are_brought() {
    let room = Room::new();
    room.add(1..=3);
    room.damage_body_2();
    assert_eq!(room.body(1), Ok(Some(text(1))));
    assert_eq!(room.rows.damage(), None);
    let damaged = room.body(2).expect_err("not handed out");
    assert!(damaged.0.contains("checksum"), "{damaged}");
    assert_eq!(room.rows.damage(), None, "a peer can bring it");
    let aside = |room: &Room| room.rows.quarantine().iter().map(|(body, _)| body.0).collect::<Vec<_>>();
    assert_eq!(aside(&room), [2]);
    let (_, snapshot) = room.rows.checkpoint().expect("a checkpoint");
    assert!(snapshot.complete().is_err(), "nor sent to anybody");
    room.rows.settle(3).expect("the others are moved");
    assert_eq!(room.body(3), Ok(Some(text(3))));
    assert_eq!(room.rows.repair(BodyRef(2), &text(3)), Ok(false), "other bytes are not taken");
    room.body(2).expect_err("still not handed out");
    assert_eq!(room.rows.repair(BodyRef(2), &text(2)), Ok(true));
    assert_eq!((room.body(2), aside(&room)), (Ok(Some(text(2))), Vec::new()));
    let (_, snapshot) = room.rows.checkpoint().expect("a checkpoint");
    snapshot.complete().expect("whole again");
}

#[test]
fn a_damaged_body_that_its_owner_drops_is_missed_by_nobody() {
    let room = Room::new();
    room.add(1..=3);
    room.damage_body_2();
    room.rows.settle(3).expect("the others are moved");
    assert_eq!(room.rows.quarantine().len(), 1, "a move finds it before a reader does");
    room.drop_bodies([2]);
    assert_eq!((room.rows.quarantine(), room.body(2)), (Vec::new(), Ok(None)));
}

#[test]
fn a_scrub_sets_aside_what_is_damaged_in_an_entry_and_reads_the_store() {
    let room = Room::new();
    room.add(1..=3);
    room.damage_body_2();
    room.rows.scrub_entries(&BTreeSet::from([1, 3])).expect("looked at");
    assert_eq!(room.rows.quarantine(), Vec::new(), "other entries are not looked at");
    room.rows.scrub_entries(&BTreeSet::from([2])).expect("looked at");
    assert_eq!(room.rows.quarantine().iter().map(|(body, _)| body.0).collect::<Vec<_>>(), [2]);
    assert_eq!(room.rows.repair(BodyRef(2), &text(2)), Ok(true));
    room.rows.settle(3).expect("moved");
    room.rows.checkpoint().expect("flushed");
    let (mut next, mut bytes, mut steps) = (Some(0), 0, 0);
    while let Some(from) = next {
        let scrubbed = room.rows.scrub_store(from, 1).expect("whole");
        (next, bytes, steps) = (scrubbed.next, bytes + scrubbed.bytes, steps + 1);
    }
    assert_eq!((bytes, steps), (3 * (8 + BODY_BYTES as u64), 3), "a body a step");
}

#[test]
fn a_scrub_that_cannot_read_a_stored_body_says_what_a_reader_would() {
    let room = Room::new();
    room.add(1..=3);
    room.rows.settle(3).expect("moved");
    room.rows.checkpoint().expect("flushed");
    let rows = room.folder.path().join("rows/rows-0");
    let names = fs::read_dir(rows).expect("the rows").map(|item| item.expect("an item").path());
    let blob = names.into_iter().find(|path| path.extension().is_some_and(|end| end == "blob")).expect("bodies");
    let bytes = fs::read(&blob).expect("read");
    let at = bytes.windows(4).position(|window| window == [2; 4]).expect("body 2 lies in it") + 100;
    let file = fs::File::options().write(true).open(&blob).expect("the file");
    file.write_all_at(&[9], at as u64).expect("damaged");
    assert_eq!(room.rows.damage(), None);
    room.rows.scrub_store(0, u64::MAX).expect_err("it is damaged");
    assert!(room.rows.damage().is_some(), "the replica stops, as it does when the body is read");
}
