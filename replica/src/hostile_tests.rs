//! Hostile bytes from peers and from the disk: what does not decode is a failure with a text, never a panic.
//!
//! Must never: hold a decoder to more than that. What a mutated message means is the affair of whoever takes it.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;

use bytes::Bytes;
use machine::{BodyRef, Format, GroupId, Layout as _, RequestId};
use openraft::impls::leader_id_adv::LeaderId;
use openraft::raft::{AppendEntriesRequest, VoteRequest};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::codec;
use crate::lineage::Lineage;
use crate::log::{GroupLog, Job, LogEngine, LogOp, SegmentLog};
use crate::net::{Hello, ProposeAnswer, Request};
use crate::raft_types::{Config, Entry, LogId, Payload, Vote};
use crate::state::{Position, SnapshotFile};

const ROUNDS: u64 = 20_000;
/// Damaged logs that are opened: each is a folder of files.
const LOGS: usize = 150;
const ENTRIES: u64 = 40;
const GROUP: GroupId = GroupId(1);

fn messages() -> Vec<Bytes> {
    let leader_id = LeaderId { term: 3, node_id: 1 };
    let (log_id, vote) = (LogId::new(leader_id, 9), Vote { leader_id, committed: true });
    let append = AppendEntriesRequest::<Config> {
        vote,
        prev_log_id: Some(log_id),
        entries: Vec::new(),
        leader_commit: Some(log_id),
    };
    let files = vec![SnapshotFile { name: "000007.sst".to_owned(), bytes: 9 }];
    let requests = [
        Request::Vote(VoteRequest::new(vote, Some(log_id))),
        Request::Append(append),
        Request::SnapshotOffer { id: 4, files },
        Request::SnapshotChunk { id: 4, name: "000007.sst".to_owned(), offset: 0, chunk: Bytes::from_static(b"chunk") },
        Request::Propose { request: RequestId::NONE, note: 7, is_system: true, command: Bytes::from_static(&[0]) },
        Request::Hello { node: 2 },
        Request::ReadIndex,
        Request::Body { body: BodyRef(7) },
    ];
    let mut found: Vec<Bytes> = requests.iter().map(|request| request.encode(GroupId(1))).collect();
    let (acknowledged, known, lineage) = (Some(7), Format::LATEST, Lineage::of(9));
    found.push(Hello { is_initialized: true, is_voter: true, acknowledged, wall_ms: 9, known, lineage }.to_bytes());
    found.push(ProposeAnswer::Unknown("no".to_owned()).to_bytes());
    found.push(ProposeAnswer::TurnedAway { word: 7 }.to_bytes());
    found.push(Position::default().to_bytes());
    found
}

fn mutate(bytes: &mut Vec<u8>, dice: &mut StdRng) {
    for _ in 0..dice.random_range(1..4) {
        let at = dice.random_range(0..=bytes.len());
        match dice.random_range(0..5) {
            0 if at < bytes.len() => bytes[at] ^= 1 << dice.random_range(0..8),
            1 if at < bytes.len() => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][dice.random_range(0..5)],
            2 => bytes.truncate(at),
            3 if at + 4 <= bytes.len() => bytes[at..at + 4].copy_from_slice(&u32::MAX.to_be_bytes()),
            _ => bytes.insert(at, dice.random()),
        }
    }
}

#[test]
fn no_bytes_of_a_peer_or_a_disk_end_a_replica() {
    let seed = rand::random();
    eprintln!("seed {seed}");
    let mut dice = StdRng::seed_from_u64(seed);
    let messages = messages();
    let mut decoded = 0;
    for round in 0..ROUNDS {
        let mut bytes = messages[dice.random_range(0..messages.len())].to_vec();
        if round >= messages.len() as u64 * 10 {
            mutate(&mut bytes, &mut dice);
        }
        let bytes = Bytes::from(bytes);
        decoded += u64::from(Request::decode(bytes.clone()).is_ok());
        // Whatever they are, they are refused or read; which of both is not asked.
        let _ = codec::read_entry(&bytes);
        let _ = (Hello::from_bytes(&bytes), ProposeAnswer::from_bytes(&bytes), Position::from_bytes(&bytes));
    }
    assert!(decoded > ROUNDS / 100, "too few were messages to show anything");
}

/// A log of several small segments.
fn write_log(folder: &Path) {
    let engine = SegmentLog::open_small(folder, 4096).expect("a new log opens");
    for index in 1..=ENTRIES {
        let log_id = LogId::new(LeaderId { term: 1, node_id: 1 }, index);
        let payload = Payload(Bytes::from(vec![7; 500]));
        let entry = Entry { log_id, payload: openraft::EntryPayload::Normal(payload) };
        let (sender, receiver) = channel();
        let done = move |result: std::io::Result<()>| sender.send(result).expect("the test waits");
        let ops = vec![LogOp::Append { index, frame: codec::Frame::of(&entry) }];
        engine.submit(Job { group: GROUP, ops, done: Some(Box::new(done)) });
        receiver.recv().expect("the writer answers").expect("written");
    }
}

#[test]
fn no_damage_to_a_log_ends_who_opens_it() {
    let seed = rand::random();
    eprintln!("seed {seed}");
    let mut dice = StdRng::seed_from_u64(seed);
    let work = tempfile::tempdir().expect("a temporary folder");
    write_log(&work.path().join("log"));
    let items = fs::read_dir(work.path().join("log")).expect("the log").map(|item| item.expect("an item").path());
    let files: Vec<_> = items.map(|path| (path.clone(), fs::read(&path).expect("a file"))).collect();
    assert!(files.len() > 3, "the entries fill several segments");
    let mut refused = 0;
    for round in 0..LOGS {
        let folder = work.path().join(format!("damaged-{round}"));
        fs::create_dir(&folder).expect("made");
        let hit = dice.random_range(0..files.len());
        for (at, (path, bytes)) in files.iter().enumerate() {
            let mut bytes = bytes.clone();
            if at == hit {
                mutate(&mut bytes, &mut dice);
            }
            fs::write(folder.join(path.file_name().expect("a name")), bytes).expect("written");
        }
        // Refused or read, here or when the entries are asked for; never a panic.
        let opened = SegmentLog::open_small(&folder, 4096).map(Arc::new);
        let read = opened.and_then(|engine| {
            GroupLog::open(GROUP, Arc::clone(&engine) as Arc<dyn LogEngine>)?;
            let frames = engine.read(GROUP, 1, ENTRIES + 1, usize::MAX)?;
            frames.iter().try_for_each(|frame| codec::read_entry(frame).map(drop).map_err(std::io::Error::other))
        });
        refused += usize::from(read.is_err());
        fs::remove_dir_all(&folder).expect("removed");
    }
    assert!(refused > LOGS / 20, "too little damage was seen: {refused}");
}
