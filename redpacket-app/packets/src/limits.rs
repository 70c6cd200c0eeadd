//! Every limit of packets, users and chats, in one place and related to each other.
//!
//! Must never: be read from configuration. A limit decides replies, and so belongs to the machine's version.

/// Least fen of a share.
pub const SHARE_FEN_MIN: i64 = 1;
/// Most fen of a share: 200 yuan.
pub const SHARE_FEN_MAX: i64 = 20_000;
/// Most shares of a packet.
pub const SHARES_MAX: u16 = 100;
/// Most bytes of a greeting (UTF-8).
pub const GREETING_BYTES_MAX: usize = 128;
/// Most bytes of a cover's name.
pub const COVER_BYTES_MAX: usize = 64;
/// Most bytes of a user's or a chat's name (UTF-8).
pub const NAME_BYTES_MAX: usize = 64;
/// Most members of a chat.
pub const CHAT_MEMBERS_MAX: u32 = 500;

/// How long a packet can be opened, unless its sender asks for less: 24 hours.
pub const LIFE_MS_DEFAULT: u64 = 24 * 3_600_000;
/// Longest life of a packet.
pub const LIFE_MS_MAX: u64 = LIFE_MS_DEFAULT;
/// Shortest life of a packet.
pub const LIFE_MS_MIN: u64 = 1;
/// A claim that was neither credited nor put in the queue for this long is put there (again).
pub const CREDIT_RETRY_MS: u64 = 60_000;

/// Most packets that one Tick closes.
pub const TICK_PACKETS_MAX: usize = 256;
/// Most items of one page of a list.
pub const PAGE_ITEMS_MAX: usize = 100;
/// Most claims or refunds that one sweep of the leader reads.
pub const SWEEP_ITEMS_MAX: usize = 1024;
/// Years of totals kept with a user; the oldest year goes first.
pub const YEARS_MAX: usize = 32;
/// The day of the totals begins at midnight in Beijing: UTC plus 8 hours.
pub const YEAR_ZONE_MS: u64 = 8 * 3_600_000;

/// Packets that a gate knows to be over.
pub const GATE_PACKETS_MAX: usize = 16_384;
/// Claims that a gate remembers.
pub const GATE_CLAIMS_MAX: usize = 65_536;
/// Packets that an audit reads at a time.
pub const AUDIT_PACKETS_MAX: usize = 256;
/// Findings that an audit spells out; the others are only counted.
pub const FINDINGS_MAX: usize = 100;

/// Users that a command may name in its layout: as many as fit into a command, because a list that is too long must be
/// refused and not park the group.
pub const NAMES_DECODED_MAX: usize = machine::limits::COMMAND_BYTES_MAX / 16;

const _: () = assert!(SHARE_FEN_MIN >= 1 && SHARE_FEN_MIN < SHARE_FEN_MAX);
// A packet's id leaves its lowest byte to its shares (1..) and to its refund (0xff).
const _: () = assert!(SHARES_MAX >= 1 && SHARES_MAX < 0xff);
const _: () = assert!(LIFE_MS_MIN >= 1 && LIFE_MS_DEFAULT <= LIFE_MS_MAX);
const _: () = assert!(CREDIT_RETRY_MS < LIFE_MS_DEFAULT);
// CreatePacket names the named users' rows and a handful more; Tick names two rows a packet.
const _: () = assert!(SHARES_MAX as usize + 8 <= machine::limits::ROWS_PER_COMMAND_MAX);
const _: () = assert!(2 * TICK_PACKETS_MAX <= machine::limits::ROWS_PER_COMMAND_MAX);
