//! Which invariant each difference of the ledger breaks.
//!
//! Must never: let a difference pass that it does not know; the match is complete.

use ledger::Difference;

/// The invariants that a shard's rows alone can break.
pub(crate) const OF_A_SHARD: [u32; 5] = [1, 2, 3, 10, 12];

/// The number of the invariant that a difference breaks.
pub(crate) fn broken_by(difference: &Difference) -> u32 {
    match difference {
        // A bill is the list of an account's postings.
        Difference::MarksDiffer { what: "bills" } | Difference::AccountCountDiffers { what: "bill" | "bills", .. } => {
            10
        }
        // An id that names what was never booked: the trace of something refused, or something lost.
        Difference::TransferUnbooked { .. }
        | Difference::TransferLost { .. }
        | Difference::MarksDiffer { what: "transfers" }
        | Difference::CountDiffers { what: "transfers", .. } => 12,
        Difference::SumNotZero { .. }
        | Difference::SumsDiffer { .. }
        | Difference::SuspenseDiffers { .. }
        | Difference::AmountNotPositive { .. }
        | Difference::ClearingDiffers { .. }
        | Difference::CourierDiffers { .. }
        | Difference::OrderDiffers { .. }
        | Difference::SerialGap { .. } => 1,
        Difference::JournalGap { .. }
        | Difference::ChainBroken { .. }
        | Difference::BalanceNotFolded { .. }
        | Difference::BalanceDiffers { .. }
        | Difference::MarksDiffer { .. }
        | Difference::AccountMissing { .. }
        | Difference::AccountCountDiffers { .. }
        | Difference::CountDiffers { .. }
        | Difference::HoldWithoutDeadline { .. }
        | Difference::ClosedNotEmpty { .. } => 2,
        Difference::BelowZero { .. } => 3,
    }
}
