//! What CMQ's two doors (HTTP and TCP) share: its words, its errors, its numbers, and what they ask of the node.
//!
//! ```text
//!  cmq_http ─┐                    ┌─> on_node        the verbs of today, on this node's groups
//!  cmq_tcp  ─┴─> Broker (trait) ──┴─> on_node_further, on_node_topics
//! ```
//!
//! Must never: decide anything about a message, or name a type of either wire.

mod broker;
#[cfg(test)]
pub(crate) mod fake;
mod flaw;
mod limits;
mod on_node;
mod on_node_further;
mod on_node_topics;
mod words;

pub(crate) use broker::Broker;
pub(crate) use flaw::{Flaw, No, no};
pub(crate) use limits::*;
pub(crate) use on_node::NodeBroker;
pub(crate) use words::*;
