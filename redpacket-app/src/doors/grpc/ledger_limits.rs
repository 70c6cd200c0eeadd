//! The ledger's service: how much an account may pay into red packets.
//!
//! Must never: check a limit itself; the payer's shard does, in the entry that pays.

use ledger::{Done, Fen, LedgerView, LimitPayments, Verb};
use proto::ledger::v1::{GetPaymentLimitsReply, GetPaymentLimitsRequest, LimitPaymentsReply, LimitPaymentsRequest};

use super::convert_ledger as words;
use crate::app::App;
use crate::failure::{Failure, unexpected};
use crate::limits::COMMAND_DEADLINE;

pub(super) async fn limit(app: &App, request: &LimitPaymentsRequest) -> Result<LimitPaymentsReply, Failure> {
    let account = words::account(&request.account)?;
    let (payment_max, day_max) = (Fen(request.payment_fen_max), Fen(request.day_fen_max));
    let limit = LimitPayments { account, payment_max, day_max };
    match app.accounts.booking.step(account, Verb::Limit(limit), COMMAND_DEADLINE).await? {
        Done::Restricted => Ok(LimitPaymentsReply {}),
        other => Err(unexpected(&other)),
    }
}

pub(super) async fn show(app: &App, request: &GetPaymentLimitsRequest) -> Result<GetPaymentLimitsReply, Failure> {
    let account = words::account(&request.account)?;
    let read = app.homes.ledger(account).fresh(|seen| {
        let view = LedgerView::over(seen.rows);
        let row = view.account(ledger::AccountKey::Customer(account))?;
        Ok::<_, machine::LoadError>((row, view.allowance(account)?, seen.now))
    });
    let (row, allowance, now) = read.await??;
    row.ok_or(ledger::Refusal::AccountUnknown)?;
    let allowance = allowance.unwrap_or_default();
    Ok(GetPaymentLimitsReply {
        payment_fen_max: allowance.payment_max.0,
        day_fen_max: allowance.day_max.0,
        day_fen_spent: allowance.spent_on(now).0,
    })
}
