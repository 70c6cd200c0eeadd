//! End to end, with real processes that are killed: what was acknowledged is there, once.

mod chaos_scripts;
mod cmq_sdk;
mod cmq_tcp;
mod console;
mod consume;
mod counters;
mod dead_letters;
mod demo;
mod evening;
mod failing_disk;
mod failover;
mod history;
mod hostile;
mod journal;
mod killed_leader;
mod memory;
mod moves;
mod operators;
mod order;
mod pay;
mod phone;
mod restart;
mod rights;
mod sealed;
mod topics;
