//! End to end, with real processes that are killed: what was acknowledged is there, once.

mod dead_letters;
mod demo;
mod failing_disk;
mod failover;
mod killed_leader;
mod restart;
