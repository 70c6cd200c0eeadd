//! The seals of a node: who it is by its certificates, and its two doors.

use tls::{Door, Identity, Protocol, TlsError};

use crate::config::{Config, TlsDoor};

/// Certificates and doors.
#[derive(Clone)]
pub(crate) struct Seals {
    pub(crate) identity: Identity,
    pub(crate) grpc: Door,
    pub(crate) http: Door,
}

impl Seals {
    /// The seals that the node was told of; none: its doors are plain. Errors: the papers are not good.
    pub(crate) fn new(config: &Config) -> Result<Self, TlsError> {
        let identity = Identity::open(config.tls.as_deref(), "app", config.node)?;
        let door = |name, protocol, door| identity.door(name, protocol, config.tls_open.contains(&door));
        Ok(Self {
            grpc: door("grpc", Protocol::Grpc, TlsDoor::Grpc),
            http: door("http", Protocol::Http, TlsDoor::Http),
            identity,
        })
    }
}
