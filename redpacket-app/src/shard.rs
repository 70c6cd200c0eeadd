//! A shard: this node's member of one group, as roles and doors use it.
//!
//! ```text
//!  command ─> whichever node leads, again and again until it is answered (all commands bear ids of their own)
//!  fresh   ─> leader: read index          follower: an empty Tick through the log, then wait until it is applied here
//!  within  ─> stale, if a barrier was met not longer ago than that; else fresh
//!  stale   ─> what is applied here
//! ```
//!
//! Why: any node answers anything. Whoever reads while a barrier is under way shares the next one, so that a follower's
//! reads cost one small entry a round trip, however many there are.
//!
//! Must never: repeat a command whose repeat is not the same command.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ledger::LedgerMachine;
use machine::{Machine, RequestId, RowSource, TimestampMs};
use packets::PacketsMachine;
use proto::traces;
use replica::{Applied, Fsyncs, Group, ProposeError, ReadError, View};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};

use crate::access::callee::Callee;
use crate::budget::Budget;
use crate::failure::{Failure, after_done};
use crate::limits::{COMMAND_ATTEMPT, COMMAND_PAUSE, READ_DEADLINE};

/// A machine that has a command which changes nothing.
pub(crate) trait Barrier: Machine {
    /// The command.
    fn barrier() -> Self::Command;
}

impl Barrier for LedgerMachine {
    fn barrier() -> ledger::Command {
        ledger::Command::Tick(Vec::new())
    }
}

impl Barrier for PacketsMachine {
    fn barrier() -> packets::Command {
        packets::Command::Tick { packets: Vec::new() }
    }
}

/// Rows and time of a shard, for a read.
pub(crate) struct Seen<'a, M> {
    /// The machine.
    pub machine: &'a M,
    /// Its rows.
    pub rows: &'a dyn RowSource,
    /// Machine time, as far as this node knows it.
    pub now: TimestampMs,
}

impl<'a, M> From<&View<'a, M>> for Seen<'a, M> {
    fn from(view: &View<'a, M>) -> Self {
        Self { machine: view.machine, rows: view.rows, now: view.now }
    }
}

/// This node's member of a group.
pub(crate) struct Shard<M: Machine> {
    /// The group itself, for status and for what only a leader does.
    pub group: Group<M>,
    /// What the group's leader takes at present; what this node takes, where it leads.
    pub callee: Arc<Callee>,
    /// Of this node's log, for traces.
    fsyncs: Fsyncs,
    /// Repeats to a group that does not answer.
    budget: Budget,
    asked: AtomicU64,
    answered: Mutex<u64>,
    /// When the last barrier that was met began: what is applied here is at most that old.
    caught_up: parking_lot::Mutex<Option<Instant>>,
}

impl<M: Barrier> Shard<M> {
    pub(crate) fn new(group: Group<M>, fsyncs: Fsyncs) -> Self {
        let callee = Arc::new(Callee::new(Instant::now()));
        group.place(callee.clone());
        Self {
            group,
            callee,
            fsyncs,
            budget: Budget::new(Instant::now()),
            asked: AtomicU64::new(0),
            answered: Mutex::new(0),
            caught_up: parking_lot::Mutex::default(),
        }
    }

    /// Proposes `command` wherever the group is led, and repeats it until it is answered. Errors: never `Refused`.
    pub(crate) async fn command(&self, command: &M::Command, deadline: Duration) -> Result<Applied<M::Reply>, Failure> {
        self.command_as(0, command, deadline).await
    }

    /// As [`Self::command`], for a request of `level`. Errors: `Busy`, the leader has too much to do for it.
    pub(crate) async fn command_as(
        &self,
        level: u32,
        command: &M::Command,
        deadline: Duration,
    ) -> Result<Applied<M::Reply>, Failure> {
        let mut span = traces::child("propose", traces::Kind::Within);
        let applied = self.repeat(level, command, deadline).await;
        span.number("tercet.group", u64::from(self.group.id().0));
        match &applied {
            Ok(applied) if span.is_some() => {
                span.number("tercet.index", applied.receipt.index);
                // Where another node leads it stands on that node's disk first; the majority may not have waited for this one.
                if let Some(fsync) = self.fsyncs.of(self.group.id(), applied.receipt.index) {
                    drop(span.part("fsync", (fsync.began, fsync.ended)));
                }
            }
            Ok(_) => {}
            Err(_) => span.fail(),
        }
        applied
    }

    async fn repeat(&self, level: u32, command: &M::Command, deadline: Duration) -> Result<Applied<M::Reply>, Failure> {
        let until = Instant::now() + deadline;
        let mut may_have_happened = false;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let attempt = left.min(COMMAND_ATTEMPT);
            let note = self.callee.note(level);
            let failure = match self.group.propose_noted(note, RequestId::NONE, command, attempt).await {
                Ok(applied) => {
                    self.budget.answered();
                    self.callee.heard(applied.word, Instant::now());
                    return Ok(applied);
                }
                Err(ProposeError::TurnedAway { word }) if !may_have_happened => {
                    self.callee.heard(word, Instant::now());
                    return Err(Failure::Busy { after_ms: Callee::come_back_ms(word, level) });
                }
                Err(error) => Failure::from(error),
            };
            may_have_happened |= matches!(failure, Failure::Unknown(_));
            if left <= COMMAND_PAUSE {
                return Err(if may_have_happened { after_done(failure) } else { failure });
            }
            sleep(COMMAND_PAUSE).await;
            // Whoever finds the budget empty waits his turn, as long as his deadline lets him.
            while !self.budget.take(Instant::now()) && Instant::now() + COMMAND_PAUSE < until {
                sleep(COMMAND_PAUSE).await;
            }
        }
    }

    /// Reads what holds everything that was answered before this call. Errors: `NotApplied`.
    pub(crate) async fn fresh<T>(&self, read: impl FnOnce(&Seen<'_, M>) -> T) -> Result<T, Failure> {
        self.catch_up().await?;
        self.stale(read)
    }

    /// Reads what holds everything that was answered `age` before this call, or earlier. Errors: `NotApplied`.
    pub(crate) async fn within<T>(&self, age: Duration, read: impl FnOnce(&Seen<'_, M>) -> T) -> Result<T, Failure> {
        let is_young = self.caught_up.lock().is_some_and(|began| began.elapsed() <= age);
        if !is_young {
            self.catch_up().await?;
        }
        self.stale(read)
    }

    /// Reads what is applied here. Errors: `NotApplied`, the group stands still.
    pub(crate) fn stale<T>(&self, read: impl FnOnce(&Seen<'_, M>) -> T) -> Result<T, Failure> {
        Ok(self.group.read_stale(|view| read(&Seen::from(view)))?)
    }

    /// Waits until this node has applied all that was answered before this call, anywhere. Errors: `NotApplied`.
    pub(crate) async fn catch_up(&self) -> Result<(), Failure> {
        let ticket = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let mut answered = timeout(READ_DEADLINE, self.answered.lock()).await.map_err(|_| too_late())?;
        if *answered >= ticket {
            return Ok(());
        }
        let (covers, began) = (self.asked.load(Ordering::SeqCst), Instant::now());
        match timeout(READ_DEADLINE, self.group.read(|_| ())).await.map_err(|_| too_late())? {
            Ok(()) => {}
            Err(ReadError::NotLeader { .. }) => {
                let applied = self.command(&M::barrier(), READ_DEADLINE).await;
                let applied = applied.map_err(|failure| Failure::NotApplied(failure.to_string()))?;
                self.applied(applied.receipt.index).await?;
            }
            Err(error) => return Err(error.into()),
        }
        *answered = covers;
        *self.caught_up.lock() = Some(began);
        Ok(())
    }

    /// Waits until this node has applied the entry at `index`. Errors: `NotApplied`, not in time.
    pub(crate) async fn applied(&self, index: u64) -> Result<(), Failure> {
        let mut at = self.group.applied_index();
        match timeout(READ_DEADLINE, at.wait_for(|at| *at >= index)).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(too_late()),
        }
    }
}

fn too_late() -> Failure {
    Failure::NotApplied("this node has not caught up in time".to_owned())
}

#[cfg(test)]
mod tests;
