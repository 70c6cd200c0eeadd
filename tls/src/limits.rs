//! What connections and files are given, in one place.
//!
//! Must never: hold a limit of what travels over a connection.

use std::time::Duration;

/// A handshake is done within this, on both sides.
pub(crate) const HANDSHAKE_MAX: Duration = Duration::from_secs(5);
/// Between two looks at the files.
pub const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Handshakes that a listener holds at once; who comes later waits in the system's queue.
pub(crate) const HANDSHAKES_MAX: usize = 512;
/// Of these, handshakes of one address; more are closed at once.
pub(crate) const HANDSHAKES_PER_ADDRESS_MAX: usize = 64;
/// Pause after the system refused a connection (no more descriptors), so that it can recover.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Connections that are made and not yet taken over by a server.
pub(crate) const CONNECTIONS_WAITING: usize = 64;
/// Between two lines of a door's log about connections that were sent away.
pub(crate) const SAY_EVERY: Duration = Duration::from_secs(1);
/// A caller that was sent away gets this long to read why.
pub(crate) const FAREWELL_MAX: Duration = Duration::from_millis(200);
/// Bytes that are read of what such a caller still sends.
pub(crate) const FAREWELL_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a file of certificates or of a key.
pub(crate) const FILE_BYTES_MAX: u64 = 1024 * 1024;

const _: () = assert!(HANDSHAKES_PER_ADDRESS_MAX < HANDSHAKES_MAX);
