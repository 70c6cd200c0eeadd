//! The patrol of a node: audits its own copy of each ledger shard, all the time, a slice at a time.
//!
//! ```text
//!  slice (the shard waits for some hundred rows) ─> rest (twelve times as long) ─> slice ... round ─> metric, alarm
//! ```
//!
//! Why on every node: each looks at its own rows, so that a copy that has gone wrong is found before it leads.
//!
//! Must never: take more than a small part of a processor, or go on with a round whose rows could not be read.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ledger::{Difference, LedgerMachine, LedgerView, Part, Patrol, Round};
use machine::GroupId;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout};

use crate::audit::ledger_items::{OF_A_SHARD, broken_by};
use crate::failure::Failure;
use crate::homes::LedgerShard;
use crate::limits::{AUDIT_RECORDS_MAX, PATROL_EVERY, PATROL_REST_FACTOR, PATROL_ROWS};
use crate::shard::Seen;

/// A shard that can be looked at while it goes on.
pub(crate) trait Watch: Send + Sync + 'static {
    /// Which shard's.
    fn group(&self) -> GroupId;

    /// One look at its machine and rows, as they are on this node. Errors: `NotApplied`, it has stopped.
    fn look<T>(&self, read: impl FnOnce(&Seen<'_, LedgerMachine>) -> T) -> Result<T, Failure>;
}

impl Watch for LedgerShard {
    fn group(&self) -> GroupId {
        self.group.id()
    }

    fn look<T>(&self, read: impl FnOnce(&Seen<'_, LedgerMachine>) -> T) -> Result<T, Failure> {
        self.stale(read)
    }
}

/// What the patrol knows of a shard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Watched {
    /// Rounds that are over.
    pub(crate) rounds: u64,
    /// Differences of the last one by invariant; more than none is an alarm.
    pub(crate) broken: BTreeMap<u32, u64>,
    /// Journal entries that the last one read.
    pub(crate) entries: u64,
    /// How long the last one took. Milliseconds.
    pub(crate) round_ms: u64,
}

/// What the patrol knows of all shards.
#[derive(Clone, Default)]
pub(crate) struct Watchbook(Arc<Mutex<BTreeMap<GroupId, Watched>>>);

impl Watchbook {
    /// Shard by shard.
    pub(crate) fn read(&self) -> BTreeMap<GroupId, Watched> {
        self.0.lock().clone()
    }

    fn enter(&self, group: GroupId, round: &Round, took: Duration) {
        let mut broken: BTreeMap<u32, u64> = OF_A_SHARD.map(|number| (number, 0)).into();
        for difference in &round.differences {
            let invariant = broken_by(difference);
            *broken.entry(invariant).or_default() += 1;
            tracing::error!(group = group.0, invariant, %difference, "the ledger does not hold: look at this node");
        }
        let mut book = self.0.lock();
        let watched = book.entry(group).or_default();
        watched.rounds += 1;
        watched.broken = broken;
        watched.entries = round.entries;
        watched.round_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    }
}

/// Walks round after round over `shard`, until `stop`.
pub(crate) async fn walk(shard: Arc<impl Watch>, book: Watchbook, mut stop: watch::Receiver<bool>) {
    let group = shard.group();
    let (mut patrol, mut began) = (Patrol::default(), Instant::now());
    loop {
        let (going, rest) = match slice(&shard, patrol).await {
            Ok((going, None, took)) => (going, took * PATROL_REST_FACTOR),
            Ok((_, Some(round), _)) => {
                book.enter(group, &round, began.elapsed());
                if round.differences.iter().any(|found| matches!(found, Difference::MarksDiffer { .. })) {
                    name(&shard).await;
                }
                (Patrol::default(), PATROL_EVERY)
            }
            Err(failure) => {
                tracing::warn!(group = group.0, %failure, "the patrol begins its round anew");
                (Patrol::default(), PATROL_EVERY)
            }
        };
        patrol = going;
        if timeout(rest, stop.wait_for(|stopped| *stopped)).await.is_ok() {
            return;
        }
        if rest == PATROL_EVERY {
            began = Instant::now();
        }
    }
}

/// Says which ids stand behind a difference that a round has found by sums alone: a whole audit, part by part.
async fn name(shard: &Arc<impl Watch>) {
    let group = shard.group().0;
    let named = async {
        let counts = shard.look(|seen| seen.machine.counts())?;
        let parts = (counts.accounts + counts.holds + counts.packets) / AUDIT_RECORDS_MAX;
        let of = u32::try_from(parts).unwrap_or(u32::MAX).saturating_add(1);
        for index in 0..of {
            let shard = Arc::clone(shard);
            let part = Part { index, of };
            let audit = spawn_blocking(move || shard.look(|seen| LedgerView::over(seen.rows).audit_part(part)));
            let audit = audit.await.map_err(|error| Failure::NotApplied(error.to_string()))???;
            for difference in &audit.differences {
                tracing::error!(group, invariant = broken_by(difference), %difference, "this is what differs");
            }
        }
        Ok::<_, Failure>(())
    };
    if let Err(failure) = named.await {
        tracing::error!(group, %failure, "what differs could not be named");
    }
}

async fn slice(shard: &Arc<impl Watch>, mut patrol: Patrol) -> Result<(Patrol, Option<Round>, Duration), Failure> {
    let shard = Arc::clone(shard);
    let slice = spawn_blocking(move || {
        let began = Instant::now();
        let round = shard.look(|seen| patrol.go_on(seen.rows, PATROL_ROWS))??;
        Ok::<_, Failure>((patrol, round, began.elapsed()))
    });
    slice.await.map_err(|error| Failure::NotApplied(format!("the slice broke off: {error}")))?
}

#[cfg(test)]
mod tests;
