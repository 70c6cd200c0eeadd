//! Laws of the courier: gapless, once, in order, and under the newest epoch only.

use machine::{Answer, Command, Delivery, Destination, GroupId, Layout as _, RequestId, System, Track};

use crate::tally::{Desk, Told, number, told};

const SOURCE: GroupId = GroupId(1);
const TARGET: GroupId = GroupId(2);

fn deliver(desk: &mut Desk, epoch: u64, first: u64, records: &[u64]) -> (u64, Option<String>) {
    deliver_on(desk, Track(0), (epoch, first), records)
}

fn deliver_on(desk: &mut Desk, track: Track, (epoch, first): (u64, u64), records: &[u64]) -> (u64, Option<String>) {
    let records = records.iter().map(|record| number(*record)).collect();
    let command = Command::System(System::Deliver { source: SOURCE, track, epoch, first, records });
    match desk.one(5, RequestId::NONE, &command) {
        Answer::Reply(reply) => {
            let Delivery { applied, refused } = Delivery::from_bytes(&reply).expect("a delivery decodes");
            (applied, refused)
        }
        Answer::Refused(refusal) => panic!("refused: {refusal}"),
    }
}

/// Epoch, first, records; applied, refused, sum of what arrived.
type Step = (u64, u64, &'static [u64], u64, Option<String>, u64);

#[test]
fn a_target_applies_each_record_once_and_in_order() {
    let mut desk = Desk::new();
    let old = Some("the source's epoch is an old one".to_owned());
    let table: [Step; 9] = [
        (1, 1, &[10, 20], 2, None, 30),
        (1, 1, &[10, 20], 2, None, 30),
        (1, 2, &[20, 30], 3, None, 60),
        (1, 5, &[50], 3, Some("record 4 is missing".to_owned()), 60),
        (1, 4, &[], 3, None, 60),
        (1, 4, &[1, 13, 2], 4, Some("13 is full".to_owned()), 61),
        (2, 1, &[100], 1, None, 161),
        (1, 5, &[7], 0, old, 161),
        (2, 2, &[1000], 2, None, 1161),
    ];
    for (step, (epoch, first, records, applied, refused, sum)) in table.into_iter().enumerate() {
        assert_eq!(deliver(&mut desk, epoch, first, records), (applied, refused), "step {step}");
        assert_eq!(desk.arrived(), sum, "step {step}");
        desk.reload();
    }
}

#[test]
fn a_source_keeps_each_record_until_its_target_has_it() {
    let mut desk = Desk::new();
    for record in [4, 5, 6] {
        desk.one(1, RequestId::NONE, &told(Told::Post(TARGET.into(), record)));
    }
    desk.one(1, RequestId::NONE, &told(Told::Post(SOURCE.into(), 1)));
    let waiting = |desk: &Desk| {
        let records = desk.host.courier_records(TARGET, 1 << 20, &desk.store).expect("memory does not fail");
        records.into_iter().map(|record| (record.sequence, record.bytes)).collect::<Vec<_>>()
    };
    assert_eq!(waiting(&desk), vec![(1, number(4)), (2, number(5)), (3, number(6))]);
    let acknowledge = |upto| Command::System(System::Acknowledge { target: TARGET.into(), upto });
    for (upto, first_left) in [(1, 2), (1, 2), (0, 2), (2, 3)] {
        desk.one(2, RequestId::NONE, &acknowledge(upto));
        desk.reload();
        assert_eq!(waiting(&desk).first().map(|record| record.0), Some(first_left), "after {upto}");
    }
    desk.one(2, RequestId::NONE, &acknowledge(99));
    assert_eq!(waiting(&desk), vec![], "an acknowledgement cannot reach beyond what was posted");
    desk.one(3, RequestId::NONE, &told(Told::Post(TARGET.into(), 7)));
    assert_eq!(waiting(&desk), vec![(4, number(7))], "the sequence has no gap");
    let status: Vec<_> = desk.host.courier_status().iter().map(|status| (status.target, status.waiting)).collect();
    assert_eq!(status, vec![(SOURCE.into(), 1), (TARGET.into(), 1)]);
}

#[test]
fn a_parcel_is_bounded_by_bytes_but_never_empty() {
    let mut desk = Desk::new();
    for record in 0..5 {
        desk.one(1, RequestId::NONE, &told(Told::Post(TARGET.into(), record)));
    }
    for (bytes_max, count) in [(0, 1), (8, 1), (16, 2), (1000, 5)] {
        let records = desk.host.courier_records(TARGET, bytes_max, &desk.store).expect("memory does not fail");
        assert_eq!(records.len(), count, "{bytes_max} bytes");
    }
}

#[test]
fn what_waits_on_one_track_does_not_hold_up_another() {
    let mut desk = Desk::new();
    let full = Some("13 is full".to_owned());
    assert_eq!(deliver_on(&mut desk, Track(1), (1, 1), &[13]), (0, full.clone()));
    assert_eq!(deliver_on(&mut desk, Track(2), (1, 1), &[5, 6]), (2, None));
    desk.reload();
    assert_eq!(deliver_on(&mut desk, Track(1), (1, 1), &[13]), (0, full), "each track counts by itself");
    assert_eq!(deliver_on(&mut desk, Track(2), (1, 1), &[5, 6]), (2, None), "and knows its own repeats");
    assert_eq!(desk.arrived(), 11);
    assert_eq!(deliver_on(&mut desk, Track(3), (2, 1), &[1]), (1, None), "a newer epoch on a third");
    let old = Some("the source's epoch is an old one".to_owned());
    assert_eq!(deliver_on(&mut desk, Track(2), (1, 3), &[7]), (0, old.clone()), "makes the old one stale on all");
    desk.reload();
    assert_eq!(deliver_on(&mut desk, Track(2), (1, 3), &[7]), (0, old), "also after a restart");
    assert_eq!(deliver_on(&mut desk, Track(2), (2, 1), &[9]), (1, None));
    assert_eq!(desk.arrived(), 21);
}

#[test]
fn a_source_keeps_its_tracks_apart() {
    let mut desk = Desk::new();
    let [one, two] = [1, 2].map(|track| Destination { group: TARGET, track: Track(track) });
    for (target, record) in [(one, 4), (two, 5), (one, 6)] {
        desk.one(1, RequestId::NONE, &told(Told::Post(target, record)));
    }
    desk.one(1, RequestId::NONE, &Command::System(System::Acknowledge { target: two, upto: 1 }));
    desk.reload();
    let status: Vec<_> = desk.host.courier_status().iter().map(|status| (status.target, status.waiting)).collect();
    assert_eq!(status, vec![(one, 2)]);
    let records = desk.host.courier_records(one, 1 << 20, &desk.store).expect("memory does not fail");
    let records: Vec<_> = records.into_iter().map(|record| (record.sequence, record.bytes)).collect();
    assert_eq!(records, vec![(1, number(4)), (2, number(6))]);
}

#[test]
fn a_restored_source_sends_what_waits_again_from_the_first_under_the_next_epoch() {
    let mut desk = Desk::new();
    for record in [4, 5, 6] {
        desk.one(1, RequestId::NONE, &told(Told::Post(TARGET.into(), record)));
    }
    desk.one(1, RequestId::NONE, &Command::System(System::Acknowledge { target: TARGET.into(), upto: 1 }));
    let changes = machine::renewed_courier(&desk.store).expect("the rows are whole");
    desk.store.commit(&changes);
    desk.reload();
    let records = desk.host.courier_records(TARGET, 1 << 20, &desk.store).expect("memory does not fail");
    let records: Vec<_> = records.into_iter().map(|record| (record.sequence, record.bytes)).collect();
    assert_eq!((records, desk.host.epoch()), (vec![(1, number(5)), (2, number(6))], 2));
    // A target that had taken some of them under the old epoch takes them all once more.
    let mut target = Desk::new();
    assert_eq!(deliver(&mut target, 1, 1, &[4, 5]), (2, None));
    assert_eq!(deliver(&mut target, 2, 1, &[5, 6]), (2, None));
    assert_eq!(target.arrived(), 4 + 5 + 5 + 6);
}
