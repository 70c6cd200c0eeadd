//! The entrance: a request of a phone waits here for its turn, and how long it waits is the load.
//!
//! ```text
//!  address, user, switches ─> admission ─> behind everything that is to be run already ─> a place ─> worked on
//!                               └─ shed: come back later    └──────── the wait ─────────────┘
//! ```
//!
//! Why it steps back once before it takes a place: a node whose processors are the bound never runs out of places. Its
//! requests wait in the runtime's queue, and only who goes to the end of that queue sees how long it is.
//!
//! Must never: let a request wait that will not be worked on.

use std::net::IpAddr;
use std::sync::Arc;

use packets::UserId;
use parking_lot::Mutex;
use proto::traces;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::yield_now;
use tokio::time::{Instant, timeout};

use crate::access::admission::{Admission, CLASSES, Class, level};
use crate::access::rates::Rates;
use crate::access::switches::Switches;
use crate::failure::Failure;
use crate::limits::{ADMISSION_WAIT_MAX, RATE_BURST, REQUESTS_UNDER_WAY_MAX};

/// A request's turn to be worked on: a place until it is dropped, and how urgent the request is.
pub(crate) struct Turn {
    _place: OwnedSemaphorePermit,
    /// The request's level, for those who are called for it.
    pub(crate) level: u32,
}

/// The entrance of one node.
pub(crate) struct Entrance {
    admission: Mutex<Admission>,
    places: Arc<Semaphore>,
    opened: Instant,
    users: Rates<UserId>,
    addresses: Rates<IpAddr>,
    switches: Arc<Switches>,
}

impl Entrance {
    /// An entrance that lets a user, and an address, ask so often in a second; 0: as often as they like.
    pub(crate) fn new(user_rate: u32, address_rate: u32, switches: Arc<Switches>) -> Self {
        Self {
            admission: Mutex::default(),
            places: Arc::new(Semaphore::new(REQUESTS_UNDER_WAY_MAX)),
            opened: Instant::now(),
            users: Rates::new(user_rate, RATE_BURST),
            addresses: Rates::new(address_rate, RATE_BURST),
            switches,
        }
    }

    /// Whether `address` may ask once more. What is on this machine is trusted: a proxy counts for itself. Errors: `Busy`.
    pub(crate) fn pass(&self, address: IpAddr) -> Result<(), Failure> {
        if address.is_loopback() { Ok(()) } else { self.addresses.take(address, Instant::now()) }
    }

    /// A turn to be worked on. Errors: `Busy`.
    pub(crate) async fn enter(&self, class: Class, user: UserId) -> Result<Turn, Failure> {
        let _span = traces::child("access.enter", traces::Kind::Within);
        let began = Instant::now();
        self.users.take(user, began)?;
        self.switches.pass(class, began)?;
        let now_ms = self.now_ms();
        let level = level(class, user.0, now_ms);
        {
            let mut admission = self.admission.lock();
            if !admission.admits(level, now_ms) {
                return Err(Failure::Busy { after_ms: admission.come_back_ms(level) });
            }
        }
        yield_now().await;
        let place = timeout(ADMISSION_WAIT_MAX, Arc::clone(&self.places).acquire_owned()).await;
        let wait_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.admission.lock().waited(wait_us, self.now_ms());
        match place {
            Ok(Ok(place)) => Ok(Turn { _place: place, level }),
            _ => Err(Failure::Busy { after_ms: self.admission.lock().come_back_ms(level) }),
        }
    }

    /// Which part of a thousand levels is admitted, and how many requests are worked on now.
    pub(crate) fn load(&self) -> (u32, usize) {
        (self.admission.lock().per_mille(), REQUESTS_UNDER_WAY_MAX - self.places.available_permits())
    }

    /// Requests sent away since the start, by class.
    pub(crate) fn shed(&self) -> [u64; CLASSES] {
        self.admission.lock().shed()
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
