//! The gate: answers only what stays true, and forgets the oldest.

use packets::{Gate, Known, PacketId, Refusal, UserId, read};

use crate::evening::{Evening, lucky};

#[test]
fn the_gate_refuses_latecomers_and_never_a_holder() {
    let mut evening = Evening::with_users(4);
    let packet = evening.send(lucky(1, 100, 2));
    let first = evening.open(packet, 1).expect("a share is left");
    evening.open(packet, 2).expect("a share is left");
    let refusal = evening.open(packet, 3).expect_err("sold out");
    let view = read::packet(&evening.store, packet).expect("rows").expect("the packet");

    let mut gate = Gate::default();
    assert_eq!(gate.ask(packet, UserId(3)), None, "it knows nothing yet");
    gate.learn_claim(&first);
    gate.learn_over(packet, refusal, view.holders());
    assert_eq!(gate.ask(packet, UserId(1)), Some(Known::Claimed(first)));
    assert_eq!(gate.ask(packet, UserId(2)), None, "a holder whose credit it does not know asks the log");
    assert_eq!(gate.ask(packet, UserId(4)), Some(Known::Over(Refusal::SoldOut)));
}

#[test]
fn the_gate_learns_only_what_stays_true() {
    let packet = PacketId::new(0x100);
    for refusal in Refusal::ALL {
        let mut gate = Gate::default();
        gate.learn_over(packet, *refusal, []);
        let known = matches!(refusal, Refusal::SoldOut | Refusal::Expired);
        assert_eq!(gate.ask(packet, UserId(1)).is_some(), known, "{refusal}");
    }
}

#[test]
fn the_gate_forgets_the_oldest() {
    let mut gate = Gate::new(2, 2);
    let packets: Vec<PacketId> = (1..=3).map(|number| PacketId::new(number << 8)).collect();
    for packet in [packets[0], packets[0], packets[1], packets[2]] {
        gate.learn_over(packet, Refusal::Expired, []);
    }
    let known: Vec<bool> = packets.iter().map(|packet| gate.ask(*packet, UserId(1)).is_some()).collect();
    assert_eq!(known, [false, true, true]);
}
