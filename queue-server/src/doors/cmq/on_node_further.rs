//! Rewind, dead-letter sources, half messages and traces, on this node's groups. Topics stand in `on_node_topics`.
//!
//! Must never: say that something was not applied when it may have been.

use machine::{RequestId, TimestampMs};
use queue_core::{
    AttributeChanges, Command, DeadLetterCount, DeadLetterPolicy, MessageId, NewMessage, QueueStatus, Reply,
    TransactionPolicy,
};
use tokio::time::{Duration, Instant, sleep};

use super::broker::QueueVerbs as _;
use super::flaw::Flaw;
use super::limits::ANSWER_MAX;
use super::on_node::{NodeBroker, Spot, flaw_of, left, propose, queue_text, refused, unavailable, unproposed, unread};
use super::words::{
    CheckBack, DeadLetterRule, DeadWhen, Listed, Named, Outgoing, Page, QueueFacts, QueueWish, Said, TraceStep,
    TransactionRule, Verdict,
};
use crate::rewind::{RewindError, rewind};

/// Questions that are taken at once.
const QUESTIONS_MAX: u32 = 128;
/// A producer's connection waits this long for questions before it is asked which queues it serves by now.
const QUESTIONS_WAIT: Duration = Duration::from_secs(5);
/// Questions become due by time alone, so a wait looks for them this often.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Where a rule says only that half messages are asked about, and not when.
const FIRST_QUERY_S_DEFAULT: u32 = 60;
const QUERIES_MAX_DEFAULT: u32 = 10;

impl NodeBroker {
    /// What is wished of a queue, in the machine's words. Flaw: its dead-letter queue does not exist.
    pub(super) async fn attribute_changes(&self, wish: QueueWish, until: Instant) -> Said<AttributeChanges> {
        let dead_letter = match wish.dead_letter {
            None => None,
            Some(rule) => Some(self.policy(rule, until).await?),
        };
        Ok(AttributeChanges {
            max_messages: wish.messages_max,
            polling_wait_s: wish.poll_s,
            visibility_timeout_s: wish.visibility_s,
            max_message_bytes: wish.message_bytes_max,
            retention_s: wish.retention_s,
            rewind_s: wish.rewind_s,
            dead_letter,
            transaction: wish.transaction.map(transaction),
            trace: wish.trace,
            ..AttributeChanges::default()
        })
    }

    /// A rule without a queue takes the policy away.
    async fn policy(&self, rule: DeadLetterRule, until: Instant) -> Said<Option<DeadLetterPolicy>> {
        if rule.queue.is_empty() {
            return Ok(None);
        }
        let (count, limit) = match rule.when {
            DeadWhen::Received(limit) => (DeadLetterCount::Received, limit),
            DeadWhen::Old(limit_s) => (DeadLetterCount::Age, limit_s),
        };
        let group = self.spot(&rule.queue, false, until).await?.group.id();
        Ok(Some(DeadLetterPolicy { group: Some(group), queue: rule.queue, count, limit }))
    }

    /// Sends half messages. When they are first asked about is the queue's rule, whatever the caller wishes.
    pub(super) async fn send_half(&self, messages: Outgoing) -> Said<Vec<u64>> {
        let delay_ms = u64::from(messages.delay_s) * 1_000;
        let new =
            |body: &bytes::Bytes| NewMessage { body: body.clone(), delay_ms, is_half: true, ..NewMessage::default() };
        match self.send_new(&messages.queue, || messages.bodies.iter().map(new).collect()).await?.1.reply {
            Reply::Sent { ids, .. } => Ok(ids.into_iter().map(|id| id.0).collect()),
            other => Err(refused(other)),
        }
    }

    pub(super) async fn rewind_queue(&self, queue: &str, from_s: u64) -> Said<()> {
        let until = Instant::now() + ANSWER_MAX;
        let to = TimestampMs(from_s.saturating_mul(1_000));
        let Spot { group, queue } = self.spot(queue, true, until).await?;
        let rewound = rewind(&group, queue, to, RequestId::NONE, until).await;
        rewound.map(drop).map_err(|error| match error {
            RewindError::Propose(error) => unproposed(error),
            RewindError::Read(error) => unread(&error),
            RewindError::Store(failure) => unavailable(&failure.to_string()),
            RewindError::Reply(other) => refused(other),
        })
    }

    pub(super) async fn sources(&self, queue: &str, page: Page) -> Said<Listed> {
        let until = Instant::now() + ANSWER_MAX;
        let target = self.spot(queue, true, until).await?.group.id();
        let search = page.search.to_ascii_lowercase();
        let mut sources = Vec::new();
        for group in self.node.groups() {
            let id = group.id();
            let read = group.read_anywhere(left(until), |view| {
                let name = |source| Some((source, view.machine.status(source)?.name));
                let found = view.machine.dead_letter_sources(id, target, queue);
                found.into_iter().filter_map(name).collect::<Vec<_>>()
            });
            let named = |(source, name)| Named { id: queue_text(id.0, source), name };
            sources.extend(read.await.map_err(|error| unread(&error))?.into_iter().map(named));
        }
        sources.retain(|source| source.name.to_ascii_lowercase().contains(&search));
        sources.sort_by_key(|source| source.name.to_ascii_lowercase());
        let total = sources.len();
        Ok(Listed { total, part: sources.into_iter().skip(page.offset).take(page.limit).collect() })
    }

    pub(super) async fn unbind(&self, queue: &str) -> Said<()> {
        let none = DeadLetterRule { queue: String::new(), when: DeadWhen::Received(0) };
        self.set_queue(queue, QueueWish { dead_letter: Some(none), ..QueueWish::default() }).await.map(drop)
    }

    /// One result for each verdict, in their order: commits and rollbacks are one command each.
    pub(super) async fn decide(&self, queue: &str, verdicts: &[Verdict]) -> Said<Vec<Option<Flaw>>> {
        let until = Instant::now() + ANSWER_MAX;
        let mut results = vec![None; verdicts.len()];
        for is_commit in [true, false] {
            let chosen = || verdicts.iter().enumerate().filter(|(_, verdict)| verdict.is_commit == is_commit);
            let ids: Vec<MessageId> = chosen().map(|(_, verdict)| MessageId(verdict.id)).collect();
            if ids.is_empty() {
                continue;
            }
            let command = |queue| Command::Confirm { queue, ids: ids.clone(), is_commit };
            match self.command(queue, until, command).await?.1.reply {
                Reply::Settled { results: decided } => {
                    for ((at, _), refusal) in chosen().zip(decided) {
                        if let Some(result) = results.get_mut(at) {
                            *result = refusal.map(flaw_of);
                        }
                    }
                }
                other => return Err(refused(other)),
            }
        }
        Ok(results)
    }

    /// Takes the questions that are due in some queues; waits a while for the first ones.
    pub(super) async fn questions(&self, queues: &[String]) -> Said<Vec<CheckBack>> {
        let until = Instant::now() + QUESTIONS_WAIT;
        loop {
            let mut found = Vec::new();
            for name in queues {
                found.append(&mut self.questions_of(name).await?);
            }
            if !found.is_empty() || Instant::now() >= until {
                return Ok(found);
            }
            sleep(LOOK_EVERY).await;
        }
    }

    async fn questions_of(&self, name: &str) -> Said<Vec<CheckBack>> {
        let until = Instant::now() + ANSWER_MAX;
        let Spot { group, queue } = self.spot(name, false, until).await?;
        let is_due = group.read_stale(|view| view.machine.next_question(queue).is_some_and(|next| next <= view.now));
        if !is_due.map_err(|error| unread(&error))? {
            return Ok(Vec::new());
        }
        match propose(&group, &Command::QueryHalf { queue, count: QUESTIONS_MAX }, until).await?.reply {
            Reply::Questions { questions } => {
                let ask = |question: queue_core::Question| CheckBack { queue: name.to_owned(), id: question.id.0 };
                Ok(questions.into_iter().map(ask).collect())
            }
            Reply::Empty => Ok(Vec::new()),
            other => Err(refused(other)),
        }
    }

    pub(super) async fn steps(&self, queue: &str, id: u64) -> Said<Vec<TraceStep>> {
        let until = Instant::now() + ANSWER_MAX;
        let spot = self.spot(queue, true, until).await?;
        let read = spot.group.read_anywhere(left(until), |view| view.machine.timeline(view.rows, MessageId(id)));
        let timeline = read.await.map_err(|error| unread(&error))?;
        let timeline = timeline.map_err(|failure| unavailable(&failure.to_string()))?;
        let step = |event: queue_core::Event| TraceStep {
            what: format!("{:?}", event.kind),
            at_ms: event.time.0,
            text: event.detail.to_string(),
        };
        Ok(timeline.events.into_iter().map(step).collect())
    }
}

fn transaction(rule: TransactionRule) -> Option<TransactionPolicy> {
    let first_query_s = rule.first_query_s?;
    let first_query_s = if first_query_s == 0 { FIRST_QUERY_S_DEFAULT } else { first_query_s };
    Some(TransactionPolicy { first_query_s, max_queries: rule.queries_max.unwrap_or(QUERIES_MAX_DEFAULT) })
}

/// All about a queue, in CMQ's words.
pub(super) fn facts(id: String, status: QueueStatus, oldest_ms: u64) -> QueueFacts {
    let attributes = status.attributes;
    let rule = |policy: DeadLetterPolicy| {
        let when = match policy.count {
            // CMQ knows no count of failures; a policy that looks at it was set through another door.
            DeadLetterCount::Received | DeadLetterCount::Failed => DeadWhen::Received(policy.limit),
            DeadLetterCount::Age => DeadWhen::Old(policy.limit),
        };
        DeadLetterRule { queue: policy.queue, when }
    };
    let transaction = attributes.transaction.map(|policy| TransactionRule {
        first_query_s: Some(policy.first_query_s),
        queries_max: Some(policy.max_queries),
    });
    QueueFacts {
        id,
        name: status.name,
        messages_max: attributes.max_messages,
        poll_s: attributes.polling_wait_s,
        visibility_s: attributes.visibility_timeout_s,
        message_bytes_max: attributes.max_message_bytes,
        retention_s: attributes.retention_s,
        rewind_s: attributes.rewind_s,
        created_ms: status.created.0,
        modified_ms: status.modified.0,
        active: status.counts.visible,
        inactive: status.counts.leased,
        delayed: status.counts.delayed,
        rewindable: status.counts.rewindable,
        oldest_ms,
        dead_letter: attributes.dead_letter.map(rule),
        transaction,
        trace: attributes.trace,
    }
}
