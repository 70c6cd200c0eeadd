//! The road: commands that arrive while an entry is under way share the next one. No timer: the batch is what waited.

use std::sync::Arc;
use std::time::Duration;

use machine::{Answer, Command, EntryWriter, Machine, RequestId};
use openraft::Raft;
use openraft::errors::{ClientWriteError, ForwardToLeader};
use openraft::raft::ClientWriteResult;
use rand::TryRngCore as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::time::Instant;

use super::errors::{Leader, ProposeError};
use super::standing::Standing;
use super::usher::Post;
use crate::clock::MachineClock;
use crate::limits::{ENTRIES_IN_FLIGHT_BYTES_MAX, ENTRIES_IN_FLIGHT_MAX};
use crate::raft_types::{CallBack, Config, LogId, Payload};
use crate::state::Driver;

/// A command on its way, with the place its answer goes to.
pub(super) struct Proposal {
    pub request: RequestId,
    pub command: Command,
    pub answer: oneshot::Sender<Result<(Answer, LogId), ProposeError>>,
    /// Its part of what may wait.
    pub room: OwnedSemaphorePermit,
    /// When it came.
    pub since: Instant,
}

/// Bytes that a command takes in an entry, or a little more.
pub(super) fn bytes_of(command: &Command) -> usize {
    match command {
        Command::Machine(bytes) => bytes.len(),
        Command::System(machine::System::Deliver { records, .. }) => records.iter().map(|r| r.len() + 4).sum(),
        Command::System(_) => 64,
    }
}

/// How often a waiting proposal looks whether this node still leads, and may.
const LEAD_LOOK_EVERY: Duration = Duration::from_millis(5);

type Waiting = Vec<oneshot::Sender<Result<(Answer, LogId), ProposeError>>>;

/// The road of one group.
pub(super) struct Road<M: Machine> {
    pub raft: Raft<Config, Driver<M>>,
    pub clock: Arc<MachineClock>,
    pub standing: Arc<Standing>,
    pub proposals: mpsc::Receiver<Proposal>,
    pub post: Post,
}

impl<M: Machine> Road<M> {
    /// Walks the road until the group closes.
    pub(super) async fn walk(mut self, mut closed: watch::Receiver<bool>) {
        tokio::select! {
            () = self.carry_proposals() => {}
            // The receiver goes with this task, and whoever proposes from here on is told so.
            _ = closed.wait_for(|closed| *closed) => {}
        }
    }

    async fn carry_proposals(&mut self) {
        let in_flight = Arc::new(Semaphore::new(ENTRIES_IN_FLIGHT_MAX));
        let bytes_in_flight = Arc::new(Semaphore::new(ENTRIES_IN_FLIGHT_BYTES_MAX));
        let mut next: Option<Proposal> = None;
        // What the entry before took: the next one is made for as much, and seldom grows.
        let mut usual_bytes = 0;
        loop {
            let first = match next.take() {
                Some(proposal) => proposal,
                None => match self.proposals.recv().await {
                    Some(proposal) => proposal,
                    None => return,
                },
            };
            let Ok(permit) = Arc::clone(&in_flight).acquire_owned().await else { return };
            if !self.may_stamp().await {
                let leader = self.standing.leader(&self.raft);
                // A caller that went away needs no answer.
                let _ = first.answer.send(Err(ProposeError::NotLeader { leader }));
                continue;
            }
            let (mut entry, mut waiting): (EntryWriter, Waiting) =
                (EntryWriter::with_capacity(usual_bytes), Vec::new());
            let (mut candidate, mut bytes) = (Some(first), 0);
            while let Some(proposal) = candidate.take().or_else(|| self.proposals.try_recv().ok()) {
                if proposal.answer.is_closed() {
                    // Nobody waits any more: the caller has given up before anything happened.
                    continue;
                }
                if !entry.has_room(bytes_of(&proposal.command)) {
                    next = Some(proposal);
                    break;
                }
                if let Some(usher) = self.post.usher() {
                    usher.waited(proposal.since.elapsed());
                }
                bytes += bytes_of(&proposal.command);
                entry.push(proposal.request, &proposal.command);
                waiting.push(proposal.answer);
                drop(proposal.room);
            }
            if waiting.is_empty() {
                continue;
            }
            usual_bytes = entry.written();
            let bytes = u32::try_from(bytes.min(ENTRIES_IN_FLIGHT_BYTES_MAX)).unwrap_or(u32::MAX);
            let Ok(bytes) = Arc::clone(&bytes_in_flight).acquire_many_owned(bytes).await else { return };
            let payload = Payload(entry.finish(self.clock.now(), seed()));
            let answer = CallBack::new(move |result| {
                drop((permit, bytes));
                hand_out(result, waiting);
            });
            if let Err(fatal) = self.raft.client_write_ff(payload, Some(answer)).await {
                // Raft has dropped the call-back with its senders: the waiters see Unknown.
                self.standing.judge(&fatal);
                return;
            }
        }
    }

    /// Waits while this node leads and its machine time does not run yet: a stamp from before would grant leases that
    /// end with the first step of the clock. Waits, too, while a majority is slow to answer: Raft would refuse the entry,
    /// and a disk that takes its time is no reason to send a caller away. False: another node leads, or none does.
    async fn may_stamp(&self) -> bool {
        let mut running = self.clock.running();
        loop {
            if !self.standing.is_leader(&self.raft) {
                return false;
            }
            if *running.borrow_and_update() && self.standing.has_lease(&self.raft) {
                return true;
            }
            // The pause is for a lead that is lost meanwhile.
            let _ = tokio::time::timeout(LEAD_LOOK_EVERY, running.changed()).await;
        }
    }
}

fn hand_out(result: ClientWriteResult<Config>, waiting: Waiting) {
    let outcome = result.map_err(|error| propose_error(&error));
    match outcome {
        Ok(response) => {
            for (sender, answer) in waiting.into_iter().zip(response.data.0) {
                // A caller that went away needs no answer.
                let _ = sender.send(Ok((answer, response.log_id)));
            }
        }
        Err(error) => {
            for sender in waiting {
                let _ = sender.send(Err(error.clone()));
            }
        }
    }
}

fn propose_error(error: &ClientWriteError<Config>) -> ProposeError {
    match error {
        ClientWriteError::ForwardToLeader(forward) => ProposeError::NotLeader { leader: leader_of(forward) },
        ClientWriteError::LogEntryDiscarded(_) => {
            ProposeError::Unknown("the leader changed while the command was under way".to_owned())
        }
        other => ProposeError::Unknown(other.to_string()),
    }
}

fn leader_of(forward: &ForwardToLeader<Config>) -> Option<Leader> {
    let (node, at) = forward.leader_id.zip(forward.leader_node.as_ref())?;
    Some(Leader { node, address: at.addr.clone() })
}

/// Random bits from the operating system: the draw of a lucky share must not be foreseeable by anyone.
fn seed() -> u64 {
    // Without randomness from the system no lucky share may be drawn; the process cannot do its work.
    rand::rngs::OsRng.try_next_u64().unwrap_or_else(|error| {
        tracing::error!(%error, "the operating system gives no random bits");
        std::process::abort()
    })
}
