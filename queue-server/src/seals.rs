//! The seals of a node: its certificates, and what they make of its three doors and of its calls to peers.
//!
//! Must never: leave a door plain where certificates were given.

use std::sync::Arc;

use replica::Seal;
use tls::{Door, Keeper, Name, Protocol, Standing, TlsError, Way};

use crate::config::{Config, TlsDoor};

/// What nodes of the queue are called in their certificates.
const HOUSE: &str = "queue";

/// Certificates and doors.
pub(crate) struct Seals {
    keeper: Option<Arc<Keeper>>,
    pub(crate) grpc: Door,
    pub(crate) http: Door,
    pub(crate) tcp: Door,
}

impl Seals {
    /// The seals that the node was told of; none: its doors are plain. Errors: the papers are not good.
    pub(crate) fn new(config: &Config) -> Result<Self, TlsError> {
        let open = |folder| Keeper::open(folder, Some(Name::node(HOUSE, config.node)));
        let keeper = config.tls.as_deref().map(open).transpose()?;
        let door = |name, protocol, door| Door::new(name, keeper.as_ref(), protocol, config.tls_open.contains(&door));
        Ok(Self {
            grpc: door("grpc", Protocol::Grpc, TlsDoor::Grpc),
            http: door("http", Protocol::Http, TlsDoor::Http),
            tcp: door("tcp", Protocol::Own, TlsDoor::Tcp),
            keeper,
        })
    }

    /// How nodes prove to each other who they are.
    pub(crate) fn of_replica(&self) -> Option<Seal> {
        self.keeper.as_ref().map(|keeper| Seal { keeper: Arc::clone(keeper), house: HOUSE })
    }

    /// How this node calls others.
    pub(crate) fn way(&self) -> Way {
        Way::new(self.keeper.clone())
    }

    /// How the certificates stand, if there are any.
    pub(crate) fn standing(&self) -> Option<Standing> {
        self.keeper.as_ref().map(|keeper| keeper.standing())
    }

    /// Connections that each door has sent away.
    pub(crate) fn refused(&self) -> [(&'static str, u64); 3] {
        [("grpc", self.grpc.refused()), ("http", self.http.refused()), ("tcp", self.tcp.refused())]
    }

    /// Looks at the files for as long as the process lives.
    pub(crate) async fn watch(self: Arc<Self>) {
        if let Some(keeper) = &self.keeper {
            Arc::clone(keeper).watch().await;
        }
    }
}
