//! Coverage-guided bytes for the pure machines: whatever an entry holds, it is applied, refused or parked.
//!
//! ```text
//!  which u8 | { kind u8 | bytes u16 | … } …      which machine; then commands, records and times, as long as there are bytes;
//!                                                kind 255: the rest is the bytes of a damaged row
//! ```
//!
//! Why here and not at the doors: a panic in `apply` stops all three replicas, a panic in a door one connection.
//!
//! Must never: give a machine what its host could not be given by a log.
#![no_main]

use bytes::Bytes;
use ledger::LedgerMachine;
use libfuzzer_sys::fuzz_target;
use machine::{
    Command, EntryWriter, Format, GroupId, Host, Layout as _, LogIndex, Machine, MemoryStore, RequestId, System,
    TimestampMs, Track,
};
use packets::PacketsMachine;
use queue_core::{DirectoryMachine, QueueMachine};

/// A history has no more entries than this.
const ENTRIES_MAX: u64 = 64;

fn play<M: Machine>(mut input: &[u8]) {
    let mut store = MemoryStore::default();
    let Ok(mut host) = Host::<M>::load(GroupId(1), &store, Format::LATEST) else { return };
    let mut now = TimestampMs(1_700_000_000_000);
    for index in 1..=ENTRIES_MAX {
        let [kind, high, low, rest @ ..] = input else { break };
        if *kind == u8::MAX {
            input = rest;
            break;
        }
        let wanted = usize::from(u16::from_be_bytes([*high, *low])).min(rest.len());
        let (bytes, left) = rest.split_at(wanted);
        input = left;
        let bytes = Bytes::copy_from_slice(bytes);
        let mut command = Command::Machine(bytes.clone());
        match kind % 8 {
            0 => now = now.plus(u64::from(*low) << (high % 32)),
            1 => {
                let source = GroupId(u32::from(kind / 64));
                command = Command::System(System::Deliver {
                    source,
                    track: Track::default(),
                    epoch: 0,
                    first: index,
                    records: vec![bytes],
                });
            }
            2 => match host.machine().due(&store, now) {
                Ok(Some(due)) => command = Command::Machine(due.to_bytes()),
                _ => continue,
            },
            _ => {}
        }
        let mut writer = EntryWriter::default();
        writer.push(RequestId::NONE, &command);
        let entry = writer.finish(now, index);
        if let Ok(outcome) = host.apply(&[(LogIndex(index), entry)], &store)
            && outcome.parked.is_none()
        {
            store.commit(&outcome.rows);
        }
    }
    // What is left is a damaged row: refused or not, it may still be one.
    let mut rows: std::collections::BTreeMap<_, _> =
        store.rows().map(|(key, value)| (key.clone(), value.clone())).collect();
    if let [which, bytes @ ..] = input
        && let Some(value) = rows.values_mut().nth(usize::from(*which))
    {
        *value = Bytes::copy_from_slice(bytes);
        let mut damaged = MemoryStore::default();
        damaged.replace(rows, std::collections::BTreeMap::new());
        drop(Host::<M>::load(GroupId(1), &damaged, Format::LATEST));
    }
    assert!(Host::<M>::load(GroupId(1), &store, Format::LATEST).is_ok(), "what was written is read back");
}

fuzz_target!(|input: &[u8]| {
    let [which, rest @ ..] = input else { return };
    match which % 4 {
        0 => play::<QueueMachine>(rest),
        1 => play::<DirectoryMachine>(rest),
        2 => play::<LedgerMachine>(rest),
        _ => play::<PacketsMachine>(rest),
    }
});
