//! Sessions: who asks, so that a repeat is known as one. They belong to a group and outlive its leaders.
//!
//! ```text
//!  Lane::Shared  one session per group; many requests under way, within one window
//!  Lane::Poll    one session per waiting Receive, used again when it is done
//! ```
//!
//! Why two lanes: a long poll is unanswered for half a minute. In the shared window it would hold up every request that
//! is more than a window's span behind it.
//!
//! Must never: give one number to two requests.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use proto::queue::v1::RequestId;
use tokio::sync::Notify;

use crate::limits::POLL_SESSIONS_IDLE_MAX;
use crate::window::Window;

/// Which session a request goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// The one of all quick requests.
    Shared,
    /// One that no other request uses at the time.
    Poll,
}

/// An open session.
#[derive(Debug)]
pub(crate) struct Session {
    group: u32,
    id: u64,
    window: Mutex<Window>,
    room: Notify,
}

impl Session {
    pub(crate) const fn new(group: u32, id: u64) -> Self {
        Self { group, id, window: Mutex::new(Window::new()), room: Notify::const_new() }
    }

    /// Takes the next number, waiting while the window is full. One place frees one waiter, who frees the next if there
    /// is room for two.
    async fn number(&self) -> u64 {
        loop {
            {
                let mut window = self.window.lock();
                if let Some(sequence) = window.open() {
                    if window.has_room() {
                        self.room.notify_one();
                    }
                    return sequence;
                }
            }
            self.room.notified().await;
        }
    }

    fn close(&self, sequence: u64) {
        let mut window = self.window.lock();
        window.close(sequence);
        if window.has_room() {
            self.room.notify_one();
        }
    }
}

/// The right to one number of a session; given back when dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    session: Arc<Session>,
    sequence: u64,
    lane: Arc<GroupSessions>,
    is_poll: bool,
}

impl Permit {
    pub(crate) fn request(&self) -> RequestId {
        RequestId { session: self.session.id, sequence: self.sequence, group: self.session.group }
    }

    /// The group has forgotten the session: nobody shall use it again.
    pub(crate) fn forget_session(mut self) {
        self.is_poll = false;
        let mut shared = self.lane.shared.lock();
        if shared.as_ref().is_some_and(|session| Arc::ptr_eq(session, &self.session)) {
            *shared = None;
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.session.close(self.sequence);
        if self.is_poll {
            let mut idle = self.lane.idle_polls.lock();
            if idle.len() < POLL_SESSIONS_IDLE_MAX {
                idle.push(Arc::clone(&self.session));
            }
        }
    }
}

/// The sessions of one group.
#[derive(Debug, Default)]
pub(crate) struct GroupSessions {
    shared: Mutex<Option<Arc<Session>>>,
    idle_polls: Mutex<Vec<Arc<Session>>>,
    /// Held while a session for the shared lane is opened, so that only one is.
    pub(crate) opening: tokio::sync::Mutex<()>,
}

impl GroupSessions {
    /// A session that is open already; one for a poll belongs to its taker until the permit is dropped.
    pub(crate) fn take(&self, lane: Lane) -> Option<Arc<Session>> {
        match lane {
            Lane::Shared => self.shared.lock().clone(),
            Lane::Poll => self.idle_polls.lock().pop(),
        }
    }

    /// Lets every request of the shared lane use `session`.
    pub(crate) fn share(&self, session: &Arc<Session>) {
        *self.shared.lock() = Some(Arc::clone(session));
    }

    /// Takes a number of `session`, waiting for room in its window.
    pub(crate) async fn permit(self: &Arc<Self>, lane: Lane, session: Arc<Session>) -> Permit {
        let sequence = session.number().await;
        Permit { session, sequence, lane: Arc::clone(self), is_poll: lane == Lane::Poll }
    }
}

/// The sessions of all groups.
#[derive(Debug, Default)]
pub(crate) struct Sessions(Mutex<BTreeMap<u32, Arc<GroupSessions>>>);

impl Sessions {
    pub(crate) fn of(&self, group: u32) -> Arc<GroupSessions> {
        Arc::clone(self.0.lock().entry(group).or_default())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::task::{JoinSet, yield_now};
    use tokio::time::timeout;

    use super::*;
    use crate::limits::SESSION_SPAN;

    fn permit(group: &Arc<GroupSessions>, session: &Arc<Session>) -> impl Future<Output = Permit> + use<> {
        let (group, session) = (Arc::clone(group), Arc::clone(session));
        async move { group.permit(Lane::Shared, session).await }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn every_waiter_gets_a_number_of_its_own() {
        let (group, session) = (Arc::new(GroupSessions::default()), Arc::new(Session::new(1, 1)));
        let calls = 8 * SESSION_SPAN;
        let mut waiters = JoinSet::new();
        for pauses in 0..calls {
            let permit = permit(&group, &session);
            waiters.spawn(async move {
                let permit = permit.await;
                // Answers come in any order.
                for _ in 0..pauses % 7 {
                    yield_now().await;
                }
                permit.request().sequence
            });
        }
        let mut sequences = timeout(Duration::from_secs(20), waiters.join_all()).await.expect("no waiter is forgotten");
        sequences.sort_unstable();
        assert_eq!(sequences, (1..=calls).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn waiter_that_leaves_does_not_take_the_place_along() {
        let (group, session) = (Arc::new(GroupSessions::default()), Arc::new(Session::new(1, 1)));
        let mut permits = Vec::new();
        for _ in 0..SESSION_SPAN {
            permits.push(permit(&group, &session).await);
        }
        let mut leaves = Box::pin(permit(&group, &session));
        let mut stays = Box::pin(permit(&group, &session));
        for waiter in [&mut leaves, &mut stays] {
            assert!(futures::poll!(waiter.as_mut()).is_pending(), "the window is full");
        }
        permits.clear();
        drop(leaves);
        let sequence =
            timeout(Duration::from_secs(20), stays).await.expect("the place is passed on").request().sequence;
        assert_eq!(sequence, SESSION_SPAN + 1);
    }
}
