//! What people asked for and what they were told, in the words of the laws.
//!
//! ```text
//!  Asked    this id shall move so much from here to there     told: each answer; unsure: an attempt whose outcome nobody knows
//!  Bought   this packet was to be bought by this order        cancelled: the order will never be paid
//!  opened   this user was told of this share
//! ```
//!
//! Must never: hold what nobody could know.

use std::collections::BTreeMap;

use ledger::{AccountKey, Answer, Currency, Done, Money, TransferKey, Verb};
use machine::GroupId;
use packets::{Credit, PacketId, UserId};

/// A movement of money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Posting {
    pub(crate) debit: AccountKey,
    pub(crate) credit: AccountKey,
    pub(crate) fen: i64,
}

/// What was asked for under an id.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) posting: Posting,
    pub(crate) told: Vec<Answer>,
    /// Some attempt may have happened, or may still: its outcome was never learned.
    pub(crate) is_unsure: bool,
}

impl Asked {
    /// What it did, if anybody was told.
    pub(crate) fn done(&self) -> Option<Done> {
        self.told.iter().find_map(|answer| answer.ok())
    }
}

/// A packet that somebody wanted to send.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bought {
    /// The payer's shard.
    pub(crate) group: GroupId,
    pub(crate) total: i64,
    pub(crate) shares: u16,
    pub(crate) is_cancelled: bool,
}

/// Everything that people did and saw in one run.
#[derive(Debug, Default)]
pub(crate) struct Book {
    pub(crate) asked: BTreeMap<(GroupId, TransferKey), Asked>,
    /// Ids that are booked together or not at all.
    pub(crate) chains: Vec<(GroupId, Vec<TransferKey>)>,
    pub(crate) bought: BTreeMap<PacketId, Bought>,
    pub(crate) opened: BTreeMap<(PacketId, UserId), Vec<Credit>>,
    /// Laws that were broken while people looked.
    pub(crate) broken: Vec<String>,
    /// Requests whose outcome nobody ever learned.
    pub(crate) unknown: u64,
}

impl Book {
    /// Somebody begins to ask for `verb`.
    pub(crate) fn ask(&mut self, group: GroupId, verb: &Verb) {
        if let (Some(key), Some(posting)) = (verb.transfer_key(), posting(group, verb)) {
            self.asked.entry((group, key)).or_insert(Asked { posting, told: Vec::new(), is_unsure: false });
        }
    }

    /// An answer came, surely to the first attempt, or perhaps to a repeat. An id that was booked stays booked.
    pub(crate) fn tell(&mut self, group: GroupId, verb: &Verb, answer: Answer, is_sure: bool) {
        let Some(asked) = verb.transfer_key().and_then(|key| self.asked.get_mut(&(group, key))) else { return };
        let former = asked.done();
        asked.is_unsure |= !is_sure;
        asked.told.push(answer);
        let is_other = match answer {
            Ok(done) => former.is_some_and(|former| former != done),
            // Of others' ids two may ask at a time, and a refusal come late.
            Err(_) => former.is_some() && matches!(verb.transfer_key(), Some(TransferKey::Own(_))),
        };
        if is_other {
            self.broken.push(format!("repeat: {verb:?} was {former:?} and is {answer:?} now"));
        }
    }

    /// Whoever asked for `verb` went away.
    pub(crate) fn give_up(&mut self, group: GroupId, verb: &Verb) {
        let asked = verb.transfer_key().and_then(|key| self.asked.get_mut(&(group, key)));
        if let Some(asked) = asked {
            asked.is_unsure = true;
        }
    }
}

/// What a verb moves, if it moves anything.
fn posting(group: GroupId, verb: &Verb) -> Option<Posting> {
    let (customer, issue) = (AccountKey::Customer, AccountKey::Issue(Currency::CNY));
    let clearing = |to| AccountKey::Clearing(to, Currency::CNY);
    let (debit, credit, money) = match verb {
        Verb::Fund(fund) => (issue, customer(fund.account), fund.money),
        Verb::Withdraw(withdraw) => (customer(withdraw.account), issue, withdraw.money),
        Verb::Transfer(transfer) => (customer(transfer.debit), customer(transfer.credit), transfer.money),
        Verb::Post(post) => (customer(post.debit), customer(post.credit), Money::cny(post.amount?.0)),
        Verb::Remit(remit) => (customer(remit.transfer.debit), clearing(remit.to_group), remit.transfer.money),
        Verb::Pay(pay) => (customer(pay.payer), AccountKey::Escrow(pay.packet), pay.money),
        Verb::Credit(share) => {
            let there = if share.to_group == group { customer(share.account) } else { clearing(share.to_group) };
            (AccountKey::Escrow(share.share.packet), there, share.money)
        }
        Verb::Refund(refund) => (AccountKey::Escrow(refund.packet), customer(refund.payer), refund.money),
        _ => return None,
    };
    Some(Posting { debit, credit, fen: money.amount.0 })
}
