//! The handle of a group: what doors, workers and the courier hold.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use machine::{
    Answer, Command, CourierStatus, GroupId, Host, Layout, Machine, Record, RequestId, RowSource, StoreFailure, System,
    TimestampMs,
};
use openraft::errors::{LinearizableReadError, RaftError};
use openraft::{Raft, ReadPolicy};
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::errors::{Leader, ProposeError, ReadError};
use super::road::{Proposal, leader_known, leader_of};
use crate::clock::MachineClock;
use crate::limits::COURIER_BYTES_MAX;
use crate::log::GroupLog;
use crate::net::{Lane, ProposeAnswer, Request, Transport, TransportError, call};
use crate::raft_types::{Config, LogId};
use crate::state::{self, Driver};

/// How long a follower waits for the leader to name an index before it asks again.
const READ_INDEX_TIMEOUT: Duration = Duration::from_secs(1);

/// A reply and the proof of its durability.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied<R> {
    /// What the machine said.
    pub reply: R,
    /// Where it stands in the log.
    pub receipt: Receipt,
}

/// The proof that a command is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The group.
    pub group: GroupId,
    /// Term of the entry.
    pub term: u64,
    /// Index of the entry.
    pub index: u64,
    /// Replicas that had fsynced the entry when it was committed: a majority, at least.
    pub copies: u32,
}

/// Applied state at one position, for the time of a read.
pub struct View<'a, M> {
    /// The machine.
    pub machine: &'a M,
    /// Its rows.
    pub rows: &'a dyn RowSource,
    /// Machine time: now on the leader, the last stamp elsewhere.
    pub now: TimestampMs,
    /// The index applied last.
    pub index: u64,
}

pub(super) struct Inner<M: Machine> {
    pub id: GroupId,
    pub node: u64,
    pub raft: Raft<Config, Driver<M>>,
    pub state: Arc<state::Applied<M>>,
    pub log: GroupLog,
    pub clock: Arc<MachineClock>,
    pub transport: Arc<dyn Transport>,
    pub proposals: mpsc::Sender<Proposal>,
    pub closed: watch::Sender<bool>,
    pub tasks: Mutex<Vec<JoinHandle<()>>>,
}

/// A Raft group in this process. Cheap to clone.
pub struct Group<M: Machine>(pub(super) Arc<Inner<M>>);

impl<M: Machine> Clone for Group<M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<M: Machine> Group<M> {
    /// The group's number.
    #[must_use]
    pub fn id(&self) -> GroupId {
        self.0.id
    }

    /// Proposes a machine command to this node, which must lead. Errors: [`ProposeError`].
    pub async fn propose(&self, request: RequestId, command: &M::Command) -> Result<Applied<M::Reply>, ProposeError> {
        let (answer, log_id) = self.submit(request, Command::Machine(command.to_bytes())).await?;
        self.applied(answer, log_id)
    }

    /// Proposes a machine command to whichever node leads, within `deadline`. A leader that is not known yet is waited
    /// for; once a proposal may have arrived, its failure is `Unknown` and is not repeated here.
    pub async fn propose_anywhere(
        &self,
        request: RequestId,
        command: &M::Command,
        deadline: Duration,
    ) -> Result<Applied<M::Reply>, ProposeError> {
        let (answer, log_id) = self.submit_anywhere(request, Command::Machine(command.to_bytes()), deadline).await?;
        self.applied(answer, log_id)
    }

    /// Opens a session: its id, for [`RequestId`].
    pub async fn open_session(&self) -> Result<u64, ProposeError> {
        let (answer, _) = self.submit(RequestId::NONE, Command::System(System::OpenSession)).await?;
        match answer {
            Answer::Reply(reply) => machine::Reader::new(reply)
                .u64()
                .map_err(|error| ProposeError::Unknown(format!("the reply does not decode: {error}"))),
            Answer::Refused(refusal) => Err(ProposeError::Refused(refusal)),
        }
    }

    fn applied(&self, answer: Answer, log_id: LogId) -> Result<Applied<M::Reply>, ProposeError> {
        match answer {
            Answer::Refused(refusal) => Err(ProposeError::Refused(refusal)),
            Answer::Reply(reply) => {
                let reply = M::Reply::from_bytes(&reply)
                    .map_err(|error| ProposeError::Unknown(format!("the reply does not decode: {error}")))?;
                let term = log_id.leader_id.term;
                let receipt = Receipt { group: self.0.id, term, index: log_id.index, copies: self.majority() };
                Ok(Applied { reply, receipt })
            }
        }
    }

    /// Why the group stands still, if it does.
    pub(super) fn parked(&self) -> Option<String> {
        let parked = self.0.state.parked.lock();
        parked
            .as_ref()
            .map(|at| format!("parked: entry {} cannot be applied by this release: {}", at.index.0, at.error))
    }

    fn majority(&self) -> u32 {
        let voters = self.0.raft.voter_ids().count();
        u32::try_from(voters / 2 + 1).unwrap_or(u32::MAX)
    }

    pub(crate) async fn submit(&self, request: RequestId, command: Command) -> Result<(Answer, LogId), ProposeError> {
        if let Command::Machine(bytes) = &command
            && bytes.len() > machine::limits::COMMAND_BYTES_MAX
        {
            return Err(ProposeError::NotApplied("the command is larger than an entry may be".to_owned()));
        }
        if let Some(reason) = self.parked() {
            return Err(ProposeError::NotApplied(reason));
        }
        let (answer, answered) = oneshot::channel();
        self.0.proposals.try_send(Proposal { request, command, answer }).map_err(|refused| {
            ProposeError::NotApplied(match refused {
                mpsc::error::TrySendError::Full(_) => "too many proposals are waiting".to_owned(),
                mpsc::error::TrySendError::Closed(_) => "the replica is stopping".to_owned(),
            })
        })?;
        answered
            .await
            .unwrap_or_else(|_| Err(ProposeError::Unknown("the replica stopped, or the group is parked".to_owned())))
    }

    pub(crate) async fn submit_anywhere(
        &self,
        request: RequestId,
        command: Command,
        deadline: Duration,
    ) -> Result<(Answer, LogId), ProposeError> {
        let until = tokio::time::Instant::now() + deadline;
        let mut pause = Duration::from_millis(10);
        loop {
            let left = until.saturating_duration_since(tokio::time::Instant::now());
            let result = match self.leader() {
                Some(leader) if leader.node != self.0.node => self.forward(&leader, request, &command, left).await,
                _ => match tokio::time::timeout(left, self.submit(request, command.clone())).await {
                    Ok(result) => result,
                    Err(_) => Err(ProposeError::Unknown("no answer in time".to_owned())),
                },
            };
            match result {
                Err(ProposeError::NotLeader { .. }) if left > pause => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_millis(100));
                }
                other => return other,
            }
        }
    }

    async fn forward(
        &self,
        leader: &Leader,
        request: RequestId,
        command: &Command,
        left: Duration,
    ) -> Result<(Answer, LogId), ProposeError> {
        let (is_system, bytes) = match command {
            Command::System(system) => (true, system.to_bytes()),
            Command::Machine(bytes) => (false, bytes.clone()),
        };
        let message = Request::Propose { request, is_system, command: bytes }.encode(self.0.id);
        let body = match call(&*self.0.transport, Lane::Control, &leader.address, message, left).await {
            Ok(body) => body,
            Err(TransportError::Unreachable { .. }) => return Err(ProposeError::NotLeader { leader: None }),
            Err(error @ TransportError::Broken { .. }) => return Err(ProposeError::Unknown(error.to_string())),
        };
        match ProposeAnswer::from_bytes(&body) {
            Ok(ProposeAnswer::Applied { answer, log_id }) => Ok((answer, log_id)),
            Ok(ProposeAnswer::NotApplied(_)) => Err(ProposeError::NotLeader { leader: None }),
            Ok(ProposeAnswer::Unknown(reason)) => Err(ProposeError::Unknown(reason)),
            Err(error) => Err(ProposeError::Unknown(format!("the leader's answer does not decode: {error}"))),
        }
    }

    /// Reads applied state after a read-index barrier: it holds everything that was acknowledged before the call.
    pub async fn read<T>(&self, read: impl FnOnce(&View<'_, M>) -> T) -> Result<T, ReadError> {
        if let Some(reason) = self.parked() {
            return Err(ReadError::Stopped(reason));
        }
        // Boxed: openraft's own futures nest so deeply that callers would meet the compiler's limit.
        match Box::pin(self.0.raft.ensure_linearizable(ReadPolicy::ReadIndex)).await {
            Ok(_) => self.read_stale(read),
            Err(RaftError::APIError(LinearizableReadError::ForwardToLeader(forward))) => {
                Err(ReadError::NotLeader { leader: leader_of(&forward) })
            }
            Err(RaftError::APIError(LinearizableReadError::QuorumNotEnough(_))) => {
                Err(ReadError::NotLeader { leader: None })
            }
            Err(other) => Err(ReadError::Stopped(other.to_string())),
        }
    }

    /// The index up to which a replica must have applied to read everything that was acknowledged before this call.
    pub(crate) async fn read_index(&self) -> Result<u64, ReadError> {
        self.read(|view| view.index).await
    }

    /// Reads like [`Self::read`], on this node whoever leads: the leader names an index, this replica waits for it.
    pub async fn read_anywhere<T>(
        &self,
        deadline: Duration,
        read: impl FnOnce(&View<'_, M>) -> T,
    ) -> Result<T, ReadError> {
        let barrier = async {
            loop {
                match self.barrier_index().await {
                    Ok(index) => return Ok(index),
                    Err(ReadError::NotLeader { .. }) => tokio::time::sleep(Duration::from_millis(20)).await,
                    Err(stopped) => return Err(stopped),
                }
            }
        };
        let waited = tokio::time::timeout(deadline, async {
            let index = barrier.await?;
            let mut applied = self.applied_index();
            let reached = applied.wait_for(|applied| *applied >= index).await;
            reached.map(|_| ()).map_err(|_| ReadError::Stopped("the replica is stopping".to_owned()))
        });
        waited.await.unwrap_or_else(|_| Err(ReadError::NotLeader { leader: self.leader() }))?;
        self.read_stale(read)
    }

    async fn barrier_index(&self) -> Result<u64, ReadError> {
        let Some(leader) = self.leader().filter(|leader| leader.node != self.0.node) else {
            return self.read_index().await;
        };
        let message = Request::ReadIndex.encode(self.0.id);
        let asked = call(&*self.0.transport, Lane::Control, &leader.address, message, READ_INDEX_TIMEOUT).await;
        let index = asked.ok().and_then(|body| machine::Reader::new(body).u64().ok());
        index.ok_or(ReadError::NotLeader { leader: Some(leader) })
    }

    /// The reply that this request got before, as far as this replica has applied. `None`: it is new, or forgotten.
    pub fn former_reply(&self, request: RequestId) -> Option<M::Reply> {
        let reply = self.with_host(|host, _| host.former(request))?;
        M::Reply::from_bytes(&reply).ok()
    }

    /// Reads what this replica has applied; it may lie behind what was acknowledged.
    pub fn read_stale<T>(&self, read: impl FnOnce(&View<'_, M>) -> T) -> Result<T, ReadError> {
        if let Some(reason) = self.parked() {
            return Err(ReadError::Stopped(reason));
        }
        let host = self.0.state.host.read();
        let now = if self.is_leader() { self.0.clock.now().max(host.now()) } else { host.now() };
        let index = *self.0.state.index.borrow();
        Ok(read(&View { machine: host.machine(), rows: &*self.0.state.rows, now, index }))
    }

    /// Whether this node leads, as far as it knows.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.0.raft.is_leader()
    }

    /// The leader, as far as this node knows.
    #[must_use]
    pub fn leader(&self) -> Option<Leader> {
        leader_known(&self.0.raft)
    }

    /// Follows the index applied last: a hint to look again, never an event that may be relied on one by one.
    #[must_use]
    pub fn applied_index(&self) -> watch::Receiver<u64> {
        self.0.state.index.subscribe()
    }

    /// Targets with courier records waiting.
    #[must_use]
    pub fn courier_status(&self) -> Vec<CourierStatus> {
        self.0.state.host.read().courier_status()
    }

    /// Records waiting for [`GroupId::OUTSIDE`], which the process carries itself. Errors: the rows cannot be read.
    pub fn outside_records(&self) -> Result<Vec<Record>, StoreFailure> {
        let host = self.0.state.host.read();
        host.courier_records(GroupId::OUTSIDE, COURIER_BYTES_MAX, &*self.0.state.rows)
    }

    /// Lets go of the records for [`GroupId::OUTSIDE`] up to and including `upto`.
    pub async fn acknowledge_outside(&self, upto: u64) -> Result<(), ProposeError> {
        let acknowledge = System::Acknowledge { target: GroupId::OUTSIDE, upto };
        self.submit(RequestId::NONE, Command::System(acknowledge)).await.map(|_| ())
    }

    pub(super) fn with_host<T>(&self, read: impl FnOnce(&Host<M>, &dyn RowSource) -> T) -> T {
        let host = self.0.state.host.read();
        read(&host, &*self.0.state.rows)
    }

    /// A hash over every row, and the index it stands for: equal on all replicas at the same index.
    pub fn state_hash(&self) -> Result<(u64, Bytes), StoreFailure> {
        use sha2::{Digest as _, Sha256};
        let _held = self.0.state.host.read();
        let mut hash = Sha256::new();
        self.0.state.rows.visit_rows(&mut |key, value| {
            hash.update((key.len() as u64).to_be_bytes());
            hash.update(key);
            hash.update((value.len() as u64).to_be_bytes());
            hash.update(value);
        })?;
        Ok((*self.0.state.index.borrow(), Bytes::copy_from_slice(&hash.finalize())))
    }
}
