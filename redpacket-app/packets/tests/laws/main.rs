//! The laws of red packets, on rows in memory: tables, properties against a naive model, golden bytes.
//!
//! Must never: sleep, read a clock, or ask a network.

mod audits;
mod draws;
mod evening;
mod expiry;
mod gate;
mod golden;
mod homes;
mod lists;
mod model;
mod opens;
mod properties;
mod refusals;
