//! Transfers as calls of the ledger: one, or many that are not linked.
//!
//! Must never: make an id. Only its caller knows what a repeat is.

use std::time::Duration;

use bytes::Bytes;
use proto::ledger::v1::ledger_client::LedgerClient;
use proto::ledger::v1::{BatchRequest, TransferRequest};

use crate::doors::{Doors, Miss};
use crate::packed;

/// A name of 128 bits, big-endian.
pub type Id = [u8; 16];

/// Money from one account to another, under an id of the caller's making: a repeat under it books nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Its id, kept for ever.
    pub id: Id,
    /// Who gives.
    pub debit: Id,
    /// Who gets.
    pub credit: Id,
    /// Fen, above 0.
    pub amount_fen: i64,
    /// The caller's own classification.
    pub code: u16,
    /// What it is for; zeros: nothing.
    pub memo: Id,
}

/// A transfer is booked, now or when it first came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Booked {
    /// The number of its posting in the journal of the payer's group.
    pub journal: u64,
    /// It left the debit account and is carried to the credit account's group.
    pub is_under_way: bool,
}

/// Has one transfer booked by a call of its own. Where the payer is short, what is on its way to him is booked first.
///
/// Errors: [`Miss`]; after `Unknown` it may be booked yet: ask again under the same id.
pub async fn book(doors: &Doors, within: Duration, transfer: &Transfer) -> Result<Booked, Miss> {
    let Transfer { id, debit, credit, amount_fen, code, memo } = transfer;
    let bytes = |id: &Id| Bytes::copy_from_slice(id);
    let request = TransferRequest {
        id: bytes(id),
        debit: bytes(debit),
        credit: bytes(credit),
        amount_fen: *amount_fen,
        code: (*code).into(),
        memo: if *memo == Id::default() { Bytes::new() } else { bytes(memo) },
    };
    let reply = doors.call(within, |channel| {
        let request = request.clone();
        async move { LedgerClient::new(channel).transfer(request).await }
    });
    reply.await.map(|reply| Booked { journal: reply.journal, is_under_way: reply.under_way })
}

/// What became of each transfer of a call, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Results {
    /// Booked, or the refusal's number.
    pub each: Vec<Result<Booked, u16>>,
    /// An attempt of the call before this answer was unknown, and may be booked yet: a refusal may be to its repeat alone.
    pub may_have_happened: bool,
}

/// Has 1 to 8192 transfers booked in one call, each or not by itself.
///
/// Errors: [`Miss`], of the call; after `Unknown` all of them may be booked yet: ask again under the same ids.
pub async fn book_batch<'a>(
    doors: &Doors,
    within: Duration,
    transfers: impl ExactSizeIterator<Item = &'a Transfer>,
) -> Result<Results, Miss> {
    let count = transfers.len();
    let packed = Bytes::from(packed::write(transfers));
    let reply = doors.call_noted(within, |channel| {
        let request = BatchRequest { packed: packed.clone(), ..BatchRequest::default() };
        async move { LedgerClient::new(channel).batch(request).await }
    });
    let strange = || Miss::Unknown { reason: "a reply to another batch".to_owned() };
    let (reply, may_have_happened) = reply.await?;
    let each = packed::read(&reply.packed, count).ok_or_else(strange)?;
    Ok(Results { each, may_have_happened })
}
