//! Booking: a share's credit goes from the packet's escrow to its user, or a rest back to its payer.
//!
//! ```text
//!  payer's shard: escrow ─> user here                     booked
//!                 escrow ─> clearing ··courier··> user    sent, and booked once it is applied in the user's shard
//! ```
//!
//! Why: the credit's id is the packet and the share, so every door and worker may try, at any time, any number of times.
//!
//! Must never: say "booked" of money that is still on its way.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ledger::{CreditShare, Done, LedgerView, Money, RefundPacket, ShareId, Step, TransferKey, Verb};
use machine::GroupId;
use packets::{Credit, Refund};
use proto::traces;
use tokio::time::Instant;

use crate::failure::{DoorRefusal, Failure, unexpected};
use crate::homes::Homes;
use crate::tenpay::batcher::{Batcher, Told};
use crate::tenpay::landing::landed;

/// How far a credit has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Booked {
    /// It is with its user, or parked in suspense for an operator: the escrow owes it no more, for good.
    Landed,
    /// It has left the escrow, and the courier carries it to the user's shard.
    UnderWay,
}

/// The ledger's name of a packet's account.
pub(crate) const fn account(account: packets::AccountId) -> ledger::AccountId {
    ledger::AccountId(account.0)
}

/// The ledger's name of a packet.
pub(crate) const fn packet(packet: packets::PacketId) -> ledger::PacketId {
    ledger::PacketId(packet.bits())
}

/// The ledger's name of a share.
pub(crate) fn share(credit: &Credit) -> ShareId {
    ShareId { packet: packet(credit.packet), share: u32::from(credit.share) }
}

/// Books credits and refunds.
#[derive(Clone)]
pub(crate) struct Booking {
    homes: Arc<Homes>,
    batchers: Arc<BTreeMap<GroupId, Batcher>>,
}

impl Booking {
    /// Begins to gather steps for all shards.
    pub(crate) fn start(homes: Arc<Homes>) -> Self {
        let batchers = homes.ledgers().map(|shard| (shard.group.id(), Batcher::start(Arc::clone(shard)))).collect();
        Self { homes, batchers: Arc::new(batchers) }
    }

    /// Tries until `deadline` to book a credit, and to see it land.
    ///
    /// Errors: `Refused`, the ledger will not pay it as things stand (an alarm: somebody must look); the others: later.
    pub(crate) async fn credit(&self, credit: &Credit, deadline: Duration) -> Result<Booked, Failure> {
        let step = CreditShare {
            share: share(credit),
            payer: account(credit.payer),
            account: account(credit.payee),
            to_group: self.homes.ledger_group(account(credit.payee)),
            money: Money::cny(credit.fen.0),
        };
        self.credit_share(step, deadline).await
    }

    /// As [`Booking::credit`], for a step that is spelled out.
    pub(crate) async fn credit_share(&self, step: CreditShare, deadline: Duration) -> Result<Booked, Failure> {
        let span = traces::child("tenpay.book", traces::Kind::Within);
        span.around(self.book(step, deadline)).await
    }

    async fn book(&self, step: CreditShare, deadline: Duration) -> Result<Booked, Failure> {
        let until = Instant::now() + deadline;
        match self.step(step.payer, Verb::Credit(step), deadline).await? {
            Done::Booked(_) => Ok(Booked::Landed),
            Done::Parked(number) => {
                tracing::error!(share = ?step.share, ?number, "a credit is parked: its account cannot take it");
                Ok(Booked::Landed)
            }
            Done::Sent(_) => {
                let source = self.homes.ledger_group(step.payer);
                Ok(if self.has_arrived(source, &step, until).await? { Booked::Landed } else { Booked::UnderWay })
            }
            other => Err(unexpected(&other)),
        }
    }

    /// Returns what was left of a packet. Errors: as [`Booking::credit`].
    pub(crate) async fn refund(&self, refund: &Refund, deadline: Duration) -> Result<(), Failure> {
        if refund.fen.0 == 0 {
            return Ok(());
        }
        let payer = account(refund.payer);
        let step = RefundPacket { packet: packet(refund.packet), payer, money: Money::cny(refund.fen.0) };
        match self.step(payer, Verb::Refund(step), deadline).await? {
            Done::Booked(_) => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    /// One step of the ledger in the home of `account`.
    pub(crate) async fn step(
        &self,
        account: ledger::AccountId,
        verb: Verb,
        deadline: Duration,
    ) -> Result<Done, Failure> {
        let steps = vec![Step { is_linked: false, verb }];
        let told = self.steps(self.homes.ledger_group(account), steps, deadline).await?;
        match told.answers.first() {
            Some(answer) => Ok((*answer)?),
            None => Err(unexpected(&told)),
        }
    }

    /// Steps in the shard `group`. Refuses: `GroupUnknown`.
    pub(crate) async fn steps(&self, group: GroupId, steps: Vec<Step>, deadline: Duration) -> Result<Told, Failure> {
        self.batchers.get(&group).ok_or(DoorRefusal::GroupUnknown)?.ask(steps, deadline).await
    }

    /// Waits until a credit that was sent on has been applied in its user's shard, as far as this node sees.
    async fn has_arrived(&self, source: GroupId, step: &CreditShare, until: Instant) -> Result<bool, Failure> {
        let (shard, key) = (self.homes.ledger(step.account), TransferKey::Arrival(source, step.share));
        let look = || Ok(shard.stale(|seen| LedgerView::over(seen.rows).transfer(key))??);
        Ok(landed((shard, shard), until, look).await?.is_some())
    }
}
