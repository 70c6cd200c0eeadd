//! Riders: commands that wait for another one to come, and are proposed right behind it, in the same entry.
//!
//! ```text
//!  rider ──stands──> its owner's shelf ──taken along by a command──> the command's entry, behind it
//!     └── Riding: what became of it
//! ```
//! Why: who waits for what a command brings would otherwise see it applied, propose, and pay a second entry: one more round
//! of the majority and its fsyncs before the first can be made use of.
//!
//! Must never: be proposed twice. A rider that is dropped was surely not proposed, or its fate is that of its entry.

use machine::{Command, Layout as _, Machine, RequestId};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::errors::ProposeError;
use super::handle::{Applied, Group};
use super::road::{Proposal, bytes_of};
use crate::raft_types::LogId;

/// A command that may ride.
pub struct Rider(Proposal);

impl Rider {
    /// Whether nobody waits for it any more.
    #[must_use]
    pub fn is_forsaken(&self) -> bool {
        self.0.answer.is_closed()
    }

    /// It leaves now.
    pub(super) fn leave(self) -> Proposal {
        Proposal { since: Instant::now(), ..self.0 }
    }
}

/// What becomes of a rider.
pub struct Riding<M: Machine> {
    group: Group<M>,
    answered: oneshot::Receiver<Result<(machine::Answer, LogId), ProposeError>>,
}

impl<M: Machine> Riding<M> {
    /// Its answer, once it has been taken along. `None`: it was left behind. Errors: [`ProposeError`]; `Unknown` also where
    /// the leader loses its majority meanwhile, whether it was taken along or not.
    pub async fn done(&mut self) -> Option<Result<Applied<M::Reply>, ProposeError>> {
        let answered = tokio::select! {
            biased;
            answered = &mut self.answered => answered.ok()?,
            () = self.group.0.standing.cut_off() => {
                Err(ProposeError::Unknown("the leader has lost its majority".to_owned()))
            }
        };
        Some(answered.and_then(|(answer, log_id)| self.group.applied(answer, log_id, self.group.0.post.word())))
    }
}

impl<M: Machine> Group<M> {
    /// A command that waits to be taken along. Errors: `NotApplied`, too much waits.
    pub fn rider(&self, request: RequestId, command: &M::Command) -> Result<(Rider, Riding<M>), ProposeError> {
        let command = Command::Machine(command.to_bytes());
        let room = self.room_for(bytes_of(&command))?;
        let (answer, answered) = oneshot::channel();
        let proposal = Proposal { request, command, answer, room, since: Instant::now(), riders: Vec::new() };
        Ok((Rider(proposal), Riding { group: self.clone(), answered }))
    }

    /// As [`Self::propose`], with riders behind it. Those for whom the entry has no room are left behind.
    pub async fn propose_with(
        &self,
        request: RequestId,
        command: &M::Command,
        riders: Vec<Rider>,
    ) -> Result<Applied<M::Reply>, ProposeError> {
        self.has_format_of(command)?;
        let (answer, log_id) = self.submit_with(0, request, Command::Machine(command.to_bytes()), riders).await?;
        self.applied(answer, log_id, self.0.post.word())
    }
}
