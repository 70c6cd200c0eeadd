//! Expiry: serial with a late open, refunded once, whichever trigger comes first.

use machine::{Machine, TimestampMs};
use packets::limits::{LIFE_MS_DEFAULT, TICK_PACKETS_MAX};
use packets::lists::Cursor;
use packets::{Command, Fen, PacketFacts, PacketId, Phase, Refund, Refusal, Reply, audit, read, sweep};

use crate::evening::{Evening, SENDER, START, account, lucky};

fn due(evening: &Evening) -> Option<Command> {
    evening.host.machine().due(&evening.store, evening.now).expect("rows")
}

fn phase(evening: &Evening, packet: PacketId) -> Phase {
    read::packet(&evening.store, packet).expect("rows").expect("the packet").progress.phase
}

#[test]
fn an_open_at_the_expiry_is_refused_whether_or_not_the_tick_came() {
    for with_tick in [false, true] {
        let mut evening = Evening::with_users(3);
        let packet = evening.send(lucky(1, 300, 3));
        evening.pass(LIFE_MS_DEFAULT - 1);
        assert!(evening.open(packet, 2).is_ok(), "the last moment");
        assert_eq!(due(&evening), None);
        evening.pass(1);
        let tick = due(&evening).expect("the packet is due");
        if with_tick {
            assert!(matches!(evening.run(&tick), Reply::Closed(refunds) if refunds.len() == 1));
        }
        assert_eq!(evening.open(packet, 3), Err(Refusal::Expired));
        assert!(evening.open(packet, 2).is_ok(), "who has a share keeps it");
        evening.check();
    }
}

#[test]
fn a_tick_closes_only_what_its_own_stamp_has_reached() {
    let mut evening = Evening::with_users(2);
    let packet = evening.send(lucky(1, 300, 3));
    let early = Command::Tick { packets: vec![packet, PacketId::new(0xde00)] };
    assert_eq!(evening.run(&early), Reply::Closed(vec![]));
    assert_eq!(phase(&evening, packet), Phase::Live);
    assert_eq!(evening.refused(&Command::CloseExpired { packet }), Refusal::NotDue);
    evening.check();
}

#[test]
fn both_triggers_close_once_and_name_the_same_refund() {
    let mut evening = Evening::with_users(2);
    let packet = evening.send(lucky(1, 300, 3));
    let claimed = evening.open(packet, 2).expect("a share is left").fen;
    evening.pass(LIFE_MS_DEFAULT);
    let refund = Refund { packet, payer: account(SENDER), fen: Fen(300).minus(claimed), ended: evening.now };
    let closed = Reply::Closed(vec![refund]);
    assert_eq!(evening.run(&Command::Tick { packets: vec![packet, packet] }), closed);
    evening.pass(1);
    assert_eq!(evening.run(&Command::CloseExpired { packet }), closed);
    assert_eq!(sweep::pending_refunds(&evening.store, None, 9).expect("rows"), [refund]);
    let behind = Some(Cursor { at: refund.ended, packet });
    assert_eq!(sweep::pending_refunds(&evening.store, behind, 9).expect("rows"), []);
    for _ in 0..2 {
        assert_eq!(evening.run(&Command::MarkRefunded { packet }), Reply::Done);
        assert_eq!(evening.run(&Command::CloseExpired { packet }), closed);
        evening.check();
    }
    assert_eq!(phase(&evening, packet), Phase::Refunded);
    assert_eq!(due(&evening), None);
}

#[test]
fn a_packet_that_was_sold_out_never_expires() {
    let mut evening = Evening::with_users(3);
    let packet = evening.send(lucky(1, 100, 1));
    evening.open(packet, 2).expect("a share is left");
    let ended = evening.now;
    evening.pass(LIFE_MS_DEFAULT);
    assert_eq!(due(&evening), None);
    assert_eq!(evening.open(packet, 3), Err(Refusal::SoldOut));
    let nothing = Refund { packet, payer: account(SENDER), fen: Fen::ZERO, ended };
    assert_eq!(evening.run(&Command::CloseExpired { packet }), Reply::Closed(vec![nothing]));
    assert_eq!(evening.refused(&Command::MarkRefunded { packet }), Refusal::NothingToRefund);
    evening.check();
}

#[test]
fn what_is_due_is_closed_in_portions() {
    let mut evening = Evening::with_users(1);
    let count = u128::try_from(TICK_PACKETS_MAX).expect("a small number") + 3;
    for number in 1..=count {
        evening.send(lucky(number, 100, 1));
    }
    evening.pass(LIFE_MS_DEFAULT);
    let mut closed = Vec::new();
    while let Some(tick) = due(&evening) {
        match evening.run(&tick) {
            Reply::Closed(refunds) => closed.push(refunds.len()),
            other => panic!("a tick is not answered by {other:?}"),
        }
    }
    assert_eq!(closed, [TICK_PACKETS_MAX, 3]);
    evening.check();
}

#[test]
fn the_audit_tells_what_the_escrow_holds() {
    let mut evening = Evening::with_users(3);
    let packet = evening.send(lucky(1, 300, 3));
    let escrow = |evening: &Evening| {
        let mut all: Vec<PacketFacts> = Vec::new();
        audit(&evening.store, &mut |facts| all.push(facts.clone())).expect("rows");
        all.iter().map(PacketFacts::escrow).sum::<Fen>()
    };
    let first = evening.open(packet, 2).expect("a share is left").fen;
    evening.open(packet, 3).expect("a share is left");
    assert_eq!(escrow(&evening), Fen(300));
    evening.run(&Command::MarkCredited { packet, share: 1 });
    assert_eq!(escrow(&evening), Fen(300).minus(first));
    evening.pass(LIFE_MS_DEFAULT);
    evening.run(&Command::CloseExpired { packet });
    assert_eq!(escrow(&evening), Fen(300).minus(first));
    evening.run(&Command::MarkRefunded { packet });
    evening.run(&Command::MarkCredited { packet, share: 2 });
    assert_eq!(escrow(&evening), Fen::ZERO);
    evening.check();
}

#[test]
fn machine_time_and_not_the_sender_ends_a_packet() {
    let mut evening = Evening::with_users(1);
    let created = evening.now;
    let mut terms = lucky(1, 100, 1);
    terms.life_ms = 5;
    let packet = evening.send(terms);
    let view = read::packet(&evening.store, packet).expect("rows").expect("the packet");
    assert_eq!((created, view.packet.expires()), (START, TimestampMs(START.0 + 5)));
}
