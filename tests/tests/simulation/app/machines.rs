//! What is simulated: the app's machines as they ship, or the same with one flaw planted.
//!
//! Must never: plant two flaws at a time.

use std::cell::Cell;

use bytes::Bytes;
use ledger::{
    Account, AccountId, Done, JournalNumber, LedgerMachine, Refusal, Reply, Said, Transfer, TransferId, Verb,
};
use machine::{
    Context, GroupId, Key, Layout as _, LoadError, Machine, RowSource, Rows, StoreFailure, TimestampMs, Writer,
};
use packets::{Open, PacketsMachine};

/// A flaw that a ledger, or a group of packets, could have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// The machines as they ship.
    None,
    /// A transfer is answered and not booked.
    LosesTransfers,
    /// The id of a transfer is forgotten.
    ForgetsIds,
    /// More is credited than was debited.
    MakesMoney,
    /// A balance falls below zero.
    Overdraws,
    /// A chain that is refused leaves its first step behind.
    LeavesTraces,
    /// A share's credit is answered and not booked.
    DropsCredits,
    /// A user who opens a packet again gets a second share.
    SharesTwice,
    /// An open answers a fen more than it has drawn.
    Exaggerates,
    /// A row depends on more than the log.
    Drifts,
}

thread_local! {
    /// The flaw of every machine of this thread.
    static FLAW: Cell<Flaw> = const { Cell::new(Flaw::None) };
    /// What no machine may look at: it differs between the replicas of this thread.
    static OUTSIDE: Cell<u64> = const { Cell::new(0) };
}

/// Gives `flaw` to the machines of the clusters that this thread simulates from now on.
pub(crate) fn plant(flaw: Flaw) {
    FLAW.set(flaw);
}

fn has(flaw: Flaw) -> bool {
    FLAW.get() == flaw
}

/// Rows as ledger and packets lay them out; a layout that changes breaks the tests of the flaws.
fn account_row(account: AccountId) -> Key {
    let mut key = Writer::with_capacity(18);
    key.u8(0x10);
    key.u8(1);
    key.u128(account.0);
    key.finish()
}

fn transfer_row(id: TransferId) -> Key {
    let mut key = Writer::with_capacity(18);
    key.u8(0x11);
    key.u8(1);
    key.u128(id.0);
    key.finish()
}

fn claim_row(open: &Open) -> Key {
    let mut key = Writer::with_capacity(33);
    key.u8(0x22);
    key.u128(open.packet.bits());
    key.u128(open.user.0);
    key.finish()
}

/// Adds `fen` to a balance, and to nothing else.
fn shift(rows: &mut Rows, account: AccountId, fen: i64) {
    let key = account_row(account);
    let Some(mut row) = rows.get(&key).and_then(|row| Account::from_bytes(row).ok()) else { return };
    row.balance.0 += fen;
    rows.put(key, row.to_bytes());
}

/// A ledger shard, with the flaw of its thread.
pub(crate) struct Ledger(LedgerMachine);

impl Ledger {
    /// The shard in it, for reads.
    pub(crate) const fn shard(&self) -> &LedgerMachine {
        &self.0
    }

    /// The answer of a step that the flaw keeps from being done.
    fn forged(&self, context: &Context, command: &ledger::Command) -> Option<Reply> {
        let is_forged = match command {
            ledger::Command::One(Verb::Transfer(_)) => has(Flaw::LosesTransfers),
            ledger::Command::One(Verb::Credit(_)) => has(Flaw::DropsCredits),
            _ => false,
        };
        let first = JournalNumber(self.0.journal_end().0.0 + 1);
        let said = Said::One(Ok(Done::Booked(first)));
        (is_forged && context.index.0.is_multiple_of(3)).then_some(Reply { at: context.now, first, said })
    }

    fn transfer(&mut self, context: &Context, transfer: Transfer, rows: &mut Rows) -> Reply {
        let is_hit = context.index.0.is_multiple_of(3);
        let overdraft = if has(Flaw::Overdraws) && is_hit { transfer.money.amount.0 } else { 0 };
        shift(rows, transfer.debit, overdraft);
        let reply = self.0.apply(context, ledger::Command::One(Verb::Transfer(transfer)), rows);
        shift(rows, transfer.debit, -overdraft);
        if has(Flaw::MakesMoney) && is_hit && matches!(reply.said, Said::One(Ok(_))) {
            shift(rows, transfer.credit, 1);
        }
        if has(Flaw::ForgetsIds) {
            rows.delete(transfer_row(transfer.id));
        }
        reply
    }
}

impl Machine for Ledger {
    type Command = ledger::Command;
    type Reply = Reply;

    fn load(rows: &dyn RowSource) -> Result<Self, LoadError> {
        LedgerMachine::load(rows).map(Self)
    }

    fn keys(command: &Self::Command, keys: &mut Vec<Key>) {
        LedgerMachine::keys(command, keys);
    }

    fn apply(&mut self, context: &Context, command: Self::Command, rows: &mut Rows) -> Reply {
        if let Some(forged) = self.forged(context, &command) {
            return forged;
        }
        let reply = match command {
            ledger::Command::One(Verb::Transfer(transfer)) => self.transfer(context, transfer, rows),
            ledger::Command::Batch(steps) if has(Flaw::LeavesTraces) => {
                let first = steps.first().map(|step| step.verb.clone());
                let reply = self.0.apply(context, ledger::Command::Batch(steps), rows);
                let is_refused = matches!(&reply.said, Said::Batch(all) if all.contains(&Err(Refusal::LinkedFailed)));
                if let Some(verb) = first.filter(|_| is_refused) {
                    self.0.apply(context, ledger::Command::One(verb), rows);
                }
                reply
            }
            command => self.0.apply(context, command, rows),
        };
        if has(Flaw::Drifts) {
            OUTSIDE.set(OUTSIDE.get() + 1);
            rows.put(Bytes::from_static(&[0xee]), Bytes::copy_from_slice(&OUTSIDE.get().to_be_bytes()));
        }
        reply
    }

    fn seal(&mut self, rows: &mut Rows) {
        self.0.seal(rows);
    }

    fn record_keys(record: &Bytes, keys: &mut Vec<Key>) {
        LedgerMachine::record_keys(record, keys);
    }

    fn deliver(&mut self, context: &Context, source: GroupId, record: &Bytes, rows: &mut Rows) -> Result<(), String> {
        self.0.deliver(context, source, record, rows)
    }

    fn due(&self, rows: &dyn RowSource, now: TimestampMs) -> Result<Option<Self::Command>, StoreFailure> {
        self.0.due(rows, now)
    }
}

/// A group of packets, with the flaw of its thread.
pub(crate) struct Packets(PacketsMachine);

impl Packets {
    /// The group in it, for reads.
    pub(crate) const fn group(&self) -> &PacketsMachine {
        &self.0
    }
}

impl Machine for Packets {
    type Command = packets::Command;
    type Reply = packets::Reply;

    fn load(rows: &dyn RowSource) -> Result<Self, LoadError> {
        PacketsMachine::load(rows).map(Self)
    }

    fn keys(command: &Self::Command, keys: &mut Vec<Key>) {
        PacketsMachine::keys(command, keys);
    }

    fn apply(&mut self, context: &Context, command: Self::Command, rows: &mut Rows) -> packets::Reply {
        if let packets::Command::Open(open) = &command
            && has(Flaw::SharesTwice)
        {
            rows.delete(claim_row(open));
        }
        let mut reply = self.0.apply(context, command, rows);
        if let packets::Reply::Opened(credit) = &mut reply
            && has(Flaw::Exaggerates)
        {
            credit.fen.0 += 1;
        }
        reply
    }

    fn seal(&mut self, rows: &mut Rows) {
        self.0.seal(rows);
    }

    fn due(&self, rows: &dyn RowSource, now: TimestampMs) -> Result<Option<Self::Command>, StoreFailure> {
        self.0.due(rows, now)
    }
}
