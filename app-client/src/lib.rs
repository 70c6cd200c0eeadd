//! The Rust client of the app's doors: calls that follow leaders until their outcome is known, and a desk at which the
//! single transfers of many callers share a call.
//!
//! ```text
//!  callers ──transfer──> Desk ──what came meanwhile: one packed batch──> Doors ──> the node that answered last
//!  callers ──any other call of the app───────────────────────────────────^
//! ```
//!
//! Must never: repeat a call that was refused, or take "no answer" for "not done".

mod booking;
mod desk;
mod doors;
mod limits;
mod packed;

pub use booking::{Booked, Id, Results, Transfer, book, book_batch};
pub use desk::Desk;
pub use doors::{Doors, Miss, NoDoors};
pub use limits::ATTEMPT_MAX;
