//! The test house: what the checks of the whole of Tercet share.
//!
//! Why: a rule without a check is a wish. The written walls of the house stand here as functions, and `tests/tidy.rs`
//! holds the repository against each of them; `local` starts real clusters for the tests that need processes.
//!
//! Must never: be depended on by a room that ships.

pub mod chromium;
pub mod local;
pub mod lone;
pub mod raw;
pub mod tidy;
