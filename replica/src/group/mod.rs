//! One Raft group as its users see it: propose, read, watch, status.
//!
//! ```text
//!  propose ─> Road (batches what waits) ─> Raft ─> Driver ─> answer
//!  read    ─> read-index barrier ─> host and rows under one lock
//! ```

mod courier;
mod errors;
mod handle;
mod keeping;
mod leading;
mod membership;
mod open;
mod peer_port;
mod raising;
mod repair;
mod road;
mod standing;
mod status;
mod succession;
mod usher;

pub(crate) use courier::Addressee;
pub use courier::Waiting;
pub use errors::{Leader, ProposeError, ReadError};
pub(crate) use handle::hash_rows;
pub use handle::{Applied, Group, Receipt, View};
pub use membership::{MemberChange, MemberError};
pub(crate) use open::GroupSetup;
pub(crate) use status::GroupControl;
pub use status::{GroupStatus, Role};
pub use usher::Usher;
