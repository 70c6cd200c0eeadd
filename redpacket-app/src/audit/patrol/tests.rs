//! The patrol as it walks in the background: a planted difference is an alarm that names who it is about.
//!
//! Must never: sound the alarm by hand; the walk itself has to find what was planted.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ledger::{
    AccountId, AccountKey, Command, Currency, CustomerKind, Fen, LedgerMachine, Money, OpenAccount, Transfer,
    TransferId, Verb, Wallet,
};
use machine::{GroupId, Host, Key, Layout, LogIndex, MemoryStore, TimestampMs};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::{Watch, Watchbook, walk};
use crate::failure::Failure;
use crate::shard::Seen;

const GROUP: GroupId = GroupId(3);
const ANN: u128 = 0xa22a_0001;
const BEN: u128 = 0xbe17_0002;
const PAYMENT: u128 = 0x7a7a_0009;
/// A walk that finds nothing by then will not find it.
const DEADLINE: Duration = Duration::from_secs(30);

/// A shard in memory.
struct Still {
    store: MemoryStore,
    host: Host<LedgerMachine>,
}

impl Watch for Still {
    fn group(&self) -> GroupId {
        GROUP
    }

    fn look<T>(&self, read: impl FnOnce(&Seen<'_, LedgerMachine>) -> T) -> Result<T, Failure> {
        Ok(read(&Seen { machine: self.host.machine(), rows: &self.store, now: TimestampMs(0) }))
    }
}

/// Ann has paid Ben 30 of 100 fen; then `damage` is done to the rows.
fn shard(damage: impl FnOnce(&mut BTreeMap<Key, Bytes>)) -> Still {
    let mut store = MemoryStore::default();
    let mut host = store.host(GROUP).expect("an empty store loads");
    let open = |account| {
        Verb::Open(OpenAccount { account: AccountId(account), kind: CustomerKind::User, currency: Currency::CNY })
    };
    let fund = Wallet { id: TransferId(1), account: AccountId(ANN), money: Money::cny(100), memo: 0 };
    let pay = Transfer {
        id: TransferId(PAYMENT),
        debit: AccountId(ANN),
        credit: AccountId(BEN),
        money: Money::cny(30),
        code: 0,
        memo: 0,
    };
    for (index, verb) in (1..).zip([open(ANN), open(BEN), Verb::Fund(fund), Verb::Transfer(pay)]) {
        store.run(&mut host, LogIndex(index), TimestampMs(1_000), &Command::One(verb)).expect("the layout holds");
    }
    let mut rows: BTreeMap<Key, Bytes> = store.rows().map(|(key, value)| (key.clone(), value.clone())).collect();
    damage(&mut rows);
    store.replace(rows, BTreeMap::new());
    Still { store, host }
}

/// What is logged, line by line.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Lets the patrol walk over `shard` until a round is over; answers the book and the alarms.
async fn patrolled(shard: Still) -> (Watchbook, Vec<String>) {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(move || writer.clone())
        .with_ansi(false)
        .with_max_level(tracing::Level::ERROR);
    let _guard = tracing::subscriber::set_default(subscriber.finish());
    let book = Watchbook::default();
    let (stop, stopped) = watch::channel(false);
    let walking = walk(Arc::new(shard), book.clone(), stopped);
    let watching = async {
        // The alarm is complete before the patrol rests after its round.
        while book.read().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        stop.send_replace(true);
    };
    let both = async { tokio::join!(walking, watching) };
    tokio::time::timeout(DEADLINE, both).await.expect("a round is over in time");
    let text = String::from_utf8(log.0.lock().clone()).expect("the log is text");
    (book, text.lines().map(str::to_owned).collect())
}

fn account_row(account: u128) -> Key {
    let name = AccountKey::Customer(AccountId(account)).to_bytes();
    Key::from([&[0x10], name.as_ref()].concat())
}

#[tokio::test]
async fn a_shard_in_order_raises_no_alarm() {
    let (book, alarms) = patrolled(shard(|_| ())).await;
    assert_eq!(alarms, Vec::<String>::new());
    assert!(book.read()[&GROUP].broken.values().all(|count| *count == 0));
}

#[tokio::test]
async fn a_planted_difference_is_an_alarm_with_the_ids() {
    type Damage = fn(&mut BTreeMap<Key, Bytes>);
    let table: [(&str, Damage, u32, u128); 2] = [
        (
            "a fen too many on Ben's account",
            |rows| {
                let row = rows.get_mut(&account_row(BEN)).expect("Ben has an account");
                let mut account = ledger::Account::from_bytes(row).expect("the row decodes");
                account.balance = Fen(31);
                *row = account.to_bytes();
            },
            2,
            BEN,
        ),
        (
            "a payment's id is lost",
            |rows| {
                let id = PAYMENT.to_be_bytes();
                let is_of = |key: &Key| key.first() == Some(&0x11) && key.windows(id.len()).any(|part| part == id);
                let key = rows.keys().find(|key| is_of(key)).cloned().expect("the payment has a row");
                rows.remove(&key);
            },
            12,
            PAYMENT,
        ),
    ];
    for (name, damage, invariant, id) in table {
        let (book, alarms) = patrolled(shard(damage)).await;
        assert!(book.read()[&GROUP].broken[&invariant] > 0, "{name}: {:?}", book.read());
        let is_named = |line: &String| line.contains(&format!("{id:x}")) && line.contains("group=3");
        assert!(alarms.iter().any(is_named), "{name}: {id:x} is not named in {alarms:#?}");
    }
}
