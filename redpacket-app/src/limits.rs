//! Every limit of the payment process, in one place and related to each other.
//!
//! Why: a time-out inside another must be shorter than it, and what waits must be bounded.
//!
//! Must never: hold a limit of money or of packets. Those belong to the machines.

use std::time::Duration;

use tls::{Patience, Room};

/// A command to a group is repeated until it is answered, at most for this long.
pub(crate) const COMMAND_DEADLINE: Duration = Duration::from_secs(8);
/// One attempt of a command; behind it another node may lead.
pub(crate) const COMMAND_ATTEMPT: Duration = Duration::from_secs(2);
/// Pause between two attempts.
pub(crate) const COMMAND_PAUSE: Duration = Duration::from_millis(20);
/// Repeats that all callers of a node may send to one group at once, when it stops answering.
pub(crate) const RETRIES_AT_ONCE_MAX: u64 = 1024;
/// Repeats a second to a group that stays silent: about one a pause, as a lone caller sends.
pub(crate) const RETRIES_PER_S: u64 = 50;
/// Repeats that one answer lets go: more than one, so that those who wait are soon served.
pub(crate) const RETRIES_PER_ANSWER: u64 = 2;
/// A read waits this long for its barrier.
pub(crate) const READ_DEADLINE: Duration = Duration::from_secs(5);
/// A booking that is not done within this goes by the queue.
pub(crate) const BOOK_AT_ONCE: Duration = Duration::from_millis(400);
/// The queue must have kept a credit within this, or the phone is told *unknown*.
pub(crate) const QUEUE_DEADLINE: Duration = Duration::from_secs(2);
/// A worker tries to book a credit for this long before it gives the message back.
pub(crate) const WORKER_BOOKING: Duration = Duration::from_secs(4);
/// After a payment the packet is made at once, if that takes no longer.
pub(crate) const CREATE_AT_ONCE: Duration = Duration::from_millis(1500);
/// Before a payment is refused as not covered, credits on their way are forced for at most this long.
pub(crate) const FORCE_DEADLINE: Duration = Duration::from_secs(2);
/// Credits on their way that one payment forces.
pub(crate) const FORCED_CREDITS_MAX: usize = 128;

/// Batches of a ledger shard that a node has under way at a time; what comes meanwhile shares the next one.
pub(crate) const BATCHES_UNDER_WAY_MAX: usize = 2;
/// Steps that wait for a batch; beyond it callers wait to be heard.
pub(crate) const STEPS_WAITING_MAX: usize = 4096;
/// Bytes of the steps that share a batch.
pub(crate) const BATCH_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Streams of bills and journals that a node serves at a time.
pub(crate) const STREAMS_MAX: usize = 4096;
/// Lines of one push of a watched bill.
pub(crate) const WATCH_LINES_MAX: usize = 100;
/// Most a reader may allow an answer to be old: an hour.
pub(crate) const STALE_MS_MAX: u64 = 3_600_000;
/// Bytes of a transfer in a packed batch.
pub(crate) const PACKED_TRANSFER_BYTES: usize = 80;

/// Messages of one queue that a node works on at a time.
pub(crate) const WORKER_PLACES: usize = 64;
/// Length of a worker's lease; it is extended while the work goes on.
pub(crate) const WORKER_LEASE: Duration = Duration::from_secs(15);
/// One receive of a worker waits for messages at most this long.
pub(crate) const WORKER_WAIT: Duration = Duration::from_secs(10);
/// Pause of a message that failed once.
pub(crate) const RETRY_FIRST: Duration = Duration::from_millis(250);
/// Longest pause of a message that keeps failing.
pub(crate) const RETRY_CAP: Duration = Duration::from_secs(10);
/// Messages of one Send to the queue.
pub(crate) const SEND_MESSAGES_MAX: usize = 128;
/// Most messages that one of our queues may hold: they are never dropped for lack of room before the disk ends.
pub(crate) const QUEUE_MESSAGES_MAX: u64 = 1_000_000_000;

/// A reminder of an expiry comes this long after it.
pub(crate) const REMINDER_LATE_MS: u64 = 1000;

/// Marks *credited* that wait to be proposed; beyond it the sweep finds the claim again.
pub(crate) const MARKS_WAITING_MAX: usize = 8192;
/// Marks *credited* under way at a time.
pub(crate) const MARKS_UNDER_WAY_MAX: usize = 512;
/// How often leaders look for what waits.
pub(crate) const SWEEP_EVERY: Duration = Duration::from_millis(500);
/// Claims or refunds that one look takes up.
pub(crate) const SWEEP_BATCH: usize = 256;
/// Refunds under way at a time.
pub(crate) const REFUNDS_UNDER_WAY_MAX: usize = 32;
/// How often the outbox is looked at when nothing says that it is not empty.
pub(crate) const OUTBOX_EVERY: Duration = Duration::from_millis(250);
/// gRPC: a connection is asked for a sign of life this often, and has the next for it.
pub(crate) const GRPC_KEEPALIVE_EVERY: Duration = Duration::from_secs(10);
pub(crate) const GRPC_KEEPALIVE_MAX: Duration = Duration::from_secs(5);
/// gRPC: calls under way on one connection, and so many that it may give up at once.
pub(crate) const GRPC_STREAMS_MAX: u32 = 4096;
/// gRPC: bytes of a call's headers.
pub(crate) const GRPC_HEADER_BYTES_MAX: u32 = 16 * 1024;
/// Postings of one message of the published journal: their words are shorter than the smallest body limit of a topic.
pub(crate) const FEED_MESSAGE_POSTINGS: usize = 256;
/// Messages of one publishing of the journal.
pub(crate) const FEED_MESSAGES_MAX: usize = 8;
/// How long the journal waits for a topic that did not take it.
pub(crate) const FEED_REST: Duration = Duration::from_secs(1);
/// What a claim may be late beyond the time after which it is put into the queue again, before the audit objects.
pub(crate) const AUDIT_GRACE_MS: u64 = 60_000;
/// Accounts, packets, orders and claims that an audit holds at a time, about: some hundred megabytes.
pub(crate) const AUDIT_RECORDS_MAX: u64 = 1_000_000;
/// Rows that the patrol reads before it lets the shard go on.
pub(crate) const PATROL_ROWS: usize = 512;
/// The patrol rests so many times as long as it reads.
pub(crate) const PATROL_REST_FACTOR: u32 = 12;
/// Between two rounds the patrol rests this long at least.
pub(crate) const PATROL_EVERY: Duration = Duration::from_secs(10);
/// Between two audits of the whole in the background a node rests this long at least.
pub(crate) const ROUND_EVERY: Duration = Duration::from_secs(60);
/// It rests so many times as long as the last one took.
pub(crate) const ROUND_REST_FACTOR: u32 = 50;
/// Accounts, packets, orders, claims and postings beyond which the whole is audited only when an operator asks: shards wait
/// while their rows are read.
pub(crate) const ROUND_RECORDS_MAX: u64 = 100_000;
/// Differences that one item of an audit spells out.
pub(crate) const AUDIT_DETAILS_MAX: usize = 5;

/// Items of a page, unless the caller asks for another number.
pub(crate) const PAGE_DEFAULT: u32 = 20;
/// Most lines of a page of the ledger.
pub(crate) const LEDGER_PAGE_MAX: u32 = 1000;
/// Most fen that a user starts with where registration is open: 10 million yuan.
pub(crate) const FUND_FEN_MAX: i64 = 1_000_000_000;
/// Groups of a kind; their numbers begin at 1 and at 101.
pub(crate) const GROUPS_MAX: u32 = 100;
/// The number of the group before the first packet group.
pub(crate) const PACKET_GROUPS_BASE: u32 = 100;
/// How long a session token is good: 30 days.
pub(crate) const SESSION_MS: u64 = 30 * 24 * 3_600_000;

/// Committed entries that a node may have to apply yet and still call itself ready.
pub(crate) const READY_LAG_MAX: u64 = 256;
/// How often a node looks whether it should lead a group that another leads.
pub(crate) const LEAD_LOOK_EVERY: Duration = Duration::from_secs(3);

/// Requests of phones that are worked on at a time; the others wait, and how long they wait is the load.
pub(crate) const REQUESTS_UNDER_WAY_MAX: usize = 1024;
/// A request that has waited this long for its turn is sent away.
pub(crate) const ADMISSION_WAIT_MAX: Duration = Duration::from_secs(1);

/// What a group's leader has said of its admission is believed for so long: two of its windows.
pub(crate) const HEARD_FOR: Duration = Duration::from_secs(2);

/// Streams of news that a node serves at a time.
pub(crate) const LISTENERS_MAX: usize = 20_000;
/// Streams of news of one user at one node: a phone, a tablet, and some that are not closed yet.
pub(crate) const LISTENERS_OF_USER_MAX: usize = 4;
/// A stream of news looks at most this often whether something is new.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(150);
/// Looks of a node in a second, of all streams together; one takes some tens of microseconds.
pub(crate) const LOOKS_PER_S_MAX: u32 = 4000;
/// A stream of news ends after this; the phone opens the next one, and its session is checked again.
pub(crate) const NEWS_LIFE: Duration = Duration::from_secs(600);
/// Newest items of each list that the news tell.
pub(crate) const NEWS_ITEMS: usize = 20;
/// Chats that the news tell.
pub(crate) const NEWS_CHATS_MAX: usize = 32;
/// A user, or an address, may ask for so long at once what is allowed for that time.
pub(crate) const RATE_BURST: Duration = Duration::from_secs(2);
/// Users, or addresses, whose last requests a node remembers.
pub(crate) const RATE_KEYS_MAX: usize = 65_536;
/// Wrong passwords after which a user must wait.
pub(crate) const GUESSES_MAX: u32 = 5;
/// How long that is.
pub(crate) const LOCKOUT: Duration = Duration::from_secs(60);
/// Payment passwords that a node checks at a time: each takes 19 MiB and some tens of milliseconds.
pub(crate) const PASSWORD_CHECKS_MAX: usize = 2;
/// Checks that wait for their turn; who comes beyond them is told to come back.
pub(crate) const PASSWORDS_WAITING_MAX: usize = 100;
/// A check of a password waits for its turn at most this long.
pub(crate) const PASSWORD_WAIT_MAX: Duration = Duration::from_secs(5);
/// Who sends a packet is judged by the payment password of this long ago, or a newer one.
pub(crate) const VERIFIER_AGE_MAX: Duration = Duration::from_secs(1);
/// KiB, rounds and lanes of a password's hash. Source: OWASP's sheet on storing passwords, its first choice for Argon2id.
pub(crate) const PASSWORD_COST: (u32, u32, u32) = (19 * 1024, 2, 1);
/// A payment waits for the judgement of a risk system at most this long.
pub(crate) const RISK_DEADLINE: Duration = Duration::from_millis(500);
/// A payment up to this goes on without the risk system, if that is silent; a larger one does not. 200 yuan.
pub(crate) const RISK_OPEN_FEN_MAX: i64 = 20_000;
/// No single payment of an order is larger. 50,000 yuan.
pub(crate) const RISK_PAYMENT_FEN_MAX: i64 = 5_000_000;
/// A user may pay so many orders at once, and one a second then.
pub(crate) const RISK_BURST: Duration = Duration::from_secs(10);
/// How long an order can be paid unless its merchant says otherwise.
pub(crate) const ORDER_MS_DEFAULT: u64 = 2 * 3_600_000;
/// A payment or a refund that crosses shards is seen to land within this, or the caller is told that it is under way.
pub(crate) const LAND_DEADLINE: Duration = Duration::from_secs(3);
/// How often one payer may try to pay one order; each attempt but the last has come back.
pub(crate) const PAYMENT_ATTEMPTS_MAX: u32 = 16;
/// Notices to merchants that are handed over at a time.
pub(crate) const NOTICES_UNDER_WAY_MAX: usize = 16;
/// How often the operator's switches are read.
pub(crate) const SWITCHES_EVERY: Duration = Duration::from_secs(1);
/// Behind the phones' door: connections at once, those of one address among them, and descriptors that are left to the log, the
/// rows and the other nodes. A stream of news is a connection. What is on this machine is trusted: a proxy speaks for many.
pub(crate) const HTTP_ROOM: Room = Room {
    connections_max: 32_768,
    per_address_max: 1_024,
    is_own_counted: false,
    descriptors_kept: DESCRIPTORS_KEPT,
    part: (3, 4),
};
/// Behind the gRPC door, which peers use too.
pub(crate) const GRPC_ROOM: Room = Room {
    connections_max: 4_096,
    per_address_max: 1_024,
    is_own_counted: false,
    descriptors_kept: DESCRIPTORS_KEPT,
    part: (1, 4),
};
/// Descriptors that connections leave to the log, the rows and the other nodes.
const DESCRIPTORS_KEPT: usize = 1_024;
/// A client that takes nothing for this long is gone.
const STALL_MAX: Duration = Duration::from_secs(20);
/// The time of the headers is HTTP's own affair.
pub(crate) const HTTP_PATIENCE: Patience = Patience { first: None, stall: STALL_MAX };
/// gRPC: the first bytes of a connection are there within this: HTTP/2's preface.
pub(crate) const GRPC_PATIENCE: Patience = Patience { first: Some((24, Duration::from_secs(10))), stall: STALL_MAX };
/// Headers of a phone's request are there within this, from the end of the one before: idle connections end by it too.
pub(crate) const HTTP_HEADERS_MAX: Duration = Duration::from_secs(20);
/// Bytes of a request's first line and headers.
pub(crate) const HTTP_HEADER_BYTES_MAX: usize = 16 * 1024;
/// A phone's request is whole within this, from its headers on.
pub(crate) const BODY_MAX: Duration = Duration::from_secs(10);
/// A gRPC call that is no stream is whole and answered within this: the longest command, and time for a slow line.
pub(crate) const GRPC_CALL_MAX: Duration = Duration::from_secs(45);
/// Bytes of a phone's request.
pub(crate) const REQUEST_BYTES_MAX: usize = 64 * 1024;

const _: () = assert!(LISTENERS_MAX + REQUESTS_UNDER_WAY_MAX < HTTP_ROOM.connections_max);
const _: () = assert!(GRPC_CALL_MAX.as_millis() > 2 * COMMAND_DEADLINE.as_millis());
const _: () = assert!(PASSWORDS_WAITING_MAX * 4 < REQUESTS_UNDER_WAY_MAX);
const _: () =
    assert!(NEWS_ITEMS <= packets::limits::PAGE_ITEMS_MAX && NEWS_CHATS_MAX <= packets::limits::PAGE_ITEMS_MAX);
const _: () = assert!(BOOK_AT_ONCE.as_millis() < QUEUE_DEADLINE.as_millis());
const _: () = assert!(LAND_DEADLINE.as_millis() < COMMAND_DEADLINE.as_millis());
const _: () = assert!(ORDER_MS_DEFAULT <= ledger::limits::ORDER_MS_MAX);
const _: () = assert!(RISK_OPEN_FEN_MAX < RISK_PAYMENT_FEN_MAX);
const _: () = assert!(COMMAND_ATTEMPT.as_millis() < COMMAND_DEADLINE.as_millis());
const _: () = assert!(WORKER_BOOKING.as_millis() < WORKER_LEASE.as_millis());
const _: () = assert!(SEND_MESSAGES_MAX <= queue_client::limits::SEND_MESSAGES_MAX);
const _: () = assert!(SWEEP_BATCH <= packets::limits::SWEEP_ITEMS_MAX);
const _: () = assert!(LEDGER_PAGE_MAX as usize <= ledger::limits::PAGE_MAX);
const _: () = assert!(BATCH_BYTES_MAX < machine::limits::COMMAND_BYTES_MAX);
const _: () = assert!(WATCH_LINES_MAX <= ledger::limits::PAGE_MAX);
const _: () = assert!(FEED_MESSAGE_POSTINGS <= ledger::limits::PAGE_MAX);
const _: () = assert!(FEED_MESSAGES_MAX <= SEND_MESSAGES_MAX);
const _: () = assert!(GROUPS_MAX <= PACKET_GROUPS_BASE);
const _: () = assert!(PAGE_DEFAULT as usize <= packets::limits::PAGE_ITEMS_MAX);
