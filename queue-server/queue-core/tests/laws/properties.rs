//! Random histories against the naive model: after every command the replies, the counts and the totals agree, the machine
//! rebuilt from its rows is the same, and the invariants of a lease queue hold.
//!
//! Must never: depend on how a history is batched. Each is applied a second time in larger batches, and gives equal rows.

use std::collections::BTreeSet;

use machine::{EntryWriter, Layout as _, LogIndex, Machine, MemoryStore, RequestId, TimestampMs};
use proptest::prelude::{ProptestConfig, proptest};
use queue_core::{
    AttributeChanges, Attributes, Command, DeadLetterCount, DeliveryNumber, Due, EventKind, MessageId, PeekState,
    QueueId, QueueMachine, Redrive, RedriveFilter, RedriveOrder, RedriveState, Refusal, Reply, SubscriptionAttributes,
    TopicAttributes, TopicCommand, TopicId, TransactionPolicy,
};

use crate::naive::{Message, Model, Queue, Role, State};
use crate::room::{GROUP, Room, policy};
use crate::steps::{LETTERS, NAMED, NAMES, Step, TAGS, steps};
use crate::topics::{address, publication, pushed, to_queue, with_tags};

/// One history under way.
struct History {
    room: Room,
    model: Model,
    receipts: Vec<DeliveryNumber>,
    commands: Vec<(TimestampMs, Command)>,
    proposed: Option<Command>,
    /// Half messages that were sent.
    halves: Vec<MessageId>,
    rewind: Option<(String, Command)>,
    topic: TopicId,
}

impl History {
    /// A room with all queues, a topic, and subscriptions that are forwarded, pushed, and pushed without dead letters.
    fn new() -> Self {
        let (room, model) = (Room::new(), Model::default());
        let (receipts, commands, halves, topic) = (Vec::new(), Vec::new(), Vec::new(), TopicId(0));
        let mut history = Self { room, model, receipts, commands, proposed: None, halves, rewind: None, topic };
        let attributes = TopicAttributes { retention_s: 60, ..TopicAttributes::default() };
        let reply = history.run(Command::Topic(TopicCommand::Create { name: "news".to_owned(), attributes }));
        let Reply::TopicCreated { topic } = reply else { panic!("a topic is created, not {reply:?}") };
        assert_eq!(history.model.reserve(), topic.0);
        history.topic = topic;
        for name in [1, 0, 2, 3, 4] {
            history.step(&Step::Create(name));
        }
        let dead = SubscriptionAttributes { dead_letter: Some(address("letters")), ..pushed() };
        let is_pushed = Role::Pushed { attempts: 4 };
        history.subscribe("all", to_queue("orders"), Role::Forwarded { to: "orders".to_owned() });
        history.subscribe("web", dead, is_pushed.clone());
        history.subscribe("red", with_tags(&["red"], pushed()), is_pushed);
        history
    }

    fn subscribe(&mut self, name: &str, attributes: SubscriptionAttributes, role: Role) {
        let command = TopicCommand::Subscribe { topic: "news".to_owned(), name: name.to_owned(), attributes };
        let reply = self.run(Command::Topic(command));
        let Reply::Subscribed { queue } = reply else { panic!("{name} subscribes, not {reply:?}") };
        let attributes = self.room.status(queue).attributes;
        assert_eq!(self.model.create(&format!("news/{name}"), attributes), queue);
        self.model.queues.last_mut().expect("it was created").role = role;
    }

    fn run(&mut self, command: Command) -> Reply {
        let reply = self.room.run(&command);
        self.commands.push((self.room.now, command));
        reply
    }

    fn id(&self, at: usize) -> QueueId {
        self.model.queues[at].id
    }

    /// The receipt that was given `pick` deliveries ago, of whatever queue.
    fn receipt(&self, pick: usize) -> DeliveryNumber {
        self.receipts.iter().rev().nth(pick).copied().unwrap_or_default()
    }

    fn step(&mut self, step: &Step) {
        let now = self.room.now;
        match step {
            Step::Create(name) => self.create(*name),
            Step::Delete(name) => self.on(*name, |history, at| {
                let reply = history.run(Command::DeleteQueue { name: NAMES[*name].to_owned() });
                history.model.delete(at);
                (reply, Reply::Done)
            }),
            Step::Retain(name, retention_s) => {
                let changes = AttributeChanges { retention_s: Some(*retention_s), ..AttributeChanges::default() };
                self.set(*name, changes);
            }
            Step::Keep(name, rewind_s) => {
                self.set(*name, AttributeChanges { rewind_s: Some(*rewind_s), ..AttributeChanges::default() });
            }
            Step::Window(name, dedup_window_s) => {
                let dedup_window_s = Some(*dedup_window_s);
                self.set(*name, AttributeChanges { dedup_window_s, ..AttributeChanges::default() });
            }
            Step::Send(name, messages) => self.on(*name, |history, at| {
                let reply = history.run(Command::Send { queue: history.id(at), messages: messages.clone() });
                if let Reply::Sent { ids, .. } = &reply {
                    let halves = ids.iter().zip(messages).filter(|(_, message)| message.is_half);
                    history.halves.extend(halves.map(|(id, _)| *id));
                }
                (reply, history.model.send(at, messages, now))
            }),
            Step::Publish(picks) => self.publish(picks),
            Step::Receive(name, count, lease_ms) => {
                self.on(*name, |history, at| history.receive(at, *count, *lease_ms, now));
            }
            Step::Ack(name, picks) => self.on(*name, |history, at| {
                let receipts: Vec<_> = picks.iter().map(|pick| history.receipt(*pick)).collect();
                let reply = history.run(Command::Ack { queue: history.id(at), receipts: receipts.clone() });
                (reply, history.model.ack(at, &receipts, now))
            }),
            Step::Extend(name, pick, lease_ms) => self.on(*name, |history, at| {
                let (queue, receipt) = (history.id(at), history.receipt(*pick));
                let reply = history.run(Command::Extend { queue, receipts: vec![receipt], lease_ms: *lease_ms });
                (reply, history.model.extend(at, receipt, *lease_ms, now))
            }),
            Step::Release(name, pick, delay_ms, failed) => self.on(*name, |history, at| {
                let (queue, receipt) = (history.id(at), history.receipt(*pick));
                let (receipts, delay_ms, failed) = (vec![receipt], *delay_ms, *failed);
                let reply = history.run(Command::Release { queue, receipts, delay_ms, failed });
                (reply, history.model.release(at, receipt, (delay_ms, failed), now))
            }),
            Step::Purge(name) => self.on(*name, |history, at| {
                let reply = history.run(Command::Purge { queue: history.id(at) });
                (reply, history.model.purge(at))
            }),
            Step::Tick => self.tick(),
            Step::Propose(ms) => {
                let due = self.room.machine().due(&self.room.store, now.plus(*ms));
                self.proposed = due.expect("rows in memory can be read");
            }
            Step::Land => drop(self.proposed.take().map(|tick| self.land(&tick))),
            Step::Pass(ms) => self.room.pass(*ms),
            _ => self.step_of_life(step),
        }
        self.check();
    }

    /// Transactions, what is kept for a rewind, and redrives.
    fn step_of_life(&mut self, step: &Step) {
        let now = self.room.now;
        match step {
            Step::Confirm(name, picks, is_commit) => self.on(*name, |history, at| {
                let picked = |pick: &usize| history.halves.iter().rev().nth(*pick).copied().unwrap_or_default();
                let (ids, is_commit): (Vec<_>, _) = (picks.iter().map(picked).collect(), *is_commit);
                let reply = history.run(Command::Confirm { queue: history.id(at), ids: ids.clone(), is_commit });
                (reply, history.model.confirm(at, &ids, is_commit, now))
            }),
            Step::Query(name, count) => self.on(*name, |history, at| {
                let reply = history.run(Command::QueryHalf { queue: history.id(at), count: *count });
                (reply, history.model.query(at, *count as usize, now))
            }),
            Step::Rewind(name, ago) => {
                self.propose_rewind(*name, now.minus(*ago));
                self.land_rewind();
            }
            Step::ProposeRewind(name, ago) => self.propose_rewind(*name, now.minus(*ago)),
            Step::LandRewind => self.land_rewind(),
            Step::Redrive { to_orders, is_dry, rate } => {
                let to = to_orders.then(|| address("orders"));
                let (filter, messages_max) = (RedriveFilter::default(), None);
                let order = RedriveOrder { to, filter, messages_max, rate: *rate, is_dry: *is_dry };
                self.command_redrive(|queue| TopicCommand::Redrive { queue, order });
            }
            Step::StopRedrive => self.command_redrive(|queue| TopicCommand::StopRedrive { queue }),
            other => panic!("{other:?} has no arm"),
        }
    }

    /// A copy enters the queue of each subscription that a message matches.
    fn publish(&mut self, picks: &[usize]) {
        let messages = picks.iter().map(|pick| publication("x", TAGS[*pick])).collect();
        let reply = self.run(Command::Topic(TopicCommand::Publish { topic: self.topic, messages }));
        let Reply::Published { ids, copies, .. } = reply else { panic!("it is published, not {reply:?}") };
        let mut expected = 0;
        for pick in picks {
            for name in &NAMES[NAMED..] {
                if *name != "news/red" || TAGS[*pick].contains(&"red") {
                    let at = self.model.named(name).expect("nobody unsubscribes");
                    self.model.copy(at, self.room.now);
                    expected += 1;
                }
            }
        }
        assert_eq!((ids.len(), copies), (picks.len(), expected));
    }

    /// Begins or stops a redrive of the dead letters; what it may refuse is a law of its own.
    fn command_redrive(&mut self, command: impl FnOnce(QueueId) -> TopicCommand) {
        if let Some(at) = self.model.named(NAMES[LETTERS]) {
            self.run(Command::Topic(command(self.id(at))));
        }
    }

    /// Does something with a queue if it is there, in both worlds.
    fn on(&mut self, name: usize, act: impl FnOnce(&mut Self, usize) -> (Reply, Reply)) {
        if let Some(at) = self.model.named(NAMES[name]) {
            let (reply, expected) = act(self, at);
            assert_eq!(reply, expected);
        }
    }

    fn create(&mut self, name: usize) {
        if self.model.named(NAMES[name]).is_some() {
            return;
        }
        let has_letters = self.model.named("letters").is_some();
        let transaction = Some(TransactionPolicy { first_query_s: 2, max_queries: 2 });
        let attributes = match name {
            0 if has_letters => policy("LETTERS", DeadLetterCount::Failed, 2),
            2 if has_letters => policy("letters", DeadLetterCount::Received, 2),
            3 if has_letters => policy("letters", DeadLetterCount::Age, 300),
            1 => Attributes { max_messages: 4, ..Attributes::default() },
            4 => Attributes { transaction, ..Attributes::default() },
            _ => Attributes::default(),
        };
        let retention_s = if name == 3 { 400 } else { 60 };
        let rewind_s = if [0, 2, 4].contains(&name) { 40 } else { 0 };
        let attributes = Attributes { retention_s, rewind_s, trace: true, dedup_window_s: 10, ..attributes };
        let id = self.room.create(NAMES[name], attributes.clone());
        let command = Command::CreateQueue { name: NAMES[name].to_owned(), attributes: attributes.clone() };
        self.commands.push((self.room.now, command));
        let mut known = attributes;
        if let Some(policy) = &mut known.dead_letter {
            policy.queue = policy.queue.to_ascii_lowercase();
        }
        assert_eq!(self.model.create(NAMES[name], known), id);
    }

    fn set(&mut self, name: usize, changes: AttributeChanges) {
        self.on(name, |history, at| {
            let changed = history.model.queues[at].attributes.changed(changes.clone());
            let reply = history.run(Command::SetQueueAttributes { name: NAMES[name].to_owned(), changes });
            if let Err(refusal) = changed.check() {
                return (reply, Reply::Refused(refusal));
            }
            let queue = &mut history.model.queues[at];
            queue.attributes = changed;
            if queue.attributes.rewind_s == 0 {
                queue.forget_all();
            }
            (reply, Reply::Done)
        });
    }

    fn propose_rewind(&mut self, name: usize, to: TimestampMs) {
        let Some(at) = self.model.named(NAMES[name]) else { return };
        let queue = self.id(at);
        let places = self.room.machine().rewind_places(&self.room.store, queue, to);
        let places = places.expect("rows in memory can be read");
        self.rewind = Some((NAMES[name].to_owned(), Command::Rewind { queue, to, places }));
    }

    /// Rewinds, and looks it up again if what it names has gone meanwhile.
    fn land_rewind(&mut self) {
        let Some((name, command)) = self.rewind.take() else { return };
        let Command::Rewind { queue, to, ref places } = command else { return };
        let Some(at) = self.model.named(&name).filter(|at| self.id(*at) == queue) else { return };
        // Where nothing was kept when it was looked up, nothing comes back.
        let lanes_of = |places: &[u64]| places.iter().map(|seq| seq >> 40).collect::<BTreeSet<u64>>();
        let (mut reply, lanes) = (self.run(command.clone()), lanes_of(places));
        if reply == Reply::Refused(Refusal::RewindPlaceMoved) {
            let places = self.room.machine().rewind_places(&self.room.store, queue, to);
            let places = places.expect("rows in memory can be read");
            reply = self.run(Command::Rewind { queue, to, places });
            assert_eq!(reply, self.model.rewind(at, to, &self.model.lanes_with_done(at)), "all lanes are looked up");
            return;
        }
        assert_eq!(reply, self.model.rewind(at, to, &lanes));
    }

    fn receive(&mut self, at: usize, count: u32, lease_ms: u64, now: TimestampMs) -> (Reply, Reply) {
        let queue = self.id(at);
        let reply = self.run(Command::Receive { queue, count, lease_ms: Some(lease_ms) });
        if let Reply::Received { deliveries } = &reply {
            for delivery in deliveries {
                let of_queue = |receipt: &&DeliveryNumber| receipt.0 >> 44 == u64::from(queue.0);
                let last = self.receipts.iter().rev().find(of_queue).copied().unwrap_or_default();
                assert!(delivery.receipt > last, "delivery numbers only grow");
                assert!(!self.model.acked.contains(&delivery.id), "an acked message never returns");
                self.receipts.push(delivery.receipt);
            }
        }
        (reply, self.model.receive(at, count as usize, lease_ms, now))
    }

    /// Applies a tick in both worlds, item by item, so that the model can be told how far a redrive came. Answers: how many
    /// items moved.
    fn land(&mut self, command: &Command) -> u32 {
        let Command::Tick { items } = command else { panic!("a tick is proposed: {command:?}") };
        let mut all = 0;
        for item in items {
            let before = self.redrive_status();
            let reply = self.run(Command::Tick { items: vec![item.clone()] });
            let Reply::Ticked { moved, .. } = reply else { panic!("a tick is not refused: {reply:?}") };
            all += moved;
            if let Due::Redrive { stretch, .. } = item {
                let places: Vec<u64> = stretch.picks.iter().map(|pick| pick.seq).collect();
                self.land_redrive(before, &places);
            } else {
                self.model.move_due(item, self.room.now);
            }
        }
        all
    }

    fn redrive_status(&self) -> Option<Redrive> {
        let at = self.model.named(NAMES[LETTERS])?;
        self.room.machine().redrive_status(self.id(at)).cloned()
    }

    /// The model moves as many messages as the machine did; where the machine found no way, the model finds none either.
    fn land_redrive(&mut self, before: Option<Redrive>, places: &[u64]) {
        let (Some(before), Some(job)) = (before, self.redrive_status()) else { return };
        if before == job {
            return;
        }
        let most = job.moved - before.moved;
        let to = job.order.to.as_ref().map(|address| address.queue.as_str());
        if job.order.is_dry {
            return assert_eq!(most, 0, "a dry run takes nothing");
        }
        let letters = self.model.named(NAMES[LETTERS]).expect("a job has a queue");
        let what = (self.room.now, job.started, places);
        assert_eq!(self.model.redrive(letters, what, to, most), (most, false), "each that moved had a way");
        let left = if job.stall.is_some() { (0, true) } else { (0, false) };
        assert_eq!(self.model.redrive(letters, what, to, 1), left, "the next has a way unless the job says why not");
    }

    /// Ticks until nothing is due; then nothing may be overdue in the model either.
    fn tick(&mut self) {
        let now = self.room.now;
        loop {
            let due = self.room.machine().due(&self.room.store, now).expect("rows in memory can be read");
            let Some(command) = due else { break };
            let next = self.room.machine().next_due().expect("what is due is announced");
            assert!(next <= now, "the announcement is never late");
            // Not every item need move: a message that comes back in this tick may overtake the item that teaches the
            // queue its age.
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
        self.check_reads();
    }

    /// What is read of single messages agrees too.
    fn check_reads(&self) {
        let (machine, store) = (self.room.machine(), &self.room.store);
        let is_live = |id: QueueId| machine.status(id).is_some();
        for queue in self.model.queues.iter().filter(|queue| !queue.is_deleted) {
            for message in &queue.messages {
                let found = machine.explain(store, message.id).expect("rows can be read").found;
                let found = found.map(|it| (it.queue, it.state, it.place.unwrap_or(0), it.message.tries));
                let state = match message.state {
                    State::Visible => PeekState::Visible,
                    State::Held { .. } => PeekState::Leased,
                    State::Parked { .. } | State::Delayed { .. } => PeekState::Delayed,
                    State::Half { .. } => PeekState::Half,
                    State::Done => PeekState::Rewindable,
                };
                assert_eq!(found, Some((queue.id, state, message.seq, message.tries)), "{message:?}");
            }
            let is_unconsumed =
                |it: &&Message| matches!(it.state, State::Visible | State::Held { .. } | State::Parked { .. });
            let times = queue.messages.iter().filter(is_unconsumed).filter(|it| !it.is_purged && !it.is_expired);
            let oldest = machine.oldest_unconsumed(store, queue.id).expect("rows can be read");
            assert_eq!(oldest, times.map(|message| message.enqueued).min());
        }
        for (id, events) in &self.model.events {
            let told = machine.timeline(store, *id).expect("rows can be read");
            let told: Vec<_> = told.events.iter().map(|event| (event.queue, event.kind)).collect();
            let expected: Vec<_> = events.iter().copied().filter(|(queue, _)| is_live(*queue)).collect();
            check_events(*id, &told, &expected);
        }
    }

    fn check(&self) {
        for queue in &self.model.queues {
            let status = self.room.machine().status(queue.id);
            assert_eq!(status.is_some(), !queue.is_deleted, "{queue:?}");
            if let Some(status) = status {
                assert_eq!(queue_core::Counts { stale: 0, ..status.counts }, queue.counts(), "{queue:?}");
                assert_eq!(status.totals, queue.totals, "{queue:?}");
                check_conservation(&status);
                check_leases(queue);
            }
        }
    }
}

/// The events of a message agree in each queue; and over all queues but for duplicates, for these are events of a queue in
/// which the message may not be any more.
fn check_events(id: MessageId, told: &[(QueueId, EventKind)], expected: &[(QueueId, EventKind)]) {
    let of = |events: &[(QueueId, EventKind)], queue| -> Vec<EventKind> {
        events.iter().filter(|(it, _)| *it == queue).map(|(_, kind)| *kind).collect()
    };
    for (queue, _) in told.iter().chain(expected) {
        assert_eq!(of(told, *queue), of(expected, *queue), "{id:?} in {queue:?}");
    }
    let way = |events: &[(QueueId, EventKind)]| -> Vec<(QueueId, EventKind)> {
        events.iter().copied().filter(|(_, kind)| *kind != EventKind::Duplicate).collect()
    };
    assert_eq!(way(told), way(expected), "{id:?}");
}

fn check_conservation(status: &queue_core::QueueStatus) {
    let (counts, totals) = (status.counts, status.totals);
    let held = counts.visible + counts.leased + counts.delayed + counts.half;
    let gone = totals.acked + totals.expired + totals.purged + totals.given_up;
    let moved = totals.dead_lettered + totals.forwarded + totals.redriven;
    let undone = totals.half_rolled_back + totals.half_expired;
    assert_eq!(
        totals.sent + totals.arrived + totals.rewound,
        held + gone + moved + undone,
        "nothing is lost or doubled"
    );
}

fn check_leases(queue: &Queue) {
    let mut held: Vec<u64> = Vec::new();
    for message in queue.messages.iter().filter(|message| matches!(message.state, State::Held { .. })) {
        assert!(!held.contains(&message.seq), "no message is under two live leases");
        held.push(message.seq);
    }
}

/// The rows that the commands give when `batch` entries are applied at a time.
fn rows_of(commands: &[(TimestampMs, Command)], batch: usize) -> MemoryStore {
    let mut store = MemoryStore::default();
    let mut host = store.host::<QueueMachine>(GROUP).expect("an empty store loads");
    let mut index = 0;
    for commands in commands.chunks(batch) {
        let mut entries = Vec::new();
        for (now, command) in commands {
            index += 1;
            let mut entry = EntryWriter::default();
            entry.push(RequestId::NONE, &machine::Command::Machine(command.to_bytes()));
            entries.push((LogIndex(index), entry.finish(*now, 1)));
        }
        let outcome = host.apply(&entries, &store).expect("rows in memory can be read");
        assert_eq!(outcome.parked, None, "every command decodes");
        store.commit(&outcome.rows);
    }
    store
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_history_agrees_with_the_naive_model(steps in steps()) {
        let mut history = History::new();
        for step in &steps {
            history.step(step);
        }
        history.tick();
        // Whatever was redriven comes to an end.
        let is_running = |job: &Redrive| job.state == RedriveState::Running && job.stall.is_none();
        for _ in 0..25 {
            if history.redrive_status().as_ref().is_some_and(is_running) {
                history.step(&Step::Pass(5_000));
                history.step(&Step::Tick);
            }
        }
        assert!(!history.redrive_status().as_ref().is_some_and(is_running), "a redrive ends, or says what holds it");
        for batch in [3, usize::MAX] {
            let batched = rows_of(&history.commands, batch);
            assert_eq!(batched, history.room.store, "rows do not depend on how commands are batched");
        }
    }
}
