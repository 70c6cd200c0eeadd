//! The limits of this room.
//!
//! Must never: be set where they are used.

use std::time::Duration;

/// An attempt at a call takes at most this; then another door is asked, under the same ids.
pub const ATTEMPT_MAX: Duration = Duration::from_secs(3);
/// The first pause between attempts, and the longest.
pub(crate) const PAUSE_FIRST: Duration = Duration::from_millis(5);
pub(crate) const PAUSE_MAX: Duration = Duration::from_millis(200);
/// Calls of a desk that are under way at the same time; what comes meanwhile shares the next.
pub(crate) const CALLS_UNDER_WAY_MAX: usize = 2;
/// Calls for one transfer of a desk that are under way at the same time: of those whose shared call refused them, or failed.
pub(crate) const OWN_CALLS_MAX: usize = 64;
/// Transfers of one call, as `ledger.proto` says.
pub(crate) const TRANSFERS_PER_CALL_MAX: usize = 8192;
/// Transfers that wait at a desk; beyond it callers wait before it.
pub(crate) const TRANSFERS_WAITING_MAX: usize = 2 * TRANSFERS_PER_CALL_MAX;

const _: () = assert!(PAUSE_FIRST.as_millis() <= PAUSE_MAX.as_millis());
