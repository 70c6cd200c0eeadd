//! Every limit of the console.

use std::time::Duration;

/// A peer that has not said how it stands within this counts as dead: its silence is to be seen within a second.
pub(super) const PEER_MAX: Duration = Duration::from_millis(300);
/// A look at the cluster serves everybody who asks within this.
pub(super) const LOOK_FRESH: Duration = Duration::from_millis(200);
/// A call about one queue looks for its leader this long.
pub(super) const CALL_MAX: Duration = Duration::from_secs(3);
/// Pause between two looks for a leader.
pub(super) const LEADER_PAUSE: Duration = Duration::from_millis(50);
/// The audit of the money, which waits for the app's groups.
pub(super) const MONEY_MAX: Duration = Duration::from_secs(60);
/// The hash over every row of a node.
pub(super) const HASH_MAX: Duration = Duration::from_secs(60);
/// Rounds in which replicas are compared: under load they seldom stand at one entry.
pub(super) const HASH_ROUNDS_MAX: usize = 5;
/// Queues, or topics, that are shown at once.
pub(super) const ROWS_MAX: usize = 200;
/// Bytes of a body in a list of messages.
pub(super) const EXCERPT_BYTES_MAX: usize = 1024;
/// Bytes of a body that is shown alone.
pub(super) const BODY_BYTES_MAX: usize = 64 * 1024;
/// Bytes of an act's order.
pub(super) const ACT_BYTES_MAX: usize = 16 * 1024;

/// What a silent node takes from its death to the screen: a fresh look, the page's next question, the peer's silence.
const PAGE_ASKS_EVERY: Duration = Duration::from_millis(400);
const _: () = assert!(
    LOOK_FRESH.as_millis() + PAGE_ASKS_EVERY.as_millis() + PEER_MAX.as_millis() < 1000,
    "a death is seen within a second"
);
const _: () = assert!(EXCERPT_BYTES_MAX < BODY_BYTES_MAX);
