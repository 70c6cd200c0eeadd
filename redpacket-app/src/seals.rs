//! The seals of a node: its certificates, and what they make of its two doors and of its calls to others.
//!
//! Must never: leave a door plain where certificates were given.

use std::sync::Arc;

use replica::Seal;
use tls::{Door, Keeper, Name, Protocol, Standing, TlsError, Way};

use crate::config::{Config, TlsDoor};

/// What nodes of the app are called in their certificates.
const HOUSE: &str = "app";

/// Certificates and doors.
#[derive(Clone)]
pub(crate) struct Seals {
    keeper: Option<Arc<Keeper>>,
    pub(crate) grpc: Door,
    pub(crate) http: Door,
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
            keeper,
        })
    }

    /// What this node shows, and whom it believes.
    pub(crate) fn keeper(&self) -> Option<Arc<Keeper>> {
        self.keeper.clone()
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

    /// Looks at the files for as long as the process lives.
    pub(crate) async fn watch(self) {
        if let Some(keeper) = self.keeper {
            keeper.watch().await;
        }
    }
}
