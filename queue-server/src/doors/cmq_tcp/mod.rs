//! CMQ's TCP protocol, as the Java SDK speaks it: one connection, many requests under way, answers in any order.
//!
//! ```text
//!  listen ─> connection ─> frame ─> login │ calls ─> Broker
//!                 └─<── answers as they are done, and questions about half messages
//! ```
//!
//! Must never: serve a request of a connection that has not logged in, or hold more of a connection than the limits.

mod calls;
mod connection;
mod frame;
mod listen;
mod login;
#[cfg(test)]
mod tests;

pub(crate) use listen::serve_tcp;

/// The generated messages.
mod wire {
    #![expect(unreachable_pub, reason = "generated code")]
    include!(concat!(env!("OUT_DIR"), "/cmq.rs"));
}

/// Commands of the protocol.
mod cmd {
    pub(super) const AUTH: i32 = 1020;
    pub(super) const SEND: i32 = 1021;
    pub(super) const BATCH_SEND: i32 = 1022;
    pub(super) const PULL: i32 = 1023;
    pub(super) const BATCH_PULL: i32 = 1024;
    pub(super) const DELETE: i32 = 1025;
    pub(super) const BATCH_DELETE: i32 = 1026;
    pub(super) const PUBLISH: i32 = 1027;
    pub(super) const BATCH_PUBLISH: i32 = 1028;
    pub(super) const HEARTBEAT: i32 = 1040;
    pub(super) const CONFIRM: i32 = 1041;
    pub(super) const QUERY: i32 = 1042;
}

/// Results of the protocol that are no codes of CMQ's table.
mod result {
    /// The connection has to log in, again or for the first time: the client drops it and makes another.
    pub(super) const NOT_LOGGED_IN: i32 = 306;
    /// The connection has logged in before: as good as done.
    pub(super) const LOGGED_IN_BEFORE: i32 = 307;
    /// Nothing to pull: the module's code, not the table's.
    pub(super) const NO_MESSAGE: i32 = 10_200;
}
