//! The ledger, between the wire and the machine.
//!
//! Must never: let a caller name an account of the ledger's own.

use bytes::Bytes;
use ledger::{AccountKey, BillKind, CustomerKind, Done, JournalEntry, JournalNumber, Link, Remit, TransferId, Verb};
use proto::ledger::v1::{
    self as wire, AccountKind, BatchRequest, BatchTransfer, BillLine, ParkedCredit, Posting, TransferRequest,
    TransferResult,
};

use super::convert::{id, wire_id};
use super::convert_packet::transfer_id;
use super::ledger_booking::Dated;
use crate::failure::{DoorRefusal, Failure};
use crate::homes::Homes;

/// An account. Refuses: `BadId`.
pub(super) fn account(bytes: &Bytes) -> Result<ledger::AccountId, Failure> {
    id(bytes).map(ledger::AccountId)
}

/// The id of a transfer. Refuses: `BadId`.
pub(super) fn transfer(bytes: &Bytes) -> Result<TransferId, Failure> {
    id(bytes).map(TransferId)
}

/// Whose account it shall be. Refuses: `BadField`.
pub(super) fn customer_kind(kind: AccountKind) -> Result<CustomerKind, Failure> {
    match kind {
        AccountKind::User => Ok(CustomerKind::User),
        AccountKind::Merchant => Ok(CustomerKind::Merchant),
        _ => Err(DoorRefusal::BadField.into()),
    }
}

/// Whose account it is.
pub(super) const fn wire_kind(kind: CustomerKind) -> AccountKind {
    match kind {
        CustomerKind::User => AccountKind::User,
        CustomerKind::Merchant => AccountKind::Merchant,
    }
}

/// A transfer between customers. Refuses: `BadId`, `BadField`.
pub(super) fn transfer_step(request: &TransferRequest) -> Result<ledger::Transfer, Failure> {
    Ok(ledger::Transfer {
        id: transfer(&request.id)?,
        debit: account(&request.debit)?,
        credit: account(&request.credit)?,
        money: ledger::Money::cny(request.amount_fen),
        code: u16::try_from(request.code).map_err(|_| DoorRefusal::BadField)?,
        memo: if request.memo.is_empty() { 0 } else { id(&request.memo)? },
    })
}

/// A transfer as the step that makes it: within its shard, or to another one.
pub(super) fn payment(homes: &Homes, transfer: ledger::Transfer) -> Verb {
    let to_group = homes.ledger_group(transfer.credit);
    if to_group == homes.ledger_group(transfer.debit) {
        Verb::Transfer(transfer)
    } else {
        Verb::Remit(Remit { transfer, to_group })
    }
}

/// The transfers of a batch, each with whether it is linked to the next. Refuses: `BadId`, `BadField`.
pub(super) fn batch_steps(request: &BatchRequest) -> Result<Vec<(bool, ledger::Transfer)>, Failure> {
    let step = |step: &BatchTransfer| {
        let transfer = step.transfer.as_ref().ok_or(DoorRefusal::BadField)?;
        Ok((step.linked, transfer_step(transfer)?))
    };
    request.transfers.iter().map(step).collect()
}

/// What became of a step of a batch.
pub(super) fn result((answer, at): &Dated) -> TransferResult {
    match answer {
        Ok(done) => TransferResult {
            journal: done.journal_number().map_or(0, |number| number.0),
            booked_ms: at.map_or(0, |at| at.0),
            under_way: matches!(done, Done::Sent(_)),
            ..TransferResult::default()
        },
        Err(refusal) => TransferResult {
            refusal: u32::from(refusal.number()),
            text: refusal.to_string(),
            ..TransferResult::default()
        },
    }
}

/// A kind of line. Refuses: `BadField`.
pub(super) fn bill_kind(kind: wire::BillKind) -> Result<BillKind, Failure> {
    let known = BillKind::ALL.into_iter().find(|known| wire_bill_kind(*known) == kind);
    known.ok_or_else(|| DoorRefusal::BadField.into())
}

const fn wire_bill_kind(kind: BillKind) -> wire::BillKind {
    match kind {
        BillKind::Funded => wire::BillKind::Funded,
        BillKind::Withdrawn => wire::BillKind::Withdrawn,
        BillKind::Transfer => wire::BillKind::Transfer,
        BillKind::Packet => wire::BillKind::Packet,
        BillKind::Credit => wire::BillKind::Credit,
        BillKind::Refund => wire::BillKind::Refund,
        BillKind::Returned => wire::BillKind::Returned,
        BillKind::Payment => wire::BillKind::Payment,
    }
}

/// A credit that waits for an operator.
pub(super) fn parked(number: JournalNumber, credit: &ledger::ParkedCredit) -> ParkedCredit {
    ParkedCredit {
        number: number.0,
        account: wire_id(credit.account.0),
        amount_fen: credit.money.amount.0,
        currency: u32::from(credit.money.currency.0),
        source: credit.source.0,
        transfer: transfer_id(credit.what.arrival(credit.source)),
        refusal: u32::from(credit.reason.number()),
        text: credit.reason.to_string(),
        parked_ms: credit.parked.0,
    }
}

/// A line of a bill.
pub(super) fn bill_line(account: ledger::AccountId, line: &ledger::BillLine) -> BillLine {
    let entry = &line.entry;
    let other = if entry.debit == AccountKey::Customer(account) { entry.credit } else { entry.debit };
    BillLine {
        number: line.number.0,
        transfer: transfer_id(entry.key),
        other: account_name(other),
        amount_fen: line.change.0,
        balance_fen: line.balance.0,
        code: u32::from(entry.code),
        memo: memo(entry.memo),
        booked_ms: entry.at.0,
        journal: line.number.0,
        kind: wire_bill_kind(line.kind).into(),
    }
}

/// An entry of the journal; `link`: the seal, if one ends here.
pub(super) fn posting(number: JournalNumber, entry: &JournalEntry, link: Option<&Link>) -> Posting {
    Posting {
        number: number.0,
        transfer: transfer_id(entry.key),
        debit: account_name(entry.debit),
        credit: account_name(entry.credit),
        amount_fen: entry.money.amount.0,
        code: u32::from(entry.code),
        booked_ms: entry.at.0,
        debit_balance_fen: entry.debit_balance.0,
        credit_balance_fen: entry.credit_balance.0,
        link: link.map_or_else(Bytes::new, |link| Bytes::copy_from_slice(&link.0)),
        memo: memo(entry.memo),
        serial: entry.serial,
    }
}

/// A booked transfer as it was asked for.
pub(super) fn transfer_of(entry: &JournalEntry) -> TransferRequest {
    TransferRequest {
        id: transfer_id(entry.key),
        debit: account_name(entry.debit),
        credit: account_name(entry.credit),
        amount_fen: entry.money.amount.0,
        code: u32::from(entry.code),
        memo: memo(entry.memo),
    }
}

fn memo(memo: u128) -> Bytes {
    if memo == 0 { Bytes::new() } else { wire_id(memo) }
}

/// The 16 bytes of an account's name. The ledger's own accounts bear small numbers: the group, or the currency.
fn account_name(key: AccountKey) -> Bytes {
    wire_id(match key {
        AccountKey::Customer(account) => account.0,
        AccountKey::Escrow(packet) => packet.0,
        AccountKey::Clearing(group, _) => u128::from(group.0),
        AccountKey::Issue(currency) | AccountKey::Suspense(currency) => u128::from(currency.0),
    })
}
