//! How fast a shard applies batches, and how many bytes of rows a transfer costs. `cargo bench -p ledger`.
//!
//! Why: the processor is what the ledger runs out of first; what a change costs must be seen where it is made, without
//! log, network and disk. Reading and committing rows in memory are timed apart.
//!
//! Must never: be taken for the speed of a cluster.
#![expect(clippy::disallowed_types, clippy::print_stdout, reason = "a bench measures time and prints it")]

use std::cell::Cell;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ledger::{
    AccountId, Command, Currency, CustomerKind, LedgerMachine, Money, OpenAccount, Step, Transfer, TransferId, Verb,
    Wallet,
};
use machine::{
    BodyRef, EntryWriter, GroupId, Host, Key, Layout, LogIndex, MemoryStore, RequestId, RowSource, StoreFailure,
    TimestampMs,
};

const BATCH: u64 = 8_000;
const ROUNDS: u64 = 24;

/// Rows in memory, with the time that reading them takes.
struct Timed<'a> {
    store: &'a MemoryStore,
    reading: Cell<Duration>,
}

impl RowSource for Timed<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreFailure> {
        self.store.get(key)
    }

    fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Bytes>>, StoreFailure> {
        let start = Instant::now();
        let rows = self.store.get_many(keys);
        self.reading.set(self.reading.get() + start.elapsed());
        rows
    }

    fn scan(&self, from: &[u8], to: &[u8], visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), StoreFailure> {
        self.store.scan(from, to, visit)
    }

    fn scan_back(
        &self,
        from: &[u8],
        to: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StoreFailure> {
        self.store.scan_back(from, to, visit)
    }

    fn body(&self, body: BodyRef) -> Result<Option<Bytes>, StoreFailure> {
        self.store.body(body)
    }
}

struct Shard {
    store: MemoryStore,
    host: Host<LedgerMachine>,
    index: u64,
}

/// What a run of batches cost.
#[derive(Default)]
struct Cost {
    applying: Vec<Duration>,
    reading: Duration,
    committing: Duration,
    rows: u64,
    row_bytes: u64,
    account_bytes: u64,
    entry_bytes: u64,
}

impl Shard {
    fn of(accounts: u64) -> Self {
        let store = MemoryStore::default();
        let host = store.host(GroupId(1)).expect("an empty store loads");
        let mut shard = Self { store, host, index: 0 };
        let mut cost = Cost::default();
        for first in (0..accounts).step_by(4_000) {
            let mut steps = Vec::new();
            for number in first..accounts.min(first + 4_000) {
                let (account, money) = (account(number), Money::cny(1_000_000_000));
                let kind = CustomerKind::User;
                steps.push(Verb::Open(OpenAccount { account, kind, currency: Currency::CNY }));
                let id = TransferId(u128::from(number) | 1 << 100);
                steps.push(Verb::Fund(Wallet { id, account, money, memo: 0 }));
            }
            shard.apply(&batch(steps), &mut cost);
        }
        shard
    }

    fn apply(&mut self, command: &Command, cost: &mut Cost) {
        self.index += 1;
        let mut entry = EntryWriter::default();
        entry.push(RequestId::NONE, &machine::Command::Machine(command.to_bytes()));
        let entry = entry.finish(TimestampMs(1_700_000_000_000 + self.index), self.index);
        cost.entry_bytes += entry.len() as u64;
        let source = Timed { store: &self.store, reading: Cell::default() };
        let start = Instant::now();
        let outcome = self.host.apply(&[(LogIndex(self.index), entry)], &source).expect("rows in memory can be read");
        cost.applying.push(start.elapsed() - source.reading.get());
        cost.reading += source.reading.get();
        let start = Instant::now();
        self.store.commit(&outcome.rows);
        cost.committing += start.elapsed();
        for (key, value) in outcome.rows.changes() {
            let bytes = (key.len() + value.map_or(0, Bytes::len)) as u64;
            cost.rows += 1;
            cost.row_bytes += bytes;
            cost.account_bytes += if key.first() == Some(&0x10) { bytes } else { 0 };
        }
    }
}

fn batch(verbs: Vec<Verb>) -> Command {
    Command::Batch(verbs.into_iter().map(|verb| Step { is_linked: false, verb }).collect())
}

/// Names without order, as callers make them.
fn mixed(number: u64) -> u128 {
    let mix = |z: u64| {
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    u128::from(mix(number.wrapping_add(0x9e37_79b9_7f4a_7c15))) << 64 | u128::from(mix(number))
}

fn account(number: u64) -> AccountId {
    AccountId(mixed(number))
}

fn measure(name: &str, accounts: u64, pair: impl Fn(u64) -> (u64, u64)) {
    let mut shard = Shard::of(accounts);
    let mut cost = Cost::default();
    for round in 0..ROUNDS {
        let transfers = (0..BATCH).map(|place| {
            let number = round * BATCH + place;
            let (debit, credit) = pair(number);
            Verb::Transfer(Transfer {
                id: TransferId(mixed(number ^ 1 << 50)),
                debit: account(debit),
                credit: account(credit),
                money: Money::cny(100 + i64::try_from(number % 900).expect("small")),
                code: 7,
                memo: 0,
            })
        });
        shard.apply(&batch(transfers.collect()), &mut cost);
    }
    cost.applying.sort_unstable();
    let count = ROUNDS * BATCH;
    let rate = |time: Duration| BATCH as u128 * 1_000_000 / time.as_micros().max(1);
    let each = |time: Duration| time.as_nanos() / u128::from(count);
    println!(
        "{name:<20} {:>9}/s best {:>9}/s median | read {:>5} ns commit {:>5} ns | {:>4} bytes of rows, {:>3} of them \
         accounts, {:>3}.{:02} rows | entry {:>3} bytes",
        rate(cost.applying[0]),
        rate(cost.applying[cost.applying.len() / 2]),
        each(cost.reading),
        each(cost.committing),
        cost.row_bytes / count,
        cost.account_bytes / count,
        cost.rows / count,
        cost.rows * 100 / count % 100,
        cost.entry_bytes / count,
    );
}

fn main() {
    let spread = |number: u64, accounts: u64| {
        let debit = u64::try_from(mixed(number) & 0xffff_ffff).expect("32 bits") % accounts;
        (debit, (debit + 1 + number % (accounts - 1)) % accounts)
    };
    measure("64 accounts", 64, |number| spread(number, 64));
    measure("200,000 accounts", 200_000, |number| spread(number, 200_000));
    measure("one hot account", 200_000, |number| (1 + spread(number, 199_999).0, 0));
}
