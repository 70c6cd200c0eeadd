//! What a node is by its certificates: who it is to its peers, its doors, and its calls to others.
//!
//! Must never: leave a door plain where certificates were given.

use std::path::Path;
use std::sync::Arc;

use crate::door::{Door, Protocol};
use crate::error::TlsError;
use crate::keeper::{Keeper, Standing};
use crate::name::Name;
use crate::way::Way;

/// A node's identity; without certificates it has none to show, and all it does is plain.
#[derive(Clone, Debug)]
pub struct Identity {
    house: &'static str,
    keeper: Option<Arc<Keeper>>,
}

impl Identity {
    /// Node `number` of `house` (what the nodes are nodes of, as it stands in their certificates), by the certificates in
    /// `folder`. Errors: they are not good, or another's.
    pub fn open(folder: Option<&Path>, house: &'static str, number: u64) -> Result<Self, TlsError> {
        let keeper = folder.map(|folder| Keeper::open(folder, Some(Name::node(house, number)))).transpose()?;
        Ok(Self { house, keeper })
    }

    /// What the nodes are nodes of.
    #[must_use]
    pub const fn house(&self) -> &'static str {
        self.house
    }

    /// What this node shows, and whom it believes.
    #[must_use]
    pub fn keeper(&self) -> Option<Arc<Keeper>> {
        self.keeper.clone()
    }

    /// Its door `name`. `is_open`: it also takes callers without a certificate.
    #[must_use]
    pub fn door(&self, name: &'static str, protocol: Protocol, is_open: bool) -> Door {
        Door::new(name, self.keeper.as_ref(), protocol, is_open)
    }

    /// How it calls others.
    #[must_use]
    pub fn way(&self) -> Way {
        Way::new(self.keeper())
    }

    /// How its certificates stand, if there are any.
    #[must_use]
    pub fn standing(&self) -> Option<Standing> {
        self.keeper.as_ref().map(|keeper| keeper.standing())
    }

    /// Looks at the files for as long as the process lives.
    pub async fn watch(self) {
        if let Some(keeper) = self.keeper {
            keeper.watch().await;
        }
    }
}
