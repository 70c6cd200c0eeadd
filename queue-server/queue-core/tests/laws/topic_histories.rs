//! Random histories of a topic, its subscriptions and their queues against the naive model: publishes, forwards, pushes,
//! give-ups and redrives between receives, acks, purges and deletions.
//!
//! Must never: count a copy in two places. Every one is waiting, forwarded, dead, dropped and counted, or consumed.

use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest};
use queue_core::{
    Attributes, Command, Due, QueueAddress, QueueId, RedriveFilter, RedriveOrder, RedriveState, Reply,
    SubscriptionAttributes, TopicAttributes, TopicCommand, TopicId,
};

use crate::naive::{Message, Model, Role};
use crate::room::Room;
use crate::topics::{address, create_topic, publish, pushed, subscribe, to_queue, with_tags};

/// Of the model: the topic's number, then these, in the order in which they are made.
const DEAD: usize = 1;
const WEB: usize = 4;
const RED: usize = 5;
const TAGS: [&[&str]; 3] = [&[], &["red"], &["blue", "red"]];

#[derive(Clone, Debug)]
enum Step {
    Publish(Vec<usize>),
    Receive(usize, u32),
    Ack(usize),
    Fail(usize, u64),
    Purge(usize),
    Orders,
    Redrive { to_orders: bool, is_dry: bool, rate: Option<u32> },
    Stop,
    Tick,
    Propose(u64),
    Land,
    Pass(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let queue = 0..5_usize;
    let rate = prop_oneof![Just(None), Just(Some(1_u32)), Just(Some(100))];
    let step = prop_oneof![
        10 => proptest::collection::vec(0..TAGS.len(), 1..4).prop_map(Step::Publish),
        12 => (queue.clone(), 1_u32..5).prop_map(|(queue, count)| Step::Receive(queue, count)),
        6 => (0_usize..9).prop_map(Step::Ack),
        10 => (0_usize..9, prop_oneof![Just(0_u64), Just(10_000)]).prop_map(|(pick, delay)| Step::Fail(pick, delay)),
        1 => queue.prop_map(Step::Purge),
        1 => Just(Step::Orders),
        3 => (any::<bool>(), any::<bool>(), rate).prop_map(|(to_orders, is_dry, rate)| {
            Step::Redrive { to_orders, is_dry, rate }
        }),
        1 => Just(Step::Stop),
        12 => Just(Step::Tick),
        2 => prop_oneof![Just(0_u64), Just(30_000)].prop_map(Step::Propose),
        2 => Just(Step::Land),
        6 => prop_oneof![1_u64..3_000, Just(10_000), Just(30_000)].prop_map(Step::Pass),
    ];
    proptest::collection::vec(step, 1..90)
}

struct History {
    room: Room,
    model: Model,
    topic: TopicId,
    receipts: Vec<(usize, queue_core::DeliveryNumber)>,
    proposed: Option<Command>,
    published: u64,
}

impl History {
    fn new() -> Self {
        let (mut room, mut model) = (Room::new(), Model::default());
        let topic = create_topic(&mut room, "news", TopicAttributes { retention_s: 60, ..TopicAttributes::default() });
        assert_eq!(model.reserve(), topic.0);
        for (name, attributes) in [("dead", Attributes::default()), ("orders", Self::orders())] {
            assert_eq!(room.create(name, attributes.clone()), model.create(name, attributes));
        }
        let dead = SubscriptionAttributes { dead_letter: Some(address("dead")), ..pushed() };
        let pushed_role = Role::Pushed { attempts: 4 };
        for (name, attributes, role) in [
            ("all", to_queue("orders"), Role::Forwarded { to: "orders".to_owned() }),
            ("web", dead, pushed_role.clone()),
            ("red", with_tags(&["red"], pushed()), pushed_role),
        ] {
            let queue = subscribe(&mut room, "news", name, attributes);
            let attributes = room.status(queue).attributes;
            assert_eq!(model.create(&format!("news/{name}"), attributes), queue);
            let last = model.queues.len() - 1;
            model.queues[last].role = role;
        }
        assert_eq!((model.queues[WEB].name.as_str(), model.queues[RED].name.as_str()), ("news/web", "news/red"));
        Self { room, model, topic, receipts: Vec::new(), proposed: None, published: 0 }
    }

    fn orders() -> Attributes {
        let policy = crate::room::policy("dead", queue_core::DeadLetterCount::Failed, 2);
        Attributes { max_messages: 6, retention_s: 60, ..policy }
    }

    /// The `pick`-th queue that is there.
    fn at(&self, pick: usize) -> usize {
        let there: Vec<usize> = (0..self.model.queues.len()).filter(|at| !self.model.queues[*at].is_deleted).collect();
        there[pick % there.len()]
    }

    fn id(&self, at: usize) -> QueueId {
        self.model.queues[at].id
    }

    fn step(&mut self, step: &Step) {
        let now = self.room.now;
        match step {
            Step::Publish(picks) => self.publish(picks),
            Step::Receive(pick, count) => {
                let at = self.at(*pick);
                let command = Command::Receive { queue: self.id(at), count: *count, lease_ms: Some(15_000) };
                let reply = self.room.run(&command);
                assert_eq!(reply, self.model.receive(at, *count as usize, 15_000, now));
                if let Reply::Received { deliveries } = reply {
                    assert!(
                        deliveries.iter().all(|it| !self.model.acked.contains(&it.id)),
                        "an acked one never returns"
                    );
                    self.receipts.extend(deliveries.iter().map(|it| (at, it.receipt)));
                }
            }
            Step::Ack(pick) => {
                let Some((at, receipt)) = self.receipts.iter().rev().nth(*pick).copied() else { return };
                let reply = self.room.run(&Command::Ack { queue: self.id(at), receipts: vec![receipt] });
                if self.model.queues[at].is_deleted {
                    assert_eq!(reply, Reply::Refused(queue_core::Refusal::QueueMissing));
                } else {
                    assert_eq!(reply, self.model.ack(at, &[receipt], now));
                }
            }
            Step::Fail(pick, delay_ms) => {
                let Some((at, receipt)) = self.receipts.iter().rev().nth(*pick).copied() else { return };
                if !self.model.queues[at].is_deleted {
                    let reply = self.room.release(self.id(at), receipt, *delay_ms, true);
                    assert_eq!(reply, self.model.release(at, receipt, (*delay_ms, true), now));
                }
            }
            Step::Purge(pick) => {
                let at = self.at(*pick);
                let reply = self.room.run(&Command::Purge { queue: self.id(at) });
                assert_eq!(reply, self.model.purge(at));
            }
            Step::Orders => self.orders_come_and_go(),
            Step::Redrive { to_orders, is_dry, rate } => self.redrive(*to_orders, *is_dry, *rate),
            Step::Stop => {
                self.room.topic(TopicCommand::StopRedrive { queue: self.id(DEAD) });
            }
            Step::Tick => self.tick(),
            Step::Propose(ms) => {
                let due = machine::Machine::due(self.room.machine(), &self.room.store, now.plus(*ms));
                self.proposed = due.expect("rows in memory can be read");
            }
            Step::Land => {
                if let Some(tick) = self.proposed.take() {
                    self.land(&tick);
                }
            }
            Step::Pass(ms) => self.room.pass(*ms),
        }
        self.check();
    }

    fn publish(&mut self, picks: &[usize]) {
        let now = self.room.now;
        let messages: Vec<(&'static str, &[&str])> = picks.iter().map(|pick| ("body", TAGS[*pick])).collect();
        let reply = publish(&mut self.room, self.topic, &messages);
        let Reply::Published { ids, copies, .. } = reply else { panic!("it is published, not {reply:?}") };
        assert_eq!(ids.len(), picks.len());
        let mut expected = 0;
        for pick in picks {
            for at in WEB - 1..=RED {
                if at != RED || TAGS[*pick].contains(&"red") {
                    self.model.copy(at, now);
                    expected += 1;
                }
            }
        }
        assert_eq!(copies, expected);
        self.published += u64::from(expected);
    }

    fn orders_come_and_go(&mut self) {
        if let Some(at) = self.model.named("orders") {
            self.room.run(&Command::DeleteQueue { name: "orders".to_owned() });
            // What was deleted with its queue counts as purged there.
            let held = self.model.queues[at].messages.len() as u64;
            self.model.delete(at);
            self.model.queues[at].totals.purged += held;
        } else {
            let id = self.room.create("orders", Self::orders());
            assert_eq!(self.model.create("orders", Self::orders()), id);
        }
    }

    fn redrive(&mut self, to_orders: bool, is_dry: bool, rate: Option<u32>) {
        let to = to_orders.then(|| QueueAddress { group: None, queue: "orders".to_owned() });
        let order = RedriveOrder { to, filter: RedriveFilter::default(), messages_max: None, rate, is_dry };
        self.room.topic(TopicCommand::Redrive { queue: self.id(DEAD), order });
    }

    /// Applies a tick in both worlds, item by item, so that the model can be told how far a redrive came.
    fn land(&mut self, command: &Command) -> u32 {
        let Command::Tick { items } = command else { panic!("a tick is proposed: {command:?}") };
        let mut all = 0;
        for item in items {
            let before = self.room.machine().redrive_status(self.id(DEAD)).cloned();
            let reply = self.room.run(&Command::Tick { items: vec![item.clone()] });
            let Reply::Ticked { moved, .. } = reply else { panic!("a tick is not refused: {reply:?}") };
            all += moved;
            if let Due::Redrive { .. } = item {
                self.land_redrive(before);
            } else {
                self.model.move_due(item, self.room.now);
            }
        }
        all
    }

    /// The model moves as many messages as the machine did; where the machine found no way, the model finds none either.
    fn land_redrive(&mut self, before: Option<queue_core::Redrive>) {
        let job = self.room.machine().redrive_status(self.id(DEAD)).cloned();
        let (Some(before), Some(job)) = (before, job) else { return };
        let most = job.moved - before.moved;
        let to = job.order.to.as_ref().map(|address| address.queue.as_str());
        if job.order.is_dry {
            assert_eq!(most, 0, "a dry run takes nothing");
            return;
        }
        let times = (self.room.now, job.started);
        assert_eq!(self.model.redrive(DEAD, times, to, most), (most, false), "each that moved had a way");
        if job.stall.is_some() {
            assert_eq!(self.model.redrive(DEAD, times, to, 1), (0, true), "the next has none");
        }
    }

    fn tick(&mut self) {
        let now = self.room.now;
        for _ in 0..10_000 {
            let due = machine::Machine::due(self.room.machine(), &self.room.store, now).expect("rows can be read");
            let Some(command) = due else { break };
            let next = self.room.machine().next_due().expect("what is due is announced");
            assert!(next <= now, "the announcement is never late");
            assert!(self.land(&command) > 0, "a tick that is proposed moves something");
            self.check();
        }
        let overdue: Vec<(QueueId, Message)> = self.model.overdue(now);
        assert!(overdue.is_empty(), "{overdue:?} should have moved");
        let kept: Vec<u64> = self.room.store.bodies().map(|(body, _)| body.0).collect();
        let mut alive: Vec<u64> =
            self.model.queues.iter().flat_map(|queue| &queue.messages).map(|message| message.id.0).collect();
        alive.sort_unstable();
        assert_eq!(kept, alive, "bodies are kept exactly as long as their messages");
    }

    fn check(&self) {
        let (mut held, mut gone) = (0, 0);
        for queue in &self.model.queues {
            if let Some(status) = self.room.machine().status(queue.id) {
                assert_eq!(queue_core::Counts { stale: 0, ..status.counts }, queue.counts(), "{queue:?}");
                assert_eq!(status.totals, queue.totals, "{queue:?}");
            }
            held += queue.messages.len() as u64;
            let totals = queue.totals;
            gone += totals.acked + totals.expired + totals.purged + totals.given_up;
        }
        assert_eq!(self.published, held + gone, "every copy is in one place, or gone for one reason");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_history_of_a_topic_agrees_with_the_naive_model(steps in steps()) {
        let mut history = History::new();
        for step in &steps {
            history.step(step);
        }
        // Whatever was redriven comes to an end.
        for _ in 0..25 {
            history.step(&Step::Pass(5_000));
            history.step(&Step::Tick);
        }
        let job = history.room.machine().redrive_status(history.id(DEAD));
        let is_held = history.model.named("orders").is_none();
        assert!(is_held || job.is_none_or(|job| job.state != RedriveState::Running || job.stall.is_some()));
    }
}
