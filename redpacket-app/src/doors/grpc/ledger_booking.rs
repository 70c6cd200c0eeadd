//! The ledger's service: calls that move money or set it aside.
//!
//! Must never: tell a caller more than the ledger answered.

use std::collections::BTreeMap;

use bytes::Bytes;
use ledger::{
    AccountKey, Answer, Currency, Done, Hold, LedgerView, Money, Post, RetryParked, Step, TransferKey, Verb, Void,
    Wallet,
};
use machine::{GroupId, TimestampMs};
use proto::ledger::v1::{
    BatchReply, BatchRequest, HoldReply, HoldRequest, PostRequest, RetryParkedRequest, TransferReply, TransferRequest,
    VoidReply, VoidRequest,
};

use super::convert_ledger as words;
use super::ledger_reading::find;
use super::packed_batch;
use crate::app::App;
use crate::failure::{DoorRefusal, Failure, unexpected};
use crate::limits::COMMAND_DEADLINE;
use crate::tenpay::batcher::Told;

pub(super) async fn wallet(
    app: &App,
    (id, account): (&Bytes, &Bytes),
    fen: i64,
    verb: fn(Wallet) -> Verb,
) -> Result<TransferReply, Failure> {
    let account = words::account(account)?;
    let wallet = Wallet { id: words::transfer(id)?, account, money: Money::cny(fen), memo: 0 };
    told(app, app.homes.ledger_group(account), spend(app, account, fen, verb(wallet)).await?).await
}

pub(super) async fn transfer(app: &App, request: &TransferRequest) -> Result<TransferReply, Failure> {
    let step = words::transfer_step(request)?;
    let spent = spend(app, step.debit, step.money.amount.0, words::payment(&app.homes, step)).await?;
    told(app, app.homes.ledger_group(step.debit), spent).await
}

/// One step that takes `fen` from `payer`; where they are short, what is on its way to him is booked first, oldest first.
async fn spend(app: &App, payer: ledger::AccountId, fen: i64, verb: Verb) -> Result<Told, Failure> {
    let group = app.homes.ledger_group(payer);
    let steps = vec![Step { is_linked: false, verb }];
    let told = app.accounts.booking.steps(group, steps.clone(), COMMAND_DEADLINE).await?;
    let short = ledger::Refusal::InsufficientFunds;
    if told.answers.first() != Some(&Err(short)) {
        return Ok(told);
    }
    app.opening.pending.cover(&app.accounts, payer, fen, short.into()).await?;
    app.accounts.booking.steps(group, steps, COMMAND_DEADLINE).await
}

pub(super) async fn retry(app: &App, request: &RetryParkedRequest) -> Result<TransferReply, Failure> {
    let group = GroupId(request.group);
    let (id, parked) = (words::transfer(&request.id)?, ledger::JournalNumber(request.number));
    let shard = app.homes.ledger_shard(group).ok_or(DoorRefusal::GroupUnknown)?;
    let row = shard.fresh(|seen| {
        let view = LedgerView::over(seen.rows);
        let before = ledger::JournalNumber(parked.0.saturating_sub(1));
        view.parked(before, 1).map(|page| page.into_iter().find(|(number, _)| *number == parked))
    });
    let row = row.await??.map(|(_, credit)| credit);
    let account = match (request.account.is_empty(), row) {
        (false, _) => words::account(&request.account)?,
        (true, Some(credit)) => credit.account,
        (true, None) => return Err(ledger::Refusal::ParkedUnknown.into()),
    };
    // It is gone where this very call was answered before; the ledger knows.
    let currency = row.map_or(Currency::CNY, |credit| credit.money.currency);
    book(app, group, Verb::Retry(RetryParked { id, parked, account, currency })).await
}

/// One step that ends in a journal entry.
async fn book(app: &App, group: GroupId, verb: Verb) -> Result<TransferReply, Failure> {
    let booked = app.accounts.booking.steps(group, vec![Step { is_linked: false, verb }], COMMAND_DEADLINE).await?;
    told(app, group, booked).await
}

/// What a caller is told of a step that ends in a journal entry.
async fn told(app: &App, group: GroupId, told: Told) -> Result<TransferReply, Failure> {
    let Some(answer) = told.answers.first() else { return Err(unexpected(&told)) };
    let done = (*answer)?;
    let Some(journal) = done.journal_number() else { return Err(unexpected(&done)) };
    let booked_ms = booked_at(app, group, &told, done).await?.0;
    Ok(TransferReply { journal: journal.0, booked_ms, under_way: matches!(done, Done::Sent(_)) })
}

/// When `done` was booked: just now, or as the journal says.
async fn booked_at(app: &App, group: GroupId, told: &Told, done: Done) -> Result<TimestampMs, Failure> {
    if let Some(at) = told.booked_at(done) {
        return Ok(at);
    }
    let (Some(shard), Some(number)) = (app.homes.ledger_shard(group), done.journal_number()) else {
        return Err(unexpected(&done));
    };
    shard.applied(told.index).await.map_err(|failure| Failure::Unknown(failure.to_string()))?;
    let entry = shard.stale(|seen| LedgerView::over(seen.rows).journal_entry(number))??;
    Ok(entry.map_or(TimestampMs(0), |entry| entry.at))
}

pub(super) async fn batch(app: &App, request: &BatchRequest) -> Result<BatchReply, Failure> {
    let (transfers, is_packed) = match (request.transfers.is_empty(), request.packed.is_empty()) {
        (true, false) => (packed_batch::read(&request.packed)?, true),
        (false, true) => (words::batch_steps(request)?, false),
        _ => return Err(DoorRefusal::BadField.into()),
    };
    let answers = batch_in_groups(app, transfers).await?;
    Ok(if is_packed {
        BatchReply { packed: packed_batch::write(&answers), ..BatchReply::default() }
    } else {
        BatchReply { results: answers.iter().map(words::result).collect(), ..BatchReply::default() }
    })
}

/// An answer, with the time if it was booked just now.
pub(super) type Dated = (Answer, Option<TimestampMs>);

/// Hands each transfer, as (linked, transfer), to the shard of its debit account. Refuses: `BadField`, a chain over two
/// shards, or nothing.
async fn batch_in_groups(app: &App, transfers: Vec<(bool, ledger::Transfer)>) -> Result<Vec<Dated>, Failure> {
    let count = transfers.len();
    let mut shares: BTreeMap<GroupId, (Vec<usize>, Vec<Step>)> = BTreeMap::new();
    let mut chain = None;
    for (place, (is_linked, transfer)) in transfers.into_iter().enumerate() {
        let group = app.homes.ledger_group(transfer.debit);
        if chain.is_some_and(|chain| chain != group) {
            return Err(DoorRefusal::BadField.into());
        }
        chain = is_linked.then_some(group);
        let (places, steps) = shares.entry(group).or_default();
        places.push(place);
        steps.push(Step { is_linked, verb: words::payment(&app.homes, transfer) });
    }
    if count == 0 || count > ledger::limits::BATCH_STEPS_MAX {
        return Err(DoorRefusal::BadField.into());
    }
    let is_one = shares.len() == 1;
    let asked = shares.into_iter().map(|(group, (places, steps))| async move {
        (places, app.accounts.booking.steps(group, steps, COMMAND_DEADLINE).await)
    });
    let mut answers = vec![None; count];
    for (places, told) in futures::future::join_all(asked).await {
        let told = match told {
            Ok(told) => told,
            Err(failure) if is_one => return Err(failure),
            // Another shard may have done its share.
            Err(failure) => return Err(Failure::Unknown(failure.to_string())),
        };
        for (place, answer) in places.into_iter().zip(&told.answers) {
            if let Some(slot) = answers.get_mut(place) {
                *slot = Some((*answer, answer.ok().and_then(|done| told.booked_at(done))));
            }
        }
    }
    let whole: Option<Vec<Dated>> = answers.into_iter().collect();
    whole.ok_or_else(|| Failure::Unknown("an answer is missing".to_owned()))
}

pub(super) async fn hold(app: &App, request: &HoldRequest) -> Result<HoldReply, Failure> {
    let transfer = words::transfer_step(request.transfer.as_ref().ok_or(DoorRefusal::BadField)?)?;
    let ledger::Transfer { id, debit, credit, money, code, memo } = transfer;
    // Every hold ends: the longest one there is stands for "never".
    let hold_ms = if request.timeout_ms == 0 { ledger::limits::HOLD_MS_MAX } else { request.timeout_ms };
    let verb = Verb::Hold(Hold { id, debit, credit, money, hold_ms, code, memo });
    let told = spend(app, debit, money.amount.0, verb).await?;
    match told.answers.first() {
        Some(Ok(Done::Held)) => {}
        Some(Err(refusal)) => return Err((*refusal).into()),
        _ => return Err(unexpected(&told)),
    }
    let shard = app.homes.ledger(debit);
    shard.applied(told.index).await.map_err(|failure| Failure::Unknown(failure.to_string()))?;
    let held = shard.stale(|seen| LedgerView::over(seen.rows).hold(id))??;
    Ok(HoldReply { ends_ms: held.map_or(0, |held| held.deadline.0) })
}

pub(super) async fn post(app: &App, request: &PostRequest) -> Result<TransferReply, Failure> {
    let (id, hold) = (words::transfer(&request.id)?, words::transfer(&request.hold)?);
    // The accounts of a posting that is booked are in its entry: the hold is gone by then.
    let (debit, credit) = match find(app, |view| former(view, id)).await? {
        Some(parties) => parties,
        None => parties(app, hold).await?,
    };
    let amount = (request.amount_fen != 0).then_some(ledger::Fen(request.amount_fen));
    book(app, app.homes.ledger_group(debit), Verb::Post(Post { id, hold, debit, credit, amount })).await
}

pub(super) async fn void(app: &App, request: &VoidRequest) -> Result<VoidReply, Failure> {
    let (id, hold) = (words::transfer(&request.id)?, words::transfer(&request.hold)?);
    let is_voided = |view: &LedgerView<'_>| {
        let stored = view.transfer(TransferKey::Own(id))?;
        Ok(stored.filter(|stored| stored.done == Done::Voided))
    };
    if find(app, is_voided).await?.is_some() {
        return Ok(VoidReply {});
    }
    let (debit, credit) = parties(app, hold).await?;
    let verb = Verb::Void(Void { id, hold, debit, credit });
    match app.accounts.booking.step(debit, verb, COMMAND_DEADLINE).await? {
        Done::Voided => Ok(VoidReply {}),
        other => Err(unexpected(&other)),
    }
}

/// The accounts of a hold, whichever shard has it. Refuses: `HoldUnknown`, `HoldEnded`.
async fn parties(app: &App, hold: ledger::TransferId) -> Result<(ledger::AccountId, ledger::AccountId), Failure> {
    if let Some(held) = find(app, |view| view.hold(hold)).await? {
        return Ok((held.debit, held.credit));
    }
    let made = find(app, |view| view.transfer(TransferKey::Own(hold))).await?;
    Err(made.map_or(DoorRefusal::HoldUnknown, |_| DoorRefusal::HoldEnded).into())
}

/// The accounts of a transfer between customers that is booked.
fn former(
    view: &LedgerView<'_>,
    id: ledger::TransferId,
) -> Result<Option<(ledger::AccountId, ledger::AccountId)>, machine::LoadError> {
    let stored = view.transfer(TransferKey::Own(id))?;
    let Some(number) = stored.and_then(|stored| stored.done.journal_number()) else { return Ok(None) };
    Ok(view.journal_entry(number)?.and_then(|entry| match (entry.debit, entry.credit) {
        (AccountKey::Customer(debit), AccountKey::Customer(credit)) => Some((debit, credit)),
        _ => None,
    }))
}
