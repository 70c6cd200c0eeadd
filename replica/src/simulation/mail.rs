//! The ways between the groups of a simulation: how the courier's records get from one cluster to another.
//!
//! Why apart from the weather: a record goes to whichever member of its target is asked, and that member finds its leader
//! through its own cluster's weather. Here a record, or the answer that it was taken, gets lost.
//!
//! Must never: take a record that no member was asked to take.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::BoxFuture;
use machine::{Delivery, GroupId, System};
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::group::Addressee;

/// The running members of every group that shares it. Empty: records lead nowhere.
pub struct Mail(Mutex<Houses>);

struct Houses {
    dice: StdRng,
    members: BTreeMap<(GroupId, u64), Arc<dyn Addressee>>,
    lost_in_thousand: u32,
}

/// What becomes of one delivery.
struct Fate {
    member: Arc<dyn Addressee>,
    is_lost: bool,
    is_answer_lost: bool,
}

impl Mail {
    /// A mail that draws from `seed` and loses nothing.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(Houses { dice: StdRng::seed_from_u64(seed), members: BTreeMap::new(), lost_in_thousand: 0 }))
    }

    /// Of a thousand deliveries so many are lost on their way, and so many answers.
    pub fn change(&self, lost_in_thousand: u32) {
        self.0.lock().lost_in_thousand = lost_in_thousand;
    }

    pub(super) fn move_in(&self, group: GroupId, node: u64, member: Arc<dyn Addressee>) {
        self.0.lock().members.insert((group, node), member);
    }

    pub(super) fn move_out(&self, group: GroupId, node: u64) {
        self.0.lock().members.remove(&(group, node));
    }

    fn fate(&self, target: GroupId) -> Option<Fate> {
        let mut houses = self.0.lock();
        let Houses { dice, members, lost_in_thousand } = &mut *houses;
        let there: Vec<_> = members.range((target, 0)..=(target, u64::MAX)).map(|(_, member)| member).collect();
        let member = Arc::clone(there.get(dice.random_range(0..there.len().max(1)))?);
        let mut is_lost = || dice.random_range(0..1_000) < *lost_in_thousand;
        Some(Fate { member, is_lost: is_lost(), is_answer_lost: is_lost() })
    }
}

impl Addressee for Mail {
    fn deliver(&self, target: GroupId, deliver: System) -> BoxFuture<'_, Result<Delivery, String>> {
        Box::pin(async move {
            let Some(fate) = self.fate(target) else {
                return Err(format!("no member of group {} is there", target.0));
            };
            if fate.is_lost {
                return Err("the records were lost".to_owned());
            }
            let answer = fate.member.deliver(target, deliver).await;
            if fate.is_answer_lost { Err("the answer was lost".to_owned()) } else { answer }
        })
    }
}
