//! The red-packet payment process: the roles access, pay, packet and tenpay on two pure machines and a queue.
//!
//! ```text
//!  phone ─> doors ─> access ─┬─> pay    ── order, payment ──────┐
//!                            ├─> packet ── grab, open, lists ───┼─> shards: ledger 1.., packets 101.. (three copies)
//!                            └─> tenpay ── balances, bills ─────┘
//!  workers: outbox ─> queues "packet-paid", "credits", "packet-expiry" ─> consumers ─> the same roles
//! ```
//!
//! Why: a credit that cannot be booked at once waits in the queue and is booked exactly once. No lock and no transaction
//! spans two shards; every step bears an id of its own and is repeated forward until it is done.
//!
//! Must never: tell a phone *waiting* before the credit is safe, or decide what a pure machine decides.

mod access;
mod app;
mod audit;
mod budget;
mod config;
mod derived;
mod doors;
mod failure;
mod homes;
mod limits;
mod node;
mod packet;
mod pay;
mod queues;
mod recover;
mod seals;
mod shard;
mod tenpay;
mod workers;

pub use config::Config;
pub use node::{NodeError, run};
pub use recover::{Recover, recover};
