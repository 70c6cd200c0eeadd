//! A queue is used while it is moved back and forth, with every step in any order, records offered twice and entries
//! rebuilt: no message is lost, doubled, under two live leases, or before an earlier one of its ordered group.
//!
//! Must never: know where the queue is but by asking both groups, as a client does.

use std::collections::BTreeMap;

use machine::TimestampMs;
use proptest::prelude::{ProptestConfig, Strategy, any, prop_oneof, proptest};
use queue_core::{Attributes, Command, DeliveryNumber, MessageId, NewMessage, QueueId, Reply};

use crate::moves::{FAR, carry, settle, start, tick_once};
use crate::room::{GROUP, Room, message};

const LEASE_MS: u64 = 5_000;

#[derive(Clone, Debug)]
enum Step {
    /// Of an ordered group or none, perhaps delayed.
    Send(u8, u64),
    Receive(u32),
    Ack(usize),
    Release(usize, u64),
    Move,
    Cancel,
    Tick(bool),
    /// One record or many, to there or back, acknowledged or not.
    Carry(bool, bool, bool),
    Pass(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0_u8..3, prop_oneof![3 => 0_u64..1, 1 => 1_u64..9_000]).prop_map(|(group, delay)| Step::Send(group, delay)),
        5 => (1_u32..4).prop_map(Step::Receive),
        4 => any::<usize>().prop_map(Step::Ack),
        2 => (any::<usize>(), 0_u64..3_000).prop_map(|(pick, delay)| Step::Release(pick, delay)),
        2 => proptest::prelude::Just(Step::Move),
        1 => proptest::prelude::Just(Step::Cancel),
        6 => any::<bool>().prop_map(Step::Tick),
        9 => (any::<bool>(), any::<bool>(), any::<bool>())
            .prop_map(|(back, one, acknowledged)| Step::Carry(back, one, acknowledged)),
        1 => (1_u64..6_000).prop_map(Step::Pass),
    ];
    proptest::collection::vec(step, 1..120)
}

/// What a client knows of a message.
struct Known {
    group: u8,
    /// When it can be seen first.
    due: TimestampMs,
    number: u64,
    lease: Option<(DeliveryNumber, TimestampMs)>,
    is_acked: bool,
}

struct World {
    rooms: [Room; 2],
    known: BTreeMap<MessageId, Known>,
    receipts: Vec<(MessageId, DeliveryNumber)>,
    sent: u64,
}

impl World {
    fn new() -> Self {
        let (near, _) = Room::with_queue(Attributes::default());
        Self { rooms: [near, Room::of(FAR)], known: BTreeMap::new(), receipts: Vec::new(), sent: 0 }
    }

    /// Where the queue is used now, if anywhere.
    fn home(&self) -> Option<(usize, QueueId)> {
        let found: Vec<_> = (0..2).filter_map(|at| Some((at, self.rooms[at].machine().queue_id("orders")?))).collect();
        assert!(found.len() <= 1, "one group decides at a time");
        found.first().copied()
    }

    fn now(&self) -> TimestampMs {
        self.rooms[0].now
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Send(group, delay_ms) => self.send(group, delay_ms),
            Step::Receive(count) => self.receive(count),
            Step::Ack(pick) => self.ack(pick),
            Step::Release(pick, delay_ms) => self.release(pick, delay_ms),
            Step::Move => {
                if let Some((at, _)) = self.home() {
                    start(&mut self.rooms[at], if at == 0 { FAR } else { GROUP });
                }
            }
            Step::Cancel => {
                let cancel = Command::CancelMove { name: "orders".to_owned() };
                self.rooms.iter_mut().for_each(|room| drop(room.run(&cancel)));
            }
            Step::Tick(at) => drop(tick_once(&mut self.rooms[usize::from(at)])),
            Step::Carry(back, one, acknowledged) => {
                let [near, there] = &mut self.rooms;
                let (from, to) = if back { (there, near) } else { (near, there) };
                carry(from, to, if one { 0 } else { 1 << 20 }, acknowledged);
            }
            Step::Pass(ms) => self.rooms.iter_mut().for_each(|room| room.pass(ms)),
        }
    }

    fn send(&mut self, group: u8, delay_ms: u64) {
        let Some((at, queue)) = self.home() else { return };
        let name = if group == 0 { String::new() } else { group.to_string() };
        // A delayed message has no place in an order until its delay ends.
        let (group, name) = if delay_ms > 0 { (0, String::new()) } else { (group, name) };
        let sent = self.rooms[at]
            .run(&Command::Send { queue, messages: vec![NewMessage { group: name, ..message("x", delay_ms) }] });
        let Reply::Sent { ids, .. } = sent else { panic!("it is sent, not {sent:?}") };
        self.sent += 1;
        let due = self.now().plus(delay_ms);
        let known = Known { group, due, number: self.sent, lease: None, is_acked: false };
        assert!(self.known.insert(ids[0], known).is_none(), "an id is given once");
    }

    fn receive(&mut self, count: u32) {
        let Some((at, queue)) = self.home() else { return };
        let now = self.now();
        for delivery in self.rooms[at].receive(queue, count, LEASE_MS) {
            let known = self.known.get(&delivery.id).expect("what is received was sent");
            assert!(!known.is_acked, "what was acked does not come again");
            assert!(known.due <= now, "a delay is kept");
            assert!(known.lease.is_none_or(|(_, until)| until <= now), "no two live leases");
            assert!(
                known.lease.is_none_or(|(former, _)| counted(former) < counted(delivery.receipt)),
                "receipts fence"
            );
            let (group, number) = (known.group, known.number);
            let is_before = |other: &Known| other.group == group && other.number < number && !other.is_acked;
            assert!(group == 0 || !self.known.values().any(is_before), "an ordered group keeps its order");
            if let Some(known) = self.known.get_mut(&delivery.id) {
                known.lease = Some((delivery.receipt, now.plus(LEASE_MS)));
            }
            self.receipts.push((delivery.id, delivery.receipt));
        }
    }

    /// A receipt that was given out, and whether it must be good.
    fn pick(&self, pick: usize) -> Option<(MessageId, DeliveryNumber, bool)> {
        let (id, receipt) = *self.receipts.get(pick.checked_rem(self.receipts.len())?)?;
        let known = self.known.get(&id)?;
        let is_live = known.lease.is_some_and(|(last, until)| last == receipt && self.now() < until);
        Some((id, receipt, is_live && !known.is_acked))
    }

    fn ack(&mut self, pick: usize) {
        let (Some((at, queue)), Some((id, receipt, is_good))) = (self.home(), self.pick(pick)) else { return };
        let result = self.rooms[at].ack(queue, &[receipt]);
        assert_eq!(
            result[0].is_none(),
            is_good,
            "a receipt is good exactly as long as its lease, wherever it was given"
        );
        if let Some(known) = self.known.get_mut(&id).filter(|_| is_good) {
            known.is_acked = true;
        }
    }

    fn release(&mut self, pick: usize, delay_ms: u64) {
        let (Some((at, queue)), Some((id, receipt, is_good))) = (self.home(), self.pick(pick)) else { return };
        self.rooms[at].release(queue, receipt, delay_ms, false);
        let now = self.now();
        if let Some(known) = self.known.get_mut(&id).filter(|_| is_good) {
            (known.lease, known.due) = (Some((receipt, now)), now.plus(delay_ms));
        }
    }

    /// Lets everything come to rest, and takes all that is left.
    fn close(&mut self) {
        let [near, there] = &mut self.rooms;
        settle(near, there);
        near.pass(60_000);
        there.pass(60_000);
        settle(near, there);
        let rest = self.known.values().filter(|known| !known.is_acked).count();
        let (at, queue) = self.home().expect("a move ends");
        let counts = self.rooms[at].counts(queue);
        assert_eq!(counts, (u64::try_from(rest).expect("few"), 0, 0), "nothing is lost, nothing is doubled");
        let mut left = rest;
        while left > 0 {
            let before = self.receipts.len();
            self.receive(16);
            assert!(self.receipts.len() > before, "whatever is left can be received");
            for pick in before..self.receipts.len() {
                self.ack(pick);
            }
            left = left.saturating_sub(self.receipts.len() - before);
        }
        assert_eq!(self.rooms.iter().map(Room::remains).sum::<usize>(), 0, "nothing remains anywhere");
    }
}

/// The count of a delivery within its queue: it goes on where the queue goes.
fn counted(receipt: DeliveryNumber) -> u64 {
    receipt.0 & ((1 << 44) - 1)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_queue_that_is_used_while_it_moves_loses_and_doubles_nothing(steps in steps()) {
        let mut world = World::new();
        for step in &steps {
            world.step(step);
        }
        world.close();
    }
}
