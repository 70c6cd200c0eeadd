//! The ledger's service: what became of transfers, the journal, what is parked, and the streams.
//!
//! Must never: hold a stream's reader up for another one; each reads for itself, and a slow one holds nothing.

use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::{BoxStream, unfold};
use ledger::{AccountKey, Done, JournalNumber, JournalPage, LedgerView, TransferKey};
use machine::GroupId;
use proto::Message as _;
use proto::ledger::v1::{
    FollowJournalRequest, GetTransferReply, GetTransferRequest, JournalReply, JournalRequest, ListParkedReply,
    ListParkedRequest, TransferRequest, TransferState, WatchAccountReply, WatchAccountRequest,
};
use tokio::sync::OwnedSemaphorePermit;
use tonic::Status;

use super::convert::{self, ledger_status, wire_id};
use super::convert_ledger as words;
use crate::app::App;
use crate::failure::{DoorRefusal, Failure};
use crate::homes::LedgerShard;
use crate::limits::LEDGER_PAGE_MAX;
use crate::tenpay::journal::{JournalCursor, next_lines};

/// How soon one may ask again for a stream. Milliseconds.
const STREAM_AFTER_MS: u64 = 1000;

/// What the first shard that has it says, freshly.
pub(super) async fn find<T>(
    app: &App,
    look: impl Fn(&LedgerView<'_>) -> Result<Option<T>, machine::LoadError>,
) -> Result<Option<T>, Failure> {
    for shard in app.homes.ledgers() {
        if let Some(found) = shard.fresh(|seen| look(&LedgerView::over(seen.rows))).await?? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn shard_of(app: &App, group: u32) -> Result<&Arc<LedgerShard>, Failure> {
    app.homes.ledger_shard(GroupId(group)).ok_or_else(|| DoorRefusal::GroupUnknown.into())
}

pub(super) async fn journal(app: &App, request: &JournalRequest) -> Result<JournalReply, Failure> {
    let limit = if request.limit == 0 { 100 } else { request.limit };
    let limit = convert::limit(limit, LEDGER_PAGE_MAX as usize)?;
    let from = JournalNumber(request.from.max(1));
    let read = shard_of(app, request.group)?.fresh(|seen| {
        let page = LedgerView::over(seen.rows).journal(from, limit)?;
        Ok::<_, machine::LoadError>((page, seen.machine.journal_end().0))
    });
    let (page, last) = read.await??;
    Ok(journal_reply(&page, last))
}

/// The words in which a journal is published: those of the `Journal` call.
pub(crate) fn published_words(page: &JournalPage, last: JournalNumber) -> Bytes {
    journal_reply(page, last).encode_to_vec().into()
}

fn journal_reply(page: &JournalPage, last: JournalNumber) -> JournalReply {
    let mut links = page.links.iter().peekable();
    let posting = |(number, entry): &(JournalNumber, ledger::JournalEntry)| {
        let link = links.next_if(|(end, _)| end == number).map(|(_, link)| link);
        words::posting(*number, entry, link)
    };
    JournalReply { postings: page.entries.iter().map(posting).collect(), last: last.0 }
}

/// A place for a stream. Errors: `Busy`.
fn place(app: &App) -> Result<OwnedSemaphorePermit, Failure> {
    Arc::clone(&app.streams).try_acquire_owned().map_err(|_| Failure::Busy { after_ms: STREAM_AFTER_MS })
}

pub(super) fn follow(
    app: &App,
    request: &FollowJournalRequest,
) -> Result<BoxStream<'static, Result<JournalReply, Status>>, Failure> {
    let shard = Arc::clone(shard_of(app, request.group)?);
    let state = Some((JournalCursor::at(shard, JournalNumber(request.from)), place(app)?));
    let pages = unfold(state, |state| async move {
        let (mut cursor, place) = state?;
        match cursor.read(LEDGER_PAGE_MAX as usize).await {
            Ok((page, last)) => Some((Ok(journal_reply(&page, last)), Some((cursor, place)))),
            Err(failure) => Some((Err(ledger_status(failure)), None)),
        }
    });
    Ok(pages.boxed())
}

pub(super) async fn watch(
    app: &App,
    request: &WatchAccountRequest,
) -> Result<BoxStream<'static, Result<WatchAccountReply, Status>>, Failure> {
    let account = words::account(&request.account)?;
    let shard = Arc::clone(app.homes.ledger(account));
    let place = place(app)?;
    let read = shard.fresh(|seen| {
        let row = LedgerView::over(seen.rows).account(AccountKey::Customer(account))?;
        Ok::<_, machine::LoadError>((row, seen.machine.journal_end().0))
    });
    let (row, last) = read.await??;
    row.ok_or(ledger::Refusal::AccountUnknown)?;
    let after = if request.after == 0 { last } else { JournalNumber(request.after) };
    let cursor = JournalCursor::at(Arc::clone(&shard), after.next());
    let lines = unfold(Some((shard, cursor, place)), move |state| async move {
        let (shard, mut cursor, place) = state?;
        loop {
            match next_lines(&shard, account, &mut cursor).await {
                Ok(page) if page.lines.is_empty() => {}
                Ok(page) => {
                    let lines = page.lines.iter().map(|line| words::bill_line(account, line)).collect();
                    return Some((Ok(WatchAccountReply { lines }), Some((shard, cursor, place))));
                }
                Err(failure) => return Some((Err(ledger_status(failure)), None)),
            }
        }
    });
    Ok(lines.boxed())
}

pub(super) async fn parked(app: &App, request: &ListParkedRequest) -> Result<ListParkedReply, Failure> {
    let limit = convert::limit(request.limit, LEDGER_PAGE_MAX as usize)?;
    let after = JournalNumber(request.after);
    let read = shard_of(app, request.group)?.fresh(|seen| LedgerView::over(seen.rows).parked(after, limit));
    let parked = read.await??.iter().map(|(number, credit)| words::parked(*number, credit)).collect();
    Ok(ListParkedReply { parked })
}

pub(super) async fn transfer(app: &App, request: &GetTransferRequest) -> Result<GetTransferReply, Failure> {
    let (id, account) = (words::transfer(&request.id)?, words::account(&request.account)?);
    let shard = app.homes.ledger(account);
    let read = shard.fresh(|seen| {
        let view = LedgerView::over(seen.rows);
        let stored = view.transfer(TransferKey::Own(id))?;
        let number = stored.and_then(|stored| match stored.done {
            Done::Posted(number) => Some(number),
            done => done.journal_number(),
        });
        let entry = number.map(|number| view.journal_entry(number)).transpose()?.flatten();
        let back = match entry.map(|entry| entry.credit) {
            Some(AccountKey::Clearing(target, _)) => view.transfer(TransferKey::Returned(target, id))?,
            _ => None,
        };
        let back = back.and_then(|back| back.done.journal_number());
        let back = back.map(|number| view.journal_entry(number)).transpose()?.flatten();
        let known = view.account(AccountKey::Customer(account))?;
        Ok::<_, machine::LoadError>((stored, entry, view.hold(id)?, back, known))
    });
    let (stored, entry, held, back, known) = read.await??;
    known.ok_or(ledger::Refusal::AccountUnknown)?;
    let state = match stored.map(|stored| stored.done) {
        None => TransferState::Absent,
        Some(Done::Booked(_)) => TransferState::Booked,
        Some(Done::Sent(_)) if back.is_some() => TransferState::Returned,
        Some(Done::Sent(_)) => TransferState::Sent,
        Some(Done::Held) if held.is_some() => TransferState::Held,
        Some(Done::Posted(_)) => TransferState::Posted,
        Some(Done::Cancelled) => TransferState::Cancelled,
        Some(_) => TransferState::Voided,
    };
    let transfer = entry.as_ref().map(words::transfer_of).or_else(|| {
        held.map(|held| TransferRequest {
            id: wire_id(id.0),
            debit: wire_id(held.debit.0),
            credit: wire_id(held.credit.0),
            amount_fen: held.money.amount.0,
            ..TransferRequest::default()
        })
    });
    let journal = stored.and_then(|stored| stored.done.journal_number()).map_or(0, |number| number.0);
    Ok(GetTransferReply {
        state: state.into(),
        transfer,
        journal,
        stamp_ms: entry.map_or(0, |entry| entry.at.0),
        returned_for: back.map_or(0, |entry| u32::from(entry.code)),
    })
}
