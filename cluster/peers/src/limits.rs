//! Every limit and every pause of a run, in one place and related to each other.
//!
//! Must never: differ between the systems that are compared.

use std::time::Duration;

/// Nodes of each system; every message has a copy on each.
pub(crate) const NODES: usize = 3;
/// Bytes of a body in front of the random ones: the stamp and the id.
pub(crate) const HEAD_BYTES: usize = 16;
/// Different bodies that a producer draws from: more than any system compresses away.
pub(crate) const BODIES: usize = 64;

/// Load that is not measured, before each phase.
pub(crate) const WARM_UP: Duration = Duration::from_millis(1500);
/// A queue that was just made is left alone for this long: its replicas find each other.
pub(crate) const SETTLE: Duration = Duration::from_secs(1);
/// Consumers are there before the first message is sent.
pub(crate) const CONSUMERS_AHEAD: Duration = Duration::from_millis(500);
/// Three nodes are ready within this.
pub(crate) const READY_MAX: Duration = Duration::from_secs(90);
/// A node that was asked to end does so within this, or is killed.
pub(crate) const END_MAX: Duration = Duration::from_secs(15);
/// Pause between looks at a condition.
pub(crate) const POLL_PAUSE: Duration = Duration::from_millis(20);
/// Pause between looks at the nodes' memory.
pub(crate) const MEMORY_LOOK: Duration = Duration::from_millis(250);

/// What is unconfirmed after this has failed.
pub(crate) const CONFIRM_MAX: Duration = Duration::from_secs(60);
/// While a leader is being killed, a client that must reconnect by itself gives up a confirm after this.
pub(crate) const FAILOVER_CONFIRM_MAX: Duration = Duration::from_millis(500);
/// A connection that is not made within this is tried at the next node.
pub(crate) const CONNECT_MAX: Duration = Duration::from_secs(3);
/// Pause before the next node is tried.
pub(crate) const RECONNECT_PAUSE: Duration = Duration::from_millis(20);
/// Pause before a node is tried again that could not be connected to.
pub(crate) const CONNECT_PAUSE: Duration = Duration::from_millis(50);
/// Consumers stop once nothing came for this long after they were told to.
pub(crate) const IDLE_PAUSE: Duration = Duration::from_millis(200);
/// A drain of unknown length has ended when nothing was acknowledged for this long.
pub(crate) const DRAINED_AFTER: Duration = Duration::from_secs(5);
/// The longest drain of one point.
pub(crate) const DRAIN_MAX: Duration = Duration::from_secs(7);
/// The longest fill, and the longest drain, of a backlog.
pub(crate) const BACKLOG_MAX: Duration = Duration::from_secs(420);
/// Sends go on for this long before a leader is killed, and for this long after.
pub(crate) const BEFORE_FAULT: Duration = Duration::from_secs(4);
/// How long sends are watched after a fault: the slowest peer elects within nine seconds.
pub(crate) const AFTER_FAULT: Duration = Duration::from_secs(15);

/// Longest latency that a histogram tells apart, microseconds.
pub(crate) const LATENCY_US_MAX: u64 = 600_000_000;
/// Significant digits of a latency.
pub(crate) const LATENCY_DIGITS: u8 = 3;
/// Calls under way of one open-loop producer; beyond it the queue is lost anyway, and latency says so.
pub(crate) const OPEN_LOOP_WINDOW: usize = 65_536;
/// Bytes that a backlog may take on disk for each byte of it: three nodes, each with log and rows for a while.
pub(crate) const BACKLOG_DISK_FACTOR: u64 = 9;

const _: () = assert!(POLL_PAUSE.as_millis() < IDLE_PAUSE.as_millis());
const _: () = assert!(IDLE_PAUSE.as_millis() < DRAINED_AFTER.as_millis());
const _: () = assert!(FAILOVER_CONFIRM_MAX.as_millis() < CONFIRM_MAX.as_millis());
const _: () = assert!(HEAD_BYTES == 2 * size_of::<u64>());
