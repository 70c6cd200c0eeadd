//! CMQ's words, flaws and limits, as its doors use them.
//!
//! Must never: hold a limit of its own.

#[path = "../../../queue-server/src/doors/cmq/flaw.rs"]
mod flaw;
#[path = "../../../queue-server/src/doors/cmq/limits.rs"]
mod limits;
#[path = "../../../queue-server/src/doors/cmq/words.rs"]
mod words;

pub(crate) use flaw::{Flaw, No, no};
pub(crate) use limits::*;
pub(crate) use words::*;
