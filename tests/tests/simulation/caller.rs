//! One client's way to the cluster: a session, and requests that are repeated under the same id.
//!
//! Must never: repeat an unknown request under another id.

use std::time::Duration;

use machine::RequestId;
use queue_core::{Command, Reply};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use replica::ProposeError;
use tokio::time::Instant;

use crate::history::Span;
use crate::play::Run;
use crate::stage::NODES;

/// How long one attempt waits for its answer.
const CALL: Duration = Duration::from_millis(1_500);
/// Of a thousand unknown attempts, so many are not repeated: their client goes away.
const GIVEN_UP_IN_THOUSAND: u32 = 150;

/// A reply, and where in the log it was decided.
pub(crate) struct Answered {
    pub(crate) reply: Reply,
    pub(crate) at: Span,
}

/// A client's session.
pub(crate) struct Caller {
    session: u64,
    next: u64,
    pub(crate) dice: StdRng,
    may_give_up: bool,
}

impl Caller {
    /// A client that draws from `seed`. One that may not give up learns every outcome.
    pub(crate) fn new(seed: u64, may_give_up: bool) -> Self {
        Self { session: 0, next: 1, dice: StdRng::seed_from_u64(seed), may_give_up }
    }

    /// One request until its outcome is known. `None`: it was given up, and may or may not have happened.
    pub(crate) async fn call(&mut self, run: &Run, command: &Command) -> Option<Answered> {
        let (after, mut is_first) = (run.latest(), true);
        loop {
            if run.is_too_late() {
                run.broke("a client is not served after everything was healed".to_owned());
                return None;
            }
            if self.session == 0 {
                self.open(run).await;
            } else {
                let request = RequestId { session: self.session, sequence: self.next };
                let node = self.dice.random_range(NODES);
                match run.stage.cluster.propose(node, request, command, CALL).await {
                    Ok(applied) => {
                        self.next += 1;
                        let to = applied.receipt.index;
                        run.reached(to);
                        let at = Span { from: if is_first { to } else { after + 1 }, to };
                        return Some(Answered { reply: applied.reply, at });
                    }
                    Err(ProposeError::Unknown(_)) if self.gives_up(run) => {
                        self.next += 1;
                        run.history.lock().unknown += 1;
                        return None;
                    }
                    Err(ProposeError::Refused(refusal)) => {
                        run.broke(format!("a client was refused: {refusal}"));
                        return None;
                    }
                    Err(ProposeError::Unknown(_)) => is_first = false,
                    Err(
                        ProposeError::NotLeader { .. } | ProposeError::TurnedAway { .. } | ProposeError::NotApplied(_),
                    ) => {}
                }
            }
            let pause = self.dice.random_range(5..80);
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    }

    fn gives_up(&mut self, run: &Run) -> bool {
        self.may_give_up && !run.is_calm() && self.dice.random_range(0..1_000) < GIVEN_UP_IN_THOUSAND
    }

    async fn open(&mut self, run: &Run) {
        let Some(group) = run.stage.cluster.leader().and_then(|leader| run.stage.cluster.group(leader)) else { return };
        let until = Instant::now() + CALL;
        if let Ok(Ok(session)) = tokio::time::timeout_at(until, group.open_session()).await {
            self.session = session;
        }
    }
}
