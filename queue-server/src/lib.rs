//! The queue process: pure queue machines on `replica`, and the doors to them.
//!
//! ```text
//!  main ─> config, Node::start
//!  doors/grpc ─────┐                       ┌─> directory group (name -> group, key pairs)
//!  doors/cmq_http ─┼─> node (routes) ──────┴─> queue groups (QueueMachine) ─> replica
//!  doors/cmq_tcp ──┘                               │
//!                    push ── POST ──> subscribers <┘ what topics hold for them
//! ```
//!
//! Must never: decide anything about a message. Doors validate and translate, the machine decides.

pub mod config;
mod disk_guard;
mod doors;
mod node;
mod push;
mod recover;
mod restore;
mod rewind;
mod seals;
mod serve;
mod tally;

pub use recover::{Recover, recover};
pub use serve::{RunError, run};
