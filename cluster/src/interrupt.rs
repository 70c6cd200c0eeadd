//! Being told to end: a verb that goes on until it is interrupted listens from its start on.
//!
//! Why not a new wait at each look: what comes between two waits would be lost, since the process no longer ends by itself
//! once somebody has listened.
//!
//! Must never: be used by a verb that does not look at it at all times.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::Error;

/// The interrupts (SIGINT, Ctrl-C) from now on. Errors: `Io`.
pub(crate) fn interrupts() -> Result<Signal, Error> {
    listen(SignalKind::interrupt())
}

fn listen(kind: SignalKind) -> Result<Signal, Error> {
    signal(kind).map_err(|source| Error::Io { what: "listening to signals".to_owned(), source })
}

/// Returns when the process is told to end in any way.
pub(crate) async fn interruption() -> Error {
    let signals = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(listen);
    let [Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)] = signals else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
    Error::Interrupted
}
