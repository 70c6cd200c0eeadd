//! Red packets: one group (SET) of them, as a pure machine. Split, claim, open, expire; users and chat groups.
//!
//! Why: a packet is decided in one place, in the order of one log, without a lock. What follows from a decision (a
//! credit, a refund) is a promise in rows, kept by others and marked here when it is kept.
//!
//! ```text
//!  create ──> live ──open──> claim: uncredited ──(queued)──> credited
//!              ├──last share──> sold out
//!              └──expiry──────> refund pending ──> refunded
//! ```
//!
//! Must never: know a clock, draw a random number, hold an account's balance, or split a fen.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::float_arithmetic,
    clippy::indexing_slicing,
    clippy::iter_over_hash_type
)]

mod audit;
mod calendar;
mod chat;
mod claim;
mod command;
mod counts;
mod create;
mod credit;
mod draw;
mod expire;
mod fen;
mod gate;
mod ids;
mod laws;
pub mod limits;
pub mod lists;
mod machine;
mod open;
mod packet;
mod progress;
pub mod read;
mod refusal;
mod reply;
mod rows;
pub mod sweep;
mod turn;
mod user;

pub use audit::{AuditReport, Finding, Law, PacketFacts, audit};
pub use calendar::year_of;
pub use chat::{Chat, Member};
pub use claim::{Claim, Credit, CreditState, Refund, Share};
pub use command::{Command, Open};
pub use counts::{Counts, FenCounts};
pub use create::check_terms;
pub use draw::{bounds, draw_equal, draw_lucky};
pub use fen::Fen;
pub use gate::{Gate, Known};
pub use ids::{AccountId, ChatId, OrderId, PacketId, TransferId, UserId, credit_id, home, refund_id};
pub use machine::PacketsMachine;
pub use packet::{Kind, Packet, PasswordHash, Terms};
pub use progress::{Best, Phase, Progress};
pub use refusal::Refusal;
pub use reply::Reply;
pub use user::{User, YearTotals};
