//! Laws of the client, shown on nodes that fail when they are told to.
//!
//! ```text
//!  calls      one call: leaders, doubt, windows, sessions
//!  producer   batches and their bounds
//!  consumer   leases, failures, ends
//!  fake       the nodes
//! ```
//!
//! Must never: sleep, or need a port of its own choice.

mod calls;
mod consumer;
mod fake;
mod producer;
