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

/// A machine that the simulation can judge.
pub(crate) trait Subject: Machine<Command = Command, Reply = Reply> {
    /// The queue machine in it, for reads.
    fn queues(&self) -> &QueueMachine;
}

impl Subject for QueueMachine {
    fn queues(&self) -> &QueueMachine {
        self
    }
}

/// A send is answered and not applied.
pub(crate) const LOSES_SENDS: u8 = 1;
/// An ack is answered and not applied.
pub(crate) const FORGETS_ACKS: u8 = 2;
/// A lease lasts a moment, whatever its receiver is told.
pub(crate) const CUTS_LEASES: u8 = 3;
/// A receipt is smaller than one that was given out before.
pub(crate) const REPEATS_NUMBERS: u8 = 4;
/// A delay is halved.
pub(crate) const CUTS_DELAYS: u8 = 5;
/// Messages of an ordered group are like any other.
pub(crate) const FORGETS_GROUPS: u8 = 6;
/// A send is applied twice.
pub(crate) const DOUBLES_SENDS: u8 = 7;
/// A row depends on more than the log.
pub(crate) const DRIFTS: u8 = 8;
/// What the dead-letter queue holds is dropped.
pub(crate) const DROPS_DEAD_LETTERS: u8 = 9;

/// The queue machine with one bug.
pub(crate) struct Planted<const BUG: u8>(QueueMachine);

thread_local! {
    /// What no machine may look at: it differs between the replicas of this thread.
    static OUTSIDE: Cell<u64> = const { Cell::new(0) };
}

impl<const BUG: u8> Subject for Planted<BUG> {
    fn queues(&self) -> &QueueMachine {
        &self.0
    }
}

impl<const BUG: u8> Planted<BUG> {
    /// The answer of a command that the bug keeps from being applied.
    fn forged(&self, context: &Context, command: &Command) -> Option<Reply> {
        let is_hit = context.index.0.is_multiple_of(7);
        match command {
            Command::Send { messages, .. } if BUG == LOSES_SENDS && is_hit => {
                let ids = (0..messages.len() as u64).map(|at| MessageId(context.index.0 << 20 | at)).collect();
                Some(Reply::Sent { ids, first_seq: 1, duplicates: Vec::new() })
            }
            Command::Ack { receipts, .. } if BUG == FORGETS_ACKS && is_hit => {
                Some(Reply::Settled { results: vec![None; receipts.len()] })
            }
            _ => None,
        }
    }

    /// The command as the bug has it.
    fn bent(command: Command) -> Command {
        match command {
            Command::Receive { queue, count, .. } if BUG == CUTS_LEASES => {
                Command::Receive { queue, count, lease_ms: Some(20) }
            }
            Command::Send { queue, mut messages } => {
                for message in &mut messages {
                    if BUG == CUTS_DELAYS {
                        message.delay_ms /= 2;
                    }
                    if BUG == FORGETS_GROUPS {
                        message.group.clear();
                    }
                }
                Command::Send { queue, messages }
            }
            other => other,
        }
    }
}

impl<const BUG: u8> Machine for Planted<BUG> {
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
            Command::Send { .. } if BUG == DOUBLES_SENDS && context.index.0.is_multiple_of(7) => Some(command.clone()),
            Command::Send { queue, .. } if BUG == DROPS_DEAD_LETTERS && context.index.0.is_multiple_of(7) => {
                self.0.queue_id("dead").filter(|dead| dead != queue).map(|queue| Command::Purge { queue })
            }
            _ => None,
        };
        let mut reply = self.0.apply(context, Self::bent(command), rows);
        if let Reply::Received { deliveries } = &mut reply {
            for delivery in deliveries {
                if BUG == CUTS_LEASES {
                    delivery.deadline = context.now.plus(lease.unwrap_or(0));
                }
                if BUG == REPEATS_NUMBERS && context.index.0.is_multiple_of(7) {
                    delivery.receipt = DeliveryNumber(delivery.receipt.0 - 3);
                }
            }
        }
        if let Some(again) = again {
            self.0.apply(context, again, rows);
        }
        if BUG == DRIFTS {
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
