//! Load on the ledger: transfers between accounts of one group, or from one group to another, one by one or in batches.
//!
//! Must never: leave money out of the books. What it issues stays on accounts of its own, and the audit counts it.

use std::sync::Arc;

use app_client::{ATTEMPT_MAX, Desk, Id, Transfer, book, book_batch};
use futures::future::join_all;
use futures::{StreamExt as _, TryStreamExt as _};
use proto::admin::v1::{CourierPair, CourierStatusRequest};
use proto::ledger::v1::ledger_client::LedgerClient;
use proto::ledger::v1::{AccountKind, FundRequest, OpenAccountRequest};
use rand::Rng as _;
use rand::seq::IndexedRandom as _;
use tokio::time::Instant;

use super::LedgerPlan;
use super::load::{Pace, drive, watch};
use super::meter::{Meter, Phase};
use super::usage::Books;
use crate::admin;
use crate::doors::{self, Doors, Miss};
use crate::error::Error;
use crate::file::{ClusterFile, Kind};
use crate::limits::{CALL_MAX, FIRST_GROUP, LANDED_MAX, POLL_PAUSE};

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
    let doors = |_| doors::doors(cluster.addresses(Kind::App), first).map(Arc::new);
    let doors = (0..plan.plan.producers).map(doors).collect::<Result<Vec<_>, _>>()?;
    let Some(door) = doors.first() else { return Ok(Vec::new()) };
    let sides = Arc::new(open_accounts(door, plan).await.map_err(Error::call("open accounts"))?);
    let ways: Vec<Arc<Way>> = doors.into_iter().map(|doors| Arc::new(Way::of(doors, plan))).collect();
    let mut phases = Vec::new();
    for (name, hot_percent) in [("transfer", 0), ("hot account", plan.hot_percent)] {
        let meter = Arc::new(Meter::start(name)?);
        let before = Books::of(cluster.of(Kind::App));
        load(&ways, &sides, plan, &meter, hot_percent).await;
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
async fn load(ways: &[Arc<Way>], sides: &Arc<Sides>, plan: &LedgerPlan, meter: &Arc<Meter>, hot_percent: u64) {
    let (pace, batch) = (Pace::of(&plan.plan), plan.plan.batch());
    let producers = ways.iter().map(|way| {
        let (way, meter, sides) = (Arc::clone(way), Arc::clone(meter), Arc::clone(sides));
        drive(pace, move |intended| {
            let (way, meter, sides) = (Arc::clone(&way), Arc::clone(&meter), Arc::clone(&sides));
            async move {
                let transfers: Vec<Transfer> = (0..batch).map(|_| sides.draw(hot_percent)).collect();
                match way.book(&transfers).await {
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

/// How a producer's transfers reach the ledger.
enum Way {
    /// One by one, those that wait at the same time in one call.
    Desk(Desk),
    /// Each call for itself.
    Calls(Arc<Doors>),
}

impl Way {
    fn of(doors: Arc<Doors>, plan: &LedgerPlan) -> Self {
        let is_shared = plan.plan.batch() == 1 && !plan.own_calls;
        if is_shared { Self::Desk(Desk::open(doors, ATTEMPT_MAX)) } else { Self::Calls(doors) }
    }

    /// Has all of them done; says how many were booked.
    async fn book(&self, transfers: &[Transfer]) -> Result<u64, Miss> {
        match (self, transfers) {
            (Self::Desk(desk), transfers) => {
                let booked = transfers.iter().map(|transfer| desk.transfer(*transfer));
                let booked = futures::future::try_join_all(booked).await?;
                Ok(u64::try_from(booked.len()).unwrap_or(u64::MAX))
            }
            (Self::Calls(doors), [transfer]) => book(doors, ATTEMPT_MAX, transfer).await.map(|_| 1),
            (Self::Calls(doors), transfers) => {
                let results = book_batch(doors, ATTEMPT_MAX, transfers.iter()).await?;
                Ok(u64::try_from(results.each.iter().flatten().count()).unwrap_or(u64::MAX))
            }
        }
    }
}

impl Sides {
    /// One fen between two different accounts drawn by lot. Of 100 transfers `hot_percent` are paid to the first of all.
    fn draw(&self, hot_percent: u64) -> Transfer {
        let lot = &mut rand::rng();
        let is_hot = lot.random_range(0..100) < hot_percent;
        let credit = if is_hot { self.payees.first() } else { self.payees.choose(lot) };
        let credit = credit.copied().unwrap_or_default();
        let mut debit = self.payers.choose(lot).copied().unwrap_or_default();
        while debit == credit && !self.is_across && self.payers.len() > 1 {
            debit = self.payers.choose(lot).copied().unwrap_or_default();
        }
        Transfer { id: rand::random(), debit, credit, amount_fen: 1, code: 0, memo: Id::default() }
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
            let Transfer { debit, credit, .. } = sides.draw(hot_percent);
            assert!(sides.payers.contains(&debit) && sides.payees.contains(&credit));
        }
    }
}
