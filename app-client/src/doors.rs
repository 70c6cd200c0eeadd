//! The doors of several nodes as one: a call goes to the door that answered last, follows the leader it is told of, and
//! is repeated with the same ids until its outcome is known.
//!
//! Must never: repeat a call that was refused, or take "no answer" for "not done".

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use proto::outcome::{Hint, Outcome, outcome_of};
use queue_client::Backoff;
use tokio::time::{Instant, sleep, timeout_at};
use tonic::transport::Channel;
use tonic::{Response, Status};

use crate::limits::{ATTEMPT_MAX, PAUSE_FIRST, PAUSE_MAX};

/// How a call ended without an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Miss {
    /// A "no", for good. `may_have_happened`: an earlier attempt of the call was unknown, and the "no" may be to its
    /// repeat alone.
    #[error("refused ({number}): {text}")]
    Refused {
        /// The refusal's number.
        number: u16,
        /// In words.
        text: String,
        /// Whether an attempt before it was unknown.
        may_have_happened: bool,
    },
    /// Time ran out before the outcome was known.
    #[error("unknown: {reason}")]
    Unknown {
        /// What the last attempt said.
        reason: String,
    },
}

/// There is no door to call at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no node is named")]
pub struct NoDoors;

/// Connections to nodes of one kind.
#[derive(Debug)]
pub struct Doors {
    doors: Vec<(String, Channel)>,
    turn: AtomicUsize,
}

impl Doors {
    /// Doors at these addresses, each with its connection, beginning with number `first`. Errors: there are none.
    pub fn new(doors: Vec<(String, Channel)>, first: usize) -> Result<Self, NoDoors> {
        if doors.is_empty() { Err(NoDoors) } else { Ok(Self { doors, turn: AtomicUsize::new(first) }) }
    }

    /// Their addresses, in order.
    pub fn addresses(&self) -> impl Iterator<Item = &str> {
        self.doors.iter().map(|(address, _)| address.as_str())
    }

    /// Makes a call until it is answered, refused, or `within` is over. `attempt` must carry the same ids each time.
    /// Errors: [`Miss`].
    pub async fn call<R, A, F>(&self, within: Duration, attempt: A) -> Result<R, Miss>
    where
        A: Fn(Channel) -> F,
        F: Future<Output = Result<Response<R>, Status>>,
    {
        Ok(self.call_noted(within, attempt).await?.0)
    }

    /// As [`Self::call`]; says too whether an attempt before the answer was unknown, so that what the answer refuses may have
    /// happened.
    pub(crate) async fn call_noted<R, A, F>(&self, within: Duration, attempt: A) -> Result<(R, bool), Miss>
    where
        A: Fn(Channel) -> F,
        F: Future<Output = Result<Response<R>, Status>>,
    {
        let until = Instant::now() + within;
        let mut backoff = Backoff::new(PAUSE_FIRST, PAUSE_MAX);
        let mut told: Option<String> = None;
        let mut may_have_happened = false;
        loop {
            let channel = told.take().and_then(|leader| self.at(&leader)).unwrap_or_else(|| self.here());
            let attempt_until = until.min(Instant::now() + ATTEMPT_MAX);
            let (hint, reason) = match timeout_at(attempt_until, attempt(channel)).await {
                Ok(Ok(reply)) => return Ok((reply.into_inner(), may_have_happened)),
                Ok(Err(status)) => match outcome_of(&status) {
                    Outcome::Refused { number } => {
                        return Err(Miss::Refused { number, text: status.message().to_owned(), may_have_happened });
                    }
                    Outcome::NotApplied(hint) => (hint, status.message().to_owned()),
                    Outcome::Unknown(hint) => {
                        may_have_happened = true;
                        (hint, status.message().to_owned())
                    }
                },
                Err(_) => {
                    may_have_happened = true;
                    (Hint::default(), "no answer in time".to_owned())
                }
            };
            if Instant::now() >= until {
                return Err(Miss::Unknown { reason });
            }
            match hint.leader {
                // Once to the leader at once; a leader that sends back to another costs a pause.
                Some(leader) if hint.retry_after.is_none() => {
                    told = Some(leader);
                    sleep(PAUSE_FIRST).await;
                }
                leader => {
                    self.turn();
                    told = leader;
                    sleep(hint.retry_after.unwrap_or_else(|| backoff.pause(rand::random())).min(ATTEMPT_MAX)).await;
                }
            }
        }
    }

    /// The door in use.
    fn here(&self) -> Channel {
        self.doors[self.turn.load(Ordering::Relaxed) % self.doors.len()].1.clone()
    }

    /// Leaves a door that failed for the next one.
    fn turn(&self) {
        self.turn.fetch_add(1, Ordering::Relaxed);
    }

    /// The door at an address that a node named, if it is one of these.
    fn at(&self, address: &str) -> Option<Channel> {
        self.doors.iter().find(|(known, _)| known == address).map(|(_, channel)| channel.clone())
    }
}
