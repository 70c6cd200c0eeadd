//! The laws of the money, held against what people were told and what is there at the end.
//!
//! ```text
//!  lost      what was acknowledged is in the journal under its number     trace     what was surely refused is not there
//!  doubled   no id is in a journal twice                                  chain     all of a chain is there, or nothing
//!  invented  everything there was asked for, as it was asked for          sum       no fen comes from nowhere, none is gone
//!  balance   a balance is the fold of its postings                        overdraw  nobody is below zero, at any posting
//!  crossing  what left a shard arrived in the other one, once             order     paid is made, made is paid, cancelled never
//!  packet    claims + refund = total; one share a user, none too many     told      nobody was told of another share
//!  credit    each share is credited once, and no other                    refund    what was left went back, once
//! ```
//! Where a request was repeated because nobody knew its outcome, it may be there once or not at all; if anybody was told, it is.
//!
//! Must never: count an outcome as known that nobody was told.

use std::collections::{BTreeMap, BTreeSet};

use ledger::{AccountKey, Carried, Currency, JournalEntry, ShareId, TransferKey};
use machine::GroupId;
use packets::PacketId;
use packets::read::PacketView;

use super::book::{Book, Posting};
use super::finals::{Finals, Shard};
use super::payers::is_booked;
use super::play::Tally;
use super::world::home;

/// Breaches of one law that are spelled out.
const SPELLED_MAX: usize = 5;

/// Holds every law against a run. Errors: all that are broken.
pub(crate) fn judge(book: &Book, finals: &Finals) -> Result<Tally, String> {
    let mut broken = book.broken.clone();
    broken.extend(finals.audits.iter().map(|what| format!("audit: {what}")));
    let laws = [
        lost, doubled, invented, traced, chained, summed, balanced, overdrawn, crossed, ordered, packed, told,
        credited, refunded,
    ];
    for law in laws {
        let mut found = law(book, finals);
        let more = found.len().saturating_sub(SPELLED_MAX);
        found.truncate(SPELLED_MAX);
        if more > 0 {
            found.push(format!("and {more} more"));
        }
        broken.append(&mut found);
    }
    if !broken.is_empty() {
        return Err(broken.join("\n"));
    }
    let postings = finals.shards.values().map(|shard| shard.journal.len() as u64).sum();
    let claims = finals.packets.values().map(|view| view.shares.len() as u64).sum();
    Ok(Tally { postings, packets: finals.packets.len() as u64, claims, unknown: book.unknown })
}

fn entries(finals: &Finals) -> impl Iterator<Item = (GroupId, &JournalEntry)> {
    finals.shards.iter().flat_map(|(group, shard)| shard.journal.values().map(|entry| (*group, entry)))
}

fn keys(finals: &Finals) -> BTreeMap<(GroupId, TransferKey), &JournalEntry> {
    entries(finals).map(|(group, entry)| ((group, entry.key), entry)).collect()
}

fn lost(book: &Book, finals: &Finals) -> Vec<String> {
    let none = Shard::default();
    let mut found = Vec::new();
    for ((group, key), asked) in &book.asked {
        let Some(done) = asked.done().filter(|done| is_booked(*done)) else { continue };
        let journal = &finals.shards.get(group).unwrap_or(&none).journal;
        let there = done.journal_number().and_then(|number| journal.get(&number));
        if there.is_none_or(|entry| entry.key != *key) {
            found.push(format!("lost: {key:?} was acknowledged by shard {} as {done:?}", group.0));
        }
    }
    found
}

fn doubled(_: &Book, finals: &Finals) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let twice = entries(finals).filter(|(group, entry)| !seen.insert((*group, entry.key)));
    twice.map(|(group, entry)| format!("doubled: {:?} is twice in shard {}", entry.key, group.0)).collect()
}

fn invented(book: &Book, finals: &Finals) -> Vec<String> {
    let mut found = Vec::new();
    for (group, entry) in entries(finals) {
        let is_asked = match entry.key {
            // What follows from a payment that crossed is `crossed`'s affair.
            TransferKey::Arrival(..)
            | TransferKey::Crossing(..)
            | TransferKey::Bounce(..)
            | TransferKey::Returned(..) => true,
            key => book.asked.get(&(group, key)).is_some_and(|asked| asked.posting == posting(entry)),
        };
        if !is_asked {
            found.push(format!("invented: {entry:?} of shard {} was never asked for so", group.0));
        }
    }
    found
}

const fn posting(entry: &JournalEntry) -> Posting {
    Posting { debit: entry.debit, credit: entry.credit, fen: entry.money.amount.0 }
}

fn traced(book: &Book, finals: &Finals) -> Vec<String> {
    let keys = keys(finals);
    let refused = book.asked.iter().filter(|(_, asked)| !asked.is_unsure && asked.done().is_none());
    let traces = refused.filter(|(key, _)| keys.contains_key(key));
    traces.map(|((group, key), asked)| format!("trace: {key:?} of shard {}: {:?}", group.0, asked.told)).collect()
}

fn chained(book: &Book, finals: &Finals) -> Vec<String> {
    let keys = keys(finals);
    let mut found = Vec::new();
    for (group, chain) in &book.chains {
        let there = chain.iter().filter(|key| keys.contains_key(&(*group, **key))).count();
        if there != 0 && there != chain.len() {
            found.push(format!("chain: of {chain:?} shard {} has booked {there}", group.0));
        }
    }
    found
}

/// Double entry within each shard, and over all of them: what was issued is with people, in escrows, or parked.
fn summed(_: &Book, finals: &Finals) -> Vec<String> {
    let (mut found, mut between) = (Vec::new(), 0);
    for (group, shard) in &finals.shards {
        let sum: i64 = shard.accounts.values().map(|account| account.balance.0).sum();
        if sum != 0 {
            found.push(format!("sum: the balances of shard {} add up to {sum}", group.0));
        }
        let clearing = shard.accounts.iter().filter(|(key, _)| matches!(key, AccountKey::Clearing(..)));
        between += clearing.map(|(_, account)| account.balance.0).sum::<i64>();
    }
    if between != 0 {
        found.push(format!("sum: {between} fen are between the shards, and nothing is under way"));
    }
    found
}

fn balanced(_: &Book, finals: &Finals) -> Vec<String> {
    let mut found = Vec::new();
    for (group, shard) in &finals.shards {
        let mut folded: BTreeMap<AccountKey, i64> = BTreeMap::new();
        for entry in shard.journal.values() {
            *folded.entry(entry.debit).or_default() -= entry.money.amount.0;
            *folded.entry(entry.credit).or_default() += entry.money.amount.0;
        }
        for (key, folded) in folded {
            let balance = shard.accounts.get(&key).map(|account| account.balance.0);
            if balance != Some(folded) {
                found.push(format!("balance: {key:?} of shard {} is {balance:?}, its postings {folded}", group.0));
            }
        }
    }
    found
}

fn overdrawn(_: &Book, finals: &Finals) -> Vec<String> {
    let mut found = Vec::new();
    for (group, shard) in &finals.shards {
        let mut balances: BTreeMap<AccountKey, i64> = BTreeMap::new();
        for entry in shard.journal.values() {
            *balances.entry(entry.credit).or_default() += entry.money.amount.0;
            let balance = balances.entry(entry.debit).or_default();
            *balance -= entry.money.amount.0;
            let may_be_below = matches!(entry.debit, AccountKey::Issue(_) | AccountKey::Clearing(..));
            if *balance < 0 && !may_be_below {
                found.push(format!("overdraw: {:?} of shard {} fell to {balance}", entry.debit, group.0));
            }
        }
    }
    found
}

/// What left one shard for another, less what has arrived there of it. Nothing is under way any more.
fn crossed(_: &Book, finals: &Finals) -> Vec<String> {
    let mut under_way: BTreeMap<(GroupId, GroupId, Carried), i64> = BTreeMap::new();
    for (group, entry) in entries(finals) {
        let (left, arrived) = (clearing(entry.credit), clearing(entry.debit));
        let (crossing, sign) = match (entry.key, left, arrived) {
            (TransferKey::Credit(share), Some(to), _) => ((group, to, Carried::Share(share)), 1),
            (TransferKey::Own(id), Some(to), _) => ((group, to, Carried::Transfer(id)), 1),
            (TransferKey::Bounce(_, id), Some(to), _) => ((group, to, Carried::Return(id)), 1),
            (TransferKey::Arrival(from, share), ..) => ((from, group, Carried::Share(share)), -1),
            (TransferKey::Crossing(from, id), ..) => ((from, group, Carried::Transfer(id)), -1),
            (TransferKey::Returned(from, id), ..) => ((from, group, Carried::Return(id)), -1),
            _ => continue,
        };
        *under_way.entry(crossing).or_default() += sign * entry.money.amount.0;
    }
    let wrong = under_way.into_iter().filter(|(_, fen)| *fen != 0);
    wrong
        .map(|((from, to, what), fen)| format!("crossing: {fen} fen of {what:?}, from {} to {}", from.0, to.0))
        .collect()
}

const fn clearing(key: AccountKey) -> Option<GroupId> {
    if let AccountKey::Clearing(group, Currency::CNY) = key { Some(group) } else { None }
}

fn ordered(book: &Book, finals: &Finals) -> Vec<String> {
    let orders = entries(finals).filter_map(|(_, entry)| match (entry.key, entry.credit) {
        (TransferKey::Order(_), AccountKey::Escrow(packet)) => Some((PacketId::new(packet.0), entry.money.amount.0)),
        _ => None,
    });
    let paid: BTreeMap<PacketId, i64> = orders.collect();
    let mut found = Vec::new();
    for (packet, total) in &paid {
        let made = finals.packets.get(packet).map(|view| view.packet.terms.total.0);
        if made != Some(*total) {
            found.push(format!("order: {packet:?} was paid with {total}, and {made:?} was made of it"));
        }
    }
    let unpaid = finals.packets.keys().filter(|packet| !paid.contains_key(packet));
    found.extend(unpaid.map(|packet| format!("order: {packet:?} was made and not paid")));
    let cancelled = book.bought.iter().filter(|(_, bought)| bought.is_cancelled);
    let cancelled = cancelled.filter(|(packet, _)| paid.contains_key(packet));
    found.extend(cancelled.map(|(packet, _)| format!("order: {packet:?} was cancelled, and is paid")));
    found
}

fn packed(book: &Book, finals: &Finals) -> Vec<String> {
    let mut found = Vec::new();
    for (id, view) in &finals.packets {
        let Some(bought) = book.bought.get(id) else { continue };
        let claimed: i64 = view.shares.iter().map(|share| share.fen.0).sum();
        let refund = view.progress.refund.0;
        if claimed + refund != bought.total {
            found.push(format!("packet: of {} fen of {id:?} {claimed} were claimed, {refund} go back", bought.total));
        }
        let users: BTreeSet<_> = view.holders().collect();
        if users.len() != view.shares.len() {
            found.push(format!("packet: a user has two shares of {id:?}"));
        }
        if view.shares.len() > usize::from(bought.shares) || view.shares.iter().any(|share| share.fen.0 < 1) {
            found.push(format!("packet: {id:?} has too many shares, or an empty one"));
        }
    }
    found
}

fn told(book: &Book, finals: &Finals) -> Vec<String> {
    let mut found = Vec::new();
    for ((packet, user), credits) in &book.opened {
        let there = |number: u16| {
            let place = usize::from(number).checked_sub(1)?;
            finals.packets.get(packet)?.shares.get(place).copied()
        };
        for credit in credits {
            if there(credit.share).is_none_or(|share| share.user != *user || share.fen != credit.fen) {
                found.push(format!("told: {user:?} was told of {credit:?}, and it is not there"));
            }
        }
    }
    found
}

fn shares(view: &PacketView) -> impl Iterator<Item = (ShareId, i64)> {
    let packet = ledger::PacketId(view.id.bits());
    (1_u32..).zip(&view.shares).map(move |(share, row)| (ShareId { packet, share }, row.fen.0))
}

fn credited(_: &Book, finals: &Finals) -> Vec<String> {
    let credits = entries(finals).filter_map(|(group, entry)| match entry.key {
        TransferKey::Credit(share) => Some(((group, share), entry.money.amount.0)),
        _ => None,
    });
    let mut credits: BTreeMap<(GroupId, ShareId), i64> = credits.collect();
    let mut found = Vec::new();
    for view in finals.packets.values() {
        let group = home(ledger::AccountId(view.packet.terms.payer.0));
        for (share, fen) in shares(view) {
            let credit = credits.remove(&(group, share));
            if credit != Some(fen) {
                found.push(format!("credit: {share:?} is worth {fen}, and credited with {credit:?}"));
            }
        }
    }
    found.extend(credits.into_keys().map(|(_, share)| format!("credit: {share:?} is credited, and nobody's")));
    found
}

fn refunded(_: &Book, finals: &Finals) -> Vec<String> {
    let refunds = entries(finals).filter_map(|(_, entry)| match entry.key {
        TransferKey::Refund(packet) => Some((PacketId::new(packet.0), entry.money.amount.0)),
        _ => None,
    });
    let mut refunds: BTreeMap<PacketId, i64> = refunds.collect();
    let mut found = Vec::new();
    for view in finals.packets.values() {
        let (owed, refund) = (view.progress.refund.0, refunds.remove(&view.id).unwrap_or(0));
        if owed != refund {
            found.push(format!("refund: {:?} owes {owed}, and {refund} went back", view.id));
        }
    }
    found.extend(refunds.into_keys().map(|packet| format!("refund: of {packet:?}, that nobody made")));
    for (group, shard) in &finals.shards {
        let escrows =
            shard.accounts.iter().filter(|(key, row)| matches!(key, AccountKey::Escrow(_)) && row.balance.0 != 0);
        found.extend(escrows.map(|(key, row)| format!("refund: {key:?} of shard {} keeps {}", group.0, row.balance)));
    }
    found
}
