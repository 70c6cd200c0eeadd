//! The journal as a stream: from any posting on, what there is and then what comes.
//!
//! Why: other systems live off the journal. Whoever keeps the number of the last posting he has seen goes on from there,
//! on any node, and misses nothing: numbers have no gaps.
//!
//! Must never: show a posting that is not committed, or one twice.

use std::sync::Arc;

use ledger::{BillOrder, BillPage, BillQuery, JournalNumber, JournalPage, LedgerView};
use tokio::sync::watch;

use crate::failure::Failure;
use crate::homes::LedgerShard;
use crate::limits::WATCH_LINES_MAX;

/// A place in a shard's journal, that moves on as it is read.
pub(crate) struct JournalCursor {
    shard: Arc<LedgerShard>,
    applied: watch::Receiver<u64>,
    next: JournalNumber,
}

impl JournalCursor {
    /// In front of `from`.
    pub(crate) fn at(shard: Arc<LedgerShard>, from: JournalNumber) -> Self {
        let applied = shard.group.applied_index();
        Self { shard, applied, next: from.max(JournalNumber(1)) }
    }

    /// The next postings, at least one and at most `limit`, and the number of the last one of the journal; waits until
    /// there is one. Errors: `NotApplied`, the group stands still.
    pub(crate) async fn read(&mut self, limit: usize) -> Result<(JournalPage, JournalNumber), Failure> {
        loop {
            self.applied.mark_unchanged();
            let next = self.next;
            let (page, last) = self.shard.stale(|seen| {
                let last = seen.machine.journal_end().0;
                let page = if last < next {
                    Ok(JournalPage::default())
                } else {
                    LedgerView::over(seen.rows).journal(next, limit)
                };
                page.map(|page| (page, last))
            })??;
            if let Some((number, _)) = page.entries.last() {
                self.next = number.next();
                return Ok((page, last));
            }
            self.applied.changed().await.map_err(|_| Failure::NotApplied("the node is stopping".to_owned()))?;
        }
    }

    /// Waits until there is a posting to be read.
    async fn wait(&mut self) -> Result<(), Failure> {
        loop {
            self.applied.mark_unchanged();
            if self.shard.stale(|seen| seen.machine.journal_end().0)? >= self.next {
                return Ok(());
            }
            self.applied.changed().await.map_err(|_| Failure::NotApplied("the node is stopping".to_owned()))?;
        }
    }
}

/// New lines of an account's bill, from `cursor` on: waits until the journal has gone on. May be empty.
pub(crate) async fn next_lines(
    shard: &LedgerShard,
    account: ledger::AccountId,
    cursor: &mut JournalCursor,
) -> Result<BillPage, Failure> {
    cursor.wait().await?;
    let query = BillQuery {
        order: BillOrder::OldestFirst,
        cursor: Some(cursor.next),
        limit: WATCH_LINES_MAX,
        ..BillQuery::default()
    };
    let (page, last) = shard.stale(|seen| {
        let page = LedgerView::over(seen.rows).bill(account, &query);
        page.map(|page| (page, seen.machine.journal_end().0))
    })??;
    cursor.next = page.next.unwrap_or_else(|| last.next());
    Ok(page)
}
