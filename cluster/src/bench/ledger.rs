//! Load on the ledger: transfers between accounts of one group, one by one or in batches.
//!
//! Must never: leave money out of the books. What it issues stays on accounts of its own, and the audit counts it.

use std::sync::Arc;

use futures::future::join_all;
use futures::{StreamExt as _, TryStreamExt as _};
use proto::ledger::v1::ledger_client::LedgerClient;
use proto::ledger::v1::{AccountKind, BatchRequest, FundRequest, OpenAccountRequest, TransferRequest};
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
const ACCOUNTS: usize = 512;
/// Accounts opened at a time.
const OPENED_AT_A_TIME: usize = 32;
/// Ids tried until so many accounts lie in one group; groups get about as many each.
const IDS_TRIED_MAX: usize = 64 * ACCOUNTS;
/// Fen on each account, so that none runs dry.
const FUND_FEN: i64 = 1_000_000_000_000;

/// Runs the phases: between all accounts, and with one account on the other side of every transfer.
///
/// Errors: `NoApp`, or the accounts could not be made.
pub(crate) async fn run(cluster: &ClusterFile, plan: &Plan) -> Result<Vec<Phase>, Error> {
    let views = admin::look(cluster.of(Kind::App)).await;
    let leader = admin::leader_of(&views, FIRST_GROUP);
    let first = cluster.app.iter().position(|node| Some(&node.node) == leader.as_ref()).unwrap_or(0);
    let doors = |_| Doors::new(cluster.addresses(Kind::App), first).map(Arc::new);
    let doors = (0..plan.producers).map(doors).collect::<Result<Vec<_>, _>>()?;
    let Some(desk) = doors.first() else { return Ok(Vec::new()) };
    let accounts = Arc::new(open_accounts(desk).await.map_err(Error::call("open accounts"))?);
    let mut phases = Vec::new();
    for (name, is_hot) in [("transfer", false), ("hot account", true)] {
        phases.push(phase(&doors, &accounts, plan, name, is_hot).await?);
    }
    Ok(phases)
}

async fn phase(
    doors: &[Arc<Doors>],
    accounts: &Arc<Vec<Id>>,
    plan: &Plan,
    name: &'static str,
    is_hot: bool,
) -> Result<Phase, Error> {
    let meter = Arc::new(Meter::start(name)?);
    let (pace, batch) = (Pace::of(plan), plan.batch());
    let producers = doors.iter().map(|doors| {
        let (doors, meter, accounts) = (Arc::clone(doors), Arc::clone(&meter), Arc::clone(accounts));
        drive(pace, move |intended| {
            let (doors, meter, accounts) = (Arc::clone(&doors), Arc::clone(&meter), Arc::clone(&accounts));
            async move {
                let pairs = (0..batch).map(|_| draw(&accounts, is_hot)).collect();
                match transfer(&doors, pairs).await {
                    Ok(count) => meter.done(intended.elapsed(), count),
                    Err(miss) => meter.failed(miss.to_string()),
                }
            }
        })
    });
    watch(&meter, plan.duration(), join_all(producers)).await;
    Ok(meter.phase())
}

type Id = [u8; 16];

/// Opens and funds accounts of the first group.
async fn open_accounts(doors: &Doors) -> Result<Vec<Id>, Miss> {
    let one = |account: Id| async move {
        let is_first = open(doors, account).await? == FIRST_GROUP;
        if is_first {
            fund(doors, account).await?;
        }
        Ok(is_first.then_some(account))
    };
    let ids = (0..IDS_TRIED_MAX).map(|_| rand::random::<Id>());
    let opened = futures::stream::iter(ids.map(one)).buffer_unordered(OPENED_AT_A_TIME);
    let accounts: Vec<Id> =
        opened.try_filter_map(|account| async move { Ok(account) }).take(ACCOUNTS).try_collect().await?;
    if accounts.len() < ACCOUNTS {
        return Err(Miss::Unknown { reason: format!("group {FIRST_GROUP} got too few accounts") });
    }
    Ok(accounts)
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

/// Who pays and who is paid, under which id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pair {
    id: Id,
    debit: Id,
    credit: Id,
}

/// Makes one call for all `pairs`, one fen each; says how many were booked.
async fn transfer(doors: &Doors, pairs: Vec<Pair>) -> Result<u64, Miss> {
    if let [pair] = pairs.as_slice() {
        let request = TransferRequest {
            id: pair.id.to_vec().into(),
            debit: pair.debit.to_vec().into(),
            credit: pair.credit.to_vec().into(),
            amount_fen: 1,
            ..TransferRequest::default()
        };
        let booked = doors.call(ATTEMPT_MAX, |channel| {
            let request = request.clone();
            async move { LedgerClient::new(channel).transfer(request).await }
        });
        return booked.await.map(|_| 1);
    }
    let packed = packed(&pairs);
    let reply = doors.call(ATTEMPT_MAX, |channel| {
        let request = BatchRequest { packed: packed.clone().into(), ..BatchRequest::default() };
        async move { LedgerClient::new(channel).batch(request).await }
    });
    Ok(booked(&reply.await?.packed))
}

/// The form of a batch for those in a hurry, as `ledger.proto` says it.
fn packed(pairs: &[Pair]) -> Vec<u8> {
    let mut packed = Vec::with_capacity(pairs.len() * 80);
    for Pair { id, debit, credit } in pairs {
        for part in [&id[..], debit, credit, &[0; 16], &1_i64.to_be_bytes(), &[0; 8]] {
            packed.extend_from_slice(part);
        }
    }
    packed
}

/// How many results of a packed reply are bookings.
fn booked(packed: &[u8]) -> u64 {
    let is_booked = |result: &&[u8]| result.get(8..10) == Some(&[0, 0]);
    u64::try_from(packed.chunks_exact(16).filter(is_booked).count()).unwrap_or(u64::MAX)
}

/// Two accounts drawn by lot; `is_hot`: the first of all is the one that is paid.
fn draw(accounts: &[Id], is_hot: bool) -> Pair {
    let lot = &mut rand::rng();
    let (hot, others) = accounts.split_first().map_or((Id::default(), accounts), |(hot, others)| (*hot, others));
    let mut pair = if is_hot { others } else { accounts }.choose_multiple(lot, 2).copied();
    let (debit, other) = (pair.next().unwrap_or_default(), pair.next().unwrap_or_default());
    Pair { id: rand::random(), debit, credit: if is_hot { hot } else { other } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transfer_is_between_two_different_accounts_under_an_id_of_its_own() {
        let accounts: Vec<Id> = (0..4).map(|number| [number; 16]).collect();
        for _ in 0..100 {
            let (one, other) = (draw(&accounts, false), draw(&accounts, true));
            assert_ne!(one.debit, one.credit);
            assert_ne!(one.id, other.id);
            assert_ne!(other.debit, other.credit);
            assert_eq!(other.credit, accounts[0]);
        }
    }

    #[test]
    fn a_packed_batch_has_eighty_bytes_a_transfer_and_is_counted_by_its_refusals() {
        let pair = Pair { id: [1; 16], debit: [2; 16], credit: [3; 16] };
        let bytes = packed(&[pair, pair]);
        assert_eq!(bytes.len(), 160);
        assert_eq!(bytes.get(64..80), Some(&[0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0][..]));
        let refused = [0, 0, 0, 0, 0, 0, 0, 0, 0, 34, 0, 0, 0, 0, 0, 0];
        assert_eq!(booked(&[[0; 16], refused, [0; 16]].concat()), 2);
    }
}
