//! The naive model: a ledger as one would write it on a page, with maps and no rows. It says what each verb must answer.
//!
//! Must never: share code with the machine.

use std::collections::{BTreeMap, BTreeSet};

use ledger::{
    AccountId, CreditShare, Done, Fen, Hold, PayPacket, Post, RefundPacket, Refusal, Remit, Restrict, TransferKey,
    Verb, Void, Wallet,
};
use machine::GroupId;

type Verdict = Result<&'static str, Refusal>;

#[derive(Clone, Debug)]
struct Held {
    debit: u128,
    credit: u128,
    fen: i64,
    deadline: u64,
    is_live: bool,
}

/// All accounts are in yuan; those that are not here were never opened.
#[derive(Clone, Debug)]
pub(crate) struct Naive {
    here: GroupId,
    pub(crate) balances: BTreeMap<u128, i64>,
    pub(crate) escrows: BTreeMap<u128, (u128, i64)>,
    pub(crate) gone: i64,
    pub(crate) parked: i64,
    holds: BTreeMap<u128, Held>,
    ceilings: BTreeMap<u128, i64>,
    frozen: BTreeSet<u128>,
    done: BTreeMap<TransferKey, (Option<Verb>, &'static str)>,
}

impl Naive {
    pub(crate) fn new(here: GroupId, accounts: &[u128]) -> Self {
        Self {
            here,
            balances: accounts.iter().map(|account| (*account, 0)).collect(),
            escrows: BTreeMap::new(),
            gone: 0,
            parked: 0,
            holds: BTreeMap::new(),
            ceilings: BTreeMap::new(),
            frozen: BTreeSet::new(),
            done: BTreeMap::new(),
        }
    }

    pub(crate) fn held(&self, account: u128) -> i64 {
        self.holds.values().filter(|held| held.is_live && held.debit == account).map(|held| held.fen).sum()
    }

    /// Ends what is over, as a tick does.
    pub(crate) fn tick(&mut self, now: u64) {
        self.holds.values_mut().filter(|held| held.deadline <= now).for_each(|held| held.is_live = false);
    }

    /// What the verb must answer: a word for what was done, or the refusal.
    pub(crate) fn step(&mut self, verb: &Verb, now: u64) -> Verdict {
        let key = verb.transfer_key();
        if let Some((former, word)) = key.and_then(|key| self.done.get(&key)) {
            return match former {
                None => Err(Refusal::OrderCancelled),
                Some(former) if former == verb => Ok(word),
                Some(Verb::Refund(_)) => Err(Refusal::AlreadyRefunded),
                Some(_) => Err(Refusal::IdReused),
            };
        }
        let word = self.decide(verb, now)?;
        if let Some(key) = key {
            self.done.insert(key, (Some(verb.clone()), word));
        }
        Ok(word)
    }

    fn decide(&mut self, verb: &Verb, now: u64) -> Verdict {
        match verb {
            Verb::Fund(Wallet { account, money, .. }) => {
                if !self.balances.contains_key(&account.0) {
                    return Err(Refusal::CreditUnknown);
                }
                self.fits(account.0, money.amount)?;
                *self.balances.entry(account.0).or_default() += money.amount.0;
                Ok("booked")
            }
            Verb::Withdraw(Wallet { account, money, .. }) => {
                self.may_pay(*account)?;
                self.covers(*account, money.amount)?;
                self.spend(*account, money.amount);
                Ok("booked")
            }
            Verb::Transfer(body) => {
                self.both(body.debit, body.credit)?;
                self.covers(body.debit, body.money.amount)?;
                self.fits(body.credit.0, body.money.amount)?;
                self.spend(body.debit, body.money.amount);
                *self.balances.entry(body.credit.0).or_default() += body.money.amount.0;
                Ok("booked")
            }
            Verb::Hold(body) => self.hold(body, now),
            Verb::Post(body) => self.post(body, now),
            Verb::Void(Void { hold, debit, credit, .. }) => {
                self.live(hold.0, *debit, *credit, now)?.is_live = false;
                Ok("voided")
            }
            Verb::Pay(body) => self.pay(body),
            Verb::SettleOrCancel(order) => {
                let cancel = || (None, "cancelled");
                Ok(self.done.entry(TransferKey::Order(*order)).or_insert_with(cancel).1)
            }
            Verb::Credit(body) => self.credit(body),
            Verb::Refund(RefundPacket { packet, payer, money }) => {
                self.drain(packet.0, *payer, money.amount)?;
                *self.balances.entry(payer.0).or_default() += money.amount.0;
                Ok("booked")
            }
            Verb::Remit(Remit { transfer, .. }) => {
                if transfer.debit == transfer.credit {
                    return Err(Refusal::SameAccount);
                }
                self.may_pay(transfer.debit)?;
                self.covers(transfer.debit, transfer.money.amount)?;
                self.spend(transfer.debit, transfer.money.amount);
                self.gone += transfer.money.amount.0;
                Ok("sent")
            }
            Verb::Restrict(Restrict { account, ceiling, is_frozen }) => {
                if !self.balances.contains_key(&account.0) {
                    return Err(Refusal::AccountUnknown);
                }
                self.ceilings.insert(account.0, ceiling.0);
                self.frozen.remove(&account.0);
                self.frozen.extend(is_frozen.then_some(account.0));
                Ok("restricted")
            }
            other => panic!("the model does not know {other:?}"),
        }
    }

    /// Whether the account may hold so much more, with all that is held for it.
    fn fits(&self, account: u128, amount: Fen) -> Result<(), Refusal> {
        let ceiling = self.ceilings.get(&account).copied().filter(|ceiling| *ceiling > 0).unwrap_or(i64::MAX);
        let incoming: i64 =
            self.holds.values().filter(|held| held.is_live && held.credit == account).map(|held| held.fen).sum();
        let balance = self.balances.get(&account).copied().unwrap_or_default();
        if balance + incoming + amount.0 > ceiling { Err(Refusal::CeilingReached) } else { Ok(()) }
    }

    fn may_pay(&self, account: AccountId) -> Result<(), Refusal> {
        if !self.balances.contains_key(&account.0) {
            return Err(Refusal::DebitUnknown);
        }
        if self.frozen.contains(&account.0) { Err(Refusal::DebitFrozen) } else { Ok(()) }
    }

    fn both(&self, debit: AccountId, credit: AccountId) -> Result<(), Refusal> {
        if debit == credit {
            return Err(Refusal::SameAccount);
        }
        if !self.balances.contains_key(&debit.0) {
            return Err(Refusal::DebitUnknown);
        }
        if !self.balances.contains_key(&credit.0) {
            return Err(Refusal::CreditUnknown);
        }
        self.may_pay(debit)
    }

    fn covers(&self, account: AccountId, amount: Fen) -> Result<(), Refusal> {
        let balance = self.balances.get(&account.0).ok_or(Refusal::DebitUnknown)?;
        if *balance - self.held(account.0) < amount.0 { Err(Refusal::InsufficientFunds) } else { Ok(()) }
    }

    fn spend(&mut self, account: AccountId, amount: Fen) {
        *self.balances.entry(account.0).or_default() -= amount.0;
    }

    fn hold(&mut self, body: &Hold, now: u64) -> Verdict {
        self.both(body.debit, body.credit)?;
        let (debit, credit, fen) = (body.debit.0, body.credit.0, body.money.amount.0);
        self.covers(body.debit, body.money.amount)?;
        self.fits(credit, body.money.amount)?;
        self.holds.insert(body.id.0, Held { debit, credit, fen, deadline: now + body.hold_ms, is_live: true });
        Ok("held")
    }

    fn live(&mut self, hold: u128, debit: AccountId, credit: AccountId, now: u64) -> Result<&mut Held, Refusal> {
        let held = self.holds.get_mut(&hold).ok_or(Refusal::HoldUnknown)?;
        if !held.is_live || held.deadline <= now {
            return Err(Refusal::HoldEnded);
        }
        if (held.debit, held.credit) == (debit.0, credit.0) { Ok(held) } else { Err(Refusal::HoldDiffers) }
    }

    fn post(&mut self, body: &Post, now: u64) -> Verdict {
        let held = self.live(body.hold.0, body.debit, body.credit, now)?;
        let fen = body.amount.map_or(held.fen, |amount| amount.0);
        if fen > held.fen {
            return Err(Refusal::AmountExceedsHold);
        }
        held.is_live = false;
        *self.balances.entry(body.debit.0).or_default() -= fen;
        *self.balances.entry(body.credit.0).or_default() += fen;
        Ok("booked")
    }

    fn pay(&mut self, body: &PayPacket) -> Verdict {
        self.may_pay(body.payer)?;
        if self.escrows.contains_key(&body.packet.0) {
            return Err(Refusal::PacketExists);
        }
        self.covers(body.payer, body.money.amount)?;
        self.spend(body.payer, body.money.amount);
        self.escrows.insert(body.packet.0, (body.payer.0, body.money.amount.0));
        Ok("booked")
    }

    fn drain(&mut self, packet: u128, payer: AccountId, amount: Fen) -> Result<(), Refusal> {
        let (paid_by, left) = self.escrows.get_mut(&packet).ok_or(Refusal::PacketUnknown)?;
        if *paid_by != payer.0 {
            return Err(Refusal::PayerDiffers);
        }
        if *left < amount.0 {
            return Err(Refusal::EscrowShort);
        }
        *left -= amount.0;
        Ok(())
    }

    fn credit(&mut self, body: &CreditShare) -> Verdict {
        self.drain(body.share.packet.0, body.payer, body.money.amount)?;
        let fen = body.money.amount.0;
        if body.to_group != self.here {
            self.gone += fen;
            return Ok("sent");
        }
        let fits = self.fits(body.account.0, body.money.amount).is_ok();
        match self.balances.get_mut(&body.account.0).filter(|_| fits) {
            Some(balance) => *balance += fen,
            None => {
                self.parked += fen;
                return Ok("parked");
            }
        }
        Ok("booked")
    }
}

/// The model's word for an answer.
pub(crate) fn word(done: Done) -> &'static str {
    match done {
        Done::Booked(_) => "booked",
        Done::Sent(_) => "sent",
        Done::Parked(_) => "parked",
        Done::Held => "held",
        Done::Voided => "voided",
        Done::Cancelled => "cancelled",
        Done::Restricted => "restricted",
        other => panic!("the model does not know {other:?}"),
    }
}
