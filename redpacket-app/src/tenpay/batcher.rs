//! The batcher of a ledger shard: steps of callers who ask at the same time share one command, and so one log entry.
//!
//! ```text
//!  callers ──steps──> waiting ──what came while two batches were under way──> one Batch ──> its answers, caller by caller
//! ```
//!
//! Why: a log entry costs a round of the majority and its fsyncs, whatever it holds. No timer: a lone step goes at once.
//!
//! Must never: let the steps of one caller touch the answers of another; a chain stays whole and its caller's own.

use std::sync::Arc;
use std::time::Duration;

use ledger::limits::BATCH_STEPS_MAX;
use ledger::{Answer, Command, Done, JournalNumber, Reply, Said, Step, Verb};
use machine::TimestampMs;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::timeout;

use crate::failure::{Failure, unexpected};
use crate::homes::LedgerShard;
use crate::limits::{BATCH_BYTES_MAX, BATCHES_UNDER_WAY_MAX, COMMAND_DEADLINE, STEPS_WAITING_MAX};

/// What a caller is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    /// One answer a step, in order.
    pub(crate) answers: Vec<Answer>,
    /// Index of the log entry.
    pub(crate) index: u64,
    at: TimestampMs,
    first: JournalNumber,
}

impl Told {
    /// When `done` was booked, if it was booked just now.
    pub(crate) fn booked_at(&self, done: Done) -> Option<TimestampMs> {
        done.journal_number().filter(|number| *number >= self.first).map(|_| self.at)
    }
}

/// A caller's steps on their way.
struct Asked {
    steps: Vec<Step>,
    bytes: usize,
    answer: oneshot::Sender<Result<Told, Failure>>,
}

impl Asked {
    /// Whether nobody may stand behind it: its last chain is open, and would take in what follows.
    fn is_open(&self) -> bool {
        self.steps.last().is_some_and(|step| step.is_linked)
    }
}

/// The way into a shard for steps.
#[derive(Clone)]
pub(crate) struct Batcher {
    waiting: mpsc::Sender<Asked>,
}

impl Batcher {
    /// Starts gathering for `shard`; it ends with the last clone.
    pub(crate) fn start(shard: Arc<LedgerShard>) -> Self {
        let (waiting, asked) = mpsc::channel(STEPS_WAITING_MAX);
        tokio::spawn(gather(shard, asked));
        Self { waiting }
    }

    /// Has `steps` done. Errors: never `Refused`; `Unknown`, where they may be done yet: ask again under the same ids.
    pub(crate) async fn ask(&self, steps: Vec<Step>, deadline: Duration) -> Result<Told, Failure> {
        let (answer, told) = oneshot::channel();
        let bytes = steps.iter().map(bytes_of).sum();
        let asking = async {
            let sent = self.waiting.send(Asked { steps, bytes, answer }).await;
            sent.map_err(|_| Failure::NotApplied("the node is stopping".to_owned()))?;
            told.await.unwrap_or_else(|_| Err(Failure::Unknown("the node is stopping".to_owned())))
        };
        let late = || Failure::Unknown("no answer in time".to_owned());
        timeout(deadline, asking).await.unwrap_or_else(|_| Err(late()))
    }
}

/// About the length of a step in the log.
fn bytes_of(step: &Step) -> usize {
    let details = if let Verb::Pay(pay) = &step.verb { pay.details.len() } else { 0 };
    details + 96
}

async fn gather(shard: Arc<LedgerShard>, mut asked: mpsc::Receiver<Asked>) {
    let under_way = Arc::new(Semaphore::new(BATCHES_UNDER_WAY_MAX));
    let mut next = None;
    loop {
        let first = match next.take() {
            Some(first) => first,
            None => match asked.recv().await {
                Some(first) => first,
                None => return,
            },
        };
        let Ok(place) = Arc::clone(&under_way).acquire_owned().await else { return };
        let batch;
        (batch, next) = share(first, || asked.try_recv().ok());
        if !batch.is_empty() {
            tokio::spawn(propose(Arc::clone(&shard), batch, place));
        }
    }
}

/// Puts together what may share a command, from `first` on; answers with the first that has to wait, too.
fn share(first: Asked, mut more: impl FnMut() -> Option<Asked>) -> (Vec<Asked>, Option<Asked>) {
    let (mut batch, mut steps, mut bytes) = (Vec::new(), 0, 0);
    let mut candidate = Some(first);
    while let Some(one) = candidate.take().or_else(&mut more) {
        if one.answer.is_closed() {
            // The caller has given up before anything happened.
            continue;
        }
        let is_full = steps + one.steps.len() > BATCH_STEPS_MAX || bytes + one.bytes > BATCH_BYTES_MAX;
        if is_full && !batch.is_empty() {
            return (batch, Some(one));
        }
        steps += one.steps.len();
        bytes += one.bytes;
        let is_open = one.is_open();
        batch.push(one);
        if is_open {
            break;
        }
    }
    (batch, None)
}

async fn propose(shard: Arc<LedgerShard>, mut batch: Vec<Asked>, place: OwnedSemaphorePermit) {
    let counts: Vec<usize> = batch.iter().map(|asked| asked.steps.len()).collect();
    let steps = batch.iter_mut().flat_map(|asked| std::mem::take(&mut asked.steps)).collect();
    let applied = shard.command(&Command::Batch(steps), COMMAND_DEADLINE).await;
    drop(place);
    let told = applied.and_then(|applied| hand_out(applied.reply, applied.receipt.index, &counts));
    let told: Vec<Result<Told, Failure>> = match told {
        Ok(told) => told.into_iter().map(Ok).collect(),
        Err(failure) => batch.iter().map(|_| Err(failure.clone())).collect(),
    };
    for (asked, told) in batch.into_iter().zip(told) {
        // A caller that went away needs no answer.
        let _ = asked.answer.send(told);
    }
}

/// Cuts the answers of a batch into those of its callers, who asked for `counts` steps each.
fn hand_out(reply: Reply, index: u64, counts: &[usize]) -> Result<Vec<Told>, Failure> {
    let Reply { at, first, said } = reply;
    let mut answers = match said {
        Said::Batch(answers) => answers.into_iter(),
        Said::One(Err(refusal)) => return Err(refusal.into()),
        other => return Err(unexpected(&other)),
    };
    let cut = |count: &usize| Told { answers: answers.by_ref().take(*count).collect(), index, at, first };
    Ok(counts.iter().map(cut).collect())
}

#[cfg(test)]
mod tests {
    use ledger::OrderId;

    use super::*;

    type Receiver = oneshot::Receiver<Result<Told, Failure>>;

    fn asked(count: usize, is_linked: bool) -> (Asked, Receiver) {
        let (answer, told) = oneshot::channel();
        let step = Step { is_linked, verb: Verb::SettleOrCancel(OrderId(1)) };
        (Asked { steps: vec![step; count], bytes: count * 96, answer }, told)
    }

    #[test]
    fn callers_share_a_batch_until_it_is_full_or_a_chain_is_open() {
        const HALF: usize = BATCH_STEPS_MAX / 2;
        type Callers = &'static [(usize, bool)];
        let table: [(Callers, usize, bool); 5] = [
            // callers as (steps, last chain open), how many share the first batch, whether one has to wait
            (&[(1, false), (2, false), (3, false)], 3, false),
            (&[(HALF, false), (HALF, false), (1, false)], 2, true),
            (&[(1, false), (2, true), (3, false)], 2, false),
            (&[(BATCH_STEPS_MAX + 1, false), (1, false)], 1, true),
            (&[(1, false)], 1, false),
        ];
        for (callers, shared, has_to_wait) in table {
            let (asked, _told): (Vec<Asked>, Vec<Receiver>) =
                callers.iter().map(|(count, is_open)| asked(*count, *is_open)).unzip();
            let mut asked = asked.into_iter();
            let first = asked.next().expect("there is one");
            let (batch, next) = share(first, || asked.next());
            assert_eq!((batch.len(), next.is_some()), (shared, has_to_wait), "{callers:?}");
        }
    }

    #[test]
    fn who_has_given_up_is_not_proposed() {
        let ((gone, told), (here, _told)) = (asked(1, false), asked(1, false));
        drop(told);
        let mut rest = vec![here];
        assert_eq!(share(gone, || rest.pop()).0.len(), 1);
    }

    #[test]
    fn every_caller_gets_the_answers_of_his_own_steps() {
        let (at, first) = (TimestampMs(7), JournalNumber(5));
        let done = |number| Ok(Done::Booked(JournalNumber(number)));
        let said = Said::Batch(vec![done(5), Err(ledger::Refusal::SameAccount), done(2)]);
        let told = hand_out(Reply { at, first, said }, 9, &[1, 0, 2]).expect("a batch is answered");
        let answers: Vec<usize> = told.iter().map(|told| told.answers.len()).collect();
        assert_eq!(answers, [1, 0, 2]);
        assert_eq!(told[0].booked_at(Done::Booked(first)), Some(at));
        assert_eq!(told[2].booked_at(Done::Booked(JournalNumber(2))), None, "it was booked before");
    }
}
