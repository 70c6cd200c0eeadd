//! Random histories against the naive model: after every command the replies, the counts and the totals agree, the machine
//! rebuilt from its rows is the same, and the invariants of a lease queue hold.
//!
//! Must never: depend on how a history is batched. Each is applied a second time in larger batches, and gives equal rows.

use bytes::Bytes;
use machine::{EntryWriter, LogIndex, Machine, MemoryStore, RequestId, TimestampMs};
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest};
use proptest::sample::select;
use queue_core::{
    AttributeChanges, Attributes, Command, DeadLetterCount, DeliveryNumber, MessageId, NewMessage, PeekState, QueueId,
    QueueMachine, Refusal, Reply, TransactionPolicy,
};

use crate::naive::{Message, Model, Queue, State};
use crate::room::{GROUP, Room, policy};
use machine::Layout as _;

const NAMES: [&str; 5] = ["orders", "letters", "mails", "olds", "deals"];

#[derive(Clone, Debug)]
enum Step {
    Create(usize),
    Delete(usize),
    Retain(usize, u32),
<<<<<<< HEAD
    Keep(usize, u32),
    Send(usize, Vec<u64>, bool),
||||||| b6c0865
    Send(usize, Vec<u64>),
=======
    Window(usize, u32),
    Send(usize, Vec<NewMessage>),
>>>>>>> core-order
    Receive(usize, u32, u64),
    Ack(usize, Vec<usize>),
    Extend(usize, usize, u64),
    Release(usize, usize, u64, bool),
    Purge(usize),
    Confirm(usize, Vec<usize>, bool),
    Query(usize, u32),
    /// Rewinds to a while ago.
    Rewind(usize, u64),
    /// Looks a rewind up, and keeps it.
    ProposeRewind(usize, u64),
    /// Applies the rewind that was kept, however late.
    LandRewind,
    Tick,
    /// Makes the tick that will be due in a while, and keeps it.
    Propose(u64),
    /// Applies the tick that was kept, however late.
    Land,
    Pass(u64),
}

/// Half of them plain; the others of few tenants, groups and ids, so that these meet.
fn messages() -> impl Strategy<Value = NewMessage> {
    let delay = prop_oneof![4 => Just(0_u64), 2 => 1_u64..5_000, 1 => Just(70_000_u64)];
    let order = prop_oneof![
        1 => Just((4_u8, "", "")),
        1 => (select(vec![0_u8, 4, 9]), select(vec!["", "a", "b"]), select(vec!["", "", "g", "h"])),
    ];
    let dedup_id = prop_oneof![3 => Just(""), 1 => select(vec!["1", "2", "3"])];
    (delay, order, dedup_id).prop_map(|(delay_ms, (priority, tenant, group), dedup_id)| NewMessage {
        body: Bytes::from_static(b"x"),
        delay_ms,
        headers: Vec::new(),
        priority,
        tenant: tenant.to_owned(),
        group: group.to_owned(),
        dedup_id: dedup_id.to_owned(),
    })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let queue = 0..NAMES.len();
    let delay = prop_oneof![4 => Just(0_u64), 2 => 1_u64..5_000, 1 => Just(70_000_u64)];
    let ago = prop_oneof![Just(0_u64), 1_u64..5_000, 1_u64..70_000, Just(u64::MAX)];
    let lease = prop_oneof![Just(1_000_u64), 1_u64..20_000, Just(90_000_u64)];
    let step = prop_oneof![
        2 => queue.clone().prop_map(Step::Create),
        1 => queue.clone().prop_map(Step::Delete),
        1 => (queue.clone(), 60_u32..120).prop_map(|(queue, retention_s)| Step::Retain(queue, retention_s)),
<<<<<<< HEAD
        1 => (queue.clone(), prop_oneof![Just(0_u32), Just(20_u32), Just(60_u32)]).prop_map(|(q, s)| Step::Keep(q, s)),
        14 => (queue.clone(), proptest::collection::vec(delay.clone(), 1..5)).prop_map(|(q, d)| Step::Send(q, d, false)),
        4 => (0..5_usize).prop_map(|count| Step::Send(4, vec![0; count.max(1)], count > 0)),
        4 => (proptest::collection::vec(0_usize..8, 1..4), any::<bool>()).prop_map(|(p, c)| Step::Confirm(4, p, c)),
        1 => (queue.clone(), proptest::collection::vec(0_usize..8, 1..4)).prop_map(|(q, p)| Step::Confirm(q, p, true)),
        4 => (1_u32..4).prop_map(|count| Step::Query(4, count)),
        1 => queue.clone().prop_map(|queue| Step::Query(queue, 1)),
        5 => (queue.clone(), ago.clone()).prop_map(|(queue, ago)| Step::Rewind(queue, ago)),
        1 => (queue.clone(), ago).prop_map(|(queue, ago)| Step::ProposeRewind(queue, ago)),
        2 => Just(Step::LandRewind),
||||||| b6c0865
        12 => (queue.clone(), proptest::collection::vec(delay.clone(), 1..5)).prop_map(|(q, delays)| Step::Send(q, delays)),
=======
        1 => (queue.clone(), 0_u32..60).prop_map(|(queue, window_s)| Step::Window(queue, window_s)),
        12 => (queue.clone(), proptest::collection::vec(messages(), 1..5)).prop_map(|(q, messages)| Step::Send(q, messages)),
>>>>>>> core-order
        12 => (queue.clone(), 1_u32..5, lease.clone()).prop_map(|(q, count, lease)| Step::Receive(q, count, lease)),
        8 => (queue.clone(), proptest::collection::vec(0_usize..12, 1..4)).prop_map(|(q, picks)| Step::Ack(q, picks)),
        2 => (queue.clone(), 0_usize..12, lease).prop_map(|(q, pick, lease)| Step::Extend(q, pick, lease)),
        6 => (queue.clone(), 0_usize..12, delay, any::<bool>()).prop_map(|(q, p, d, f)| Step::Release(q, p, d, f)),
        1 => queue.prop_map(Step::Purge),
        10 => Just(Step::Tick),
        3 => prop_oneof![Just(0_u64), Just(2_000_u64), Just(60_000_u64)].prop_map(Step::Propose),
        3 => Just(Step::Land),
        6 => prop_oneof![4 => 1_u64..3_000, 2 => Just(30_000_u64), 2 => Just(65_000_u64), 1 => Just(301_000_u64)].prop_map(Step::Pass),
    ];
    proptest::collection::vec(step, 1..70)
}

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
}

impl History {
    fn new() -> Self {
        Self {
            room: Room::new(),
            model: Model::default(),
            receipts: Vec::new(),
            commands: Vec::new(),
            proposed: None,
            halves: Vec::new(),
            rewind: None,
        }
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
<<<<<<< HEAD
                self.set(*name, changes);
            }
            Step::Keep(name, rewind_s) => {
                self.set(*name, AttributeChanges { rewind_s: Some(*rewind_s), ..AttributeChanges::default() });
            }
            Step::Send(name, delays, is_half) => self.on(*name, |history, at| {
                let (body, is_half) = (Bytes::from_static(b"x"), *is_half);
                let message = |delay_ms| NewMessage { body: body.clone(), delay_ms, headers: vec![], is_half };
                let messages = delays.iter().copied().map(message).collect();
                let reply = history.run(Command::Send { queue: history.id(at), messages });
                if let (Reply::Sent { ids, .. }, true) = (&reply, is_half) {
                    history.halves.extend(ids);
                }
                (reply, history.model.send(at, delays, is_half, now))
||||||| b6c0865
                let reply = history.run(Command::SetQueueAttributes { name: NAMES[*name].to_owned(), changes });
                history.model.queues[at].attributes.retention_s = *retention_s;
                (reply, Reply::Done)
            }),
            Step::Send(name, delays) => self.on(*name, |history, at| {
                let message = |delay| NewMessage { body: Bytes::from_static(b"x"), delay_ms: delay, headers: vec![] };
                let messages = delays.iter().copied().map(message).collect();
                let reply = history.run(Command::Send { queue: history.id(at), messages });
                (reply, history.model.send(at, delays, now))
=======
                let reply = history.run(Command::SetQueueAttributes { name: NAMES[*name].to_owned(), changes });
                history.model.queues[at].attributes.retention_s = *retention_s;
                (reply, Reply::Done)
            }),
            Step::Window(name, dedup_window_s) => self.on(*name, |history, at| {
                let changes = AttributeChanges { dedup_window_s: Some(*dedup_window_s), ..AttributeChanges::default() };
                let reply = history.run(Command::SetQueueAttributes { name: NAMES[*name].to_owned(), changes });
                history.model.queues[at].attributes.dedup_window_s = *dedup_window_s;
                (reply, Reply::Done)
            }),
            Step::Send(name, messages) => self.on(*name, |history, at| {
                let reply = history.run(Command::Send { queue: history.id(at), messages: messages.clone() });
                (reply, history.model.send(at, messages, now))
>>>>>>> core-order
            }),
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
                let reply = history.run(Command::Release {
                    queue,
                    receipts: vec![receipt],
                    delay_ms: *delay_ms,
                    failed: *failed,
                });
                (reply, history.model.release(at, receipt, (*delay_ms, *failed), now))
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
            Step::Land => {
                if let Some(tick) = self.proposed.take() {
                    self.land(&tick);
                }
            }
            Step::Pass(ms) => self.room.pass(*ms),
            _ => self.step_of_life(step),
        }
        self.check();
    }

    /// Transactions, and what is kept for a rewind.
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
            other => panic!("{other:?} has no arm"),
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
<<<<<<< HEAD
        let retention_s = if name == 3 { 400 } else { 60 };
        let rewind_s = if [0, 2, 4].contains(&name) { 40 } else { 0 };
        let attributes = Attributes { retention_s, rewind_s, trace: true, ..attributes };
||||||| b6c0865
        let attributes = Attributes { retention_s: 60, ..attributes };
=======
        let attributes = Attributes { retention_s: 60, dedup_window_s: 10, ..attributes };
>>>>>>> core-order
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
        let is_blank = places.is_empty() && self.model.queues[at].attributes.rewind_s > 0;
        let mut reply = self.run(command.clone());
        if is_blank {
            return assert_eq!(reply, Reply::Rewound { messages: 0 });
        }
        if reply == Reply::Refused(Refusal::RewindPlaceMoved) {
            let places = self.room.machine().rewind_places(&self.room.store, queue, to);
            let places = places.expect("rows in memory can be read");
            reply = self.run(Command::Rewind { queue, to, places });
        }
        assert_eq!(reply, self.model.rewind(at, to));
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

    /// Applies a tick in both worlds. Answers: how many items moved.
    fn land(&mut self, command: &Command) -> u32 {
        let reply = self.run(command.clone());
        let (Command::Tick { items }, Reply::Ticked { moved, .. }) = (command, &reply) else {
            panic!("a tick is proposed and not refused: {command:?} {reply:?}")
        };
        for item in items {
            self.model.move_due(item, self.room.now);
        }
        *moved
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
                    State::Done => PeekState::Done,
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
            assert_eq!(told, expected, "{id:?}");
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

fn check_conservation(status: &queue_core::QueueStatus) {
    let (counts, totals) = (status.counts, status.totals);
    let held = counts.visible + counts.leased + counts.delayed + counts.half;
    let gone = totals.acked + totals.expired + totals.purged + totals.dead_lettered;
    let undone = totals.half_rolled_back + totals.half_expired;
    assert_eq!(totals.sent + totals.arrived + totals.rewound, held + gone + undone, "nothing is lost or doubled");
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
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_history_agrees_with_the_naive_model(steps in steps()) {
        let mut history = History::new();
        for name in [1, 0, 2, 3, 4] {
            history.step(&Step::Create(name));
        }
        for step in &steps {
            history.step(step);
        }
        history.tick();
        for batch in [3, usize::MAX] {
            let batched = rows_of(&history.commands, batch);
            assert_eq!(batched, history.room.store, "rows do not depend on how commands are batched");
        }
    }
}
