//! The pure queue machine: commands in, replies and row changes out.
//!
//! Why: what a queue decides (who gets which message, until when, how often, and where it goes then) is decided once, in a
//! room without clock, chance, disk or network, so that three replicas and every replay decide the same.
//!
//! Must never: know time but from the entry, hold a body, or read a row that its command did not name.
//!
//! ```text
//!  Command ──> QueueMachine ──> Queue ──> places (ready ranges, runs of ids)   rows P I
//!                  │              ├─────> leases, tries                        rows L T
//!                  │              └─────> delays                               rows D B
//!                  └──> Reply                        messages                  rows M, bodies by message id
//! ```
//!
//! | file | holds |
//! |---|---|
//! | `command`, `reply`, `refusal`, `due` | what goes in and what comes out |
//! | `owner`, `send`, `receive`, `settle`, `purge`, `tick`, `dead_letter` | the verbs |
//! | `agenda`, `read`, `peek` | what is read outside `apply` |
//! | `queue`, `places`, `leases`, `delays`, `range_set`, `run_map`, `tries`, `totals` | the state |
//! | `keys`, `rows`, `message`, `load` | the state on disk |
//! | `attributes`, `names`, `ids`, `limits` | the words |
//! | `directory`, `access` | the machine of the meta group: which group holds a queue, and whose keys may use it |
#![deny(
    clippy::arithmetic_side_effects,
    clippy::float_arithmetic,
    clippy::indexing_slicing,
    clippy::iter_over_hash_type
)]

mod access;
mod agenda;
mod attributes;
mod command;
mod dead_letter;
mod delays;
mod directory;
mod due;
mod ids;
mod keys;
mod leases;
pub mod limits;
mod load;
mod message;
mod names;
mod owner;
mod peek;
mod places;
mod purge;
mod queue;
mod queue_machine;
mod range_set;
mod read;
mod receive;
mod refusal;
mod reply;
mod rows;
mod run_map;
mod send;
mod settle;
mod tick;
mod totals;
mod tries;

pub use access::{Grant, KeyCommand, KeyPair, KeyRefusal, Right, Secret, is_key_id};
pub use attributes::{AttributeChanges, Attributes, DeadLetterCount, DeadLetterPolicy};
pub use command::{Command, Header, NewMessage};
pub use directory::{DirectoryCommand, DirectoryMachine, DirectoryReply, Place, PlaceQueue, PlaceRefusal};
pub use due::Due;
pub use ids::{DeliveryNumber, MessageId, QueueId};
pub use message::{MessageRow, Origin};
pub use names::is_queue_name;
pub use peek::{PeekState, Peeked};
pub use queue_machine::QueueMachine;
pub use read::{Counts, Footprint, QueueList, QueueStatus};
pub use refusal::Refusal;
pub use reply::{Delivery, Reply};
pub use rows::DeadLetterStall;
pub use totals::Totals;
pub use tries::Tries;
