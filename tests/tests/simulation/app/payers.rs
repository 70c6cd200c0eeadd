//! People who pay: transfers, holds that are posted, voided or run out, chains, payments to the other shard; and one who
//! looks at any replica's books meanwhile.
//!
//! Must never: use an id for two things.

use std::sync::Arc;

use ledger::{
    AccountId, Command, Done, Fen, Hold, LedgerView, Money, Post, Remit, Said, Step, Transfer, TransferId, Verb, Void,
    Wallet,
};
use machine::GroupId;
use rand::Rng as _;

use super::ask::Asker;
use super::world::{ACCOUNTS, FUND, LEDGERS, World, account};
use crate::stage::NODES;

/// An account that nobody ever opens: what is paid to it comes back.
const NOBODY: u128 = 99;

struct Payer {
    world: Arc<World>,
    asker: Asker,
    me: u64,
    count: u64,
    /// What was done, to be asked for again.
    done: Vec<(GroupId, Verb)>,
}

/// Pays until the storm is over.
pub(crate) async fn pay(world: Arc<World>, me: u64, asker: Asker) {
    let mut payer = Payer { world, asker, me, count: 0, done: Vec::new() };
    while !payer.world.is_calm() {
        let group = LEDGERS[payer.asker.dice.random_range(0..LEDGERS.len())];
        match payer.asker.dice.random_range(0..13) {
            0..=4 => payer.transfer(group).await,
            5..=6 => payer.hold(group).await,
            7 => payer.chain(group).await,
            8..=9 => payer.remit(group).await,
            10 => payer.top_up(group).await,
            _ => payer.again().await,
        }
        payer.asker.rest(1..80).await;
    }
}

impl Payer {
    fn id(&mut self) -> TransferId {
        self.count += 1;
        TransferId(u128::from(self.me) << 64 | u128::from(self.count))
    }

    fn fen(&mut self) -> i64 {
        // Now and then more than anybody has.
        if self.asker.dice.random_range(0..8) == 0 { 1_000_000 } else { self.asker.dice.random_range(1..400) }
    }

    fn someone(&mut self, group: GroupId) -> AccountId {
        account(group, self.asker.dice.random_range(1..=ACCOUNTS))
    }

    fn a_transfer(&mut self, group: GroupId) -> Transfer {
        let (id, debit, credit) = (self.id(), self.someone(group), self.someone(group));
        Transfer { id, debit, credit, money: Money::cny(self.fen()), code: 1, memo: 0 }
    }

    async fn step(&mut self, group: GroupId, verb: Verb) {
        if let Some(Ok(_)) = self.asker.book(&self.world, group, verb.clone()).await {
            self.done.push((group, verb));
        }
    }

    async fn transfer(&mut self, group: GroupId) {
        let transfer = self.a_transfer(group);
        self.step(group, Verb::Transfer(transfer)).await;
    }

    async fn remit(&mut self, group: GroupId) {
        let there = LEDGERS[usize::from(group == LEDGERS[0])];
        let mut transfer = self.a_transfer(group);
        let is_nobody = self.asker.dice.random_range(0..4) == 0;
        transfer.credit = if is_nobody { account(there, NOBODY) } else { self.someone(there) };
        self.step(group, Verb::Remit(Remit { transfer, to_group: there })).await;
    }

    async fn top_up(&mut self, group: GroupId) {
        let (id, account) = (self.id(), self.someone(group));
        let wallet = Wallet { id, account, money: Money::cny(self.asker.dice.random_range(1..200)), memo: 0 };
        let is_in = self.asker.dice.random_range(0..2) == 0;
        self.step(group, if is_in { Verb::Fund(wallet) } else { Verb::Withdraw(wallet) }).await;
    }

    /// Asks once more for what was done, as a client does that lost its answer.
    async fn again(&mut self) {
        if !self.done.is_empty() {
            let place = self.asker.dice.random_range(0..self.done.len());
            let (group, verb) = self.done[place].clone();
            self.asker.book(&self.world, group, verb).await;
        }
    }

    async fn hold(&mut self, group: GroupId) {
        let Transfer { id: hold, debit, credit, money, code, memo } = self.a_transfer(group);
        let hold_ms = self.asker.dice.random_range(300..4_000);
        let verb = Verb::Hold(Hold { id: hold, debit, credit, money, hold_ms, code, memo });
        let answer = self.asker.book(&self.world, group, verb).await;
        if matches!(answer, Some(Err(_))) {
            return;
        }
        self.asker.rest(1..600).await;
        let id = self.id();
        match self.asker.dice.random_range(0..4) {
            // Its time runs out; nobody says anything.
            0 => {}
            1 => {
                self.asker.book(&self.world, group, Verb::Void(Void { id, hold, debit, credit })).await;
            }
            part => {
                let fen = if part == 2 { money.amount.0 } else { money.amount.0 - money.amount.0 / 2 };
                self.step(group, Verb::Post(Post { id, hold, debit, credit, amount: Some(Fen(fen)) })).await;
            }
        }
    }

    /// Transfers that are booked together or not at all.
    async fn chain(&mut self, group: GroupId) {
        let count = self.asker.dice.random_range(2..=3);
        let verbs: Vec<Verb> = (0..count).map(|_| Verb::Transfer(self.a_transfer(group))).collect();
        let linked = |(place, verb): (usize, &Verb)| Step { is_linked: place + 1 < count, verb: verb.clone() };
        let steps = verbs.iter().enumerate().map(linked).collect();
        {
            let mut book = self.world.book.lock();
            verbs.iter().for_each(|verb| book.ask(group, verb));
            book.chains.push((group, verbs.iter().filter_map(Verb::transfer_key).collect()));
        }
        let told = self.asker.ask(&self.world, self.world.ledger(group), &Command::Batch(steps)).await;
        let mut book = self.world.book.lock();
        match told.map(|told| (told.is_sure, told.reply.said)) {
            None => verbs.iter().for_each(|verb| book.give_up(group, verb)),
            Some((is_sure, Said::Batch(answers))) if answers.len() == verbs.len() => {
                verbs.iter().zip(answers).for_each(|(verb, answer)| book.tell(group, verb, answer, is_sure));
            }
            Some((_, said)) => book.broken.push(format!("a chain was answered with {said:?}")),
        }
    }
}

/// Audits any replica of any shard, as it stands, until the storm is over.
pub(crate) async fn look(world: Arc<World>, mut asker: Asker) {
    while !world.is_calm() {
        let group = LEDGERS[asker.dice.random_range(0..LEDGERS.len())];
        if let Some(replica) = world.ledger(group).cluster.group(asker.dice.random_range(NODES))
            && let Ok(audit) = replica.read_stale(|view| LedgerView::over(view.rows).audit())
        {
            let kept = audit.map_err(|error| error.to_string()).and_then(|audit| {
                let found = audit.differences;
                if found.is_empty() {
                    Ok(())
                } else {
                    Err(format!("audit: of shard {} on the way: {found:?}", group.0))
                }
            });
            world.demand(kept);
        }
        asker.rest(300..1_500).await;
    }
}

/// Whether an answer says that money moved for good under the id that was asked for.
pub(crate) const fn is_booked(done: Done) -> bool {
    matches!(done, Done::Booked(_) | Done::Sent(_))
}

/// The money that an account begins with.
pub(crate) fn first_money(account: AccountId) -> Verb {
    Verb::Fund(Wallet { id: TransferId(account.0), account, money: Money::cny(FUND), memo: 0 })
}
