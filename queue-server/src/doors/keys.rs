//! The key pairs that a door checks its callers against: those of the directory, and the pair of a local cluster.
//!
//! Must never: say more of a key than that it is there, or keep a pair that was revoked.

use std::sync::Arc;

use machine::TimestampMs;
use queue_core::{Grant, KeyPair, Secret};

use crate::node::Node;

/// The pair that local clusters know: source, the SDKs' own samples against a local endpoint.
const LOCAL: (&str, &str) = ("AKIDlocal", "local");

/// Where pairs are looked up.
pub(crate) struct KeyRing {
    directory: Option<Arc<Node>>,
    fixed: Vec<KeyPair>,
}

impl KeyRing {
    /// The directory's pairs, and the local one if this is a local cluster.
    pub(crate) fn new(node: Arc<Node>, has_local: bool) -> Self {
        let fixed = if has_local { vec![pair(LOCAL.0, LOCAL.1, vec![Grant::everything()])] } else { Vec::new() };
        Self { directory: Some(node), fixed }
    }

    /// The pair of this id, and the instant by which its secrets are good or not.
    pub(crate) fn find(&self, id: &str) -> Option<(KeyPair, TimestampMs)> {
        if let Some(pair) = self.fixed.iter().find(|pair| pair.id == id) {
            return Some((pair.clone(), TimestampMs(0)));
        }
        let directory = self.directory.as_ref()?.directory()?;
        let read = directory.read_stale(|view| view.machine.key_pair(id).map(|pair| (pair.clone(), view.now)));
        read.ok().flatten()
    }

    /// These pairs and no others.
    #[cfg(test)]
    pub(crate) fn of(fixed: Vec<KeyPair>) -> Self {
        Self { directory: None, fixed }
    }
}

/// A pair that was never rotated.
pub(crate) fn pair(id: &str, secret: &str, grants: Vec<Grant>) -> KeyPair {
    let (created, rotated) = (TimestampMs(0), TimestampMs(0));
    KeyPair { id: id.to_owned(), secret: Secret::new(secret.to_owned()), former: None, grants, created, rotated }
}
