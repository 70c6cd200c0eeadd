//! Load on the ledger: transfers between accounts of one group, or from one group to another, one by one or in batches.
//!
//! Must never: leave money out of the books. What it issues stays on accounts of its own, and the audit counts it.

use std::sync::Arc;

use futures::future::join_all;
use futures::{StreamExt as _, TryStreamExt as _};
use proto::admin::v1::{CourierPair, CourierStatusRequest};
use proto::ledger::v1::ledger_client::LedgerClient;
use proto::ledger::v1::{AccountKind, BatchRequest, FundRequest, OpenAccountRequest, TransferRequest};
use rand::Rng as _;
use rand::seq::IndexedRandom as _;
use tokio::time::Instant;

use super::LedgerPlan;
use super::load::{Pace, drive, watch};
use super::meter::{Meter, Phase};
use super::usage::Books;
use crate::admin;
use crate::doors::{Doors, Miss};
use crate::error::Error;
use crate::file::{ClusterFile, Kind};
use crate::limits::{ATTEMPT_MAX, CALL_MAX, FIRST_GROUP, LANDED_MAX, POLL_PAUSE};

/// Accounts opened at a time.
const OPENED_AT_A_TIME: usize = 32;
/// Ids tried for each account until so many lie in each group; groups get about as many each.
const IDS_TRIED_FACTOR: usize = 64;
/// The group that is paid across groups.
const OTHER_GROUP: u32 = FIRST_GROUP + 1;
/// Fen on each account, so that none runs dry.
const FUND_FEN: i64 = 1_000_000_000_000;

/// Runs the phases: between all accounts, and with one account on the other side of transfers.
///
/// Errors: `NoApp`, or the accounts could not be made.
pub(crate) async fn run(cluster: &ClusterFile, plan: &LedgerPlan) -> Result<Vec<Phase>, Error> {
    let views = admin::look(cluster.of(Kind::App)).await;
    let leader = admin::leader_of(&views, FIRST_GROUP);
    let first = cluster.app.iter().position(|node| Some(&node.node) == leader.as_ref()).unwrap_or(0);
    let doors = |_| Doors::new(cluster.addresses(Kind::App), first).map(Arc::new);
    let doors = (0..plan.plan.producers).map(doors).collect::<Result<Vec<_>, _>>()?;
    let Some(desk) = doors.first() else { return Ok(Vec::new()) };
    let sides = Arc::new(open_accounts(desk, plan).await.map_err(Error::call("open accounts"))?);
    let mut phases = Vec::new();
    for (name, hot_percent) in [("transfer", 0), ("hot account", plan.hot_percent)] {
        let meter = Arc::new(Meter::start(name)?);
        let before = Books::of(cluster.of(Kind::App));
        load(&doors, &sides, plan, &meter, hot_percent).await;
        if plan.across {
            landed(cluster).await?;
            meter.settled();
        }
        let mut phase = meter.phase();
        phase.usage = before.and_then(|before| Books::of(cluster.of(Kind::App))?.since(before));
        phases.push(phase);
    }
    Ok(phases)
}

/// Transfers until the phase is over.
async fn load(doors: &[Arc<Doors>], sides: &Arc<Sides>, plan: &LedgerPlan, meter: &Arc<Meter>, hot_percent: u64) {
    let (pace, batch) = (Pace::of(&plan.plan), plan.plan.batch());
    let producers = doors.iter().map(|doors| {
        let (doors, meter, sides) = (Arc::clone(doors), Arc::clone(meter), Arc::clone(sides));
        drive(pace, move |intended| {
            let (doors, meter, sides) = (Arc::clone(&doors), Arc::clone(&meter), Arc::clone(&sides));
            async move {
                let pairs = (0..batch).map(|_| sides.draw(hot_percent)).collect();
                match transfer(&doors, pairs).await {
                    Ok(count) => meter.done(intended.elapsed(), count),
                    Err(miss) => meter.failed(miss.to_string()),
                }
            }
        })
    });
    watch(meter, plan.plan.duration(), join_all(producers)).await;
}

/// Waits until nothing is under way between groups of the ledger. Errors: `Impossible`, it takes too long.
async fn landed(cluster: &ClusterFile) -> Result<(), Error> {
    let until = Instant::now() + LANDED_MAX;
    loop {
        let views = admin::look(cluster.of(Kind::App)).await;
        let mut waiting = false;
        for node in cluster.of(Kind::App) {
            // What waits is known to every replica; the leader of the paying group knows it first.
            if admin::leader_of(&views, FIRST_GROUP).as_ref() != Some(&node.node) {
                continue;
            }
            let status = admin::client(&node.grpc)?.courier_status(CourierStatusRequest {}).await;
            let status = status.map_err(|status| Error::call::<&str>("courier status")(status.message()))?;
            let is_between = |pair: &CourierPair| pair.source == FIRST_GROUP && pair.target == OTHER_GROUP;
            waiting |= status.into_inner().pairs.iter().any(|pair| is_between(pair) && pair.waiting > 0);
        }
        if !waiting {
            return Ok(());
        }
        if Instant::now() > until {
            return Err(Error::Impossible("payments between groups do not land".to_owned()));
        }
        tokio::time::sleep(POLL_PAUSE).await;
    }
}

type Id = [u8; 16];

/// The accounts that pay and those that are paid; across groups they lie apart.
#[derive(Debug)]
struct Sides {
    payers: Vec<Id>,
    payees: Vec<Id>,
    is_across: bool,
}

/// Opens accounts, and funds those that pay.
async fn open_accounts(doors: &Doors, plan: &LedgerPlan) -> Result<Sides, Miss> {
    let count = usize::try_from(plan.accounts).unwrap_or(usize::MAX);
    let one = |account: Id| async move {
        let group = open(doors, account).await?;
        if group == FIRST_GROUP {
            fund(doors, account).await?;
        }
        Ok::<_, Miss>((group, account))
    };
    let ids = (0..IDS_TRIED_FACTOR.saturating_mul(count)).map(|_| rand::random::<Id>());
    let mut opened = futures::stream::iter(ids.map(one)).buffer_unordered(OPENED_AT_A_TIME);
    let (mut payers, mut payees) = (Vec::new(), Vec::new());
    while payers.len() < count || (plan.across && payees.len() < count) {
        match opened.try_next().await? {
            Some((FIRST_GROUP, account)) => payers.push(account),
            Some((OTHER_GROUP, account)) => payees.push(account),
            Some(_) => {}
            None => return Err(Miss::Unknown { reason: "a group got too few accounts".to_owned() }),
        }
    }
    payers.truncate(count);
    payees.truncate(count);
    if !plan.across {
        payees = payers.clone();
    }
    Ok(Sides { payers, payees, is_across: plan.across })
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

impl Sides {
    /// Two different accounts drawn by lot. Of 100 transfers `hot_percent` are paid to the first of all.
    fn draw(&self, hot_percent: u64) -> Pair {
        let lot = &mut rand::rng();
        let is_hot = lot.random_range(0..100) < hot_percent;
        let credit = if is_hot { self.payees.first() } else { self.payees.choose(lot) };
        let credit = credit.copied().unwrap_or_default();
        let mut debit = self.payers.choose(lot).copied().unwrap_or_default();
        while debit == credit && !self.is_across && self.payers.len() > 1 {
            debit = self.payers.choose(lot).copied().unwrap_or_default();
        }
        Pair { id: rand::random(), debit, credit }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transfer_is_between_two_different_accounts_under_an_id_of_its_own() {
        let accounts: Vec<Id> = (0..4).map(|number| [number; 16]).collect();
        let sides = Sides { payers: accounts.clone(), payees: accounts.clone(), is_across: false };
        for _ in 0..100 {
            let (one, other) = (sides.draw(0), sides.draw(100));
            assert_ne!(one.debit, one.credit);
            assert_ne!(one.id, other.id);
            assert_ne!(other.debit, other.credit);
            assert_eq!(other.credit, accounts[0]);
        }
    }

    #[test]
    fn across_groups_payers_and_payees_do_not_mix() {
        let sides = Sides { payers: vec![[1; 16], [2; 16]], payees: vec![[3; 16], [4; 16]], is_across: true };
        for hot_percent in [0, 50, 100] {
            let Pair { debit, credit, .. } = sides.draw(hot_percent);
            assert!(sides.payers.contains(&debit) && sides.payees.contains(&credit));
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
