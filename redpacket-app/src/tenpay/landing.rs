//! Landing: waits until money that crosses between shards is seen where it goes, or back where it came from.
//!
//! Why from what is applied here: whoever waits asks nobody. Each entry that this node applies is a hint to look again.
//!
//! Must never: say of money that is under way that it is not.

use tokio::time::{Instant, timeout_at};

use crate::failure::Failure;
use crate::homes::LedgerShard;

/// Looks again whenever `one` or `other` has gone on, until something is found; `None`: not before `until`.
pub(crate) async fn landed<T>(
    (one, other): (&LedgerShard, &LedgerShard),
    until: Instant,
    mut look: impl FnMut() -> Result<Option<T>, Failure>,
) -> Result<Option<T>, Failure> {
    let (mut here, mut there) = (one.group.applied_index(), other.group.applied_index());
    loop {
        here.mark_unchanged();
        there.mark_unchanged();
        if let Some(found) = look()? {
            return Ok(Some(found));
        }
        let has_moved = async {
            tokio::select! {
                moved = here.changed() => moved.is_ok(),
                moved = there.changed() => moved.is_ok(),
            }
        };
        if !matches!(timeout_at(until, has_moved).await, Ok(true)) {
            return Ok(None);
        }
    }
}
