//! Laws of the overlay: it reads and changes as a plain map would.
//!
//! Must never: rely on how keys are found.

use std::collections::BTreeMap;

use bytes::Bytes;
use machine::{Key, Rows};
use proptest::prelude::*;

type Model = BTreeMap<Key, Option<Bytes>>;

#[derive(Clone, Debug)]
enum Change {
    Put(Vec<u8>, u8),
    Set(Vec<u8>, u8),
    Delete(Vec<u8>),
}

/// Short keys of few letters, so that they meet, and long ones.
fn keys() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![prop::collection::vec(0_u8..3, 0..4), prop::collection::vec(0_u8..2, 15..18)]
}

fn changes() -> impl Strategy<Value = Change> {
    prop_oneof![
        (keys(), any::<u8>()).prop_map(|(key, value)| Change::Put(key, value)),
        (keys(), any::<u8>()).prop_map(|(key, value)| Change::Set(key, value)),
        keys().prop_map(Change::Delete),
    ]
}

proptest! {
    #[test]
    fn the_overlay_reads_and_changes_as_a_map_does(
        loaded in prop::collection::btree_map(keys(), prop::option::of(any::<u8>()), 0..60),
        changes in prop::collection::vec(changes(), 0..60),
    ) {
        let value = |byte: u8| Bytes::from(vec![byte]);
        let loaded: Model = loaded.into_iter().map(|(key, row)| (Key::from(key), row.map(value))).collect();
        let (mut rows, mut seen, mut changed) = (Rows::new(loaded.clone()), loaded, Model::new());
        for change in changes {
            let (key, row) = match change {
                Change::Put(key, byte) => {
                    rows.put(Key::from(key.clone()), value(byte));
                    (key, Some(value(byte)))
                }
                Change::Set(key, byte) => {
                    rows.set(&key, value(byte));
                    (key, Some(value(byte)))
                }
                Change::Delete(key) => {
                    rows.delete(Key::from(key.clone()));
                    (key, None)
                }
            };
            seen.insert(Key::from(key.clone()), row.clone());
            changed.insert(Key::from(key), row);
            for (key, row) in &seen {
                prop_assert_eq!(rows.get(key), row.as_ref());
            }
        }
        let found: Model = rows.changes().map(|(key, row)| (key.clone(), row.cloned())).collect();
        prop_assert_eq!(found, changed);
        prop_assert!(rows.changes().map(|(key, _)| key).is_sorted(), "changes come in key order");
    }
}

#[test]
fn a_great_many_rows_are_all_found() {
    let key = |number: u32| Key::copy_from_slice(&number.to_be_bytes());
    let loaded: Model = (0..50_000).map(|number| (key(number), Some(key(number)))).collect();
    let rows = Rows::new(loaded);
    for number in 0..50_000_u32 {
        assert_eq!(rows.get(&number.to_be_bytes()), Some(&key(number)));
    }
}

#[test]
#[should_panic(expected = "a machine reads only rows that its command named")]
fn a_row_that_was_not_named_is_not_read() {
    let rows = Rows::new(Model::from([(Key::from_static(b"a"), None)]));
    assert_eq!(rows.get(b"a"), None);
    let _ = rows.get(b"b");
}
