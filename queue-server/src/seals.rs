//! The seals of a node: who it is by its certificates, and its three doors.

use tls::{Door, Identity, Protocol, TlsError};

use crate::config::{Config, TlsDoor};

/// Certificates and doors.
pub(crate) struct Seals {
    pub(crate) identity: Identity,
    pub(crate) grpc: Door,
    pub(crate) http: Door,
    pub(crate) tcp: Door,
}

impl Seals {
    /// The seals that the node was told of; none: its doors are plain. Errors: the papers are not good.
    pub(crate) fn new(config: &Config) -> Result<Self, TlsError> {
        let identity = Identity::open(config.tls.as_deref(), "queue", config.node)?;
        let door = |name, protocol, door| identity.door(name, protocol, config.tls_open.contains(&door));
        Ok(Self {
            grpc: door("grpc", Protocol::Grpc, TlsDoor::Grpc),
            http: door("http", Protocol::Http, TlsDoor::Http),
            tcp: door("tcp", Protocol::Own, TlsDoor::Tcp),
            identity,
        })
    }

    /// Connections that each door has sent away.
    pub(crate) fn refused(&self) -> [(&'static str, u64); 3] {
        [("grpc", self.grpc.refused()), ("http", self.http.refused()), ("tcp", self.tcp.refused())]
    }
}
