//! The naive model: a ledger as one would write it on a page, with maps and no rows. It says what each verb must answer.
//!
//! Must never: share code with the machine.

use std::collections::BTreeMap;

use ledger::{
    AccountId, CreditShare, Done, Fen, Hold, PayPacket, Post, RefundPacket, Refusal, TransferKey, Verb, Void, Wallet,
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
                *self.balances.get_mut(&account.0).ok_or(Refusal::CreditUnknown)? += money.amount.0;
                Ok("booked")
            }
            Verb::Withdraw(Wallet { account, money, .. }) => {
                self.spend(*account, money.amount)?;
                Ok("booked")
            }
            Verb::Transfer(body) => {
                self.both(body.debit, body.credit)?;
                self.spend(body.debit, body.money.amount)?;
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
            other => panic!("the model does not know {other:?}"),
        }
    }

    fn both(&self, debit: AccountId, credit: AccountId) -> Result<(), Refusal> {
        if debit == credit {
            return Err(Refusal::SameAccount);
        }
        if !self.balances.contains_key(&debit.0) {
            return Err(Refusal::DebitUnknown);
        }
        if self.balances.contains_key(&credit.0) { Ok(()) } else { Err(Refusal::CreditUnknown) }
    }

    fn spend(&mut self, account: AccountId, amount: Fen) -> Result<(), Refusal> {
        let held = self.held(account.0);
        let balance = self.balances.get_mut(&account.0).ok_or(Refusal::DebitUnknown)?;
        if *balance - held < amount.0 {
            return Err(Refusal::InsufficientFunds);
        }
        *balance -= amount.0;
        Ok(())
    }

    fn hold(&mut self, body: &Hold, now: u64) -> Verdict {
        self.both(body.debit, body.credit)?;
        let (debit, credit, fen) = (body.debit.0, body.credit.0, body.money.amount.0);
        if self.balances[&debit] - self.held(debit) < fen {
            return Err(Refusal::InsufficientFunds);
        }
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
        if !self.balances.contains_key(&body.payer.0) {
            return Err(Refusal::DebitUnknown);
        }
        if self.escrows.contains_key(&body.packet.0) {
            return Err(Refusal::PacketExists);
        }
        self.spend(body.payer, body.money.amount)?;
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
        match self.balances.get_mut(&body.account.0) {
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
        other => panic!("the model does not know {other:?}"),
    }
}
