//! Laws of sessions: a repeat is answered with the former reply, and what cannot be known is refused.

use machine::limits::{SESSION_IDLE_MS, SESSION_WINDOW, SESSIONS_MAX};
use machine::{Answer, Command, Reader, RequestId, SessionRefusal, System};

use crate::tally::{Desk, Told, entry, sum_of, told};

fn open(desk: &mut Desk, now: u64) -> u64 {
    match desk.one(now, RequestId::NONE, &Command::System(System::OpenSession)) {
        Answer::Reply(id) => Reader::new(id).u64().expect("an id is a number"),
        Answer::Refused(refusal) => panic!("refused: {refusal}"),
    }
}

fn add(desk: &mut Desk, session: u64, sequence: u64) -> Answer {
    desk.one(1_000, RequestId { session, sequence }, &told(Told::Add(1)))
}

#[test]
fn a_repeat_gets_the_former_reply_and_is_not_applied() {
    let mut desk = Desk::new();
    let session = open(&mut desk, 1);
    let first = add(&mut desk, session, 1);
    let second = add(&mut desk, session, 2);
    assert_eq!(add(&mut desk, session, 1), first);
    desk.reload();
    assert_eq!(add(&mut desk, session, 1), first, "after a restart too");
    assert_eq!(add(&mut desk, session, 2), second);
    assert_eq!(sum_of(&add(&mut desk, session, 3)).0, 3, "three were applied");
}

#[test]
fn a_repeat_within_one_entry_is_answered_too() {
    let mut desk = Desk::new();
    let session = open(&mut desk, 1);
    let twice = (RequestId { session, sequence: 1 }, told(Told::Add(5)));
    let answers = desk.batch(&[entry(2, &[twice.clone(), twice])]).answers;
    assert_eq!(answers[0][0], answers[0][1]);
    assert_eq!(sum_of(&answers[0][0]).0, 5);
}

#[test]
fn requests_may_overtake_each_other_within_the_window() {
    let mut desk = Desk::new();
    let session = open(&mut desk, 1);
    for (sequence, sum) in [(3, 1), (1, 2), (2, 3)] {
        assert_eq!(sum_of(&add(&mut desk, session, sequence)).0, sum);
    }
}

#[test]
fn what_lies_below_the_window_is_refused_for_good() {
    let mut desk = Desk::new();
    let session = open(&mut desk, 1);
    let window = SESSION_WINDOW as u64;
    for sequence in 1..=window + 2 {
        add(&mut desk, session, sequence);
    }
    for sequence in [1, 2] {
        assert_eq!(add(&mut desk, session, sequence), Answer::Refused(SessionRefusal::RequestTooOld), "{sequence}");
    }
    assert_eq!(sum_of(&add(&mut desk, session, 3)).0, 3, "the oldest of the window is still known");
    desk.reload();
    assert_eq!(add(&mut desk, session, 2), Answer::Refused(SessionRefusal::RequestTooOld), "after a restart too");
}

/// An entry in which the session adds one under each of these sequences.
fn additions(session: u64, sequences: std::ops::RangeInclusive<u64>) -> bytes::Bytes {
    let named = sequences.map(|sequence| (RequestId { session, sequence }, told(Told::Add(1))));
    entry(1_000, &named.collect::<Vec<_>>())
}

fn reply_rows(desk: &Desk) -> Vec<String> {
    let mut rows = Vec::new();
    let (from, to) = ([0x02], machine::prefix_end(&[0x02]));
    let mut visit = |key: &[u8], value: &[u8]| {
        rows.push(key.iter().chain(value).map(|byte| format!("{byte:02x}")).collect());
        true
    };
    machine::RowSource::scan(&desk.store, &from, &to, &mut visit).expect("memory does not fail");
    rows
}

#[test]
fn replies_of_one_entry_share_a_row_that_goes_with_the_last_of_them() {
    let mut desk = Desk::new();
    let session = open(&mut desk, 1);
    let window = SESSION_WINDOW as u64;
    desk.batch(&[additions(session, 1..=2)]);
    assert_eq!(reply_rows(&desk).len(), 1, "two replies, one row");
    desk.batch(&[additions(session, 3..=window), additions(session, window + 1..=window + 1)]);
    assert_eq!(reply_rows(&desk).len(), 3, "the reply to 2 keeps the row of 1");
    desk.reload();
    assert_eq!(add(&mut desk, session, 1), Answer::Refused(SessionRefusal::RequestTooOld), "whatever its row holds");
    assert_eq!(sum_of(&add(&mut desk, session, 2)).0, 2);
    desk.batch(&[additions(session, window + 2..=window + 2)]);
    assert_eq!(reply_rows(&desk).len(), 3, "the row of 1 and 2 has gone, that of the newest has come");
    assert_eq!(sum_of(&add(&mut desk, session, window)).0, window);
}

#[test]
fn a_session_that_keeps_rows_by_single_replies_takes_no_room_of_others() {
    let mut desk = Desk::new();
    let (quiet, greedy) = (open(&mut desk, 1), open(&mut desk, 1));
    let first = add(&mut desk, quiet, 1);
    // Each entry has one reply that stays in the window and as many as can be that leave it.
    let (many, high) = (4_095_u64, 1_u64 << 40);
    for round in 0..200 {
        let low = round * many + 1..=(round + 1) * many;
        let named = low.chain([high + round]).map(|sequence| RequestId { session: greedy, sequence });
        let commands: Vec<_> = named.map(|request| (request, told(Told::Add(1)))).collect();
        desk.batch(&[entry(1_000, &commands)]);
    }
    assert_eq!(add(&mut desk, quiet, 1), first, "the other session is remembered");
    desk.reload();
    assert_eq!(add(&mut desk, quiet, 1), first, "after a restart too");
}

#[test]
fn a_row_of_replies_is_pinned() {
    let mut desk = Desk::new();
    let session = open(&mut desk, 1);
    desk.batch(&[additions(session, 7..=8)]);
    let pinned = concat!(
        "02",
        "0000000000010000",
        "0000000000000002",
        "0000000000000007",
        "00000018",
        "000000000000000100000000000003e876383155592e09e4",
        "0000000000000008",
        "00000018",
        "000000000000000200000000000003e8b78e3ce6f3c3fbc3",
    );
    assert_eq!(reply_rows(&desk), [pinned]);
}

#[test]
fn a_session_that_nobody_opened_is_refused() {
    let mut desk = Desk::new();
    assert_eq!(add(&mut desk, 99, 1), Answer::Refused(SessionRefusal::RequestTooOld));
}

#[test]
fn a_full_table_forgets_only_sessions_that_are_idle() {
    let mut desk = Desk::new();
    let first = open(&mut desk, 1);
    let opening = (RequestId::NONE, Command::System(System::OpenSession));
    let mut left = SESSIONS_MAX - 1;
    while left > 0 {
        let count = left.min(1_000);
        desk.batch(&[entry(2, &vec![opening.clone(); count])]);
        left -= count;
    }
    let full = desk.one(3, RequestId::NONE, &opening.1);
    assert_eq!(full, Answer::Refused(SessionRefusal::TooManySessions));
    let next = desk.one(1 + SESSION_IDLE_MS, RequestId::NONE, &opening.1);
    assert!(matches!(next, Answer::Reply(_)), "the idle one made room: {next:?}");
    assert_eq!(add(&mut desk, first, 1), Answer::Refused(SessionRefusal::RequestTooOld));
}

#[test]
fn refusals_keep_their_numbers_and_texts() {
    let table = [
        (SessionRefusal::RequestTooOld, 1, "the request id is too old: its session or its place in the window is gone"),
        (SessionRefusal::TooManySessions, 2, "too many sessions are open in this group"),
    ];
    for (refusal, number, text) in table {
        assert_eq!((refusal as u16, refusal.to_string().as_str()), (number, text));
    }
}
