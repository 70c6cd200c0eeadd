//! The quarantine: bodies whose bytes on this disk are not what they were, set aside until a peer has brought them.
//!
//! Why: one damaged block must not cost a replica. A body has a checksum of its own and two more copies; who has lost the
//! bytes knows exactly what they must be.
//!
//! Must never: let bytes in whose checksum is wrong, or forget a body that is still damaged.

use std::collections::BTreeMap;

use machine::{BodyRef, StoreFailure};
use parking_lot::Mutex;

use super::bodies::Kept;
use crate::limits::QUARANTINE_MAX;

/// Damaged bodies of one replica.
#[derive(Default)]
pub(super) struct Quarantine(Mutex<BTreeMap<BodyRef, (Kept, String)>>);

impl Quarantine {
    /// Sets a body aside.
    pub(super) fn add(&self, body: BodyRef, kept: Kept, failure: &StoreFailure) {
        let mut held = self.0.lock();
        // One more than is borne says all that there is to say.
        if held.len() <= QUARANTINE_MAX {
            held.entry(body).or_insert_with(|| (kept, failure.0.clone()));
        }
    }

    /// What is set aside, each with the reason.
    pub(super) fn list(&self) -> Vec<(BodyRef, String)> {
        self.0.lock().iter().map(|(body, (_, reason))| (*body, reason.clone())).collect()
    }

    /// Why no repair of single bodies will do any more: too many are damaged.
    pub(super) fn overflow(&self) -> Option<String> {
        let held = self.0.lock();
        let (_, reason) = held.values().next().filter(|_| held.len() > QUARANTINE_MAX)?;
        Some(format!("{} bodies are damaged, one of them: {reason}", held.len()))
    }

    /// Whether these are the bytes that a body lost. `None`: it is not set aside.
    pub(super) fn is_lost(&self, body: BodyRef, bytes: &[u8]) -> Option<bool> {
        self.0.lock().get(&body).map(|(kept, _)| kept.is(bytes))
    }

    /// The body is whole again, or needed no more.
    pub(super) fn release(&self, body: BodyRef) {
        self.0.lock().remove(&body);
    }
}
