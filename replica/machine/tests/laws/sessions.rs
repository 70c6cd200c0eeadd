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
