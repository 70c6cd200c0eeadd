//! Opens: one share a user, all shares and no more, the luckiest, and what is marked on the way of the money.

use packets::limits::CREDIT_RETRY_MS;
use packets::read::{self, GrabAnswer};
use packets::{Command, CreditState, Fen, Kind, Phase, Reply, UserId, sweep};

use crate::evening::{CHAT, Evening, SENDER, account, exclusive, lucky, open, terms};

#[test]
fn fifty_thousand_opens_of_a_hundred_shares_decide_exactly_a_hundred() {
    let mut evening = Evening::with_users(500);
    let packet = evening.send(lucky(1, 1_000_000, 100));
    let (mut opened, mut sum) = (0, Fen::ZERO);
    for attempt in 0..50_000_u128 {
        let user = attempt % 500 + 1;
        match evening.open(packet, user) {
            Ok(credit) if credit.claimed == evening.now && u128::from(credit.share) == opened + 1 => {
                opened += 1;
                sum = sum.plus(credit.fen);
                assert_eq!(credit.user, UserId(user));
            }
            Ok(credit) => assert!(u128::from(credit.share) <= opened, "a repeat gets a former share"),
            Err(refusal) => assert_eq!((refusal, opened), (packets::Refusal::SoldOut, 100)),
        }
    }
    assert_eq!((opened, sum), (100, Fen(1_000_000)));
    evening.check();
}

#[test]
fn a_repeated_open_gets_the_same_share_whatever_happened_since() {
    let mut evening = Evening::with_users(3);
    let packet = evening.send(lucky(1, 300, 2));
    let first = evening.run(&open(packet, 2));
    evening.pass(10);
    assert_eq!(evening.run(&open(packet, 2)), first);
    assert!(evening.open(packet, 3).is_ok());
    assert_eq!(evening.run(&open(packet, 2)), first, "sold out");
    assert_eq!(evening.run(&Command::MarkCredited { packet, share: 1 }), Reply::Done);
    evening.pass(2 * packets::limits::LIFE_MS_MAX);
    assert_eq!(evening.run(&open(packet, 2)), first, "over and credited");
    evening.check();
}

#[test]
fn the_sender_may_open_a_share_of_his_own_group_packet() {
    let mut evening = Evening::with_users(1);
    let packet = evening.send(lucky(1, 5, 1));
    let credit = evening.open(packet, SENDER.0).expect("a member opens");
    assert_eq!((credit.fen, credit.payer, credit.payee), (Fen(5), account(SENDER), account(SENDER)));
}

#[test]
fn equal_shares_hold_the_same_and_have_no_luckiest() {
    let mut evening = Evening::with_users(4);
    let packet = evening.send(terms(1, Kind::GroupEqual { chat: CHAT }, 400, 4));
    for user in 1..=4 {
        assert_eq!(evening.open(packet, user).map(|credit| credit.fen), Ok(Fen(100)));
    }
    let view = read::packet(&evening.store, packet).expect("rows").expect("the packet");
    assert_eq!((view.luckiest(), view.progress.phase), (None, Phase::SoldOut));
    evening.check();
}

#[test]
fn an_exclusive_packet_opens_for_those_it_names() {
    let mut evening = Evening::with_users(4);
    let packet = evening.send(exclusive(1, &[2, 3], 200));
    assert_eq!(evening.open(packet, 4), Err(packets::Refusal::NotYours));
    assert_eq!(evening.open(packet, 1), Err(packets::Refusal::NotYours));
    assert_eq!(evening.open(packet, 3).map(|credit| credit.fen), Ok(Fen(100)));
    assert_eq!(evening.open(packet, 2).map(|credit| credit.fen), Ok(Fen(100)));
    evening.check();
}

#[test]
fn the_luckiest_is_the_first_of_the_largest_and_known_when_all_is_taken() {
    for number in 1..40 {
        let mut evening = Evening::with_users(4);
        let packet = evening.send(lucky(number, 9, 4));
        let mut best: Option<(Fen, UserId)> = None;
        for user in 1..=4 {
            let view = read::packet(&evening.store, packet).expect("rows").expect("the packet");
            assert_eq!(view.luckiest(), None, "not decided while shares are left");
            let credit = evening.open(packet, user).expect("a share is left");
            if best.is_none_or(|(fen, _)| credit.fen > fen) {
                best = Some((credit.fen, UserId(user)));
            }
        }
        let view = read::packet(&evening.store, packet).expect("rows").expect("the packet");
        let luckiest = view.luckiest().expect("decided");
        assert_eq!(Some(luckiest), best.map(|(_, user)| user));
        assert_eq!(read::year(&evening.store, luckiest, 2026).expect("rows").luckiest, 1);
        evening.check();
    }
}

#[test]
fn a_grab_reserves_nothing_and_says_what_an_open_would() {
    let mut evening = Evening::with_users(3);
    let packet = evening.send(lucky(1, 100, 1));
    let rows_before = evening.store.clone();
    let grab = |evening: &Evening, user| read::grab(&evening.store, packet, UserId(user), evening.now).expect("rows");
    let left = GrabAnswer::Left { chat: Some(CHAT), shares: 1, needs_password: false };
    assert_eq!((grab(&evening, 2), grab(&evening, 3)), (left, left));
    assert_eq!(evening.store, rows_before);
    let credit = evening.open(packet, 2).expect("a share is left");
    assert_eq!(grab(&evening, 2), GrabAnswer::Claimed(credit));
    assert_eq!(grab(&evening, 3), GrabAnswer::Refused(packets::Refusal::SoldOut));
    assert_eq!(grab(&evening, 9), GrabAnswer::Refused(packets::Refusal::UserUnknown));
}

#[test]
fn a_claim_is_swept_until_its_credit_is_booked() {
    let mut evening = Evening::with_users(3);
    let packet = evening.send(lucky(1, 100, 2));
    let first = evening.open(packet, 2).expect("a share is left");
    evening.pass(1_000);
    let second = evening.open(packet, 3).expect("a share is left");
    let swept =
        |evening: &Evening| sweep::uncredited(&evening.store, evening.now.minus(CREDIT_RETRY_MS), 10).expect("rows");
    assert_eq!(swept(&evening), []);
    evening.pass(CREDIT_RETRY_MS);
    assert_eq!(swept(&evening), [first, second]);
    // In the queue: it has its time again. Booked: never more.
    assert_eq!(evening.run(&Command::MarkQueued { packet, share: 1 }), Reply::Done);
    assert_eq!(swept(&evening), [second]);
    assert_eq!(evening.run(&Command::MarkCredited { packet, share: 2 }), Reply::Done);
    assert_eq!(swept(&evening), []);
    evening.check();
    evening.pass(CREDIT_RETRY_MS);
    assert_eq!(swept(&evening), [first]);
    assert_eq!(sweep::uncredited_since(&evening.store).expect("rows"), Some(evening.now.minus(CREDIT_RETRY_MS)));
    for _ in 0..2 {
        assert_eq!(evening.run(&Command::MarkCredited { packet, share: 1 }), Reply::Done);
        // A late mark from a worker that retried does not undo it.
        assert_eq!(evening.run(&Command::MarkQueued { packet, share: 1 }), Reply::Done);
        evening.check();
    }
    let view = read::packet(&evening.store, packet).expect("rows").expect("the packet");
    let states: Vec<CreditState> = view.shares.iter().map(|share| share.state).collect();
    assert_eq!(states, [CreditState::Collected, CreditState::Credited], "which of them went by the queue stays known");
    assert_eq!(sweep::uncredited_since(&evening.store).expect("rows"), None);
}
