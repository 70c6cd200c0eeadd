//! The laws of the queue machine: tables for each verb, refusals in their precedence, formats that must not move, and a
//! naive model that every random history is held against.
//!
//! Must never: sleep, read a clock, or look inside the machine. Everything is seen through commands, replies, reads, rows.

mod backlog;
mod couriers;
mod dead_letters;
mod delays;
mod golden;
mod golden_topics;
mod leases;
mod naive;
mod owners;
mod properties;
mod reads;
mod redrives;
mod refusals;
mod retention;
mod rewinds;
mod room;
mod topic_histories;
mod topic_refusals;
mod topics;
mod traces;
mod transactions;
