//! The laws of the queue machine: tables for each verb, refusals in their precedence, formats that must not move, and a
//! naive model that every random history is held against.
//!
//! Must never: sleep, read a clock, or look inside the machine. Everything is seen through commands, replies, reads, rows.

mod backlog;
mod couriers;
mod dead_letters;
mod dedup;
mod delays;
mod golden;
mod golden_topics;
mod lanes_of_life;
mod leases;
mod moves;
mod moves_at_random;
mod naive;
mod order;
mod owners;
mod properties;
mod reads;
mod redrives;
mod refusals;
mod retention;
mod rewinds;
mod room;
mod steps;
mod topic_refusals;
mod topics;
mod traces;
mod transactions;
