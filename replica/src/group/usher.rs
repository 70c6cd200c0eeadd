//! The usher: whom a process lets on to the road of a group that it leads, and what it has every caller told.
//!
//! ```text
//!  caller ──note──> leader: usher lets on? ──no──> turned away, with its word
//!                                          └─yes─> road ─> ... ─> answer, with its word
//! ```
//!
//! Why here: a caller and the leader may be two nodes, and only the road knows how long a command waits for its place in
//! an entry. What notes and words mean is the process's affair; here they are eight bytes that are carried.
//!
//! Must never: change what an entry says, or be asked about what the group itself proposes.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// What a process says of the road of one of its groups. Asked only on the node that leads.
pub trait Usher: Send + Sync {
    /// Whether a command that comes with `note` may go on. 0 is the note of who says nothing: such a command must go on.
    fn admits(&self, note: u64) -> bool;

    /// A command that was let on has waited so long for its place in an entry.
    fn waited(&self, wait: Duration);

    /// What a caller is told with his answer.
    fn word(&self) -> u64;
}

/// The usher of one group, once the process has named it.
#[derive(Clone, Default)]
pub(super) struct Post(Arc<OnceLock<Arc<dyn Usher>>>);

impl Post {
    /// The first one stays.
    pub(super) fn take(&self, usher: Arc<dyn Usher>) {
        // A second one is refused: whoever asks the first must not be answered by another.
        let _ = self.0.set(usher);
    }

    pub(super) fn usher(&self) -> Option<&dyn Usher> {
        self.0.get().map(|usher| &**usher)
    }

    /// Its word; 0, where there is none.
    pub(super) fn word(&self) -> u64 {
        self.usher().map_or(0, Usher::word)
    }
}
