//! Listeners: the phones that hold a stream of their news open at this node.
//!
//! ```text
//!  a stream opens ─> place of the node, place of the user ─> looks, one by one ─> closed: both places are free
//! ```
//!
//! Why a pace for all together: each look reads rows, so a node looks so many times a second and not more. With more
//! phones each of them is told a little later, and nothing grows.
//!
//! Must never: keep news for a phone. What a stream tells is what is true when it is written.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use packets::UserId;
use parking_lot::Mutex;

use crate::failure::Failure;
use crate::limits::{LISTENERS_MAX, LISTENERS_OF_USER_MAX, LOOK_EVERY, LOOKS_PER_S_MAX};

/// When a phone that found no place should come back. Milliseconds.
const COME_BACK_MS: u64 = 2000;

#[derive(Debug, Default)]
struct Places {
    taken: usize,
    by_user: BTreeMap<UserId, usize>,
}

/// The listeners of one node.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listeners(Arc<Mutex<Places>>);

/// A place for one stream, free again when it is dropped.
#[derive(Debug)]
pub(crate) struct Listener {
    listeners: Listeners,
    user: UserId,
}

impl Listeners {
    /// A place for a stream of `user`. Errors: `Busy`, the node or the user has as many as it may have.
    pub(crate) fn admit(&self, user: UserId) -> Result<Listener, Failure> {
        let mut places = self.0.lock();
        let of_user = places.by_user.get(&user).copied().unwrap_or(0);
        if places.taken >= LISTENERS_MAX || of_user >= LISTENERS_OF_USER_MAX {
            return Err(Failure::Busy { after_ms: COME_BACK_MS });
        }
        places.taken += 1;
        places.by_user.insert(user, of_user + 1);
        drop(places);
        Ok(Listener { listeners: self.clone(), user })
    }

    /// How many streams are open.
    pub(crate) fn count(&self) -> usize {
        self.0.lock().taken
    }

    /// How long one stream rests between two looks, so that all together keep the pace of the node.
    pub(crate) fn rest(&self) -> Duration {
        let all = u32::try_from(self.count()).unwrap_or(u32::MAX);
        LOOK_EVERY.max(Duration::from_secs(1).saturating_mul(all) / LOOKS_PER_S_MAX)
    }
}

impl Listener {
    /// As [`Listeners::rest`].
    pub(crate) fn rest(&self) -> Duration {
        self.listeners.rest()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut places = self.listeners.0.lock();
        places.taken = places.taken.saturating_sub(1);
        match places.by_user.get(&self.user).copied() {
            Some(count) if count > 1 => {
                places.by_user.insert(self.user, count - 1);
            }
            _ => {
                places.by_user.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_few_places_and_gets_them_back() {
        let listeners = Listeners::default();
        let mut held: Vec<_> = (0..LISTENERS_OF_USER_MAX).map(|_| listeners.admit(UserId(1))).collect();
        assert!(held.iter().all(Result::is_ok));
        assert_eq!(listeners.admit(UserId(1)).err(), Some(Failure::Busy { after_ms: COME_BACK_MS }));
        assert!(listeners.admit(UserId(2)).is_ok(), "one user takes no other's place");
        held.pop();
        assert!(listeners.admit(UserId(1)).is_ok(), "a closed stream frees its place");
        drop(held);
        assert_eq!(listeners.count(), 0);
        assert!(listeners.0.lock().by_user.is_empty(), "nothing is kept of who has left");
    }

    #[test]
    fn a_node_is_full_at_its_limit_and_looks_no_more_often_than_it_may() {
        let listeners = Listeners::default();
        assert_eq!(listeners.rest(), LOOK_EVERY);
        let held: Vec<_> = (0..LISTENERS_MAX as u128).map(|user| listeners.admit(UserId(user))).collect();
        assert!(held.iter().all(Result::is_ok));
        assert!(listeners.admit(UserId(u128::MAX)).is_err());
        let looks_per_s = LISTENERS_MAX as u128 * 1000 / listeners.rest().as_millis();
        assert_eq!(looks_per_s, u128::from(LOOKS_PER_S_MAX));
    }
}
