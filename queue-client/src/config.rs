//! What a client is told at its start.
//!
//! Must never: hold what the cluster says itself, such as who leads.

use std::sync::Arc;
use std::time::Duration;

use tls::Keeper;

use crate::credentials::Credentials;

/// Settings of a [`crate::Client`].
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// gRPC addresses of some nodes (`host:port`, or a URL); one that answers is enough.
    pub nodes: Vec<String>,
    /// A call is given up after this; a Receive waits for messages on top of it.
    pub call_timeout: Duration,
    /// A node that has not answered for this long is left for another one.
    pub attempt_timeout: Duration,
    /// A connection that is not made within this is given up.
    pub connect_timeout: Duration,
    /// A silent connection is asked for a sign of life this often.
    pub keepalive_interval: Duration,
    /// A connection that gives none for this long is dead.
    pub keepalive_timeout: Duration,
    /// The key pair that signs each call; a local cluster takes calls without one.
    pub credentials: Option<Credentials>,
    /// Whom to believe over TLS, and the certificate to show; without it nothing is encrypted. Files that change are read
    /// again.
    pub tls: Option<Arc<Keeper>>,
}

impl ClientConfig {
    /// The default settings, for a cluster that has these nodes.
    #[must_use]
    pub fn new(nodes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            nodes: nodes.into_iter().map(Into::into).collect(),
            call_timeout: Duration::from_secs(30),
            attempt_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_millis(500),
            // Together less than the followers of a leader that hangs need to elect another one.
            keepalive_interval: Duration::from_millis(300),
            keepalive_timeout: Duration::from_millis(400),
            credentials: None,
            tls: None,
        }
    }
}
