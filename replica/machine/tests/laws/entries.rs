//! Laws of entries: their bytes are pinned, batching changes nothing, and what is unknown parks the group.

use bytes::Bytes;
use machine::{
    Answer, Command, DecodeError, Destination, EntryView, EntryWriter, Format, GroupId, Host, Layout as _, LoadError,
    LogIndex, RequestId, RowSource as _, System, TimestampMs, Track,
};
use proptest::prelude::*;

use crate::tally::{Desk, GROUP, Tally, Told, entry, number, sum_of, told};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn entry_bytes_are_pinned() {
    let request = RequestId { session: 7, sequence: 8 };
    let deliver = System::Deliver {
        source: GroupId(4),
        track: Track(0x0203),
        epoch: 1,
        first: 9,
        records: vec![Bytes::from_static(b"r")],
    };
    let header = "01".to_owned() + "000000000000000a" + "000000000000005f";
    let none = "00000000000000000000000000000000";
    let table = [
        (vec![], "0000".to_owned()),
        (
            vec![(request, told(Told::Add(2)))],
            "0001".to_owned() + "00000000000000070000000000000008" + "01" + "00000009" + "010000000000000002",
        ),
        (
            vec![(RequestId::NONE, Command::System(System::OpenSession))],
            "0001".to_owned() + none + "00" + "00000001" + "00",
        ),
        (
            vec![(RequestId::NONE, Command::System(deliver))],
            "0001".to_owned()
                + none
                + "00"
                + "00000020"
                + "0100000004020300000000000000010000000000000009"
                + "00000001"
                + "0000000172",
        ),
        (
            vec![(RequestId::NONE, Command::System(System::Acknowledge { target: GroupId(5).into(), upto: 6 }))],
            "0001".to_owned() + none + "00" + "0000000f" + "020000000500000000000000000006",
        ),
    ];
    for (commands, tail) in table {
        let bytes = entry(10, &commands);
        assert_eq!(hex(&bytes), header.clone() + &tail);
        let view = EntryView::decode(bytes.clone()).expect("an entry reads back");
        assert_eq!((view.stamp, view.seed, view.commands), (TimestampMs(10), 0x5f, commands));
        for length in 0..bytes.len() {
            assert!(EntryView::decode(bytes.slice(..length)).is_err(), "cut to {length}");
        }
    }
}

#[test]
fn a_newer_entry_or_command_parks_at_its_place() {
    let newer_version = Bytes::from_static(&[2, 0, 0]);
    let unknown = |what, tag| DecodeError::Unknown { what, tag };
    let table = [
        (entry(1, &[(RequestId::NONE, told(Told::Newer))]), unknown("command of the tally", 9)),
        (newer_version, unknown("entry version", 2)),
    ];
    for (stranger, error) in table {
        let mut desk = Desk::new();
        let known = entry(1, &[(RequestId::NONE, told(Told::Add(4)))]);
        let outcome = desk.batch(&[known.clone(), stranger, known]);
        let parked = outcome.parked.expect("parked");
        assert_eq!((parked.index, parked.error), (LogIndex(2), error));
        assert_eq!(outcome.answers.len(), 1, "what stands before is applied, what stands behind is not");
        desk.reload();
        assert_eq!(sum_of(&desk.one(2, RequestId::NONE, &told(Told::Add(1)))).0, 5, "the rows stand before it too");
    }
}

#[test]
fn a_format_is_known_rises_and_stays() {
    let raise = |format| Command::System(System::Raise { format: Format(format) });
    assert_eq!(hex(&System::Raise { format: Format(2) }.to_bytes()), "0300000002");
    let mut desk = Desk::new();
    let newer = |what| DecodeError::Newer { what, format: 2, known: 1 };
    let outcome = desk.batch(&[entry(1, &[(RequestId::NONE, raise(2))])]);
    assert_eq!(outcome.parked.expect("an older release parks").error, newer("rise of the group"));
    assert_eq!(desk.host.format(), Format::FIRST);

    desk = Desk::knowing(Format(3));
    for (raised, has) in [(2, 2), (1, 2), (3, 3)] {
        assert_eq!(desk.one(1, RequestId::NONE, &raise(raised)), Answer::Reply(Bytes::new()));
        assert_eq!(desk.host.format(), Format(has), "raised to {raised}");
    }
    let row = desk.store.get(&[0x08]).expect("memory does not fail").expect("the row of the format");
    assert_eq!(hex(&row), "00000003");
    let load = |known| Host::<Tally>::load(GROUP, &desk.store, Format(known)).map(|host| host.format());
    assert_eq!(load(3), Ok(Format(3)), "a restart remembers it");
    assert_eq!(load(2), Err(LoadError::Newer { found: Format(3), known: Format(2) }));
}

#[test]
fn a_command_parks_who_does_not_know_its_format() {
    let table = [(1, true), (2, false), (3, false)];
    for (known, is_parked) in table {
        let mut desk = Desk::knowing(Format(known));
        let outcome = desk.batch(&[entry(1, &[(RequestId::NONE, told(Told::Later))])]);
        let parked = outcome.parked.map(|parked| parked.error);
        let expected = is_parked.then_some(DecodeError::Newer { what: "command", format: 2, known });
        assert_eq!(parked, expected, "who knows {known}");
    }
}

#[test]
fn machine_time_never_goes_back() {
    let mut desk = Desk::new();
    let stamps = [100, 90, 0, 101].map(|now| sum_of(&desk.one(now, RequestId::NONE, &told(Told::Add(1)))).1.0);
    assert_eq!(stamps, [100, 100, 100, 101]);
    desk.reload();
    assert_eq!(desk.host.now(), TimestampMs(101), "a restart remembers it");
}

#[test]
fn each_command_of_an_entry_has_random_bits_of_its_own() {
    let mut desk = Desk::new();
    let add = (RequestId::NONE, told(Told::Add(1)));
    let answers = desk.batch(&[entry(1, &[add.clone(), add.clone()]), entry(2, &[add])]).answers;
    let seeds: Vec<u64> = answers.iter().flatten().map(|answer| sum_of(answer).2).collect();
    assert!(seeds[0] != seeds[1] && seeds[1] != seeds[2] && seeds[0] != seeds[2], "{seeds:?}");
}

#[test]
fn an_entry_closes_at_its_soft_limit_but_takes_one_large_command() {
    let mut writer = EntryWriter::default();
    let large = machine::limits::ENTRY_BYTES_SOFT * 3;
    assert!(writer.has_room(large));
    writer.push(RequestId::NONE, &Command::Machine(Bytes::from(vec![0; large])));
    assert!(!writer.has_room(0));
}

fn destinations() -> impl Strategy<Value = Destination> {
    (0_u32..3, 0_u16..2).prop_map(|(group, track)| Destination { group: GroupId(group), track: Track(track) })
}

fn commands() -> impl Strategy<Value = Command> {
    prop_oneof![
        (0_u64..9).prop_map(|more| told(Told::Add(more))),
        (destinations(), 0_u64..20).prop_map(|(target, record)| told(Told::Post(target, record))),
        Just(Command::System(System::OpenSession)),
        (0_u16..2, 1_u64..3, 0_u64..4, 0_usize..4).prop_map(|(track, epoch, first, count)| {
            let records = (0..count as u64).map(|record| number(record * 4 + 1)).collect();
            Command::System(System::Deliver { source: GroupId(9), track: Track(track), epoch, first, records })
        }),
        (destinations(), 0_u64..5).prop_map(|(target, upto)| Command::System(System::Acknowledge { target, upto })),
    ]
}

fn requests() -> impl Strategy<Value = RequestId> {
    // The first entry opens the session 1 << 16; 5 was never opened.
    (prop_oneof![Just(0), Just(1 << 16), Just(5)], 1_u64..6)
        .prop_map(|(session, sequence)| RequestId { session, sequence })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn batching_and_restarts_change_nothing(
        entries in prop::collection::vec((0_u64..50, prop::collection::vec((requests(), commands()), 0..4)), 1..25),
        cuts in prop::collection::vec(any::<bool>(), 25),
    ) {
        let opening = entry(1, &[(RequestId::NONE, Command::System(System::OpenSession))]);
        let later = entries.iter().map(|(now, commands)| entry(*now, commands));
        let all: Vec<Bytes> = std::iter::once(opening).chain(later).collect();

        let mut whole = Desk::new();
        let expected = whole.batch(&all).answers;

        let (mut parts, mut answers, mut batch) = (Desk::new(), Vec::new(), Vec::new());
        for (bytes, cut) in all.iter().zip(cuts.iter().cycle()) {
            batch.push(bytes.clone());
            if *cut {
                answers.extend(parts.batch(&std::mem::take(&mut batch)).answers);
                parts.reload();
            }
        }
        answers.extend(parts.batch(&batch).answers);
        prop_assert_eq!(answers, expected);
        prop_assert_eq!(&parts.store, &whole.store);
    }

    #[test]
    fn no_bytes_make_an_entry_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut versioned = bytes.clone();
        if let Some(version) = versioned.first_mut() {
            *version = 1;
        }
        for bytes in [bytes, versioned] {
            if let Ok(view) = EntryView::decode(Bytes::from(bytes.clone())) {
                let mut writer = EntryWriter::default();
                for (request, command) in &view.commands {
                    writer.push(*request, command);
                }
                prop_assert_eq!(writer.finish(view.stamp, view.seed), Bytes::from(bytes), "one reading has one layout");
            }
        }
    }
}

#[test]
fn layouts_of_numbers_sort_as_numbers_do() {
    let mut last = Bytes::new();
    for value in [0_u64, 1, 255, 256, 65_535, 1 << 40, u64::MAX] {
        let bytes = TimestampMs(value).to_bytes();
        assert!(bytes > last, "{value}");
        assert_eq!(TimestampMs::from_bytes(&bytes), Ok(TimestampMs(value)));
        last = bytes;
    }
}
