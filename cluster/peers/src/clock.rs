//! The clock of one run: nanoseconds since the program began, the same in every message and every phase.
//!
//! Must never: be the wall's. It only grows.

use std::sync::OnceLock;
use std::time::Instant;

static BEGUN: OnceLock<Instant> = OnceLock::new();

/// Starts the clock; later calls change nothing.
pub(crate) fn begin() {
    let _ = BEGUN.set(Instant::now());
}

/// Nanoseconds since [`begin`].
pub(crate) fn now_ns() -> u64 {
    u64::try_from(BEGUN.get_or_init(Instant::now).elapsed().as_nanos()).unwrap_or(u64::MAX)
}
