//! The ledger: one shard of the double-entry book that Tenpay keeps. Pure.
//!
//! Why: moving money must be decided in one place, once, and be provable afterwards. Every account lives in one shard (a
//! group), every entry touches one shard only, and what crosses shards travels as a courier record between two clearing
//! accounts. So no lock and no transaction ever spans two groups.
//!
//! ```text
//!  Fund      issue ──────────> customer                 Transfer   customer ─────> customer
//!  PayPacket customer ───────> escrow(packet)           Hold/Post  customer ═held═> customer
//!  Credit    escrow ─────────> customer                 Refund     escrow ───────> payer
//!            escrow ─> clearing(g) ··courier··> clearing(source) ─> customer, or suspense where it cannot land
//!  PayOrder  customer ─────> merchant, here or by courier, with the order's row; RefundOrder: the other way
//!  Remit     customer ─> clearing(g) ··courier··> clearing(source) ─> customer, or back by the same way
//! ```
//!
//! Must never: read a clock, draw a random number, hold an account in memory, or move money that is not journalled.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::float_arithmetic,
    clippy::indexing_slicing,
    clippy::iter_over_hash_type
)]

mod account;
mod allowance;
mod audit;
mod batch;
mod bill;
mod bills;
mod book;
mod carried;
mod claim;
mod command;
mod courier;
mod customer;
mod difference;
mod facts;
mod fen;
mod hold;
mod ids;
mod journal;
pub mod limits;
mod order;
mod order_audit;
mod order_book;
mod order_verb;
mod packed;
mod packet;
mod pages;
mod parked;
mod patrol;
mod read;
mod reconcile;
mod refusal;
mod reply;
mod rows;
mod shard;
mod state;
mod transfer;
mod verb;
mod verifier;

pub use account::{Account, AccountKey, Body, Customer, CustomerKind, Status};
pub use allowance::{Allowance, LimitPayments};
pub use audit::{Audit, Part};
pub use bill::{BillKind, BillLine, BillOrder, BillPage, BillQuery, BillTail};
pub use carried::Carried;
pub use claim::{Claim, ClaimKey};
pub use command::{Command, DueHold, Step, Verb};
pub use courier::CourierRecord;
pub use difference::Difference;
pub use facts::{Facts, Trail};
pub use fen::{Currency, Fen, Money};
pub use hold::HeldMoney;
pub use ids::{AccountId, JournalNumber, OrderId, PacketId, ShareId, TransferId, home};
pub use journal::{JournalEntry, JournalPage, Link, SealedPage};
pub use order::{Order, OrderPayment, OrderState, PAYMENT_CODE, REFUND_CODE};
pub use order_verb::{CloseOrder, PayOrder, PlaceOrder, RefundOrder};
pub use parked::ParkedCredit;
pub use patrol::{Patrol, Round};
pub use read::LedgerView;
pub use reconcile::{Reconciliation, reconcile};
pub use refusal::Refusal;
pub use reply::{Answer, Done, Reply, Said};
pub use shard::LedgerMachine;
pub use state::{Counts, Sums};
pub use transfer::{Fingerprint, StoredTransfer, TransferKey};
pub use verb::{
    AnnounceClaim, CreditShare, Hold, OpenAccount, PayPacket, Post, RefundPacket, Remit, Restrict, RetryParked,
    Transfer, Void, Wallet,
};
pub use verifier::{SetVerifier, Verifier};
