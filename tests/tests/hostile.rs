//! Hostile bytes: whatever reaches a log, a row or a courier record is refused or parked, and never ends a replica.
//!
//! ```text
//!  the golden bytes of every command, reply and row ──mutate──> entries ──> Host::apply ──> rows ──mutate──> Host::load
//! ```
//!
//! Why from the golden bytes: a decoder's rare paths lie one mutation away from what it accepts, and random bytes never get
//! there. `TERCET_ROUNDS=1000000` plays longer, `TERCET_SEED=7` plays one seed; `fuzz/` does the same with coverage.
//!
//! Must never: be satisfied with "it did not decode". Most entries here are applied.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use ledger::LedgerMachine;
use machine::{
    Command, Destination, EntryView, EntryWriter, Format, GroupId, Host, Layout as _, LogIndex, Machine, MemoryStore,
    RequestId, System, TimestampMs, Track,
};
use packets::PacketsMachine;
use queue_core::{DirectoryMachine, QueueMachine};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

const QUEUE_BYTES: [&str; 2] = [
    include_str!("../../queue-server/queue-core/tests/laws/golden.rs"),
    include_str!("../../queue-server/queue-core/tests/laws/golden_topics.rs"),
];
const DIRECTORY_BYTES: [&str; 1] = [include_str!("../../queue-server/queue-core/src/directory.rs")];
const LEDGER_BYTES: [&str; 2] = [
    include_str!("../../redpacket-app/ledger/tests/laws/golden.rs"),
    include_str!("../../redpacket-app/ledger/tests/laws/golden_bytes.rs"),
];
const PACKETS_BYTES: [&str; 1] = [include_str!("../../redpacket-app/packets/tests/laws/golden.rs")];

/// Entries of one run of one machine where nobody says how many.
const ROUNDS: u64 = 4_000;
/// A history is begun anew after so many entries.
const HISTORY_MAX: u64 = 400;
const HOUR_MS: u64 = 3_600_000;

fn told(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// The golden bytes in a source: its texts of hexadecimal digits, in which `[n]` stands for n zero bytes.
fn corpus(sources: &[&str]) -> Vec<Vec<u8>> {
    let texts = sources.iter().flat_map(|source| source.split('"'));
    let found: Vec<Vec<u8>> = texts.filter_map(golden).filter(|bytes| !bytes.is_empty()).collect();
    assert!(found.len() > 10, "the golden bytes are found");
    found
}

fn golden(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest: String = text.chars().filter(|letter| !letter.is_whitespace() && *letter != '\\').collect();
    while !rest.is_empty() {
        let taken = if let Some((zeros, _)) = rest.strip_prefix('[').and_then(|zeros| zeros.split_once(']')) {
            let count: usize = zeros.parse().ok().filter(|count| *count < 10_000)?;
            bytes.resize(bytes.len() + count, 0);
            zeros.len() + 2
        } else {
            bytes.push(u8::from_str_radix(rest.get(..2)?, 16).ok()?);
            2
        };
        rest = rest.split_off(taken);
    }
    Some(bytes)
}

/// Changes a few things about some bytes.
fn mutate(bytes: &mut Vec<u8>, corpus: &[Vec<u8>], dice: &mut StdRng) {
    for _ in 0..dice.random_range(0..4) {
        let at = dice.random_range(0..=bytes.len());
        let end = dice.random_range(at..=bytes.len());
        match dice.random_range(0..7) {
            0 if at < bytes.len() => bytes[at] ^= 1 << dice.random_range(0..8),
            1 if at < bytes.len() => bytes[at] = [0, 1, 2, 0x7f, 0x80, 0xfe, 0xff][dice.random_range(0..7)],
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(at..end)),
            4 => bytes.insert(at, dice.random()),
            5 => {
                let other = &corpus[dice.random_range(0..corpus.len())];
                let part = &other[..dice.random_range(0..=other.len())];
                drop(bytes.splice(at..end, part.iter().copied()));
            }
            _ if at + 8 <= bytes.len() => {
                let number = [u64::MAX, 0, 1, 1 << 63, 1 << 32][dice.random_range(0..5)];
                bytes[at..at + 8].copy_from_slice(&number.to_be_bytes());
            }
            _ => {}
        }
    }
}

fn entry(corpus: &[Vec<u8>], now: TimestampMs, dice: &mut StdRng) -> Bytes {
    let mut writer = EntryWriter::default();
    for _ in 0..dice.random_range(1..5) {
        let mut bytes = corpus[dice.random_range(0..corpus.len())].clone();
        if dice.random_range(0..3) > 0 {
            mutate(&mut bytes, corpus, dice);
        }
        let bytes = Bytes::from(bytes);
        let request = RequestId { session: dice.random_range(0..3), sequence: dice.random_range(0..50) };
        let command = match dice.random_range(0..12) {
            0 => Command::System(System::OpenSession),
            1 => Command::System(System::Deliver {
                source: GroupId(dice.random_range(0..4)),
                track: Track(dice.random_range(0..2)),
                epoch: dice.random_range(0..2),
                first: dice.random_range(0..5),
                records: vec![bytes],
            }),
            2 => {
                let target =
                    Destination { group: GroupId(dice.random_range(0..4)), track: Track(dice.random_range(0..2)) };
                Command::System(System::Acknowledge { target, upto: dice.random() })
            }
            _ => Command::Machine(bytes),
        };
        writer.push(request, &command);
    }
    let mut bytes = writer.finish(now, dice.random()).to_vec();
    if dice.random_range(0..20) == 0 {
        mutate(&mut bytes, corpus, dice);
    }
    Bytes::from(bytes)
}

/// How much of what was played was applied.
#[derive(Default)]
struct Tally {
    entries: u64,
    applied: u64,
}

/// One history of entries, and the loads of its damaged rows.
fn history<M: Machine>(corpus: &[Vec<u8>], rounds: u64, dice: &mut StdRng, tally: &mut Tally) {
    let group = GroupId(1);
    let mut store = MemoryStore::default();
    let mut host = Host::<M>::load(group, &store, Format::LATEST).expect("nothing is stored");
    let mut now = TimestampMs(1_700_000_000_000);
    for index in 1..=rounds {
        now = now.plus(dice.random_range(0..HOUR_MS));
        let mut next = entry(corpus, now, dice);
        if dice.random_range(0..4) == 0
            && let Some(due) = host.machine().due(&store, now).expect("memory is read")
        {
            let mut writer = EntryWriter::default();
            writer.push(RequestId::NONE, &Command::Machine(due.to_bytes()));
            next = writer.finish(now, dice.random());
        }
        tally.entries += 1;
        let outcome = host.apply(&[(LogIndex(index), next.clone())], &store).expect("memory is read");
        if outcome.parked.is_none() {
            tally.applied += 1;
            store.commit(&outcome.rows);
        }
        // What is not an entry says so, however it is asked.
        assert!(outcome.parked.is_some() || EntryView::decode(next).is_ok());
    }
    drop(Host::<M>::load(group, &store, Format::LATEST).expect("what was written is read back"));
    for _ in 0..20 {
        let mut rows: std::collections::BTreeMap<_, _> =
            store.rows().map(|(key, value)| (key.clone(), value.clone())).collect();
        let at = dice.random_range(0..rows.len().max(1));
        if let Some(value) = rows.values_mut().nth(at) {
            let mut bytes = value.to_vec();
            mutate(&mut bytes, corpus, dice);
            *value = Bytes::from(bytes);
        }
        let mut damaged = MemoryStore::default();
        damaged.replace(rows, std::collections::BTreeMap::new());
        // Refused or not: a damaged row may still be a row.
        drop(Host::<M>::load(group, &damaged, Format::LATEST));
    }
}

fn check<M: Machine>(machine: &str, sources: &[&str]) {
    let corpus = corpus(sources);
    let rounds = told("TERCET_ROUNDS").unwrap_or(ROUNDS);
    let from = told("TERCET_SEED").unwrap_or_else(rand::random);
    let mut tally = Tally::default();
    let mut seed = from;
    while tally.entries < rounds {
        let mut dice = StdRng::seed_from_u64(seed);
        let played = catch_unwind(AssertUnwindSafe(|| history::<M>(&corpus, HISTORY_MAX, &mut dice, &mut tally)));
        assert!(played.is_ok(), "{machine}: repeat it with TERCET_SEED={seed}");
        seed = seed.wrapping_add(1);
    }
    eprintln!("{machine} from seed {from}: {} entries, {} of them applied", tally.entries, tally.applied);
    assert!(tally.applied * 10 > tally.entries, "too few of the entries were applied to show anything");
}

#[test]
fn no_bytes_end_a_queue() {
    check::<QueueMachine>("queue", &QUEUE_BYTES);
}

#[test]
fn no_bytes_end_a_directory() {
    check::<DirectoryMachine>("directory", &DIRECTORY_BYTES);
}

#[test]
fn no_bytes_end_a_ledger() {
    check::<LedgerMachine>("ledger", &LEDGER_BYTES);
}

#[test]
fn no_bytes_end_the_packets() {
    check::<PacketsMachine>("packets", &PACKETS_BYTES);
}
