//! The ledger, between the wire and the machine.
//!
//! Must never: let a caller name an account of the ledger's own.

use bytes::Bytes;
use ledger::{AccountKey, CustomerKind, JournalEntry, JournalNumber, Link, TransferId};
use proto::ledger::v1::{AccountKind, BillLine, Posting, TransferReply, TransferRequest, TransferResult};

use super::convert::{id, wire_id};
use super::convert_packet::transfer_id;
use crate::failure::{DoorRefusal, Failure};

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

/// A transfer that is booked.
pub(super) const fn booked(number: JournalNumber, booked_ms: u64) -> TransferReply {
    TransferReply { journal: number.0, booked_ms }
}

/// A step of a batch that is booked.
pub(super) const fn booked_step(number: JournalNumber, booked_ms: u64) -> TransferResult {
    TransferResult { refusal: 0, text: String::new(), journal: number.0, booked_ms }
}

/// A step of a batch that was refused.
pub(super) fn refused_step(refusal: ledger::Refusal) -> TransferResult {
    TransferResult { refusal: u32::from(refusal.number()), text: refusal.to_string(), journal: 0, booked_ms: 0 }
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
