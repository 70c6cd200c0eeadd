//! The audit finds what is broken: any row that is lost, doubled or changed.
//!
//! Why: an audit that only ever sees sound rows proves nothing.

use std::collections::BTreeMap;

use bytes::Bytes;
use machine::MemoryStore;
use packets::{Command, Terms, UserId, audit};

use crate::evening::{Evening, direct, exclusive, lucky, register};

type RowMap = BTreeMap<Bytes, Bytes>;

/// An evening with a packet in every phase, and claims in every state.
fn evening() -> Evening {
    let mut evening = Evening::with_users(3);
    evening.run(&register(UserId(4)));
    let over = evening.send(Terms { life_ms: 1, ..lucky(1, 50, 5) });
    let refunded = evening.send(Terms { life_ms: 1, ..direct(2, 2, 7) });
    evening.open(over, 2).expect("a share is left");
    evening.pass(1);
    evening.run(&Command::Tick { packets: vec![over, refunded] });
    evening.run(&Command::MarkRefunded { packet: refunded });
    let sold = evening.send(lucky(3, 100, 3));
    for user in 1..=3 {
        evening.open(sold, user).expect("a share is left");
    }
    evening.run(&Command::MarkCredited { packet: sold, share: 1 });
    evening.run(&Command::MarkQueued { packet: sold, share: 2 });
    evening.send(exclusive(4, &[2], 5));
    evening.check();
    evening
}

/// The machine's rows; those below 0x10 are the host's.
fn rows(evening: &Evening) -> RowMap {
    let rows = evening.store.rows().filter(|(key, _)| key.first().is_some_and(|tag| *tag >= 0x10));
    rows.map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn is_clean(rows: &RowMap) -> bool {
    let mut store = MemoryStore::default();
    store.replace(rows.clone(), BTreeMap::new());
    audit(&store, &mut |_| {}).is_ok_and(|report| report.is_clean())
}

#[test]
fn a_lost_row_is_found() {
    let rows = rows(&evening());
    assert!(is_clean(&rows));
    for key in rows.keys() {
        let mut broken = rows.clone();
        broken.remove(key);
        assert!(!is_clean(&broken), "without row {key:02x?}");
    }
}

#[test]
fn a_row_that_names_nothing_is_found() {
    let rows = rows(&evening());
    for (key, value) in &rows {
        let mut another = key.to_vec();
        // The second byte lies in the upper half of an id or a time, where no test has any bits.
        match another.get_mut(1) {
            Some(byte) => *byte ^= 0x40,
            None => continue,
        }
        let mut broken = rows.clone();
        broken.insert(another.into(), value.clone());
        assert!(!is_clean(&broken), "with a row like {key:02x?}");
    }
}

#[test]
fn a_changed_amount_is_found() {
    let rows = rows(&evening());
    // Tag, and the place of the lowest byte of an amount: progress (left), claim (fen), share (fen), counts (sent).
    for (tag, place) in [(0x21, 10), (0x22, 10), (0x23, 24), (0x50, 64)] {
        for (key, value) in rows.iter().filter(|(key, _)| key.first() == Some(&tag)) {
            let mut changed = value.to_vec();
            *changed.get_mut(place).expect("the row is longer") ^= 1;
            let mut broken = rows.clone();
            broken.insert(key.clone(), changed.into());
            assert!(!is_clean(&broken), "with another amount in row {key:02x?}");
        }
    }
}
