//! The gate: what the leader knows to be decided for ever, so that latecomers are refused before the log.
//!
//! Why: a hot packet is opened by hundreds of users within a second, and all but the first are refused. Those refusals
//! stay true, so they need no entry and no read of rows.
//!
//! ```text
//!  open ──> gate: over, and holds no share? ──yes──> SoldOut or Expired
//!             │            has a share? ──yes──> the former credit
//!             no ──> propose ──> reply ──> gate learns
//! ```
//!
//! Must never: be part of the state, refuse what could still be granted, or grow without bound. What it forgets is
//! decided by the log again, in the same way.

use std::collections::{BTreeMap, BTreeSet};

use crate::claim::Credit;
use crate::ids::{PacketId, UserId};
use crate::limits::{GATE_CLAIMS_MAX, GATE_PACKETS_MAX};
use crate::refusal::Refusal;

/// What the gate answers in place of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// The user has this share already.
    Claimed(Credit),
    /// The packet is over for everybody without a share.
    Over(Refusal),
}

/// A map that forgets its oldest entries. Entries are never moved: what stays true needs no refreshing.
#[derive(Debug)]
struct Recent<K, V> {
    entries: BTreeMap<K, V>,
    order: BTreeMap<u64, K>,
    next: u64,
    max: usize,
}

impl<K: Ord + Copy, V> Recent<K, V> {
    const fn new(max: usize) -> Self {
        Self { entries: BTreeMap::new(), order: BTreeMap::new(), next: 0, max }
    }

    fn insert(&mut self, key: K, value: V) {
        if self.entries.insert(key, value).is_some() {
            return;
        }
        self.order.insert(self.next, key);
        self.next = self.next.saturating_add(1);
        while self.entries.len() > self.max {
            let Some((_, oldest)) = self.order.pop_first() else { break };
            self.entries.remove(&oldest);
        }
    }
}

#[derive(Debug)]
struct Over {
    refusal: Refusal,
    holders: BTreeSet<UserId>,
}

/// What one process knows of hot packets. Bounded by `limits`; not replicated.
#[derive(Debug)]
pub struct Gate {
    over: Recent<PacketId, Over>,
    claims: Recent<(PacketId, UserId), Credit>,
}

impl Default for Gate {
    fn default() -> Self {
        Self::new(GATE_PACKETS_MAX, GATE_CLAIMS_MAX)
    }
}

impl Gate {
    /// A gate that remembers at most so many ended packets and so many claims.
    #[must_use]
    pub const fn new(packets_max: usize, claims_max: usize) -> Self {
        Self { over: Recent::new(packets_max), claims: Recent::new(claims_max) }
    }

    /// What is known of `user` and `packet`; `None`: ask the log.
    ///
    /// Invariant: who holds a share is never refused, so that a repeated open gets its former reply.
    #[must_use]
    pub fn ask(&self, packet: PacketId, user: UserId) -> Option<Known> {
        if let Some(credit) = self.claims.entries.get(&(packet, user)) {
            return Some(Known::Claimed(*credit));
        }
        let over = self.over.entries.get(&packet)?;
        if over.holders.contains(&user) { None } else { Some(Known::Over(over.refusal)) }
    }

    /// Learns from the reply of a committed open.
    pub fn learn_claim(&mut self, credit: &Credit) {
        self.claims.insert((credit.packet, credit.user), *credit);
    }

    /// Learns that `packet` is over: an open was refused so, and `holders` are all who have a share of it, read after
    /// that refusal. A refusal that may change is not learned.
    pub fn learn_over(&mut self, packet: PacketId, refusal: Refusal, holders: impl IntoIterator<Item = UserId>) {
        if refusal.is_final() {
            self.over.insert(packet, Over { refusal, holders: holders.into_iter().collect() });
        }
    }
}
