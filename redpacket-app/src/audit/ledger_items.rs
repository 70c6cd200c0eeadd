//! Which invariant each difference of the ledger breaks.
//!
//! Must never: let a difference pass that it does not know; the match is complete.

use ledger::Difference;

/// The number of the invariant that a difference breaks.
pub(crate) const fn broken_by(difference: &Difference) -> u32 {
    match difference {
        Difference::SumNotZero { .. }
        | Difference::SumsDiffer { .. }
        | Difference::SuspenseDiffers { .. }
        | Difference::AmountNotPositive { .. }
        | Difference::ClearingDiffers { .. }
        | Difference::CourierDiffers { .. }
        | Difference::SerialGap { .. } => 1,
        Difference::JournalGap { .. }
        | Difference::ChainBroken { .. }
        | Difference::BalanceNotFolded { .. }
        | Difference::BalanceDiffers { .. }
        | Difference::MarksDiffer { .. }
        | Difference::AccountMissing { .. }
        | Difference::AccountCountDiffers { .. }
        | Difference::CountDiffers { .. }
        | Difference::TransferUnbooked { .. }
        | Difference::HoldWithoutDeadline { .. }
        | Difference::ClosedNotEmpty { .. } => 2,
        Difference::BelowZero { .. } => 3,
    }
}
