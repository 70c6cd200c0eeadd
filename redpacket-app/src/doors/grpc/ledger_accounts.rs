//! The ledger's service: what is asked of one account.
//!
//! Must never: answer from rows older than the caller allows.

use std::time::Duration;

use ledger::{BillOrder, BillQuery, Currency, Done, JournalNumber, LedgerView, OpenAccount, Restrict, Status, Verb};
use machine::TimestampMs;
use proto::ledger::v1::{
    BalanceAtReply, BalanceAtRequest, BillReply, BillRequest, CloseAccountReply, CloseAccountRequest, GetAccountReply,
    GetAccountRequest, OpenAccountReply, OpenAccountRequest, RestrictAccountReply, RestrictAccountRequest,
};

use super::convert;
use super::convert_ledger as words;
use crate::app::App;
use crate::failure::{DoorRefusal, Failure, unexpected};
use crate::limits::{COMMAND_DEADLINE, LEDGER_PAGE_MAX, STALE_MS_MAX};

pub(super) async fn open(app: &App, request: &OpenAccountRequest) -> Result<OpenAccountReply, Failure> {
    let account = words::account(&request.account)?;
    let currency = u16::try_from(request.currency).map_err(|_| DoorRefusal::BadField)?;
    let currency = if currency == 0 { Currency::CNY } else { Currency(currency) };
    let open = OpenAccount { account, kind: words::customer_kind(request.kind())?, currency };
    match app.accounts.booking.step(account, Verb::Open(open), COMMAND_DEADLINE).await? {
        Done::Opened => Ok(OpenAccountReply { group: app.homes.ledger_group(account).0 }),
        other => Err(unexpected(&other)),
    }
}

pub(super) async fn restrict(app: &App, request: &RestrictAccountRequest) -> Result<RestrictAccountReply, Failure> {
    let account = words::account(&request.account)?;
    let restrict = Restrict { account, ceiling: ledger::Fen(request.ceiling_fen), is_frozen: request.frozen };
    match app.accounts.booking.step(account, Verb::Restrict(restrict), COMMAND_DEADLINE).await? {
        Done::Restricted => Ok(RestrictAccountReply {}),
        other => Err(unexpected(&other)),
    }
}

pub(super) async fn close(app: &App, request: &CloseAccountRequest) -> Result<CloseAccountReply, Failure> {
    let account = words::account(&request.account)?;
    match app.accounts.booking.step(account, Verb::Close(account), COMMAND_DEADLINE).await? {
        Done::Closed => Ok(CloseAccountReply {}),
        other => Err(unexpected(&other)),
    }
}

pub(super) async fn show(app: &App, request: &GetAccountRequest) -> Result<GetAccountReply, Failure> {
    let account = words::account(&request.account)?;
    let standing = app.accounts.standing_within(account, age(request.stale_ms_max)?).await?;
    let customer = standing.account.customer();
    Ok(GetAccountReply {
        kind: customer.map(|customer| words::wire_kind(customer.kind)).unwrap_or_default().into(),
        currency: u32::from(standing.account.currency.0),
        is_open: customer.is_some_and(ledger::Customer::is_open),
        balance_fen: standing.balance.booked,
        held_fen: standing.balance.held,
        pending_fen: standing.balance.pending,
        pending_credits: standing.balance.pending_credits,
        opened_ms: standing.account.opened.0,
        group: app.homes.ledger_group(account).0,
        frozen: customer.is_some_and(|customer| customer.status == Status::Frozen),
        ceiling_fen: customer.map_or(0, |customer| customer.ceiling.0),
        incoming_fen: customer.map_or(0, |customer| customer.incoming.0),
        journal: standing.journal.0,
    })
}

pub(super) async fn balance_at(app: &App, request: &BalanceAtRequest) -> Result<BalanceAtReply, Failure> {
    let account = words::account(&request.account)?;
    let read = app.homes.ledger(account).fresh(|seen| {
        let view = LedgerView::over(seen.rows);
        let row = view.account(ledger::AccountKey::Customer(account))?;
        Ok::<_, machine::LoadError>((row, view.balance_at(account, TimestampMs(request.before_ms))?))
    });
    let (row, balance) = read.await??;
    row.ok_or(ledger::Refusal::AccountUnknown)?;
    Ok(BalanceAtReply { balance_fen: balance.0 })
}

pub(super) async fn bill(app: &App, request: &BillRequest) -> Result<BillReply, Failure> {
    let account = words::account(&request.account)?;
    let time = |ms: u64| (ms > 0).then_some(TimestampMs(ms));
    let query = BillQuery {
        order: if request.oldest_first { BillOrder::OldestFirst } else { BillOrder::NewestFirst },
        from: time(request.from_ms),
        before: time(request.before_ms),
        kinds: request.kinds().map(words::bill_kind).collect::<Result<_, _>>()?,
        cursor: (request.cursor > 0).then_some(JournalNumber(request.cursor)),
        limit: convert::limit(request.limit, LEDGER_PAGE_MAX as usize)?,
    };
    let page = app.accounts.bill(account, &query, age(request.stale_ms_max)?).await?;
    Ok(BillReply {
        lines: page.lines.iter().map(|line| words::bill_line(account, line)).collect(),
        next: page.next.map_or(0, |number| number.0),
    })
}

/// How old an answer may be. Refuses: `BadField`.
fn age(stale_ms_max: u64) -> Result<Duration, Failure> {
    if stale_ms_max > STALE_MS_MAX {
        Err(DoorRefusal::BadField.into())
    } else {
        Ok(Duration::from_millis(stale_ms_max))
    }
}
