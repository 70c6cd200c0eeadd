//! What is simulated: the queue machine as it ships, or the same machine with one bug planted.
//!
//! Why: a law that no bug can break shows nothing. Each planted bug is one that a queue could have, small and rare, and the
//! whole road stands between it and the law that must see it.
//!
//! Must never: plant two bugs at a time.

use std::cell::Cell;

use bytes::Bytes;
use machine::{Context, GroupId, Key, LoadError, Machine, RowSource, Rows, StoreFailure, TimestampMs};
use queue_core::{Command, DeliveryNumber, MessageId, QueueMachine, Reply};

/// A bug that a queue could have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    /// The machine as it ships.
    None,
    /// A send is answered and not applied.
    LosesSends,
    /// An ack is answered and not applied.
    ForgetsAcks,
    /// A lease lasts a moment, whatever its receiver is told.
    CutsLeases,
    /// A receipt is smaller than one that was given out before.
    RepeatsNumbers,
    /// A delay is halved.
    CutsDelays,
    /// Messages of an ordered group are like any other.
    ForgetsGroups,
    /// A send is applied twice.
    DoublesSends,
    /// A row depends on more than the log.
    Drifts,
    /// What the dead-letter queue holds is dropped.
    DropsDeadLetters,
}

thread_local! {
    /// The bug of every machine of this thread: a simulated cluster runs in one.
    static BUG: Cell<Bug> = const { Cell::new(Bug::None) };
    /// What no machine may look at: it differs between the replicas of this thread.
    static OUTSIDE: Cell<u64> = const { Cell::new(0) };
}

/// Gives `bug` to the machines of the clusters that this thread simulates from now on.
pub(crate) fn plant(bug: Bug) {
    BUG.set(bug);
}

fn has(bug: Bug) -> bool {
    BUG.get() == bug
}

/// The queue machine, with the bug of its thread.
pub(crate) struct Subject(QueueMachine);

impl Subject {
    /// The queue machine in it, for reads.
    pub(crate) const fn queues(&self) -> &QueueMachine {
        &self.0
    }

    /// The answer of a command that the bug keeps from being applied.
    fn forged(&self, context: &Context, command: &Command) -> Option<Reply> {
        let is_hit = context.index.0.is_multiple_of(7);
        match command {
            Command::Send { messages, .. } if has(Bug::LosesSends) && is_hit => {
                let ids = (0..messages.len() as u64).map(|at| MessageId(context.index.0 << 20 | at)).collect();
                Some(Reply::Sent { ids, first_seq: 1, duplicates: Vec::new() })
            }
            Command::Ack { receipts, .. } if has(Bug::ForgetsAcks) && is_hit => {
                Some(Reply::Settled { results: vec![None; receipts.len()] })
            }
            _ => None,
        }
    }

    /// The command as the bug has it.
    fn bent(command: Command) -> Command {
        match command {
            Command::Receive { queue, count, .. } if has(Bug::CutsLeases) => {
                Command::Receive { queue, count, lease_ms: Some(20) }
            }
            Command::Send { queue, mut messages } => {
                for message in &mut messages {
                    if has(Bug::CutsDelays) {
                        message.delay_ms /= 2;
                    }
                    if has(Bug::ForgetsGroups) {
                        message.group.clear();
                    }
                }
                Command::Send { queue, messages }
            }
            other => other,
        }
    }
}

impl Machine for Subject {
    type Command = Command;
    type Reply = Reply;

    fn load(rows: &dyn RowSource) -> Result<Self, LoadError> {
        QueueMachine::load(rows).map(Self)
    }

    fn keys(command: &Command, keys: &mut Vec<Key>) {
        QueueMachine::keys(command, keys);
    }

    fn apply(&mut self, context: &Context, command: Command, rows: &mut Rows) -> Reply {
        if let Some(forged) = self.forged(context, &command) {
            return forged;
        }
        let lease = if let Command::Receive { lease_ms, .. } = &command { *lease_ms } else { None };
        let again = match &command {
            Command::Send { .. } if has(Bug::DoublesSends) && context.index.0.is_multiple_of(7) => {
                Some(command.clone())
            }
            Command::Send { queue, .. } if has(Bug::DropsDeadLetters) && context.index.0.is_multiple_of(7) => {
                self.0.queue_id("dead").filter(|dead| dead != queue).map(|queue| Command::Purge { queue })
            }
            _ => None,
        };
        let mut reply = self.0.apply(context, Self::bent(command), rows);
        if let Reply::Received { deliveries } = &mut reply {
            for delivery in deliveries {
                if has(Bug::CutsLeases) {
                    delivery.deadline = context.now.plus(lease.unwrap_or(0));
                }
                if has(Bug::RepeatsNumbers) && context.index.0.is_multiple_of(7) {
                    delivery.receipt = DeliveryNumber(delivery.receipt.0 - 3);
                }
            }
        }
        if let Some(again) = again {
            self.0.apply(context, again, rows);
        }
        if has(Bug::Drifts) {
            OUTSIDE.set(OUTSIDE.get() + 1);
            rows.put(Bytes::from_static(&[0xee]), Bytes::copy_from_slice(&OUTSIDE.get().to_be_bytes()));
        }
        reply
    }

    fn seal(&mut self, rows: &mut Rows) {
        self.0.seal(rows);
    }

    fn deliver(&mut self, context: &Context, source: GroupId, record: &Bytes, rows: &mut Rows) -> Result<(), String> {
        self.0.deliver(context, source, record, rows)
    }

    fn due(&self, rows: &dyn RowSource, now: TimestampMs) -> Result<Option<Command>, StoreFailure> {
        self.0.due(rows, now)
    }
}
