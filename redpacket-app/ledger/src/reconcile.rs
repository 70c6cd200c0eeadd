//! Reconciling the shards: what one sent must be what the other received, payment by payment.
//!
//! Why: each shard balances by itself; what is left to prove is that the two clearing accounts of a pair tell the same
//! story. Their serials make that exact although the shards are read at different times: as far as both have counted,
//! they must agree; what only the sender has counted is under way; what only the receiver has counted was sent after the
//! sender was read.
//!
//! Must never: raise an alarm over money that is merely on its way.

use std::collections::BTreeMap;

use machine::GroupId;

use crate::carried::Carried;
use crate::difference::Difference;
use crate::facts::Facts;
use crate::fen::{Currency, Fen};

type Pair = (GroupId, Currency);

/// What all shards say together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reconciliation {
    /// What does not hold.
    pub differences: Vec<Difference>,
    /// Payments that have left their shard and not arrived, by (source, target), as far as the facts spell them out.
    pub under_way: BTreeMap<(GroupId, GroupId), Vec<(Carried, Fen)>>,
    /// Money issued by all shards, by currency: what customers, escrows, suspense and payments under way add up to.
    pub issued: BTreeMap<Currency, i128>,
}

/// Holds the facts of all shards against each other. A payment to a group that is not among them counts as under way.
#[must_use]
pub fn reconcile(shards: &BTreeMap<GroupId, Facts>) -> Reconciliation {
    let mut all = Reconciliation::default();
    for (group, facts) in shards {
        for (currency, sums) in &facts.sums {
            let issued = all.issued.entry(*currency).or_default();
            *issued = issued.saturating_sub(sums.issue);
        }
        clearing(*group, facts, &mut all);
        for ((target, currency), sent) in &facts.sent {
            let received = shards.get(target).and_then(|facts| facts.received.get(&(*group, *currency)));
            let arrived = received.map_or(0, |received| received.count);
            let under_way = all.under_way.entry((*group, *target)).or_default();
            for (serial, here) in &sent.payments {
                if *serial > arrived {
                    under_way.push(*here);
                } else if received.is_some_and(|received| received.payments.get(serial) != Some(here)) {
                    let (source, target, serial) = (*group, *target, *serial);
                    all.differences.push(Difference::CourierDiffers { source, target, serial });
                }
            }
        }
    }
    all.under_way.retain(|_, payments| !payments.is_empty());
    all
}

/// A clearing account holds what was sent, less what was received.
fn clearing(group: GroupId, facts: &Facts, all: &mut Reconciliation) {
    let mut balances: BTreeMap<Pair, i128> = BTreeMap::new();
    for (pair, trail) in &facts.sent {
        let balance = balances.entry(*pair).or_default();
        *balance = balance.saturating_add(trail.sum);
    }
    for (pair, trail) in &facts.received {
        let balance = balances.entry(*pair).or_default();
        *balance = balance.saturating_sub(trail.sum);
    }
    for (pair, stored) in &facts.clearing {
        if balances.remove(pair).unwrap_or_default() != i128::from(stored.0) {
            all.differences.push(Difference::ClearingDiffers { group, peer: pair.0, currency: pair.1 });
        }
    }
    for ((peer, currency), _) in balances {
        all.differences.push(Difference::ClearingDiffers { group, peer, currency });
    }
}
