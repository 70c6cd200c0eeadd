//! Push: what topics hold for HTTP subscribers is posted to them, by the node that leads the topic's group.
//!
//! ```text
//!  hidden queue of a subscription ──receive──> worker ──POST──> endpoint
//!          ^  ack on 2xx, release as failed with the policy's delay │
//!          └────────────────────────────────────────────────────────┘
//! ```
//!
//! Why on queues: a subscription's messages stand in a queue of their own, so leases, retries, retention and dead letters
//! are the queue's, and a leader that dies leaves nothing but leases that run out.
//!
//! Must never: let one subscriber delay another, or reach an address that the operator did not allow.

mod guard;
mod notice;
mod post;
mod trust;
mod worker;

pub(crate) use guard::Reach;
pub(crate) use trust::Trust;
pub(crate) use worker::run;
