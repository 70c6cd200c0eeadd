//! One request to one group: repeated as it is until its outcome is known, or given up.
//!
//! Why no sessions: every command of the app bears an id of its own, and that is what is tried here.
//!
//! Must never: repeat an unknown request as another one.

use std::time::Duration;

use ledger::{Answer, Said, Verb};
use machine::{GroupId, Machine, RequestId};
use rand::Rng as _;
use rand::rngs::StdRng;
use replica::ProposeError;

use super::world::World;
use crate::stage::{NODES, Stage};

/// How long one attempt waits for its answer.
const CALL: Duration = Duration::from_millis(1_500);
/// Of a thousand unknown attempts, so many are not repeated by who may give up.
const GIVEN_UP_IN_THOUSAND: u32 = 150;

/// An answer.
pub(crate) struct Told<R> {
    pub(crate) reply: R,
    /// Whether no earlier attempt may have happened, or may happen yet.
    pub(crate) is_sure: bool,
}

/// Who asks.
pub(crate) struct Asker {
    pub(crate) dice: StdRng,
    /// Whether an unknown outcome may stay unknown.
    pub(crate) may_give_up: bool,
}

impl Asker {
    /// One request until its outcome is known. `None`: it was given up, and may or may not have happened.
    pub(crate) async fn ask<M: Machine>(
        &mut self,
        world: &World,
        stage: &Stage<M>,
        command: &M::Command,
    ) -> Option<Told<M::Reply>> {
        let mut is_sure = true;
        loop {
            if world.is_too_late() {
                world.broke("progress: somebody is not served after everything was healed".to_owned());
                return None;
            }
            let node = self.dice.random_range(NODES);
            match stage.cluster.propose(node, RequestId::NONE, command, CALL).await {
                Ok(applied) => return Some(Told { reply: applied.reply, is_sure }),
                Err(ProposeError::Unknown(_)) => {
                    is_sure = false;
                    if self.gives_up(world) {
                        world.book.lock().unknown += 1;
                        return None;
                    }
                }
                Err(ProposeError::Refused(refusal)) => {
                    world.broke(format!("a request was refused: {refusal}"));
                    return None;
                }
                Err(ProposeError::NotLeader { .. } | ProposeError::TurnedAway { .. } | ProposeError::NotApplied(_)) => {
                }
            }
            self.rest(5..80).await;
        }
    }

    fn gives_up(&mut self, world: &World) -> bool {
        self.may_give_up && !world.is_calm() && self.dice.random_range(0..1_000) < GIVEN_UP_IN_THOUSAND
    }

    /// Waits for so many milliseconds.
    pub(crate) async fn rest(&mut self, ms: std::ops::Range<u64>) {
        let pause = self.dice.random_range(ms);
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }

    /// Asks a shard for one step, and takes note of it.
    pub(crate) async fn book(&mut self, world: &World, group: GroupId, verb: Verb) -> Option<Answer> {
        world.book.lock().ask(group, &verb);
        let command = ledger::Command::One(verb.clone());
        let Some(told) = self.ask(world, world.ledger(group), &command).await else {
            world.book.lock().give_up(group, &verb);
            return None;
        };
        let Said::One(answer) = told.reply.said else {
            world.broke(format!("a step was answered with {:?}", told.reply));
            return None;
        };
        world.book.lock().tell(group, &verb, answer, told.is_sure);
        Some(answer)
    }
}
