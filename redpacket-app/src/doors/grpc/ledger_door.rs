//! The ledger's service: accounts, transfers, holds and the journal, for programs that are trusted.
//!
//! Must never: decide what the ledger decides; a refusal comes back with the ledger's own number.

use std::sync::Arc;

use ledger::{
    AccountKey, Command, Currency, Done, Hold, JournalNumber, LedgerView, Money, OpenAccount, Post, Step, TransferKey,
    Verb, Void, Wallet,
};
use proto::ledger::v1::ledger_server::Ledger;
use proto::ledger::v1::{
    BatchReply, BatchRequest, BillReply, BillRequest, FundRequest, GetAccountReply, GetAccountRequest,
    GetTransferReply, GetTransferRequest, HoldReply, HoldRequest, JournalReply, JournalRequest, OpenAccountReply,
    OpenAccountRequest, PostRequest, TransferReply, TransferRequest, TransferState, VoidReply, VoidRequest,
    WithdrawRequest,
};
use tonic::{Request, Response, Status};

use super::Door;
use super::convert::{self, ledger_status, wire_id};
use super::convert_ledger as words;
use crate::app::App;
use crate::failure::{DoorRefusal, Failure, unexpected};
use crate::limits::{COMMAND_DEADLINE, LEDGER_PAGE_MAX};

type Reply<T> = Result<Response<T>, Status>;

fn reply<T>(answer: Result<T, Failure>) -> Reply<T> {
    answer.map(Response::new).map_err(ledger_status)
}

#[tonic::async_trait]
impl Ledger for Door {
    async fn open_account(&self, request: Request<OpenAccountRequest>) -> Reply<OpenAccountReply> {
        reply(open_account(self.let_program_in(&request)?, request.get_ref()).await)
    }

    async fn fund(&self, request: Request<FundRequest>) -> Reply<TransferReply> {
        let app = self.let_program_in(&request)?;
        let FundRequest { id, account, amount_fen } = request.into_inner();
        if !app.sessions.is_open {
            return Err(ledger_status(DoorRefusal::FundingClosed));
        }
        reply(wallet(app, (&id, &account), amount_fen, Verb::Fund).await)
    }

    async fn withdraw(&self, request: Request<WithdrawRequest>) -> Reply<TransferReply> {
        let app = self.let_program_in(&request)?;
        let WithdrawRequest { id, account, amount_fen } = request.into_inner();
        reply(wallet(app, (&id, &account), amount_fen, Verb::Withdraw).await)
    }

    async fn transfer(&self, request: Request<TransferRequest>) -> Reply<TransferReply> {
        let step = words::transfer_step(request.get_ref()).map_err(ledger_status)?;
        reply(book(self.let_program_in(&request)?, step.debit, Verb::Transfer(step)).await)
    }

    async fn batch(&self, request: Request<BatchRequest>) -> Reply<BatchReply> {
        reply(batch(self.let_program_in(&request)?, request.get_ref()).await)
    }

    async fn hold(&self, request: Request<HoldRequest>) -> Reply<HoldReply> {
        reply(hold(self.let_program_in(&request)?, request.get_ref()).await)
    }

    async fn post(&self, request: Request<PostRequest>) -> Reply<TransferReply> {
        reply(post(self.let_program_in(&request)?, request.get_ref()).await)
    }

    async fn void(&self, request: Request<VoidRequest>) -> Reply<VoidReply> {
        reply(void(self.let_program_in(&request)?, request.get_ref()).await)
    }

    async fn get_account(&self, request: Request<GetAccountRequest>) -> Reply<GetAccountReply> {
        let app = self.let_program_in(&request)?;
        let account = words::account(&request.get_ref().account).map_err(ledger_status)?;
        reply(app.accounts.standing(account).await.map(|standing| {
            let customer = standing.account.customer();
            GetAccountReply {
                kind: customer.map(|customer| words::wire_kind(customer.kind)).unwrap_or_default().into(),
                currency: u32::from(standing.account.currency.0),
                is_open: customer.is_some_and(|customer| customer.is_open),
                balance_fen: standing.balance.booked,
                held_fen: standing.balance.held,
                pending_fen: standing.balance.pending,
                pending_credits: standing.balance.pending_credits,
                opened_ms: standing.account.opened.0,
                group: app.homes.ledger_group(account).0,
            }
        }))
    }

    async fn bill(&self, request: Request<BillRequest>) -> Reply<BillReply> {
        let app = self.let_program_in(&request)?;
        let BillRequest { account, cursor, limit } = request.into_inner();
        let account = words::account(&account).map_err(ledger_status)?;
        let limit = convert::limit(limit, LEDGER_PAGE_MAX as usize).map_err(ledger_status)?;
        let cursor = (cursor > 0).then_some(JournalNumber(cursor));
        reply(app.accounts.bill(account, cursor, limit).await.map(|page| BillReply {
            lines: page.lines.iter().map(|line| words::bill_line(account, line)).collect(),
            next: page.next.map_or(0, |number| number.0),
        }))
    }

    async fn journal(&self, request: Request<JournalRequest>) -> Reply<JournalReply> {
        reply(journal(self.let_program_in(&request)?, request.get_ref()).await)
    }

    async fn get_transfer(&self, request: Request<GetTransferRequest>) -> Reply<GetTransferReply> {
        reply(get_transfer(self.let_program_in(&request)?, request.get_ref()).await)
    }
}

impl Door {
    /// The roles, for a program that may use the ledger. Refuses: `BadToken`.
    fn let_program_in<T>(&self, request: &Request<T>) -> Result<&Arc<App>, Status> {
        let app = self.app()?;
        app.sessions.check_program(convert::token(request)).map_err(ledger_status)?;
        Ok(app)
    }
}

async fn open_account(app: &App, request: &OpenAccountRequest) -> Result<OpenAccountReply, Failure> {
    let account = words::account(&request.account)?;
    let currency = u16::try_from(request.currency).map_err(|_| DoorRefusal::BadField)?;
    let currency = if currency == 0 { Currency::CNY } else { Currency(currency) };
    let open = OpenAccount { account, kind: words::customer_kind(request.kind())?, currency };
    match app.accounts.booking.step(account, Verb::Open(open), COMMAND_DEADLINE).await? {
        Done::Opened => Ok(OpenAccountReply { group: app.homes.ledger_group(account).0 }),
        other => Err(unexpected(&other)),
    }
}

async fn wallet(
    app: &App,
    (id, account): (&bytes::Bytes, &bytes::Bytes),
    fen: i64,
    verb: fn(Wallet) -> Verb,
) -> Result<TransferReply, Failure> {
    let account = words::account(account)?;
    let wallet = Wallet { id: words::transfer(id)?, account, money: Money::cny(fen), memo: 0 };
    book(app, account, verb(wallet)).await
}

/// One step that ends in a journal entry.
async fn book(app: &App, account: ledger::AccountId, verb: Verb) -> Result<TransferReply, Failure> {
    let shard = app.homes.ledger(account);
    let applied = shard.command(&Command::One(verb), COMMAND_DEADLINE).await?;
    let done = match applied.reply {
        ledger::Reply::One(answer) => answer?,
        other => return Err(unexpected(&other)),
    };
    let Some(number) = done.journal_number() else { return Err(unexpected(&done)) };
    shard.applied(applied.receipt.index).await.map_err(|failure| Failure::Unknown(failure.to_string()))?;
    let entry = shard.stale(|seen| LedgerView::over(seen.rows).journal_entry(number))??;
    Ok(words::booked(number, entry.map_or(0, |entry| entry.at.0)))
}

async fn batch(app: &App, request: &BatchRequest) -> Result<BatchReply, Failure> {
    let mut steps = Vec::with_capacity(request.transfers.len());
    for step in &request.transfers {
        let transfer = words::transfer_step(step.transfer.as_ref().ok_or(DoorRefusal::BadField)?)?;
        steps.push((transfer.debit, Step { is_linked: step.linked, verb: Verb::Transfer(transfer) }));
    }
    let Some((first, _)) = steps.first() else { return Err(DoorRefusal::BadField.into()) };
    let shard = app.homes.ledger(*first);
    let command = Command::Batch(steps.into_iter().map(|(_, step)| step).collect());
    let applied = shard.command(&command, COMMAND_DEADLINE).await?;
    let answers = match applied.reply {
        ledger::Reply::Batch(answers) => answers,
        ledger::Reply::One(Err(refusal)) => return Err(refusal.into()),
        other => return Err(unexpected(&other)),
    };
    shard.applied(applied.receipt.index).await.map_err(|failure| Failure::Unknown(failure.to_string()))?;
    let results = shard.stale(|seen| {
        let view = LedgerView::over(seen.rows);
        let result = |answer: ledger::Answer| match answer.map(Done::journal_number) {
            Ok(Some(number)) => {
                view.journal_entry(number).map(|entry| words::booked_step(number, entry.map_or(0, |entry| entry.at.0)))
            }
            Ok(None) => Ok(words::booked_step(JournalNumber(0), 0)),
            Err(refusal) => Ok(words::refused_step(refusal)),
        };
        answers.into_iter().map(result).collect::<Result<Vec<_>, _>>()
    })??;
    Ok(BatchReply { results })
}

async fn hold(app: &App, request: &HoldRequest) -> Result<HoldReply, Failure> {
    let transfer = words::transfer_step(request.transfer.as_ref().ok_or(DoorRefusal::BadField)?)?;
    let ledger::Transfer { id, debit, credit, money, code, memo } = transfer;
    // Every hold ends: the longest one there is stands for "never".
    let hold_ms = if request.timeout_ms == 0 { ledger::limits::HOLD_MS_MAX } else { request.timeout_ms };
    let verb = Verb::Hold(Hold { id, debit, credit, money, hold_ms, code, memo });
    let shard = app.homes.ledger(debit);
    let applied = shard.command(&Command::One(verb), COMMAND_DEADLINE).await?;
    match applied.reply {
        ledger::Reply::One(answer) => match answer? {
            Done::Held => {}
            other => return Err(unexpected(&other)),
        },
        other => return Err(unexpected(&other)),
    }
    shard.applied(applied.receipt.index).await.map_err(|failure| Failure::Unknown(failure.to_string()))?;
    let held = shard.stale(|seen| LedgerView::over(seen.rows).hold(id))??;
    Ok(HoldReply { ends_ms: held.map_or(0, |held| held.deadline.0) })
}

async fn post(app: &App, request: &PostRequest) -> Result<TransferReply, Failure> {
    let (id, hold) = (words::transfer(&request.id)?, words::transfer(&request.hold)?);
    // The accounts of a posting that is booked are in its entry: the hold is gone by then.
    let (debit, credit) = match find(app, |view| former(view, id)).await? {
        Some(parties) => parties,
        None => parties(app, hold).await?,
    };
    let amount = (request.amount_fen != 0).then_some(ledger::Fen(request.amount_fen));
    book(app, debit, Verb::Post(Post { id, hold, debit, credit, amount })).await
}

async fn void(app: &App, request: &VoidRequest) -> Result<VoidReply, Failure> {
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

/// What the first shard that has it says, freshly.
async fn find<T>(
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

async fn journal(app: &App, request: &JournalRequest) -> Result<JournalReply, Failure> {
    let group = machine::GroupId(request.group);
    let shard = app.homes.ledger_shard(group).ok_or(DoorRefusal::GroupUnknown)?;
    let limit = if request.limit == 0 { 100 } else { request.limit };
    let limit = convert::limit(limit, LEDGER_PAGE_MAX as usize)?;
    let from = JournalNumber(request.from.max(1));
    let read = shard.fresh(|seen| {
        let page = LedgerView::over(seen.rows).journal(from, limit)?;
        Ok::<_, machine::LoadError>((page, seen.machine.journal_end().0))
    });
    let (page, last) = read.await??;
    let link = |number: JournalNumber| page.links.iter().find(|(end, _)| *end == number).map(|(_, link)| link);
    let postings = page.entries.iter().map(|(number, entry)| words::posting(*number, entry, link(*number))).collect();
    Ok(JournalReply { postings, last: last.0 })
}

async fn get_transfer(app: &App, request: &GetTransferRequest) -> Result<GetTransferReply, Failure> {
    let (id, account) = (words::transfer(&request.id)?, words::account(&request.account)?);
    let shard = app.homes.ledger(account);
    let read = shard.fresh(|seen| {
        let view = LedgerView::over(seen.rows);
        let stored = view.transfer(TransferKey::Own(id))?;
        let number = stored.and_then(|stored| stored.done.journal_number());
        let entry = number.map(|number| view.journal_entry(number)).transpose()?.flatten();
        Ok::<_, machine::LoadError>((stored, entry, view.hold(id)?, view.account(AccountKey::Customer(account))?))
    });
    let (stored, entry, held, known) = read.await??;
    known.ok_or(ledger::Refusal::AccountUnknown)?;
    let state = match stored.map(|stored| stored.done) {
        None => TransferState::Absent,
        Some(Done::Booked(_)) => TransferState::Booked,
        Some(Done::Held) if held.is_some() => TransferState::Held,
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
    Ok(GetTransferReply { state: state.into(), transfer, journal, stamp_ms: entry.map_or(0, |entry| entry.at.0) })
}
