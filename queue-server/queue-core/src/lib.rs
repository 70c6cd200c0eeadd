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
//!                  │              ├─────> delays                               rows D B
//!                  │              ├─────> lanes, turns                          rows A
//!                  │              ├─────> deduplication ids                     rows S U
//!                  │              ├─────> half messages, decisions             rows H A F
//!                  │              ├─────> done, for a rewind                   rows R
//!                  │              └─────> trace                                rows N, events E X
//!                  └──> Reply                        messages                  rows M, bodies by message id
//! ```
//!
//! | file | holds |
//! |---|---|
//! | `command`, `reply`, `refusal`, `due` | what goes in and what comes out |
//! | `owner`, `send`, `dedup`, `receive`, `settle`, `purge`, `tick`, `dead_letter`, `age`, `confirm`, `rewind` | the verbs |
//! | `relocate` | the one way from a queue to another |
//! | `depart`, `arrive`, `departure`, `convoy`, `shipment`, `ship_agenda`, `late` | a queue moves to another group |
//! | `topic_command`, `topic_owner`, `subscribe`, `publish`, `forward`, `filter`, `retry` | topics |
//! | `redrive`, `redrive_job`, `redrive_agenda` | redrives |
//! | `agenda`, `read`, `peek`, `search`, `timeline`, `explain`, `topic_read` | what is read outside `apply` |
//! | `queue`, `lanes`, `lane`, `turns`, `places`, `leases`, `delays`, `half`, `done`, `range_set`, `run_map`, `tries`, `totals`, `trace` | the state |
//! | `topic`, `subscription`, `role` | the state of topics |
//! | `keys`, `rows`, `message`, `event`, `load` | the state on disk |
//! | `attributes`, `names`, `ids`, `limits` | the words |
//! | `directory`, `access` | the machine of the meta group: which group holds a queue or a topic, and whose keys may use it |
#![deny(
    clippy::arithmetic_side_effects,
    clippy::float_arithmetic,
    clippy::indexing_slicing,
    clippy::iter_over_hash_type
)]

mod access;
mod age;
mod agenda;
mod arrive;
mod attributes;
mod command;
mod confirm;
mod convoy;
mod dead_letter;
mod dedup;
mod delays;
mod depart;
mod departure;
mod directory;
mod done;
mod due;
mod event;
mod explain;
mod filter;
mod forward;
mod half;
mod ids;
mod keys;
mod lane;
mod lanes;
mod late;
mod leases;
pub mod limits;
mod load;
mod message;
mod names;
mod owner;
mod peek;
mod places;
mod publish;
mod purge;
mod queue;
mod queue_machine;
mod range_set;
mod read;
mod receive;
mod redrive;
mod redrive_agenda;
mod redrive_job;
mod refusal;
mod relocate;
mod removal;
mod reply;
mod retry;
mod rewind;
mod role;
mod rows;
mod run_map;
mod search;
mod send;
mod settle;
mod ship_agenda;
mod shipment;
mod subscribe;
mod subscription;
mod tick;
mod timeline;
mod topic;
mod topic_command;
mod topic_owner;
mod topic_read;
mod totals;
mod trace;
mod tries;
mod turns;

pub use access::{Grant, KeyCommand, KeyPair, KeyRefusal, Right, Secret, is_key_id};
pub use attributes::{AttributeChanges, Attributes, DeadLetterCount, DeadLetterPolicy, TransactionPolicy};
pub use command::{Command, Header, NewMessage};
pub use departure::{Arrival, Departure, MovePhase};
pub use directory::{DirectoryCommand, DirectoryMachine, DirectoryReply, Place, PlaceKind, PlaceQueue, PlaceRefusal};
pub use due::{Due, Passage, Pick, Shipment, Stretch};
pub use event::{Event, EventKind};
pub use explain::{Explained, Explanation};
pub use filter::FilterKind;
pub use ids::{DeliveryNumber, MessageId, QueueId};
pub use message::{MessageRow, Origin, Published};
pub use names::is_queue_name;
pub use peek::{PeekState, Peeked};
pub use queue_machine::QueueMachine;
pub use read::{Counts, Footprint, QueueList, QueueStatus};
pub use redrive::{Redrive, RedriveFilter, RedriveOrder, RedriveState};
pub use refusal::Refusal;
pub use relocate::{QueueAddress, Stall};
pub use reply::{Delivery, Question, Reply};
pub use retry::{RetryStrategy, next_retry};
pub use rows::Failing;
pub use search::{Cursor, Filter, Found};
pub use subscription::{Endpoint, NotifyFormat, SubscriptionAttributes, SubscriptionChanges};
pub use timeline::{EventPage, Timeline};
pub use topic::{TopicAttributes, TopicChanges, TopicId};
pub use topic_command::{Publication, TopicCommand};
pub use topic_read::{Pushable, SubscriptionList, SubscriptionStatus, TopicList, TopicStatus};
pub use totals::Totals;
pub use tries::Tries;
