//! Connections for everything that speaks: certificates from a folder, read again when they change, for doors and for
//! callers; and gates that let no one have every place.
//!
//! ```text
//!  FOLDER/ca.crt, tls.crt, tls.key ─> papers (checked) ─> Keeper (the newest that were good)
//!                                     Gate (a place) ───────>├─> Door  connections that come in ─┐
//!                                                            └─> Way   connections that go out ──┴─> Stream, Met
//!  a node's papers and its number ─> Identity: its doors, its way, its standing
//! ```
//!
//! Why one room: nodes, clients and the operators' command must agree on whom they believe, and a rule that stood in each
//! of them would be looser in one.
//!
//! Must never: take a certificate unseen, give up good papers for bad ones, or know what travels over a connection.

mod crowd;
mod der;
mod door;
mod error;
mod gate;
mod guarded;
mod identity;
mod incoming;
mod keeper;
mod limits;
mod name;
mod papers;
mod stall;
mod stream;
mod way;

pub use door::{Door, Protocol};
pub use error::TlsError;
pub use gate::{Gate, Place, Room, descriptors};
pub use guarded::{Guarded, Patience};
pub use identity::Identity;
pub use incoming::Incoming;
pub use keeper::{Keeper, Standing};
pub use limits::LOOK_EVERY;
pub use name::Name;
pub use papers::{AUTHORITY_FILE, CERTIFICATE_FILE, KEY_FILE};
pub use stall::Stall;
pub use stream::{Met, Stream};
pub use way::Way;
