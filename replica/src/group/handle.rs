//! The handle of a group: what doors, workers and the courier hold.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use machine::{
    Answer, Command, CourierStatus, Format, GroupId, Host, Layout, Machine, Record, RequestId, RowSource, StoreFailure,
    System, TimestampMs,
};
use openraft::async_runtime::watch::WatchReceiver as _;
use openraft::errors::{LinearizableReadError, RaftError};
use openraft::{Raft, ReadPolicy};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::courier::HeldTracks;
use super::errors::{Leader, ProposeError, ReadError};
use super::road::{Proposal, bytes_of};
use super::standing::Standing;
use super::usher::{Post, Usher};
use crate::backup::GroupBackup;
use crate::clock::MachineClock;
use crate::limits::COURIER_BYTES_MAX;
use crate::log::GroupLog;
use crate::net::{Lane, ProposeAnswer, Request, Transport, TransportError, call};
use crate::raft_types::{Config, LogId};
use crate::state::{self, Driver, RowEngine};

/// How long a follower waits for the leader to name an index before it asks again.
const READ_INDEX_TIMEOUT: Duration = Duration::from_secs(1);

/// How long to wait for a leader before the next look: first, and at most.
const LEAD_PAUSE: Duration = Duration::from_millis(10);
const LEAD_PAUSE_MAX: Duration = Duration::from_millis(100);

/// What whoever would change a group is told that is not yet known to be right.
pub(super) const READ_ONLY: &str =
    "the group was recovered from the loss of a majority: it is read-only until it is found right";

/// A leader that was followed by another one may still answer what it had committed.
const LAST_WORD: Duration = Duration::from_millis(20);

/// A reply and the proof of its durability.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied<R> {
    /// What the machine said.
    pub reply: R,
    /// Where it stands in the log.
    pub receipt: Receipt,
    /// What the leader's usher says; 0, where there is none.
    pub word: u64,
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
    pub standing: Arc<Standing>,
    pub transport: Arc<dyn Transport>,
    pub proposals: mpsc::Sender<Proposal>,
    /// Whom the process lets on here while this node leads.
    pub post: Post,
    /// Bytes of proposals that may still wait.
    pub room: Arc<Semaphore>,
    pub closed: watch::Sender<bool>,
    pub held: HeldTracks,
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
        self.has_format_of(command)?;
        let (answer, log_id) = self.submit(request, Command::Machine(command.to_bytes())).await?;
        self.applied(answer, log_id, self.0.post.word())
    }

    /// Names the usher of this group, once.
    pub fn place(&self, usher: Arc<dyn Usher>) {
        self.0.post.take(usher);
    }

    /// Proposes a machine command to whichever node leads, within `deadline`. A leader that is not known yet is waited
    /// for; once a proposal may have arrived, its failure is `Unknown` and is not repeated here.
    pub async fn propose_anywhere(
        &self,
        request: RequestId,
        command: &M::Command,
        deadline: Duration,
    ) -> Result<Applied<M::Reply>, ProposeError> {
        self.propose_noted(0, request, command, deadline).await
    }

    /// As [`Self::propose_anywhere`], with a note to the leader's usher. Errors: `TurnedAway`, too.
    pub async fn propose_noted(
        &self,
        note: u64,
        request: RequestId,
        command: &M::Command,
        deadline: Duration,
    ) -> Result<Applied<M::Reply>, ProposeError> {
        self.has_format_of(command)?;
        let command = Command::Machine(command.to_bytes());
        let (answer, log_id, word) = self.submit_anywhere(note, request, command, deadline).await?;
        self.applied(answer, log_id, word)
    }

    /// The group's format: what all its members know.
    #[must_use]
    pub fn format(&self) -> Format {
        self.0.state.format()
    }

    /// Refuses a command that a member might not be able to apply.
    fn has_format_of(&self, command: &M::Command) -> Result<(), ProposeError> {
        let (since, has) = (M::since(command), self.format());
        if since <= has {
            return Ok(());
        }
        Err(ProposeError::NotApplied(format!(
            "the command came with format {}, and the group has format {} until every member runs the newer release",
            since.0, has.0
        )))
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

    fn applied(&self, answer: Answer, log_id: LogId, word: u64) -> Result<Applied<M::Reply>, ProposeError> {
        match answer {
            Answer::Refused(refusal) => Err(ProposeError::Refused(refusal)),
            Answer::Reply(reply) => {
                let reply = M::Reply::from_bytes(&reply)
                    .map_err(|error| ProposeError::Unknown(format!("the reply does not decode: {error}")))?;
                let term = log_id.leader_id.term;
                let receipt = Receipt { group: self.0.id, term, index: log_id.index, copies: self.majority() };
                Ok(Applied { reply, receipt, word })
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
        self.submit_noted(0, request, command).await
    }

    pub(crate) async fn submit_noted(
        &self,
        note: u64,
        request: RequestId,
        command: Command,
    ) -> Result<(Answer, LogId), ProposeError> {
        if let Command::Machine(bytes) = &command
            && bytes.len() > machine::limits::COMMAND_BYTES_MAX
        {
            return Err(ProposeError::NotApplied("the command is larger than an entry may be".to_owned()));
        }
        if let Some(reason) = self.parked() {
            return Err(ProposeError::NotApplied(reason));
        }
        // What only says which formats all members know changes nothing of what is to be looked at.
        if self.is_read_only() && !matches!(command, Command::System(System::Raise { .. })) {
            return Err(ProposeError::NotApplied(READ_ONLY.to_owned()));
        }
        if self.0.standing.is_cut_off() {
            return Err(ProposeError::NotLeader { leader: None });
        }
        if let (Command::Machine(_), Some(usher)) = (&command, self.0.post.usher())
            && self.is_leader()
            && !usher.admits(note)
        {
            return Err(ProposeError::TurnedAway { word: usher.word() });
        }
        let bytes = u32::try_from(bytes_of(&command)).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.0.room).try_acquire_many_owned(bytes);
        let room = room.map_err(|_| ProposeError::NotApplied("too many bytes are waiting".to_owned()))?;
        let (answer, answered) = oneshot::channel();
        self.0.proposals.try_send(Proposal { request, command, answer, room, since: Instant::now() }).map_err(
            |refused| {
                ProposeError::NotApplied(match refused {
                    mpsc::error::TrySendError::Full(_) => "too many proposals are waiting".to_owned(),
                    mpsc::error::TrySendError::Closed(_) => "the replica is stopping".to_owned(),
                })
            },
        )?;
        tokio::select! {
            biased;
            answer = answered => answer.unwrap_or_else(|_| unknown("the replica stopped, or the group is parked")),
            () = self.0.standing.cut_off() => unknown("the leader has lost its majority"),
        }
    }

    pub(crate) async fn submit_anywhere(
        &self,
        note: u64,
        request: RequestId,
        command: Command,
        deadline: Duration,
    ) -> Result<(Answer, LogId, u64), ProposeError> {
        let until = Instant::now() + deadline;
        let mut pause = LEAD_PAUSE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let result = match self.leader() {
                Some(leader) if leader.node != self.0.node => {
                    self.forward(&leader, (note, request), &command, left).await
                }
                _ => match tokio::time::timeout(left, self.submit_noted(note, request, command.clone())).await {
                    Ok(result) => result.map(|(answer, log_id)| (answer, log_id, self.0.post.word())),
                    Err(_) => unknown("no answer in time"),
                },
            };
            match result {
                Err(ProposeError::NotLeader { .. }) if left > pause => {
                    self.wait_for_a_lead(pause).await;
                    pause = (pause * 2).min(LEAD_PAUSE_MAX);
                }
                other => return other,
            }
        }
    }

    /// Waits until the lead changes, or for `pause`: a new leader may not serve yet, and an old one be gone.
    async fn wait_for_a_lead(&self, pause: Duration) {
        let now = self.0.raft.server_metrics().borrow_watched().current_leader;
        // Either end of the pause will do.
        let _ = tokio::time::timeout(pause, self.other_leader(now)).await;
    }

    /// Completes once this node follows another leader than `leader`.
    async fn other_leader(&self, leader: Option<u64>) {
        let mut metrics = self.0.raft.server_metrics();
        while metrics.borrow_and_update().current_leader == leader {
            if metrics.changed().await.is_err() {
                // A Raft that has stopped changes no more.
                return std::future::pending().await;
            }
        }
    }

    /// Does `work`, which waits for an answer of `leader`, as long as that node leads, and a little longer. A leader that
    /// hangs does not end a connection; that another one leads is seen much sooner than its silence is long enough.
    async fn while_led_by<T>(&self, leader: u64, work: impl Future<Output = T>) -> Option<T> {
        let mut work = std::pin::pin!(work);
        tokio::select! {
            biased;
            done = &mut work => return Some(done),
            () = self.other_leader(Some(leader)) => {}
        }
        tokio::time::timeout(LAST_WORD, work).await.ok()
    }

    async fn forward(
        &self,
        leader: &Leader,
        (note, request): (u64, RequestId),
        command: &Command,
        left: Duration,
    ) -> Result<(Answer, LogId, u64), ProposeError> {
        let (is_system, bytes) = match command {
            Command::System(system) => (true, system.to_bytes()),
            Command::Machine(bytes) => (false, bytes.clone()),
        };
        let message = Request::Propose { request, note, is_system, command: bytes }.encode(self.0.id);
        let forwarded = call(&*self.0.transport, Lane::Forward, &leader.address, message, left);
        let body = match self.while_led_by(leader.node, forwarded).await {
            None => return unknown("the leader changed before it answered"),
            Some(Ok(body)) => body,
            Some(Err(TransportError::Unreachable { .. })) => return Err(ProposeError::NotLeader { leader: None }),
            Some(Err(error @ TransportError::Broken { .. })) => return unknown(&error.to_string()),
        };
        match ProposeAnswer::from_bytes(&body) {
            Ok(ProposeAnswer::Applied { answer, log_id, word }) => Ok((answer, log_id, word)),
            Ok(ProposeAnswer::TurnedAway { word }) => Err(ProposeError::TurnedAway { word }),
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
            Err(RaftError::APIError(LinearizableReadError::ForwardToLeader(_))) => {
                Err(ReadError::NotLeader { leader: self.leader() })
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
                    Err(ReadError::NotLeader { .. }) => self.wait_for_a_lead(LEAD_PAUSE).await,
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
        let asked = call(&*self.0.transport, Lane::Forward, &leader.address, message, READ_INDEX_TIMEOUT);
        let asked = self.while_led_by(leader.node, asked).await;
        let index = asked.and_then(Result::ok).and_then(|body| machine::Reader::new(body).u64().ok());
        index.ok_or(ReadError::NotLeader { leader: Some(leader) })
    }

    /// The reply that this request got before, as far as this replica has applied. `None`: it is new, or forgotten.
    pub fn former_reply(&self, request: RequestId) -> Option<M::Reply> {
        let reply = self.with_host(|host, rows| host.former(request, rows)).ok()??;
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
        self.0.standing.is_leader(&self.0.raft)
    }

    /// The leader, as far as this node knows.
    #[must_use]
    pub fn leader(&self) -> Option<Leader> {
        self.0.standing.leader(&self.0.raft)
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
        let acknowledge = System::Acknowledge { target: GroupId::OUTSIDE.into(), upto };
        self.submit(RequestId::NONE, Command::System(acknowledge)).await.map(|_| ())
    }

    pub(super) fn with_host<T>(&self, read: impl FnOnce(&Host<M>, &dyn RowSource) -> T) -> T {
        let host = self.0.state.host.read();
        read(&host, &*self.0.state.rows)
    }

    /// A hash over every row, and the index it stands for: equal on all replicas at the same index.
    pub fn state_hash(&self) -> Result<(u64, Bytes), StoreFailure> {
        let _held = self.0.state.host.read();
        let hash = hash_rows(&*self.0.state.rows)?;
        Ok((*self.0.state.index.borrow(), hash))
    }

    /// Copies the group at one index. Blocks, and holds up whoever applies meanwhile. Errors: text.
    pub(super) fn take_backup(&self) -> Result<GroupBackup, String> {
        let _held = self.0.state.host.read();
        GroupBackup::take(self.0.id, &*self.0.state.rows, &self.0.log)
    }
}

/// A hash over every row.
pub(crate) fn hash_rows(rows: &dyn RowEngine) -> Result<Bytes, StoreFailure> {
    use sha2::{Digest as _, Sha256};
    let mut hash = Sha256::new();
    rows.visit_rows(&mut |key, value| {
        hash.update((key.len() as u64).to_be_bytes());
        hash.update(key);
        hash.update((value.len() as u64).to_be_bytes());
        hash.update(value);
    })?;
    Ok(Bytes::copy_from_slice(&hash.finalize()))
}

fn unknown<T>(reason: &str) -> Result<T, ProposeError> {
    Err(ProposeError::Unknown(reason.to_owned()))
}
