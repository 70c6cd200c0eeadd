//! The nodes of a local cluster as processes: started, signalled, stopped.
//!
//! ```text
//!  up, start ──> launch ──> process ──> wait until /readyz says yes
//!  kill, down ─────────────> process (only if it is still ours) ──> wait until it is gone
//! ```
//!
//! Must never: end a process by its name, or by a number that may have been given to somebody else.

mod extra;
mod launch;
mod ports;
mod process;
mod ready;
mod verbs;

pub(crate) use extra::{forget, start_extra};
pub(crate) use launch::{binary, tail as log_tail};
pub(crate) use process::parse_signal;
pub(crate) use verbs::{
    Target, describe, down, end_all, kill, kill_node, kill_when_led, running_of, start, start_node, up,
};
