//! Names and homes: stable for ever, spread evenly, and derived without a clash.

use machine::GroupId;
use packets::{OrderId, PacketId, TransferId, credit_id, home, refund_id};

fn packet(number: u128) -> PacketId {
    PacketId::of_order(OrderId(number << 8))
}

#[test]
fn a_home_does_not_depend_on_the_order_of_the_groups() {
    let groups = [GroupId(3), GroupId(1), GroupId(2)];
    let sorted = [GroupId(1), GroupId(2), GroupId(3)];
    for number in 0..1_000 {
        assert_eq!(home(packet(number), &groups), home(packet(number), &sorted));
    }
}

#[test]
fn homes_are_pinned() {
    let groups: Vec<GroupId> = (1..=4).map(GroupId).collect();
    let homes: Vec<u32> = (0..16).map(|number| home(packet(number), &groups).0).collect();
    assert_eq!(homes, PINNED);
}

#[test]
fn homes_are_spread_evenly_and_a_new_group_takes_only_its_part() {
    let four: Vec<GroupId> = (1..=4).map(GroupId).collect();
    let five: Vec<GroupId> = (1..=5).map(GroupId).collect();
    let mut homes = [0_u32; 6];
    for number in 0..10_000 {
        let (before, after) = (home(packet(number), &four), home(packet(number), &five));
        assert!(after == before || after == GroupId(5), "only the new group takes packets");
        homes[usize::try_from(after.0).expect("a small number")] += 1;
    }
    assert!(homes[1..].iter().all(|count| (1_850..=2_150).contains(count)), "{homes:?}");
}

#[test]
fn the_transfers_of_a_packet_stand_beside_it() {
    let id = PacketId::new(0xab_cdef_12ff);
    assert_eq!(id.bits(), 0xab_cdef_1200);
    assert_eq!(credit_id(id, 1), TransferId(0xab_cdef_1201));
    assert_eq!(credit_id(id, 100), TransferId(0xab_cdef_1264));
    assert_eq!(refund_id(id), TransferId(0xab_cdef_12ff));
    assert_eq!(PacketId::new(credit_id(id, 100).0), id);
}

const PINNED: [u32; 16] = [2, 1, 2, 2, 1, 1, 3, 4, 3, 2, 1, 2, 4, 2, 2, 2];
