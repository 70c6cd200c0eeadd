//! Laws of the contract: what a host does with entries, whatever machine it runs.
//!
//! ```text
//!  tally    the machine of these tests      entries   golden bytes, one road for every batching, parking
//!  sessions a repeat is answered            courier   records cross exactly once
//! ```
//!
//! Must never: touch a clock, a disk or a network.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "tests count small numbers and look where they wrote"
)]

mod courier;
mod entries;
mod rows;
mod sessions;
mod tally;
