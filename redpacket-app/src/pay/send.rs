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

/// Takes payments.
#[derive(Clone)]
pub(crate) struct Sending {
    pub(crate) homes: Arc<Homes>,
    pub(crate) accounts: Accounts,
    pub(crate) pending: Pending,
    pub(crate) making: Making,
}

impl Sending {
    /// Pays for a packet and makes it. A repeat with the same order and terms gets the same packet.
    ///
    /// Refuses: as [`check_terms`]; `UserUnknown`, `ChatUnknown`, `NotMember`; then as the ledger's `PayPacket`.
    pub(crate) async fn send(&self, terms: Terms) -> Result<Paid, Failure> {
        check_terms(&terms)?;
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
