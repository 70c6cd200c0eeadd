//! Laws of the segments: a crash image at every sync, failed syncs, damage, and that the folder stays small.
//!
//! ```text
//!  script of jobs ─> SegmentLog (small segments) ─ before each sync ─> image k
//!  image k, and image k with its last write torn ─> opens to what was acknowledged, or some of the job under way besides
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;

use bytes::Bytes;
use machine::GroupId;
use openraft::impls::leader_id_adv::LeaderId;
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tempfile::TempDir;

use super::SegmentLog;
use super::disk::SyncWatch;
use crate::codec;
use crate::log::engine::{Job, LogEngine as _, LogOp, ScrubPlace};
use crate::raft_types::{Entry, LogId, Payload, Vote};

/// Segments of the tests: a few records each.
const SMALL: u64 = 2048;
const GROUPS: [GroupId; 3] = [GroupId(0), GroupId(1), GroupId(2)];

fn id(term: u64, index: u64) -> LogId {
    LogId::new(LeaderId { term, node_id: 1 }, index)
}

fn append(term: u64, index: u64, bytes: usize) -> LogOp {
    let fill = u8::try_from(index % 251).expect("small");
    let payload = openraft::EntryPayload::Normal(Payload(Bytes::from(vec![fill; bytes])));
    LogOp::Append { index, frame: codec::Frame::of(&Entry { log_id: id(term, index), payload }) }
}

/// Jobs of a script.
const JOBS: usize = 50;

/// What a group's log must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Model {
    vote: Option<Vote>,
    purged: Option<LogId>,
    entries: BTreeMap<u64, Bytes>,
}

type Models = BTreeMap<GroupId, Model>;

fn follow(models: &mut Models, group: GroupId, op: &LogOp) {
    let model = models.entry(group).or_default();
    match op {
        LogOp::Append { index, frame } => {
            model.entries.insert(*index, frame.join());
        }
        LogOp::TruncateFrom { index } => {
            model.entries.split_off(index);
        }
        LogOp::Purge { upto } => {
            model.purged = Some(*upto);
            model.entries = model.entries.split_off(&(upto.index + 1));
        }
        LogOp::Vote(vote) => model.vote = Some(*vote),
        LogOp::Committed(_) => {}
    }
    // Of a group that lost all it had, a start finds nothing.
    if *model == Model::default() {
        models.remove(&group);
    }
}

fn found(log: &SegmentLog) -> io::Result<Models> {
    let mut models = Models::new();
    for group in GROUPS {
        let start = log.start(group)?;
        let from = start.purged.map_or(0, |id| id.index + 1);
        let to = start.last.map_or(0, |id| id.index + 1);
        let frames = log.read(group, from, to, usize::MAX)?;
        for frame in &frames {
            codec::read_entry(frame).map_err(io::Error::other)?;
        }
        let model = Model { vote: start.vote, purged: start.purged, entries: (from..).zip(frames).collect() };
        if model != Model::default() {
            models.insert(group, model);
        }
    }
    Ok(models)
}

fn open(folder: &Path, watch: Option<SyncWatch>) -> io::Result<SegmentLog> {
    SegmentLog::open_watched(&folder.join("log"), Arc::default(), SMALL, watch)
}

fn submit(log: &SegmentLog, group: GroupId, ops: Vec<LogOp>) -> io::Result<()> {
    let (sender, receiver) = channel();
    let done = move |result: io::Result<()>| sender.send(result).expect("the test waits");
    log.submit(Job { group, ops, done: Some(Box::new(done)) });
    receiver.recv().expect("the writer answers")
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// The next job of a script: mostly appends, sometimes a vote, a truncation or a purge.
fn job(dice: &mut StdRng, models: &Models, term: u64) -> (GroupId, Vec<LogOp>) {
    let group = GROUPS[dice.random_range(0..GROUPS.len())];
    let model = models.get(&group).cloned().unwrap_or_default();
    let first = model.purged.map_or(0, |id| id.index + 1);
    let next = model.entries.keys().next_back().map_or(first, |last| last + 1);
    let ops = match dice.random_range(0..10) {
        0 => vec![LogOp::Vote(Vote { leader_id: LeaderId { term, node_id: 1 }, committed: false })],
        1 if next > first => vec![LogOp::TruncateFrom { index: dice.random_range(first..next) }],
        2 | 3 if next > first => vec![LogOp::Purge { upto: id(term, dice.random_range(first..next)) }],
        // A snapshot was installed: everything goes, and the log goes on behind it.
        4 if dice.random_range(0..4) == 0 => {
            vec![LogOp::Purge { upto: id(term, next + 5) }, append(term, next + 6, 40)]
        }
        _ => {
            let count = dice.random_range(1..4);
            let mut ops: Vec<_> = (next..next + count).map(|at| append(term, at, dice.random_range(1..1500))).collect();
            ops.push(LogOp::Committed(next.checked_sub(1).map(|last| id(term, last))));
            ops
        }
    };
    (group, ops)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to.join("log")).expect("a folder");
    for item in fs::read_dir(from.join("log")).expect("the log") {
        let path = item.expect("an item").path();
        fs::copy(&path, to.join("log").join(path.file_name().expect("a name"))).expect("copied");
    }
    // A node that has not synced yet has no mark.
    let _ = fs::copy(from.join("log.synced"), to.join("log.synced"));
}

fn files(image: &Path) -> BTreeMap<String, Vec<u8>> {
    let items = fs::read_dir(image.join("log")).expect("the log").map(|item| item.expect("an item").path());
    let name = |path: &PathBuf| path.file_name().expect("a name").to_string_lossy().into_owned();
    items.map(|path| (name(&path), fs::read(&path).expect("a file"))).collect()
}

/// What a power cut may have left of the bytes that changed between two images of a file.
fn torn(dice: &mut StdRng, old: &[u8], new: &[u8]) -> Vec<Vec<u8>> {
    let Some(from) = (0..new.len()).find(|at| old.get(*at) != Some(&new[*at])) else { return Vec::new() };
    let to = (from..new.len()).rev().find(|at| old.get(*at) != Some(&new[*at])).expect("one differs") + 1;
    let mut left = Vec::new();
    for at in [from, dice.random_range(from..to), to - 1] {
        let mut rest = new[..at].to_vec();
        match dice.random_range(0..3) {
            0 => rest.extend_from_slice(old.get(at..).unwrap_or_default()),
            1 => rest.resize(new.len(), 0),
            _ => {}
        }
        left.push(rest);
    }
    // A sector in the middle did not arrive, those behind it did.
    let sector = dice.random_range(from..to);
    let mut gap = new.to_vec();
    for (at, byte) in gap.iter_mut().enumerate().take(to).skip(sector).take(64) {
        *byte = old.get(at).copied().unwrap_or(0);
    }
    left.push(gap);
    left
}

/// Every image that a crash before image `k`'s sync may leave.
fn crashes(dice: &mut StdRng, before: &Path, at: &Path) -> Vec<BTreeMap<String, Vec<u8>>> {
    let (old, new) = (files(before), files(at));
    let mut images = vec![new.clone()];
    for (name, bytes) in &new {
        let Some(was) = old.get(name).filter(|was| *was != bytes) else { continue };
        for rest in torn(dice, was, bytes) {
            let mut image = new.clone();
            image.insert(name.clone(), rest);
            images.push(image);
        }
    }
    for (name, bytes) in old.iter().filter(|(name, _)| !new.contains_key(*name) && name.starts_with("segment-")) {
        let mut image = new.clone();
        image.insert(name.clone(), bytes.clone());
        images.push(image);
    }
    images
}

/// What models hold, so short that a reader can compare them.
fn outline(models: &Models) -> String {
    let entry = |(index, frame): (&u64, &Bytes)| format!("{index}:{:08x}", crc32fast::hash(frame));
    let model = |(group, model): (&GroupId, &Model)| {
        let entries: Vec<String> = model.entries.iter().map(entry).collect();
        format!("{} voted {:?} purged {:?} {}", group.0, model.vote, model.purged, entries.join(" "))
    };
    models.iter().map(model).collect::<Vec<_>>().join("; ")
}

/// Plays a script and takes an image before each sync, with the number of jobs acknowledged by then.
fn play(dice: &mut StdRng, work: &Path, jobs: usize) -> (Vec<usize>, Vec<(GroupId, Vec<LogOp>)>) {
    let acknowledged = Arc::new(AtomicUsize::new(0));
    let images = Arc::new(Mutex::new(Vec::new()));
    let (counter, taken, root) = (Arc::clone(&acknowledged), Arc::clone(&images), work.to_owned());
    let watch: SyncWatch = Box::new(move |_| {
        let mut taken = taken.lock();
        copy(&root.join("live"), &root.join(format!("image-{}", taken.len())));
        taken.push(counter.load(Ordering::SeqCst));
        Ok(())
    });
    let log = open(&work.join("live"), Some(watch)).expect("a new log opens");
    let (mut models, mut script) = (Models::new(), Vec::new());
    for number in 0..jobs {
        let (group, ops) = job(dice, &models, 1 + number as u64 / 7);
        submit(&log, group, ops.clone()).expect("written");
        acknowledged.fetch_add(1, Ordering::SeqCst);
        ops.iter().for_each(|op| follow(&mut models, group, op));
        script.push((group, ops));
    }
    assert_eq!(found(&log).expect("the log is read"), models, "what was written is what is read");
    drop(log);
    let images = images.lock().clone();
    (images, script)
}

#[test]
fn a_crash_at_any_sync_keeps_what_was_acknowledged() {
    let told = std::env::var("TERCET_SEED").ok().and_then(|text| text.parse().ok());
    let seed: u64 = told.unwrap_or_else(rand::random);
    let mut dice = StdRng::seed_from_u64(seed);
    let work = folder();
    let (images, script) = play(&mut dice, work.path(), JOBS);
    let mut opened = 0;
    for at in 1..images.len() {
        let mut acknowledged = Models::new();
        for (group, ops) in &script[..images[at]] {
            ops.iter().for_each(|op| follow(&mut acknowledged, *group, op));
        }
        let mut allowed = vec![acknowledged.clone()];
        if let Some((group, ops)) = script.get(images[at]) {
            for op in ops {
                follow(&mut acknowledged, *group, op);
                allowed.push(acknowledged.clone());
            }
        }
        let (before, image) = (work.path().join(format!("image-{}", at - 1)), work.path().join(format!("image-{at}")));
        for (which, crash) in crashes(&mut dice, &before, &image).into_iter().enumerate() {
            let boot = folder();
            copy(&image, boot.path());
            fs::remove_dir_all(boot.path().join("log")).expect("removed");
            fs::create_dir(boot.path().join("log")).expect("made");
            for (name, bytes) in crash {
                fs::write(boot.path().join("log").join(name), bytes).expect("written");
            }
            for boots in ["first", "second"] {
                let what = format!("seed {seed}, image {at}, crash {which}, {boots} start");
                let log = open(boot.path(), None).unwrap_or_else(|error| panic!("{what}: {error}"));
                let found = found(&log).unwrap_or_else(|error| panic!("{what}: {error}"));
                let (found, allowed) = (outline(&found), allowed.iter().map(outline).collect::<Vec<_>>());
                assert!(allowed.contains(&found), "{what}: {found:?} is none of {allowed:?}");
            }
            opened += 1;
        }
    }
    assert!(opened > 200, "the script makes crashes: {opened}");
}

#[test]
fn after_a_failed_sync_nothing_is_taken_any_more() {
    let (work, fails) = (folder(), Arc::new(AtomicBool::new(false)));
    let broken = Arc::clone(&fails);
    let watch: SyncWatch =
        Box::new(move |_| if broken.load(Ordering::SeqCst) { Err(io::Error::other("EIO")) } else { Ok(()) });
    let log = open(work.path(), Some(watch)).expect("a new log opens");
    submit(&log, GROUPS[0], vec![append(1, 0, 10)]).expect("written");
    fails.store(true, Ordering::SeqCst);
    submit(&log, GROUPS[0], vec![append(1, 1, 10)]).expect_err("the sync failed");
    fails.store(false, Ordering::SeqCst);
    submit(&log, GROUPS[1], vec![append(1, 0, 10)]).expect_err("a disk that failed once is not asked again");
}

#[test]
fn reads_cross_segments_and_stop_at_their_limit() {
    let work = folder();
    let log = open(work.path(), None).expect("a new log opens");
    let ops: Vec<_> = (0..40).map(|index| append(1, index, 300)).collect();
    for op in &ops {
        submit(&log, GROUPS[1], vec![op.clone()]).expect("written");
    }
    let frames: Vec<_> =
        ops.iter().map(|op| if let LogOp::Append { frame, .. } = op { frame.join() } else { Bytes::new() }).collect();
    let read = |from: usize, to: usize, most| log.read(GROUPS[1], from as u64, to as u64, most).expect("read");
    assert!(work.path().join("log/segment-00000000000000000005").exists(), "the entries fill several segments");
    for (from, to) in [(0, 40), (3, 4), (5, 31), (39, 60)] {
        assert_eq!(read(from, to, usize::MAX), frames[from..to.min(40)], "{from}..{to}");
    }
    assert_eq!(read(10, 40, 1000), frames[10..13], "at most 1000 bytes of 329 each");
    assert_eq!(read(10, 40, 1), frames[10..11], "one at least");
    assert_eq!(read(40, 50, usize::MAX), Vec::<Bytes>::new(), "nothing behind the end");
    assert_eq!(log.first_within(GROUPS[1], u64::MAX), Some(0));
    let within = log.first_within(GROUPS[1], 1000).expect("some lie within");
    assert!((36..40).contains(&within), "{within} is among the last 1000 bytes");
}

#[test]
fn segments_go_when_no_group_needs_them() {
    let work = folder();
    let log = open(work.path(), None).expect("a new log opens");
    let named = |prefix: &str| files(work.path()).keys().filter(|name| name.starts_with(prefix)).count();
    submit(&log, GROUPS[0], vec![append(1, 0, 10)]).expect("written");
    for index in 0..60 {
        submit(&log, GROUPS[1], vec![append(1, index, 900)]).expect("written");
    }
    assert!(named("segment-") > 15, "nothing was purged");
    submit(&log, GROUPS[1], vec![LogOp::Purge { upto: id(1, 57) }]).expect("written");
    assert!(named("segment-") > 15, "an entry of another group lies in the oldest");
    let pinned = log.oldest();
    let held = pinned.read(0, 1024).expect("read");
    submit(&log, GROUPS[0], vec![LogOp::Purge { upto: id(1, 0) }]).expect("written");
    assert!(named("segment-") <= 2, "{:?}", files(work.path()).keys());
    for index in 60..70 {
        let purge = LogOp::Purge { upto: id(1, index - 1) };
        submit(&log, GROUPS[1], vec![append(1, index, 900), purge]).expect("written");
        assert!(named("segment-") <= 3 && named("spare-") <= crate::limits::SPARE_SEGMENTS_MAX);
        assert_eq!(pinned.read(0, 1024).expect("read"), held, "a file that is read is not used again");
    }
    assert!(named("spare-") > 0, "others are");
    drop(log);
    let log = open(work.path(), None).expect("opens");
    let start = log.start(GROUPS[1]).expect("whole");
    assert_eq!((start.purged, start.last), (Some(id(1, 68)), Some(id(1, 69))));
}

/// A log of one group with several sealed segments, closed.
fn sealed() -> TempDir {
    let work = folder();
    let log = open(work.path(), None).expect("a new log opens");
    for index in 0..20 {
        submit(&log, GROUPS[1], vec![append(1, index, 300)]).expect("written");
    }
    work
}

fn flip(path: &Path, at: u64) {
    let file = fs::File::options().read(true).write(true).open(path).expect("the file");
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).expect("a byte");
    file.write_all_at(&[byte[0] ^ 4], at).expect("flipped");
}

#[test]
fn damage_of_a_sealed_segment_is_seen_by_its_footer_or_by_who_reads_it() {
    let second = |work: &TempDir| work.path().join("log/segment-00000000000000000002");
    let work = sealed();
    flip(&second(&work), 800);
    let log = open(work.path(), None).expect("a start reads no record of a sealed segment");
    let read = found(&log);
    assert!(read.as_ref().is_err_and(|error| error.to_string().contains("checksum")), "{read:?}");
    for back in [1, 9, 14, 40] {
        let work = sealed();
        let length = fs::metadata(second(&work)).expect("the file").len();
        flip(&second(&work), length - back);
        let refused = open(work.path(), None).err().expect("refused");
        assert_eq!(refused.kind(), io::ErrorKind::InvalidData, "{back} from the end: {refused}");
    }
}

#[test]
fn a_missing_segment_is_refused() {
    let newest = |work: &TempDir| files(work.path()).into_keys().rfind(|name| name.starts_with("segment-"));
    for (name, what) in [(Some("segment-00000000000000000002".to_owned()), "missing"), (None, "synced up to")] {
        let work = sealed();
        let name = name.or_else(|| newest(&work)).expect("segments");
        fs::remove_file(work.path().join("log").join(name)).expect("removed");
        let refused = open(work.path(), None).err().expect("refused");
        assert!(refused.to_string().contains(what), "{refused}");
    }
}

#[test]
fn damage_before_the_last_write_is_refused_without_the_mark_too() {
    let work = folder();
    let log = SegmentLog::open(&work.path().join("log"), Arc::default()).expect("a new log opens");
    for index in 0..5 {
        submit(&log, GROUPS[1], vec![append(1, index, 300)]).expect("written");
    }
    drop(log);
    fs::remove_file(work.path().join("log.synced")).expect("removed");
    let path = work.path().join("log/segment-00000000000000000001");
    flip(&path, 400);
    let refused = open(work.path(), None).err().expect("refused");
    assert!(refused.to_string().contains("came later"), "{refused}");
}

/// Scrubs all in small steps. Returns what is damaged, and the bytes read.
fn scrub(log: &SegmentLog) -> (Vec<(GroupId, u64)>, u64) {
    let (mut damaged, mut bytes, mut next) = (Vec::new(), 0, Some(ScrubPlace::default()));
    while let Some(from) = next {
        let scrubbed = log.scrub(from, 400);
        assert!(scrubbed.next.is_none_or(|next| (next.segment, next.place) > (from.segment, from.place)), "it goes on");
        damaged.extend(scrubbed.damaged);
        bytes += scrubbed.bytes;
        next = scrubbed.next;
    }
    (damaged, bytes)
}

/// Where entry `index` of [`sealed`] lies: segment, and the place of its payload.
fn place_of(work: &TempDir, index: u8) -> (PathBuf, u64) {
    let found = files(work.path()).into_iter().find_map(|(name, bytes)| {
        let at = bytes.windows(300).position(|window| window == [index; 300])?;
        name.starts_with("segment-").then(|| (work.path().join("log").join(name), at as u64))
    });
    found.expect("the entry lies in a segment")
}

#[test]
fn a_scrub_names_each_damaged_entry_that_the_log_needs_and_nothing_else() {
    let work = sealed();
    let log = open(work.path(), None).expect("opens");
    let (damaged, whole) = scrub(&log);
    assert!(damaged.is_empty() && whole > 20 * 300, "nothing is damaged of {whole} bytes: {damaged:?}");
    for (entry, what) in [(3_u8, 0), (7, 299), (12, 150)] {
        let (path, at) = place_of(&work, entry);
        flip(&path, at + what);
    }
    // The head of a record: where the record ends is not known from it.
    let (path, at) = place_of(&work, 9);
    flip(&path, at - codec::FRAME_HEADER_BYTES as u64 - 10);
    let mut damaged = scrub(&log).0;
    damaged.sort_unstable();
    assert_eq!(damaged, [3, 7, 9, 12].map(|entry| (GROUPS[1], entry)));
    submit(&log, GROUPS[1], vec![LogOp::Purge { upto: id(1, 7) }]).expect("written");
    submit(&log, GROUPS[1], vec![LogOp::TruncateFrom { index: 12 }]).expect("written");
    let (damaged, less) = scrub(&log);
    assert_eq!(damaged, [(GROUPS[1], 9)], "what is purged or cut off is missed by nobody");
    assert!(less < whole);
}

#[test]
fn a_scrub_finds_a_segment_that_the_next_start_would_refuse() {
    for (from_end, at) in [(Some(1), 0), (Some(14), 0), (Some(40), 0), (None, 3), (None, 30)] {
        let work = sealed();
        let log = open(work.path(), None).expect("opens");
        let path = work.path().join("log/segment-00000000000000000002");
        let length = fs::metadata(&path).expect("the file").len();
        flip(&path, from_end.map_or(at, |back| length - back));
        let (damaged, _) = scrub(&log);
        let [(group, last)] = damaged[..] else { panic!("one group's last entry there: {damaged:?}") };
        submit(&log, group, vec![LogOp::Purge { upto: id(1, last) }]).expect("written");
        assert_eq!(scrub(&log).0, []);
        drop(log);
        open(work.path(), None).expect("without the segment it starts");
    }
}

#[test]
fn a_scrub_takes_no_segment_for_damaged_that_is_written_to_purged_or_used_again() {
    let work = folder();
    let log = open(work.path(), None).expect("a new log opens");
    submit(&log, GROUPS[1], vec![append(1, 0, 300)]).expect("written");
    let (path, at) = (work.path().join("log/segment-00000000000000000001"), 400);
    flip(&path, at);
    assert_eq!(scrub(&log), (Vec::new(), 0), "the segment that is written to is not looked at");
    flip(&path, at);
    let mut index = 0;
    let mut write = |count: u64| {
        for _ in 0..count {
            index += 1;
            submit(&log, GROUPS[1], vec![append(1, index, 300)]).expect("written");
        }
        index
    };
    write(30);
    for round in 0..20 {
        let from = ScrubPlace { segment: log.oldest().head.number, place: 0 };
        let before = log.scrub(from, 400);
        let last = write(12);
        submit(&log, GROUPS[1], vec![LogOp::Purge { upto: id(1, last - 3) }]).expect("written");
        let after = log.scrub(before.next.expect("more is sealed"), u64::MAX);
        assert_eq!((before.damaged, after.damaged), (Vec::new(), Vec::new()), "round {round}");
    }
    assert!(files(work.path()).keys().any(|name| name.starts_with("spare-")), "segments were used again");
}
