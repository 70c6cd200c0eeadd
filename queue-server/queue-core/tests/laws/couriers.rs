//! Between groups: what leaves one by courier enters the other once, whole, and waits with a reason where it cannot.
//!
//! Must never: let the courier's losses and repeats show in any queue.

use bytes::Bytes;
use machine::{CourierStatus, Delivery, GroupId, Layout as _, System, Track};
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest};
use queue_core::{
    Attributes, Command, DeadLetterCount, DeadLetterPolicy, Due, Endpoint, QueueAddress, QueueId, RedriveFilter,
    RedriveOrder, RedriveState, Reply, SubscriptionAttributes, TopicAttributes, TopicCommand, TopicId,
};

use crate::golden::hex;
use crate::room::{GROUP, Room, released};
use crate::topics::{create_topic, publish, pushed, subscribe};

const FAR: GroupId = GroupId(9);

fn far(queue: &str) -> QueueAddress {
    QueueAddress { group: Some(FAR), queue: queue.to_owned() }
}

fn policy_far(limit: u32) -> Attributes {
    let policy = DeadLetterPolicy { group: Some(FAR), queue: "dead".to_owned(), count: DeadLetterCount::Failed, limit };
    Attributes { dead_letter: Some(policy), ..Attributes::default() }
}

/// Offers what waits in one room to another, track by track. Answers: why the last record was not taken, of those that
/// were not.
fn offer(from: &mut Room, to: &mut Room, is_acknowledged: bool) -> Option<String> {
    let mut refused = None;
    for CourierStatus { target, first, .. } in under_way(from, to.group) {
        let records = from.host.courier_records(target, 1 << 20, &from.store).expect("rows in memory can be read");
        let records = records.into_iter().map(|record| record.bytes).collect();
        let (source, track, epoch) = (from.group, target.track, from.host.epoch());
        let reply = to.run_system(System::Deliver { source, track, epoch, first, records });
        let delivery = Delivery::from_bytes(&reply).expect("a delivery decodes");
        if is_acknowledged {
            from.run_system(System::Acknowledge { target, upto: delivery.applied });
        }
        refused = delivery.refused.or(refused);
    }
    refused
}

fn under_way(from: &Room, to: GroupId) -> Vec<CourierStatus> {
    from.host.courier_status().into_iter().filter(|status| status.target.group == to).collect()
}

fn in_transit(room: &Room) -> u64 {
    room.host.courier_status().iter().map(|status| status.waiting).sum()
}

fn fail_one(room: &mut Room, queue: QueueId) {
    let receipt = room.receive(queue, 1, 1_000)[0].receipt;
    assert_eq!(room.release(queue, receipt, 0, true), released());
    room.tick();
}

#[test]
fn a_dead_letter_goes_to_another_group_with_its_body_and_story() {
    let (mut near, queue) = Room::with_queue(policy_far(1));
    let mut there = Room::of(FAR);
    let dead = there.create("Dead", Attributes::default());
    let id = near.send(queue, &[("poison", 0)])[0];
    fail_one(&mut near, queue);
    assert_eq!((near.counts(queue), near.status(queue).totals.dead_lettered), ((0, 0, 0), 1));
    assert_eq!((in_transit(&near), near.remains()), (1, 0), "the source keeps nothing but the courier's record");
    there.pass(5);
    for is_acknowledged in [false, false, true, true] {
        assert_eq!(offer(&mut near, &mut there, is_acknowledged), None);
        assert_eq!(there.counts(dead), (1, 0, 0), "once, however often it is offered");
    }
    assert_eq!(in_transit(&near), 0);
    let delivery = there.receive(dead, 1, 1_000)[0];
    assert_eq!((delivery.id, there.body(delivery.id)), (id, "poison".to_owned()));
    let row = there.machine().message(&there.store, dead, delivery.seq).expect("rows can be read");
    let row = row.expect("a leased message has a row");
    let origin = row.origin.expect("a dead letter tells its story");
    assert_eq!((origin.group, origin.queue, origin.name.as_str(), origin.tries.failed), (GROUP, queue, "orders", 1));
    assert_eq!(row.enqueued, there.now, "its retention begins anew");
    assert_eq!(there.ack(dead, &[delivery.receipt]), [None]);
    assert_eq!(there.remains(), 0);
}

#[test]
fn a_parcel_for_a_missing_or_full_queue_waits_at_its_source_with_the_reason() {
    let (mut near, queue) = Room::with_queue(policy_far(1));
    let mut there = Room::of(FAR);
    near.send(queue, &[("a", 0), ("b", 0)]);
    fail_one(&mut near, queue);
    fail_one(&mut near, queue);
    assert_eq!(offer(&mut near, &mut there, true), Some("queue dead: the queue does not exist".to_owned()));
    assert_eq!(in_transit(&near), 2);
    let dead = there.create("dead", Attributes { max_messages: 1, ..Attributes::default() });
    assert_eq!(offer(&mut near, &mut there, true), Some("queue dead: the queue is full".to_owned()));
    assert_eq!((in_transit(&near), there.counts(dead)), (1, (1, 0, 0)));
    let receipt = there.receive(dead, 1, 1_000)[0].receipt;
    there.ack(dead, &[receipt]);
    assert_eq!(offer(&mut near, &mut there, true), None);
    assert_eq!((in_transit(&near), there.take(dead, 9, 1_000)), (0, vec!["b".to_owned()]));
}

#[test]
fn a_missing_queue_holds_up_what_is_for_it_and_nothing_else() {
    let (mut near, queue) = Room::with_queue(policy_far(1));
    let mut there = Room::of(FAR);
    near.send(queue, &[("lost", 0)]);
    fail_one(&mut near, queue);
    let topic = create_topic(&mut near, "news", TopicAttributes::default());
    let orders = there.create("orders", Attributes::default());
    let endpoint = Endpoint::Queue(far("ORDERS"));
    subscribe(&mut near, "news", "far", SubscriptionAttributes { endpoint, ..pushed() });
    publish(&mut near, topic, &[("a", &[])]);
    near.tick();
    assert_eq!((in_transit(&near), under_way(&near, FAR).len()), (2, 2), "a queue has a track of its own");
    assert_eq!(offer(&mut near, &mut there, true), Some("queue dead: the queue does not exist".to_owned()));
    assert_eq!((in_transit(&near), there.take(orders, 9, 1_000)), (1, vec!["a".to_owned()]));
}

#[test]
fn without_its_whole_body_nothing_leaves_the_group() {
    let (mut near, queue) = Room::with_queue(policy_far(1));
    near.send(queue, &[("poison", 0)]);
    let receipt = near.receive(queue, 1, 1_000)[0].receipt;
    near.release(queue, receipt, 0, true);
    let (delivery, seq) = (receipt, 1);
    let carry = |body: &'static str| Due::Carry { queue, delivery, seq, body: Bytes::from_static(body.as_bytes()) };
    for item in [Due::Lease { queue, delivery, seq }, carry("poiso"), carry("")] {
        let reply = near.run(&Command::Tick { items: vec![item] });
        assert_eq!(reply, Reply::Ticked { moved: 0, readied: vec![] });
    }
    assert_eq!((near.counts(queue), in_transit(&near)), ((0, 0, 1), 0));
    near.run(&Command::Tick { items: vec![carry("poison")] });
    assert_eq!((near.counts(queue), in_transit(&near)), ((0, 0, 0), 1));
}

#[test]
fn a_record_that_is_none_is_not_taken() {
    let mut there = Room::of(FAR);
    let records = vec![Bytes::from_static(&[99, 9])];
    let reply = there.run_system(System::Deliver { source: GROUP, track: Track(7), epoch: 1, first: 1, records });
    let delivery = Delivery::from_bytes(&reply).expect("a delivery decodes");
    assert_eq!((delivery.applied, delivery.refused), (0, Some("unknown courier record 99".to_owned())));
}

#[test]
fn a_parcel_keeps_its_layout() {
    let (mut near, queue) = Room::with_queue(policy_far(1));
    near.send(queue, &[("hi", 0)]);
    fail_one(&mut near, queue);
    let records = near
        .host
        .courier_records(under_way(&near, FAR)[0].target, 1 << 20, &near.store)
        .expect("rows in memory can be read");
    let golden = concat!(
        "01",
        "00000000",
        "00000004",
        "64656164",
        "01",
        "0700001000000001",
        "0000018bcfe56800",
        "0000018bcfe56800",
        "00000002",
        "00000000",
        "01",
        "00000007",
        "00000001",
        "00000006",
        "6f7264657273",
        "0000018bcfe56800",
        "00000001",
        "00000001",
        "0000018bcfe56800",
        "01",
        "01",
        "00000000",
        "00",
        "04",
        "00000000",
        "00000000",
        "00000002",
        "6869",
    );
    assert_eq!(hex(&records[0].bytes), golden);
}

#[test]
fn a_subscription_forwards_into_a_queue_of_another_group_and_back_by_redrive() {
    let (mut near, mut there) = (Room::new(), Room::of(FAR));
    let topic = create_topic(&mut near, "news", TopicAttributes::default());
    let orders = there.create("orders", Attributes::default());
    let home = near.create("home", Attributes::default());
    let endpoint = Endpoint::Queue(far("orders"));
    subscribe(&mut near, "news", "far", SubscriptionAttributes { endpoint, ..pushed() });
    publish(&mut near, topic, &[("a", &[]), ("b", &[])]);
    near.tick();
    assert_eq!((in_transit(&near), near.store.bodies().count()), (2, 0));
    assert_eq!(offer(&mut near, &mut there, true), None);
    let to = Some(QueueAddress { group: Some(GROUP), queue: "home".to_owned() });
    let filter = RedriveFilter::default();
    let order = RedriveOrder { to, filter, messages_max: None, rate: None, is_dry: false };
    assert_eq!(there.topic(TopicCommand::Redrive { queue: orders, order }), Reply::Done);
    there.tick();
    assert_eq!((there.store.bodies().count(), there.status(orders).totals.redriven), (0, 2));
    assert_eq!(offer(&mut there, &mut near, true), None);
    assert_eq!(near.take(home, 9, 1_000), ["a", "b"], "a body may come back to the group of its birth");
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Publish(u8),
    Work { is_far: bool, is_failed: bool },
    Tick { is_far: bool },
    Offer { is_back: bool, is_acknowledged: bool },
    Redrive,
    Purge,
    Recreate,
    Pass(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        5 => (1_u8..4).prop_map(Step::Publish),
        8 => (any::<bool>(), any::<bool>()).prop_map(|(is_far, is_failed)| Step::Work { is_far, is_failed }),
        8 => any::<bool>().prop_map(|is_far| Step::Tick { is_far }),
        8 => (any::<bool>(), any::<bool>()).prop_map(|(is_back, ok)| Step::Offer { is_back, is_acknowledged: ok }),
        2 => Just(Step::Redrive),
        1 => Just(Step::Purge),
        1 => Just(Step::Recreate),
        4 => prop_oneof![Just(1_000_u64), Just(20_000_u64)].prop_map(Step::Pass),
    ];
    proptest::collection::vec(step, 1..80)
}

/// A topic here that forwards to a queue there, whose dead letters come back here.
struct Pair {
    near: Room,
    there: Room,
    topic: TopicId,
    copies: QueueId,
    dead: QueueId,
    published: u64,
    acked: u64,
    gone_with_queues: u64,
}

impl Pair {
    fn new() -> Self {
        let (mut near, mut there) = (Room::new(), Room::of(FAR));
        let topic = create_topic(&mut near, "news", TopicAttributes::default());
        let dead = near.create("dead", Attributes::default());
        there.create("orders", Self::orders());
        let endpoint = Endpoint::Queue(far("orders"));
        let copies = subscribe(&mut near, "news", "far", SubscriptionAttributes { endpoint, ..pushed() });
        Self { near, there, topic, copies, dead, published: 0, acked: 0, gone_with_queues: 0 }
    }

    fn orders() -> Attributes {
        let count = DeadLetterCount::Failed;
        let policy = DeadLetterPolicy { group: Some(GROUP), queue: "dead".to_owned(), count, limit: 2 };
        Attributes { max_messages: 5, dead_letter: Some(policy), ..Attributes::default() }
    }

    fn orders_id(&self) -> Option<QueueId> {
        self.there.machine().queue_id("orders")
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Publish(count) => {
                publish(&mut self.near, self.topic, &vec![("body", &[][..]); usize::from(count)]);
                self.published += u64::from(count);
            }
            Step::Work { is_far, is_failed } => self.work(is_far, is_failed),
            Step::Tick { is_far: false } => drop(self.near.tick()),
            Step::Tick { is_far: true } => drop(self.there.tick()),
            Step::Offer { is_back: false, is_acknowledged } => {
                offer(&mut self.near, &mut self.there, is_acknowledged);
            }
            Step::Offer { is_back: true, is_acknowledged } => {
                offer(&mut self.there, &mut self.near, is_acknowledged);
            }
            Step::Redrive => {
                let filter = RedriveFilter::default();
                let order = RedriveOrder { to: None, filter, messages_max: None, rate: Some(3), is_dry: false };
                self.near.topic(TopicCommand::Redrive { queue: self.dead, order });
            }
            Step::Purge => drop(self.near.run(&Command::Purge { queue: self.dead })),
            Step::Recreate => {
                if let Some(id) = self.orders_id() {
                    let (visible, leased, delayed) = self.there.counts(id);
                    self.gone_with_queues += visible + leased + delayed;
                    self.count_old(id);
                    self.there.run(&Command::DeleteQueue { name: "orders".to_owned() });
                } else {
                    self.there.create("orders", Self::orders());
                }
            }
            Step::Pass(ms) => {
                self.near.pass(ms);
                self.there.pass(ms);
            }
        }
        self.check();
    }

    /// What a queue did before it was deleted is remembered as gone, except what left it for elsewhere.
    fn count_old(&mut self, id: QueueId) {
        let totals = self.there.status(id).totals;
        self.gone_with_queues += totals.expired + totals.purged;
    }

    fn work(&mut self, is_far: bool, is_failed: bool) {
        let orders = self.orders_id();
        let (room, queue) = if is_far { (&mut self.there, orders) } else { (&mut self.near, Some(self.dead)) };
        let Some(queue) = queue else { return };
        let Some(delivery) = room.receive(queue, 1, 15_000).pop() else { return };
        if is_failed {
            room.release(queue, delivery.receipt, 500, true);
        } else {
            assert_eq!(room.ack(queue, &[delivery.receipt]), [None]);
            self.acked += 1;
        }
    }

    fn check(&self) {
        let held = |room: &Room, queue: QueueId| {
            let (visible, leased, delayed) = room.counts(queue);
            visible + leased + delayed
        };
        let lost = |room: &Room, queue: QueueId| {
            let totals = room.status(queue).totals;
            totals.purged + totals.expired + totals.given_up
        };
        let near: u64 = [self.copies, self.dead].iter().map(|id| held(&self.near, *id) + lost(&self.near, *id)).sum();
        let there = self.orders_id().map_or(0, |id| held(&self.there, id) + lost(&self.there, id));
        // A record that was taken and not yet acknowledged stands at both ends.
        let way = waiting(&self.near, &self.there) + waiting(&self.there, &self.near);
        assert_eq!(
            self.published,
            near + there + way + self.acked + self.gone_with_queues,
            "nothing is lost or doubled"
        );
    }
}

/// Records of `from` that `to` has not applied.
fn waiting(from: &Room, to: &Room) -> u64 {
    let applied = |track: Track| {
        let mut key = vec![5];
        key.extend(from.group.0.to_be_bytes());
        key.extend(track.0.to_be_bytes());
        let row = to.store.rows().find(|(row, _)| row[..] == key[..]);
        row.map_or(0, |(_, value)| u64::from_be_bytes(value[8..16].try_into().expect("8 bytes")))
    };
    let left = |status: CourierStatus| (status.first + status.waiting - 1).saturating_sub(applied(status.target.track));
    under_way(from, to.group).into_iter().map(left).sum()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 80, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_copy_is_in_one_place_whatever_the_courier_loses_or_repeats(steps in steps()) {
        let mut pair = Pair::new();
        for step in steps {
            pair.step(step);
        }
        // In the end everything that can arrive does.
        if pair.orders_id().is_none() {
            pair.step(Step::Recreate);
        }
        for _ in 0..30 {
            for step in [
                Step::Tick { is_far: false },
                Step::Offer { is_back: false, is_acknowledged: true },
                Step::Work { is_far: true, is_failed: false },
                Step::Work { is_far: true, is_failed: false },
                Step::Work { is_far: true, is_failed: false },
                Step::Tick { is_far: true },
                Step::Offer { is_back: true, is_acknowledged: true },
                Step::Pass(20_000),
            ] {
                pair.step(step);
            }
        }
        assert_eq!(in_transit(&pair.near) + in_transit(&pair.there), 0);
        assert_eq!(pair.near.counts(pair.copies), (0, 0, 0));
        if let Some(job) = pair.near.machine().redrive_status(pair.dead) {
            assert_eq!(job.state, RedriveState::Done);
        }
    }
}
