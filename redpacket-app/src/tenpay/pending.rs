//! Pending credits: the index of what is on its way to an account, shown in balances and forced by spending.
//!
//! Why: whoever has drawn a share may spend it, also while its credit waits in the queue.
//!
//! Must never: count as money. The packet's escrow pays, once; the index only knows whom to ask.

use std::sync::Arc;

use futures::StreamExt as _;
use ledger::{AccountId, AccountKey, AnnounceClaim, Claim, ClaimKey, CreditShare, Done, LedgerView, Money, Verb};
use packets::Credit;
use tokio::time::timeout;

use crate::failure::Failure;
use crate::homes::Homes;
use crate::limits::{BOOK_AT_ONCE, COMMAND_DEADLINE, FORCE_DEADLINE, FORCED_CREDITS_MAX};
use crate::tenpay::accounts::Accounts;
use crate::tenpay::booking::{Booked, Booking, account, share};

/// A claim of the index with the account that paid for its packet.
struct Source {
    key: ClaimKey,
    claim: Claim,
    payer: AccountId,
}

/// The index of pending credits, over all shards.
#[derive(Clone)]
pub(crate) struct Pending {
    homes: Arc<Homes>,
    booking: Booking,
}

impl Pending {
    pub(crate) const fn new(homes: Arc<Homes>, booking: Booking) -> Self {
        Self { homes, booking }
    }

    /// Enters a credit into its user's index, if the shard answers; one that is booked meanwhile is not entered.
    pub(crate) async fn announce(&self, credit: &Credit) {
        let payee = account(credit.payee);
        let source = self.homes.ledger_group(account(credit.payer));
        let claim = ClaimKey { account: payee, source, share: share(credit) };
        let announce = AnnounceClaim { claim, money: Money::cny(credit.fen.0) };
        if let Err(failure) = self.booking.step(payee, Verb::Announce(announce), BOOK_AT_ONCE).await {
            tracing::debug!(%failure, "a pending credit is not announced yet");
        }
    }

    /// Books what is on its way to `account`, oldest first, until `missing` fen have landed or the time is over.
    /// Answers the fen that landed.
    pub(crate) async fn force(&self, account: AccountId, missing: i64) -> Result<i64, Failure> {
        let mut landed = 0;
        let forcing = async {
            let sources = self.sources(account).await?;
            let mut credits = futures::stream::iter(sources)
                .map(|source| async move {
                    let Source { key, claim, payer } = source;
                    let to_group = self.homes.ledger_group(key.account);
                    let step = CreditShare { share: key.share, payer, account, to_group, money: claim.money };
                    let booked = self.booking.credit_share(step, FORCE_DEADLINE).await;
                    if booked == Ok(Booked::Landed) { claim.money.amount.0 } else { 0 }
                })
                .buffered(FORCED_CREDITS_MAX / 8);
            while landed < missing
                && let Some(fen) = credits.next().await
            {
                landed += fen;
            }
            Ok(())
        };
        match timeout(FORCE_DEADLINE, forcing).await {
            Ok(Err(failure)) => Err(failure),
            Ok(Ok(())) | Err(_) => Ok(landed),
        }
    }

    /// Makes room for a spending of `fen` out of credits that are on their way. Errors: `short`, where they would not do;
    /// `NotApplied`, where they would and cannot be booked in time.
    pub(crate) async fn cover(
        &self,
        accounts: &Accounts,
        payer: AccountId,
        fen: i64,
        short: Failure,
    ) -> Result<(), Failure> {
        let standing = accounts.standing(payer).await?;
        let missing = fen.saturating_sub(standing.account.available().0);
        if standing.balance.pending < missing {
            return Err(short);
        }
        if self.force(payer, missing).await? < missing {
            return Err(Failure::NotApplied("the funds are on their way and cannot be booked yet".to_owned()));
        }
        Ok(())
    }

    /// One step that takes `fen` from `payer`; where they are short, what is on its way to him is booked first, oldest first.
    pub(crate) async fn spend(
        &self,
        accounts: &Accounts,
        (payer, fen): (AccountId, i64),
        verb: Verb,
    ) -> Result<Done, Failure> {
        match self.booking.step(payer, verb.clone(), COMMAND_DEADLINE).await {
            Err(short) if short == ledger::Refusal::InsufficientFunds.into() => {
                self.cover(accounts, payer, fen, short).await?;
                self.booking.step(payer, verb, COMMAND_DEADLINE).await
            }
            answer => answer,
        }
    }

    /// The oldest claims of `account`, and who pays each: the escrow's own row in its shard says it.
    async fn sources(&self, account: AccountId) -> Result<Vec<Source>, Failure> {
        let claims = self.homes.ledger(account).fresh(|seen| LedgerView::over(seen.rows).claims(account)).await??;
        let mut sources = Vec::new();
        for (key, claim) in claims.into_iter().take(FORCED_CREDITS_MAX) {
            let Some(shard) = self.homes.ledger_shard(key.source) else { continue };
            let escrow = AccountKey::Escrow(key.share.packet);
            let row = shard.stale(|seen| LedgerView::over(seen.rows).account(escrow))??;
            if let Some(ledger::Body::Escrow { payer }) = row.map(|row| row.body) {
                sources.push(Source { key, claim, payer });
            }
        }
        Ok(sources)
    }

    /// Fen and number of the credits that are on their way to `account`, as read beside its balance.
    pub(crate) fn sum(claims: &[(ClaimKey, Claim)]) -> (i64, u32) {
        let fen = claims.iter().fold(0_i64, |sum, (_, claim)| sum.saturating_add(claim.money.amount.0));
        (fen, u32::try_from(claims.len()).unwrap_or(u32::MAX))
    }
}
