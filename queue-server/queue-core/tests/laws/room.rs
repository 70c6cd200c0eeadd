//! The room of a test: one machine over rows in memory, a time that the test sets, and a check after every command that
//! the machine rebuilt from its rows is the same machine.
//!
//! Must never: let a command pass without that check.

use std::collections::BTreeMap;

use bytes::Bytes;
use machine::{
    Answer, EntryWriter, GroupId, Host, Key, LogIndex, Machine, MemoryStore, RequestId, System, TimestampMs,
};
use queue_core::{
    Attributes, Command, Counts, DeadLetterCount, DeadLetterPolicy, Delivery, DeliveryNumber, MessageId, NewMessage,
    QueueId, QueueMachine, QueueStatus, Refusal, Reply, TopicCommand,
};

/// The group of all tests.
pub(crate) const GROUP: GroupId = GroupId(7);
/// When a test begins.
pub(crate) const START: TimestampMs = TimestampMs(1_700_000_000_000);

/// One machine and what it stands on.
pub(crate) struct Room {
    pub(crate) store: MemoryStore,
    pub(crate) host: Host<QueueMachine>,
    pub(crate) now: TimestampMs,
    pub(crate) group: GroupId,
    index: u64,
}

/// The reply to a release that found its lease.
pub(crate) fn released() -> Reply {
    Reply::Settled { results: vec![None] }
}

impl Room {
    pub(crate) fn new() -> Self {
        Self::of(GROUP)
    }

    /// A room of another group.
    pub(crate) fn of(group: GroupId) -> Self {
        let store = MemoryStore::default();
        let host = store.host(group).expect("an empty store loads");
        Self { store, host, now: START, group, index: 0 }
    }

    /// A room with one queue.
    pub(crate) fn with_queue(attributes: Attributes) -> (Self, QueueId) {
        let mut room = Self::new();
        let queue = room.create("orders", attributes);
        (room, queue)
    }

    pub(crate) fn machine(&self) -> &QueueMachine {
        self.host.machine()
    }

    /// Applies a command as an entry of its own, without rebuilding the machine.
    pub(crate) fn run_fast(&mut self, command: &Command) -> Reply {
        self.index += 1;
        let applied = self.store.run(&mut self.host, LogIndex(self.index), self.now, command);
        applied.expect("a command and its reply survive their layouts")
    }

    /// Applies a command as an entry of its own.
    pub(crate) fn run(&mut self, command: &Command) -> Reply {
        let reply = self.run_fast(command);
        self.check_reload();
        reply
    }

    /// Applies an entry of one system command.
    pub(crate) fn run_system(&mut self, command: System) -> Bytes {
        self.index += 1;
        let mut entry = EntryWriter::default();
        entry.push(RequestId::NONE, &machine::Command::System(command));
        let entries = [(LogIndex(self.index), entry.finish(self.now, 1))];
        let outcome = self.host.apply(&entries, &self.store).expect("rows in memory can be read");
        self.store.commit(&outcome.rows);
        self.check_reload();
        let answer = outcome.answers.into_iter().flatten().next();
        let Some(Answer::Reply(reply)) = answer else { panic!("a system command is answered, not {answer:?}") };
        reply
    }

    pub(crate) fn topic(&mut self, command: TopicCommand) -> Reply {
        self.run(&Command::Topic(command))
    }

    pub(crate) fn check_reload(&self) {
        let rebuilt = self.store.host::<QueueMachine>(self.group).expect("its own rows load");
        assert_eq!(rebuilt.machine(), self.machine(), "the machine is a function of its rows");
    }

    /// Puts a row where no short test could bring the machine, and rebuilds it.
    pub(crate) fn plant(&mut self, planted: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>) {
        let mut rows: BTreeMap<Key, Bytes> =
            self.store.rows().map(|(key, value)| (key.clone(), value.clone())).collect();
        rows.extend(planted.into_iter().map(|(key, value)| (Key::from(key), Bytes::from(value))));
        let bodies = self.store.bodies().map(|(body, bytes)| (body, bytes.clone())).collect();
        self.store.replace(rows, bodies);
        self.host = self.store.host(self.group).expect("the planted rows load");
    }

    pub(crate) fn pass(&mut self, ms: u64) {
        self.now = self.now.plus(ms);
    }

    /// Ticks until nothing is due. Answers: how many items moved.
    pub(crate) fn tick(&mut self) -> u32 {
        let mut all = 0;
        while let Some(command) = self.machine().due(&self.store, self.now).expect("rows in memory can be read") {
            let Reply::Ticked { moved, .. } = self.run(&command) else { panic!("a tick is not refused") };
            assert!(moved > 0, "what the agenda names moves: {command:?}");
            all += moved;
        }
        all
    }

    pub(crate) fn create(&mut self, name: &str, attributes: Attributes) -> QueueId {
        let reply = self.run(&Command::CreateQueue { name: name.to_owned(), attributes });
        let Reply::Created { queue } = reply else { panic!("{name} is created, not {reply:?}") };
        queue
    }

    /// Sends bodies, each with its delay.
    pub(crate) fn send(&mut self, queue: QueueId, messages: &[(&'static str, u64)]) -> Vec<MessageId> {
        let messages = messages.iter().map(|(body, delay_ms)| message(body, *delay_ms)).collect();
        let reply = self.run(&Command::Send { queue, messages });
        let Reply::Sent { ids, .. } = reply else { panic!("messages are sent, not {reply:?}") };
        ids
    }

    pub(crate) fn receive(&mut self, queue: QueueId, count: u32, lease_ms: u64) -> Vec<Delivery> {
        match self.run(&Command::Receive { queue, count, lease_ms: Some(lease_ms) }) {
            Reply::Received { deliveries } => deliveries,
            Reply::Empty => Vec::new(),
            other => panic!("messages are received, not {other:?}"),
        }
    }

    /// The bodies that a receive would hand out, as a door reads them.
    pub(crate) fn take(&mut self, queue: QueueId, count: u32, lease_ms: u64) -> Vec<String> {
        let deliveries = self.receive(queue, count, lease_ms);
        deliveries.iter().map(|delivery| self.body(delivery.id)).collect()
    }

    pub(crate) fn body(&self, id: MessageId) -> String {
        use machine::RowSource as _;
        let body = self.store.body(id.body()).expect("rows in memory can be read").expect("the body is kept");
        String::from_utf8(body.to_vec()).expect("tests send text")
    }

    pub(crate) fn ack(&mut self, queue: QueueId, receipts: &[DeliveryNumber]) -> Vec<Option<Refusal>> {
        let reply = self.run(&Command::Ack { queue, receipts: receipts.to_vec() });
        let Reply::Settled { results } = reply else { panic!("an ack is answered, not {reply:?}") };
        results
    }

    pub(crate) fn release(&mut self, queue: QueueId, receipt: DeliveryNumber, delay_ms: u64, failed: bool) -> Reply {
        self.run(&Command::Release { queue, receipts: vec![receipt], delay_ms, failed })
    }

    pub(crate) fn status(&self, queue: QueueId) -> QueueStatus {
        self.machine().status(queue).expect("the queue is there")
    }

    /// Visible, leased, delayed.
    pub(crate) fn counts(&self, queue: QueueId) -> (u64, u64, u64) {
        let Counts { visible, leased, delayed, .. } = self.status(queue).counts;
        (visible, leased, delayed)
    }

    /// Rows and bodies of messages, leases, pages and so on: all but definitions, counters, topics' and the host's own.
    pub(crate) fn remains(&self) -> usize {
        let rows =
            self.store.rows().filter(|(key, _)| key.first().is_some_and(|kind| (0x13..0x28).contains(kind))).count();
        rows + self.store.bodies().count()
    }
}

pub(crate) fn message(body: &'static str, delay_ms: u64) -> NewMessage {
    NewMessage { body: Bytes::from_static(body.as_bytes()), delay_ms, ..NewMessage::default() }
}

pub(crate) fn policy(queue: &str, count: DeadLetterCount, limit: u32) -> Attributes {
    let dead_letter = Some(DeadLetterPolicy { group: None, queue: queue.to_owned(), count, limit });
    Attributes { dead_letter, ..Attributes::default() }
}
