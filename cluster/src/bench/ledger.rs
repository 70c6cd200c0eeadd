//! Load on the ledger: transfers between accounts of one group, one by one or in batches.
//!
//! Must never: leave money out of the books. What it issues stays on accounts of its own, and the audit counts it.

use std::sync::Arc;

use futures::future::join_all;
use proto::ledger::v1::ledger_client::LedgerClient;
use proto::ledger::v1::{AccountKind, BatchRequest, BatchTransfer, FundRequest, OpenAccountRequest, TransferRequest};
use rand::seq::IndexedRandom as _;

use super::Plan;
use super::load::{Pace, drive, watch};
use super::meter::{Meter, Phase};
use crate::admin;
use crate::doors::{Doors, Miss};
use crate::error::Error;
use crate::file::{ClusterFile, Kind};
use crate::limits::{ATTEMPT_MAX, CALL_MAX, FIRST_GROUP};

/// Accounts that transfers are made between.
const ACCOUNTS: usize = 64;
/// Ids tried until so many accounts lie in one group; groups get about as many each.
const IDS_TRIED_MAX: usize = 64 * ACCOUNTS;
/// Fen on each account, so that none runs dry.
const FUND_FEN: i64 = 1_000_000_000;

/// Runs the phase. Errors: `NoApp`, or the accounts could not be made.
pub(crate) async fn run(cluster: &ClusterFile, plan: &Plan) -> Result<Vec<Phase>, Error> {
    let views = admin::look(cluster.of(Kind::App)).await;
    let leader = admin::leader_of(&views, FIRST_GROUP);
    let first = cluster.app.iter().position(|node| Some(&node.node) == leader.as_ref()).unwrap_or(0);
    let doors = |_| Doors::new(cluster.addresses(Kind::App), first).map(Arc::new);
    let doors = (0..plan.producers).map(doors).collect::<Result<Vec<_>, _>>()?;
    let Some(desk) = doors.first() else { return Ok(Vec::new()) };
    let accounts = Arc::new(open_accounts(desk).await.map_err(Error::call("open accounts"))?);
    let meter = Arc::new(Meter::start("transfer")?);
    let (pace, batch) = (Pace::of(plan), plan.batch());
    let producers = doors.iter().map(|doors| {
        let (doors, meter, accounts) = (Arc::clone(doors), Arc::clone(&meter), Arc::clone(&accounts));
        drive(pace, move |intended| {
            let (doors, meter, accounts) = (Arc::clone(&doors), Arc::clone(&meter), Arc::clone(&accounts));
            async move {
                match transfer(&doors, &accounts, batch).await {
                    Ok(count) => meter.done(intended.elapsed(), count),
                    Err(miss) => meter.failed(miss.to_string()),
                }
            }
        })
    });
    watch(&meter, plan.duration(), join_all(producers)).await;
    Ok(vec![meter.phase()])
}

type Id = [u8; 16];

/// Opens and funds accounts of the first group.
async fn open_accounts(doors: &Doors) -> Result<Vec<Id>, Miss> {
    let mut accounts = Vec::new();
    for _ in 0..IDS_TRIED_MAX {
        let account: Id = rand::random();
        if open(doors, account).await? == FIRST_GROUP {
            fund(doors, account).await?;
            accounts.push(account);
        }
        if accounts.len() == ACCOUNTS {
            return Ok(accounts);
        }
    }
    Err(Miss::Unknown { reason: format!("group {FIRST_GROUP} got too few accounts") })
}

/// Opens an account and says which group holds it.
async fn open(doors: &Doors, account: Id) -> Result<u32, Miss> {
    let opened = doors.call(CALL_MAX, |channel| async move {
        let request =
            OpenAccountRequest { account: account.to_vec().into(), kind: AccountKind::User.into(), currency: 0 };
        LedgerClient::new(channel).open_account(request).await
    });
    Ok(opened.await?.group)
}

async fn fund(doors: &Doors, account: Id) -> Result<(), Miss> {
    let id: Id = rand::random();
    let funded = doors.call(CALL_MAX, |channel| async move {
        let request = FundRequest { id: id.to_vec().into(), account: account.to_vec().into(), amount_fen: FUND_FEN };
        LedgerClient::new(channel).fund(request).await
    });
    funded.await.map(drop)
}

/// Makes one call of `batch` transfers; says how many were booked.
async fn transfer(doors: &Doors, accounts: &[Id], batch: usize) -> Result<u64, Miss> {
    let transfers: Vec<TransferRequest> = (0..batch).map(|_| draw(accounts)).collect();
    if let [transfer] = transfers.as_slice() {
        let booked = doors.call(ATTEMPT_MAX, |channel| {
            let request = transfer.clone();
            async move { LedgerClient::new(channel).transfer(request).await }
        });
        return booked.await.map(|_| 1);
    }
    let transfers: Vec<BatchTransfer> =
        transfers.into_iter().map(|transfer| BatchTransfer { transfer: Some(transfer), linked: false }).collect();
    let reply = doors.call(ATTEMPT_MAX, |channel| {
        let request = BatchRequest { transfers: transfers.clone() };
        async move { LedgerClient::new(channel).batch(request).await }
    });
    let booked = reply.await?.results.iter().filter(|result| result.refusal == 0).count();
    Ok(u64::try_from(booked).unwrap_or(u64::MAX))
}

/// One fen between two accounts drawn by lot.
fn draw(accounts: &[Id]) -> TransferRequest {
    let mut pair = accounts.choose_multiple(&mut rand::rng(), 2);
    let mut next = || pair.next().map(|account| account.to_vec()).unwrap_or_default().into();
    let (debit, credit) = (next(), next());
    let id: Id = rand::random();
    TransferRequest { id: id.to_vec().into(), debit, credit, amount_fen: 1, ..TransferRequest::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transfer_is_between_two_different_accounts_under_an_id_of_its_own() {
        let accounts: Vec<Id> = (0..4).map(|number| [number; 16]).collect();
        for _ in 0..100 {
            let (one, other) = (draw(&accounts), draw(&accounts));
            assert_ne!(one.debit, one.credit);
            assert_ne!(one.id, other.id);
        }
    }
}
