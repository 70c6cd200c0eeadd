//! A shard over rows in memory, and short words for what the tables ask of it.
//!
//! Must never: decide anything; it only carries commands in and answers out.

use bytes::Bytes;
use ledger::{
    Account, AccountId, AccountKey, AnnounceClaim, Answer, Audit, ClaimKey, CloseOrder, Command, CreditShare, Currency,
    CustomerKind, Done, Fen, Hold, JournalNumber, LedgerMachine, LedgerView, LimitPayments, Money, OpenAccount,
    OrderId, PacketId, Patrol, PayOrder, PayPacket, PlaceOrder, Post, RefundOrder, RefundPacket, Refusal, Remit, Reply,
    Restrict, RetryParked, Round, Said, ShareId, Step, Transfer, TransferId, Verb, Void, Wallet,
};
use machine::{
    Answer as HostAnswer, EntryWriter, GroupId, Host, Key, Layout, LogIndex, MemoryStore, RequestId, TimestampMs,
};

pub(crate) const HERE: GroupId = GroupId(1);
pub(crate) const THERE: GroupId = GroupId(2);
pub(crate) const ANN: u128 = 1;
pub(crate) const BEN: u128 = 2;
pub(crate) const SHOP: u128 = 3;
/// Kept in dollars.
pub(crate) const DAN: u128 = 4;
/// Opened and closed.
pub(crate) const EVE: u128 = 5;
/// Never opened.
pub(crate) const NOBODY: u128 = 6;
pub(crate) const USD: Currency = Currency(840);

pub(crate) struct Shard {
    pub(crate) store: MemoryStore,
    pub(crate) host: Host<LedgerMachine>,
    group: GroupId,
    index: u64,
    pub(crate) now: u64,
}

impl Shard {
    pub(crate) fn empty(group: GroupId) -> Self {
        let store = MemoryStore::default();
        let host = store.host(group).expect("an empty store loads");
        Self { store, host, group, index: 0, now: 1_000 }
    }

    /// With the accounts above, Ann funded with 1,000 fen by transfer 1.
    pub(crate) fn furnished(group: GroupId) -> Self {
        let mut shard = Self::empty(group);
        for verb in furniture() {
            shard.one(verb).expect("the furniture is in order");
        }
        shard
    }

    pub(crate) fn run(&mut self, command: &Command) -> Said {
        self.reply(command).said
    }

    pub(crate) fn reply(&mut self, command: &Command) -> Reply {
        self.index += 1;
        let now = TimestampMs(self.now);
        self.store.run(&mut self.host, LogIndex(self.index), now, command).expect("a command survives its layout")
    }

    pub(crate) fn one(&mut self, verb: Verb) -> Answer {
        match self.run(&Command::One(verb)) {
            Said::One(answer) => answer,
            other => panic!("one verb is answered by one answer, not {other:?}"),
        }
    }

    pub(crate) fn batch(&mut self, steps: Vec<(bool, Verb)>) -> Vec<Answer> {
        let steps = steps.into_iter().map(|(is_linked, verb)| Step { is_linked, verb }).collect();
        match self.run(&Command::Batch(steps)) {
            Said::Batch(answers) => answers,
            other => panic!("a batch is answered by a batch, not {other:?}"),
        }
    }

    /// Runs a command of the host (courier) and answers with its reply.
    pub(crate) fn system(&mut self, system: machine::System) -> Bytes {
        self.index += 1;
        let mut entry = EntryWriter::default();
        entry.push(RequestId::NONE, &machine::Command::System(system));
        let entry = (LogIndex(self.index), entry.finish(TimestampMs(self.now), 0));
        let outcome = self.host.apply(&[entry], &self.store).expect("rows in memory can be read");
        self.store.commit(&outcome.rows);
        match outcome.answers.into_iter().flatten().next() {
            Some(HostAnswer::Reply(reply)) => reply,
            other => panic!("a system command is answered, not {other:?}"),
        }
    }

    /// Lets the leader propose what is due.
    pub(crate) fn tick(&mut self) -> u32 {
        use machine::Machine as _;
        let due = self.host.machine().due(&self.store, TimestampMs(self.now)).expect("rows in memory can be read");
        due.map_or(0, |command| match self.run(&command) {
            Said::Ticked(ended) => ended,
            other => panic!("a tick is answered by a count, not {other:?}"),
        })
    }

    /// All rows but the host's clock: what a step that does nothing must leave as it is.
    pub(crate) fn trace(&self) -> Vec<(Key, Bytes)> {
        let rows = self.store.rows().filter(|(key, _)| key.as_ref() != [0x07]);
        rows.map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    pub(crate) fn view(&self) -> LedgerView<'_> {
        LedgerView::over(&self.store)
    }

    pub(crate) fn account(&self, key: AccountKey) -> Option<Account> {
        self.view().account(key).expect("account rows decode")
    }

    pub(crate) fn customer(&self, account: u128) -> Account {
        self.account(AccountKey::Customer(AccountId(account))).expect("the account is open")
    }

    pub(crate) fn balance(&self, account: u128) -> i64 {
        self.customer(account).balance.0
    }

    pub(crate) fn available(&self, account: u128) -> i64 {
        self.customer(account).available().0
    }

    pub(crate) fn escrow(&self, packet: u128) -> i64 {
        self.account(AccountKey::Escrow(PacketId(packet))).map_or(0, |account| account.balance.0)
    }

    pub(crate) fn audit(&self) -> Audit {
        self.view().audit().expect("rows decode")
    }

    /// Every invariant, from the rows alone; and memory is what the rows say.
    pub(crate) fn check(&self) {
        assert_eq!(self.audit().differences, [], "the audit finds nothing");
        assert_eq!(patrol(&self.store, 64).differences, [], "the patrol finds nothing");
        let reloaded: Host<LedgerMachine> = self.store.host(self.group).expect("the rows load");
        assert_eq!(reloaded.machine(), self.host.machine(), "memory is a function of the rows");
    }
}

/// A whole round of the patrol, `budget` rows at a time.
pub(crate) fn patrol(rows: &MemoryStore, budget: usize) -> Round {
    let mut patrol = Patrol::default();
    loop {
        if let Some(round) = patrol.go_on(rows, budget).expect("rows decode") {
            return round;
        }
    }
}

pub(crate) fn furniture() -> Vec<Verb> {
    vec![
        open(ANN, Currency::CNY),
        open(BEN, Currency::CNY),
        Verb::Open(OpenAccount { account: AccountId(SHOP), kind: CustomerKind::Merchant, currency: Currency::CNY }),
        open(DAN, USD),
        open(EVE, Currency::CNY),
        Verb::Close(AccountId(EVE)),
        fund(1, ANN, 1_000),
    ]
}

pub(crate) fn booked(number: u64) -> Answer {
    Ok(Done::Booked(JournalNumber(number)))
}

pub(crate) fn refused(refusal: Refusal) -> Answer {
    Err(refusal)
}

pub(crate) const fn share(packet: u128, share: u32) -> ShareId {
    ShareId { packet: PacketId(packet), share }
}

pub(crate) fn open(account: u128, currency: Currency) -> Verb {
    Verb::Open(OpenAccount { account: AccountId(account), kind: CustomerKind::User, currency })
}

pub(crate) fn wallet(id: u128, account: u128, fen: i64) -> Wallet {
    Wallet { id: TransferId(id), account: AccountId(account), money: Money::cny(fen), memo: 0 }
}

pub(crate) fn fund(id: u128, account: u128, fen: i64) -> Verb {
    Verb::Fund(wallet(id, account, fen))
}

pub(crate) fn withdraw(id: u128, account: u128, fen: i64) -> Verb {
    Verb::Withdraw(wallet(id, account, fen))
}

pub(crate) fn transfer(id: u128, debit: u128, credit: u128, fen: i64) -> Verb {
    let (debit, credit) = (AccountId(debit), AccountId(credit));
    Verb::Transfer(Transfer { id: TransferId(id), debit, credit, money: Money::cny(fen), code: 7, memo: 0 })
}

pub(crate) fn remit(id: u128, debit: u128, credit: u128, to_group: GroupId, fen: i64) -> Verb {
    let Verb::Transfer(transfer) = transfer(id, debit, credit, fen) else { panic!("a transfer is one") };
    Verb::Remit(Remit { transfer, to_group })
}

pub(crate) fn restrict(account: u128, ceiling: i64, is_frozen: bool) -> Verb {
    Verb::Restrict(Restrict { account: AccountId(account), ceiling: Fen(ceiling), is_frozen })
}

pub(crate) fn limit(account: u128, payment_max: i64, day_max: i64) -> Verb {
    Verb::Limit(LimitPayments { account: AccountId(account), payment_max: Fen(payment_max), day_max: Fen(day_max) })
}

pub(crate) fn hold(id: u128, debit: u128, credit: u128, fen: i64, hold_ms: u64) -> Verb {
    let (debit, credit) = (AccountId(debit), AccountId(credit));
    Verb::Hold(Hold { id: TransferId(id), debit, credit, money: Money::cny(fen), hold_ms, code: 9, memo: 0 })
}

pub(crate) fn post(id: u128, hold: u128, debit: u128, credit: u128, fen: Option<i64>) -> Verb {
    let (debit, credit) = (AccountId(debit), AccountId(credit));
    Verb::Post(Post { id: TransferId(id), hold: TransferId(hold), debit, credit, amount: fen.map(Fen) })
}

pub(crate) fn void(id: u128, hold: u128, debit: u128, credit: u128) -> Verb {
    let (debit, credit) = (AccountId(debit), AccountId(credit));
    Verb::Void(Void { id: TransferId(id), hold: TransferId(hold), debit, credit })
}

pub(crate) fn pay(order: u128, packet: u128, payer: u128, fen: i64) -> Verb {
    Verb::Pay(PayPacket {
        order: OrderId(order),
        packet: PacketId(packet),
        payer: AccountId(payer),
        money: Money::cny(fen),
        details: Bytes::from_static(b"good luck"),
    })
}

pub(crate) fn settle(order: u128) -> Verb {
    Verb::SettleOrCancel(OrderId(order))
}

pub(crate) fn credit(share: ShareId, payer: u128, account: u128, to_group: GroupId, fen: i64) -> Verb {
    let (payer, account) = (AccountId(payer), AccountId(account));
    Verb::Credit(CreditShare { share, payer, account, to_group, money: Money::cny(fen) })
}

pub(crate) fn refund(packet: u128, payer: u128, fen: i64) -> Verb {
    Verb::Refund(RefundPacket { packet: PacketId(packet), payer: AccountId(payer), money: Money::cny(fen) })
}

pub(crate) fn claim(account: u128, source: GroupId, share: ShareId) -> ClaimKey {
    ClaimKey { account: AccountId(account), source, share }
}

pub(crate) fn announce(account: u128, source: GroupId, share: ShareId, fen: i64) -> Verb {
    Verb::Announce(AnnounceClaim { claim: claim(account, source, share), money: Money::cny(fen) })
}

pub(crate) fn retry(id: u128, parked: u64, account: u128) -> Verb {
    Verb::Retry(RetryParked {
        id: TransferId(id),
        parked: JournalNumber(parked),
        account: AccountId(account),
        currency: Currency::CNY,
    })
}

/// An order for a minute, of the number that it bears.
pub(crate) fn place(order: u128, merchant: u128, fen: i64) -> Verb {
    Verb::PlaceOrder(PlaceOrder {
        order: OrderId(order),
        merchant: AccountId(merchant),
        money: Money::cny(fen),
        life_ms: 60_000,
        number: Bytes::from(order.to_string()),
        subject: Bytes::from_static(b"tea"),
    })
}

/// A payment of `order` with the id that it bears, by an account of this group to one of `to_group`.
pub(crate) fn pay_order(id: u128, order: u128, payer: u128, (merchant, to_group): (u128, GroupId), fen: i64) -> Verb {
    let (payer, merchant) = (AccountId(payer), AccountId(merchant));
    let (id, order) = (TransferId(id), OrderId(order));
    Verb::PayOrder(PayOrder { id, order, payer, merchant, to_group, money: Money::cny(fen) })
}

pub(crate) fn close_order(order: u128, merchant: u128) -> Verb {
    Verb::CloseOrder(CloseOrder { order: OrderId(order), merchant: AccountId(merchant) })
}

pub(crate) fn refund_order(
    id: u128,
    order: u128,
    merchant: u128,
    (payer, to_group): (u128, GroupId),
    fen: i64,
) -> Verb {
    Verb::RefundOrder(RefundOrder {
        id: TransferId(id),
        order: OrderId(order),
        merchant: AccountId(merchant),
        payer: AccountId(payer),
        to_group,
        money: Money::cny(fen),
        number: Bytes::from(id.to_string()),
    })
}

/// The hexadecimal digits of a layout.
pub(crate) fn hex(value: &impl Layout) -> String {
    hex_of(&value.to_bytes())
}

pub(crate) fn hex_of(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
