//! Send: an order is paid, and its packet made.
//!
//! ```text
//!  terms, parties ok? ─> payer's shard: payer ─> escrow, and a record "packet paid", in one entry ─> make the packet
//!          │ no                │ not covered: force what is on its way, once                             │ not now
//!       refused                └── still not: refused                                                   paid; the queue makes it
//! ```
//!
//! Must never: ask the ledger before everything that could refuse the packet has been asked; a payment is not undone.

use std::sync::Arc;

use ledger::{Done, Money, PayPacket, Verb};
use machine::{Layout as _, LoadError, RowSource, TimestampMs};
use packets::{ChatId, Kind, PacketId, Refusal, Terms, UserId, check_terms, lists, read};
use tokio::time::Instant;

use crate::failure::{self, Failure, unexpected};
use crate::homes::Homes;
use crate::limits::CREATE_AT_ONCE;
use crate::pay::making::Making;
use crate::tenpay::accounts::Accounts;
use crate::tenpay::booking;
use crate::tenpay::pending::Pending;

/// A payment that went through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Paid {
    /// The packet.
    pub(crate) packet: PacketId,
    /// Until when it can be opened; `None`: it is being made.
    pub(crate) expires: Option<TimestampMs>,
}

/// What a cluster's operator allows of what the machines do. New packets alone are held against it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Allowed {
    /// Least fen of a share, on the mean.
    pub(crate) share_fen_min: i64,
    /// Most fen of a share, on the mean.
    pub(crate) share_fen_max: i64,
    /// Most shares.
    pub(crate) shares_max: u16,
}

impl Allowed {
    /// Refuses, as the machines do: `TooManyShares`, `ShareBelowOneFen`, `ShareAboveLimit`.
    fn check(&self, terms: &Terms) -> Result<(), Refusal> {
        let shares = i64::from(terms.shares);
        if terms.shares > self.shares_max {
            Err(Refusal::TooManyShares)
        } else if terms.total.0 < shares.saturating_mul(self.share_fen_min) {
            Err(Refusal::ShareBelowOneFen)
        } else if terms.total.0 > shares.saturating_mul(self.share_fen_max) {
            Err(Refusal::ShareAboveLimit)
        } else {
            Ok(())
        }
    }
}

/// Takes payments.
#[derive(Clone)]
pub(crate) struct Sending {
    pub(crate) homes: Arc<Homes>,
    pub(crate) accounts: Accounts,
    pub(crate) pending: Pending,
    pub(crate) making: Making,
    pub(crate) allowed: Allowed,
}

impl Sending {
    /// Pays for a packet and makes it. A repeat with the same order and terms gets the same packet.
    ///
    /// Refuses: `UserUnknown`, `ChatUnknown`, `NotMember`; then as the ledger's `PayPacket`.
    pub(crate) async fn send(&self, terms: Terms) -> Result<Paid, Failure> {
        let packet = PacketId::of_order(terms.order);
        self.check_parties(packet, &terms).await?;
        self.pay(packet, &terms).await?;
        match self.making.make(packet, terms, CREATE_AT_ONCE).await {
            Ok((_, expires)) => Ok(Paid { packet, expires: Some(expires) }),
            Err(failure) => {
                // Paid it is: the record in the queue makes the packet.
                tracing::debug!(packet = packet.bits(), %failure, "a paid packet is made later");
                Ok(Paid { packet, expires: None })
            }
        }
    }

    /// Whether such a packet is sent here, and the payer's shard and the packet's group would take a request of `level`.
    ///
    /// Refuses: as [`check_terms`], with the operator's limits too. Errors: `Busy`.
    pub(crate) fn lets(&self, terms: &Terms, level: u32) -> Result<(), Failure> {
        check_terms(terms)?;
        self.allowed.check(terms)?;
        let now = Instant::now();
        self.homes.ledger(booking::account(terms.payer)).callee.lets(level, now)?;
        self.homes.packet(PacketId::of_order(terms.order)).callee.lets(level, now)
    }

    /// In the packet's own group: who is there once stays there, so what is allowed now is allowed when it is made.
    async fn check_parties(&self, packet: PacketId, terms: &Terms) -> Result<(), Failure> {
        let shard = self.homes.packet(packet);
        if shard.stale(|seen| parties(seen.rows, terms))??.is_ok() {
            return Ok(());
        }
        shard.fresh(|seen| parties(seen.rows, terms)).await??
    }

    async fn pay(&self, packet: PacketId, terms: &Terms) -> Result<(), Failure> {
        let payer = booking::account(terms.payer);
        let pay = PayPacket {
            order: ledger::OrderId(terms.order.0),
            packet: booking::packet(packet),
            payer,
            money: Money::cny(terms.total.0),
            details: terms.to_bytes(),
        };
        done(self.pending.spend(&self.accounts, (payer, terms.total.0), Verb::Pay(pay)).await?)
    }
}

fn done(answer: Done) -> Result<(), Failure> {
    match answer {
        Done::Booked(_) => Ok(()),
        Done::Cancelled => Err(ledger::Refusal::OrderCancelled.into()),
        other => Err(unexpected(&other)),
    }
}

/// Whether sender, chat and recipients are known to the packet's group.
fn parties(rows: &dyn RowSource, terms: &Terms) -> Result<Result<(), failure::Failure>, LoadError> {
    let mut users = vec![terms.sender];
    if let Kind::Direct { recipient } = terms.kind {
        users.push(recipient);
    }
    if read::users(rows, &users)?.iter().any(Option::is_none) {
        return Ok(Err(Refusal::UserUnknown.into()));
    }
    let Some(chat) = terms.kind.chat() else { return Ok(Ok(())) };
    if read::chat(rows, chat)?.is_none() {
        return Ok(Err(Refusal::ChatUnknown.into()));
    }
    let mut members = vec![terms.sender];
    if let Kind::Exclusive { users, .. } = &terms.kind {
        members.extend(users);
    }
    for user in members {
        if !is_member(rows, chat, user)? {
            return Ok(Err(Refusal::NotMember.into()));
        }
    }
    Ok(Ok(()))
}

/// Whether `user` is in `chat`.
pub(crate) fn is_member(rows: &dyn RowSource, chat: ChatId, user: UserId) -> Result<bool, LoadError> {
    let before = user.0.checked_sub(1).map(UserId);
    Ok(lists::members(rows, chat, before, 1)?.first() == Some(&user))
}

#[cfg(test)]
mod tests {
    use packets::{AccountId, Fen, OrderId};

    use super::*;

    #[test]
    fn an_operator_allows_less_than_the_machines_do() {
        let allowed = Allowed { share_fen_min: 5, share_fen_max: 100, shares_max: 10 };
        let table = [
            (50, 10, Ok(())),
            (49, 10, Err(Refusal::ShareBelowOneFen)),
            (1000, 10, Ok(())),
            (1001, 10, Err(Refusal::ShareAboveLimit)),
            (110, 11, Err(Refusal::TooManyShares)),
        ];
        for (total, shares, expected) in table {
            let terms = Terms {
                order: OrderId(1),
                sender: UserId(1),
                payer: AccountId(1),
                kind: Kind::GroupLucky { chat: ChatId(9) },
                total: Fen(total),
                shares,
                greeting: String::new(),
                cover: String::new(),
                password: None,
                life_ms: 1,
            };
            assert_eq!(allowed.check(&terms), expected, "{total} fen in {shares} shares");
        }
    }
}
