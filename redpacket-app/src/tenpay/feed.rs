//! The feed: the leader of a ledger shard publishes its journal to a topic of the queue, for other systems.
//!
//! ```text
//!  shard's rows: postings behind the mark ──> topic (three copies) ──> mark in the shard ──> the next ones
//! ```
//!
//! Why a mark in the shard: whoever leads next goes on where this one was, so that each posting is published at least
//! once, in order; one that is published twice bears the same number. While nobody is subscribed the mark stands still,
//! so that the first subscriber gets the whole journal.
//!
//! Must never: mark as published what the topic has not kept, or hold a booking up.

use std::sync::Arc;

use bytes::Bytes;
use ledger::{Command, JournalNumber, JournalPage, LedgerView};
use machine::LoadError;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::homes::LedgerShard;
use crate::limits::{COMMAND_DEADLINE, FEED_MESSAGE_POSTINGS, FEED_MESSAGES_MAX, FEED_REST, OUTBOX_EVERY};
use crate::queues::Queues;

/// How a message says its postings, and the number of the journal's last one.
pub(crate) type Words = fn(&JournalPage, JournalNumber) -> Bytes;

/// Publishes one shard's journal.
pub(crate) struct Feed {
    pub(crate) shard: Arc<LedgerShard>,
    pub(crate) queues: Queues,
    /// The topic's name.
    pub(crate) topic: String,
    pub(crate) words: Words,
}

impl Feed {
    /// Publishes while this node leads the shard, until `stop`.
    pub(crate) async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut applied = self.shard.group.applied_index();
        let mut rest = OUTBOX_EVERY;
        let mut is_made = false;
        loop {
            tokio::select! {
                // After a failure the rest is taken in full: a topic that cannot take the journal is not asked at each posting.
                _ = timeout(rest, applied.changed()), if rest == OUTBOX_EVERY => {}
                () = tokio::time::sleep(rest), if rest != OUTBOX_EVERY => {}
                _ = stop.wait_for(|stopped| *stopped) => return,
            }
            rest = OUTBOX_EVERY;
            while self.shard.group.is_at_work() && !*stop.borrow() {
                if !is_made {
                    is_made = self.queues.make_topic(&self.topic).await.is_ok();
                }
                match self.publish_some().await {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(reason) => {
                        tracing::debug!(group = self.shard.group.id().0, reason, "the journal waits for its topic");
                        (rest, is_made) = (FEED_REST, false);
                        break;
                    }
                }
            }
        }
    }

    /// Publishes what one look finds. False: there was nothing.
    async fn publish_some(&self) -> Result<bool, String> {
        let found = self
            .shard
            .stale(|seen| pages(&LedgerView::over(seen.rows), seen.machine.published(), seen.machine.journal_end().0));
        let (pages, last) = found.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        let Some((end, _)) = pages.last().and_then(|page| page.entries.last()) else { return Ok(false) };
        let bodies = pages.iter().map(|page| (self.words)(page, last)).collect();
        let key = routing_key(self.shard.group.id().0);
        self.queues.publish(&self.topic, &key, bodies).await.map_err(|error| error.to_string())?;
        let marked = self.shard.command(&Command::Published(*end), COMMAND_DEADLINE).await;
        marked.map(|_| true).map_err(|failure| failure.to_string())
    }
}

/// What subscriptions choose a shard's journal by.
fn routing_key(group: u32) -> String {
    format!("journal.{group}")
}

/// The next messages' postings behind `published`, and the journal's last number.
fn pages(
    view: &LedgerView<'_>,
    published: JournalNumber,
    last: JournalNumber,
) -> Result<(Vec<JournalPage>, JournalNumber), LoadError> {
    let (mut pages, mut at) = (Vec::new(), published);
    while at < last && pages.len() < FEED_MESSAGES_MAX {
        let page = view.journal(at.next(), FEED_MESSAGE_POSTINGS)?;
        let Some((end, _)) = page.entries.last() else { break };
        at = *end;
        pages.push(page);
    }
    Ok((pages, last))
}
