//! Every limit of the command, in one place and related to each other.
//!
//! Must never: hold a limit of a server's.

use std::time::Duration;

/// Most nodes of one kind in a local cluster.
pub(crate) const NODES_MAX: u64 = 7;
/// Nodes of one kind where nothing else is said.
pub(crate) const NODES_DEFAULT: u64 = 3;
/// Data groups of a local cluster: queues, ledger, packets.
pub(crate) const GROUPS: u32 = 2;
/// The first data group of the queue, and of the ledger: whose leaders `kill` knows by name.
pub(crate) const FIRST_GROUP: u32 = 1;

/// Lowest port tried where none is given. The ports that the system hands to outgoing connections are avoided: a client
/// that keeps dialling a dead node there may be given the node's own port.
pub(crate) const PORT_MIN: u16 = 10_000;
/// Highest port tried if the system does not say which ones it hands out.
pub(crate) const PORT_MAX: u16 = 32_000;

/// A cluster, or a node, gets ready within this.
pub(crate) const READY_MAX: Duration = Duration::from_secs(60);
/// Pause between looks at a condition.
pub(crate) const POLL_PAUSE: Duration = Duration::from_millis(25);
/// A node that was asked to end does so within this, or is killed.
pub(crate) const END_MAX: Duration = Duration::from_secs(10);
/// A killed process is gone within this.
pub(crate) const KILLED_MAX: Duration = Duration::from_secs(5);
/// Lines of a log shown when its node fails.
pub(crate) const LOG_TAIL_LINES: usize = 15;
/// Bytes from a log's end in which they are looked for.
pub(crate) const LOG_TAIL_BYTES: u64 = 16 * 1024;

/// A node that has not said how it stands within this is down.
pub(crate) const STATUS_MAX: Duration = Duration::from_millis(800);
/// An attempt at a change of a group's members.
pub(crate) const CHANGE_ATTEMPT_MAX: Duration = Duration::from_secs(12);
/// A change of a group's members, with all its repeats.
pub(crate) const CHANGE_MAX: Duration = Duration::from_secs(60);
/// A node that joins has copied a group within this.
pub(crate) const CATCH_UP_MAX: Duration = Duration::from_secs(24 * 3600);

/// Between two looks of `status --watch`.
pub(crate) const WATCH_EVERY: Duration = Duration::from_secs(2);
/// Replicas are seen at one index within this, or are not compared.
pub(crate) const VERIFY_MAX: Duration = Duration::from_secs(30);
/// Names asked for at once.
pub(crate) const LIST_PAGE: u32 = 50;
/// Characters of a body that are shown.
pub(crate) const BODY_CHARS_SHOWN: usize = 120;

/// An audit reads everything; it is given this long.
pub(crate) const AUDIT_MAX: Duration = Duration::from_secs(60);

/// A call to the app, with all its repeats.
pub(crate) const CALL_MAX: Duration = Duration::from_secs(30);
/// Payments between groups land within this.
pub(crate) const LANDED_MAX: Duration = Duration::from_secs(120);

/// Longest latency that a histogram tells apart, microseconds.
pub(crate) const LATENCY_US_MAX: u64 = 120_000_000;
/// Significant digits of a latency.
pub(crate) const LATENCY_DIGITS: u8 = 3;
/// Calls under way of one open-loop producer; beyond it the queue is lost anyway, and latency says so.
pub(crate) const OPEN_LOOP_WINDOW: usize = 8192;
/// Bytes a message may take on disk besides its body.
pub(crate) const MESSAGE_ROW_BYTES: u64 = 128;
/// Copies of a message on the disk of a local cluster at worst: three nodes, each with log and rows for a while.
pub(crate) const COPIES_ON_DISK: u64 = 6;
/// Bytes of the bodies that pass through a queue so that the caches of its nodes are full.
pub(crate) const CACHE_FILL_BYTES: u64 = 256 * 1024 * 1024;
/// Smaller bodies count as so many: what fills the caches then is the rows.
pub(crate) const CACHE_FILL_BODY_BYTES_MIN: u64 = 512;
/// Filling a queue ends after this, full or not.
pub(crate) const FILL_MAX: Duration = Duration::from_secs(3600);
/// Calls under way while a queue is filled, and messages in each.
pub(crate) const FILL_CALLS: usize = 16;
/// Draining ends after this, full or not.
pub(crate) const DRAIN_MAX: Duration = Duration::from_secs(3600);

/// Connections to the HTTP door of one app node: more than a node works on at a time, so that who waits, waits there.
pub(crate) const LINES_PER_NODE: usize = 1536;
/// A phone waits this long for an answer.
pub(crate) const PHONE_PATIENCE: Duration = Duration::from_secs(5);
/// A node that has not shown a page of its own within this is left out.
pub(crate) const PAGE_MAX: Duration = Duration::from_millis(900);
/// Most bytes of an answer to a phone.
pub(crate) const ANSWER_BYTES_MAX: usize = 1024 * 1024;
/// Phones that wait for an answer at the same time; who comes beyond them finds no line.
pub(crate) const PHONES_WAITING_MAX: usize = 50_000;
/// Calls under way while phones get their wallets and chats.
pub(crate) const SETTLE_IN_CALLS: usize = 48;

/// How long a consumer of the checked load waits for messages.
pub(crate) const RECEIVE_WORK: Duration = Duration::from_millis(500);
/// How long it keeps them from others: longer than an ack under way may be repeated.
pub(crate) const LEASE_WORK: Duration = Duration::from_secs(40);

/// Everything that was claimed is credited within this after the evening: a claim whose promise was lost with its node
/// is put into the queue again after a minute.
pub(crate) const SETTLE_MAX: Duration = Duration::from_secs(150);
/// Calls under way while the books are compared.
pub(crate) const SETTLE_CALLS: usize = 16;
/// Disputes spelled out; the rest is counted.
pub(crate) const DISPUTES_SHOWN: usize = 10;

const _: () = assert!(STATUS_MAX.as_millis() < 1000, "a fault is seen within a second");
const _: () = assert!(PORT_MIN < PORT_MAX);
const _: () = assert!(app_client::ATTEMPT_MAX.as_millis() < CALL_MAX.as_millis());
const _: () = assert!(CALL_MAX.as_millis() < LEASE_WORK.as_millis());
const _: () = assert!(CALL_MAX.as_millis() < SETTLE_MAX.as_millis());
