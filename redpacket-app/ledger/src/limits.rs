//! Every limit of the ledger, in one place and related to each other.
//!
//! Why: a bound that is met deep in a verb must be known at the door, and the sums that cannot overflow are proved here.
//!
//! Must never: be lowered below what rows already hold.

use machine::limits::{COMMAND_BYTES_MAX, COURIER_RECORD_BYTES_MAX, ROWS_PER_COMMAND_MAX};

/// Most fen one entry moves: ten trillion yuan. Above it an amount is a slip of the pen.
pub const AMOUNT_FEN_MAX: i64 = 1_000_000_000_000_000;
/// Most fen an account may hold, and most it may be below zero where it may be.
pub const BALANCE_FEN_MAX: i64 = 4_000_000_000_000_000_000;
/// Steps of one batch.
pub const BATCH_STEPS_MAX: usize = 8192;
/// Rows one step names at most.
pub const KEYS_PER_STEP_MAX: usize = 7;
/// Bytes a step takes in a batch at least: a link, a tag, and one 128-bit name.
pub const STEP_BYTES_MIN: usize = 18;
/// Steps a command can hold by its bytes. More than a batch may have: too many are refused, not left undecoded.
pub const STEPS_DECODED_MAX: usize = COMMAND_BYTES_MAX / STEP_BYTES_MIN;
/// Bytes one step takes in a batch at most, its packet description left out.
pub const STEP_BYTES_MAX: usize = 256;
/// Most bytes of a packet's description; the ledger only carries it.
pub const DETAILS_BYTES_MAX: usize = 4096;
/// Longest life of a hold: 30 days.
pub const HOLD_MS_MAX: u64 = 30 * 24 * 3_600_000;
/// Longest life of an order: 7 days.
pub const ORDER_MS_MAX: u64 = 7 * 24 * 3_600_000;
/// Bytes of a merchant's number, of an order or of a refund.
pub const ORDER_NUMBER_BYTES_MAX: usize = 32;
/// Bytes of the words for what an order is for.
pub const ORDER_SUBJECT_BYTES_MAX: usize = 127;
/// Bytes of what a payment password is checked against.
pub const VERIFIER_BYTES_MAX: usize = 128;
/// A caller's words for what a transfer is end here; those behind it are the ledger's own.
pub const CODE_MAX: u16 = 0xfeff;
/// Claims announced for one account and not yet credited. The most one user received in a day was 10,069 packets.
pub const CLAIMS_PER_ACCOUNT_MAX: u32 = 16_384;
/// Currencies in which accounts of one shard may be opened.
pub const CURRENCIES_MAX: usize = 16;
/// Holds one tick ends.
pub const TICK_HOLDS_MAX: usize = 1024;
/// Rows one page of a read shows.
pub const PAGE_MAX: usize = 1000;
/// Journal entries under one link: the more there are, the fewer rows, and the more is read for one of them.
pub const LINKED_ENTRIES_MAX: u8 = 32;
/// Lines that a bill gathers in its account's row before they become a row of their own.
pub const BILL_CHUNK_LINES: u8 = 16;
/// Bytes of these lines.
pub const BILL_CHUNK_BYTES: usize = 96;
/// Lines that one page of a filtered bill looks at, at most: a rare kind is found over several pages.
pub const BILL_LINES_SCANNED_MAX: usize = 65_536;

const _: () = assert!(BALANCE_FEN_MAX <= i64::MAX - AMOUNT_FEN_MAX);
const _: () = assert!(AMOUNT_FEN_MAX < BALANCE_FEN_MAX);
const _: () = assert!(BATCH_STEPS_MAX * KEYS_PER_STEP_MAX <= ROWS_PER_COMMAND_MAX);
const _: () = assert!(TICK_HOLDS_MAX * 3 <= ROWS_PER_COMMAND_MAX);
const _: () = assert!(BATCH_STEPS_MAX < STEPS_DECODED_MAX);
const _: () = assert!(BATCH_STEPS_MAX * STEP_BYTES_MAX <= COMMAND_BYTES_MAX);
const _: () = assert!(64 + ORDER_NUMBER_BYTES_MAX + ORDER_SUBJECT_BYTES_MAX <= STEP_BYTES_MAX);
const _: () = assert!(CODE_MAX < crate::order::PAYMENT_CODE && CODE_MAX < crate::order::REFUND_CODE);
const _: () = assert!(BILL_CHUNK_BYTES < 256 && BILL_CHUNK_BYTES > 2 * crate::packed::PACKED_BYTES_MAX);
const _: () = assert!(DETAILS_BYTES_MAX + STEP_BYTES_MAX <= COURIER_RECORD_BYTES_MAX);
