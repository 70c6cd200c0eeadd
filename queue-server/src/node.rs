//! A node's groups, and the way from a queue's name to its group.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use machine::{GroupId, RequestId};
use parking_lot::RwLock;
use queue_core::{
    DirectoryCommand, DirectoryMachine, DirectoryReply, Place, PlaceKind, PlaceQueue, PlaceRefusal, QueueAddress,
    QueueId, QueueMachine, TopicId,
};
use replica::{Group, ProposeError, ReadError, Replica, Role, StartError};

use crate::config::Config;
use crate::disk_guard::DiskGuard;
use crate::seals::Seals;
use crate::tally::Tally;

/// How long a node asks for a fresh look at the directory or a queue.
const READ_DEADLINE: Duration = Duration::from_secs(3);

/// Moves of a queue that a node follows at once.
const MOVES_FOLLOWED_MAX: usize = 8;

/// One node of the queue.
pub(crate) struct Node {
    name: String,
    started: Instant,
    replica: Arc<Replica>,
    group_count: u32,
    tally: Arc<Tally>,
    disk: DiskGuard,
    seals: Arc<Seals>,
    directory: OnceLock<Group<DirectoryMachine>>,
    queues: RwLock<BTreeMap<GroupId, Group<QueueMachine>>>,
}

/// Where a queue is.
pub(crate) struct Located {
    pub(crate) group: Group<QueueMachine>,
    pub(crate) queue: QueueId,
}

/// Where a topic is.
pub(crate) struct LocatedTopic {
    pub(crate) group: Group<QueueMachine>,
    pub(crate) topic: TopicId,
}

/// Why a queue cannot be found now.
pub(crate) enum LocateError {
    /// It does not exist: certain, after a fresh look.
    Unknown,
    /// The directory or the group cannot be read now.
    Unavailable(String),
    /// Another node leads the queue's group.
    NotHere(Group<QueueMachine>),
}

impl Node {
    pub(crate) fn new(config: &Config, replica: Arc<Replica>, seals: Arc<Seals>) -> Self {
        Self {
            name: config.name(),
            started: Instant::now(),
            replica,
            group_count: config.groups,
            tally: Arc::default(),
            disk: DiskGuard::new(config.disk_free_min_bytes),
            seals,
            directory: OnceLock::new(),
            queues: RwLock::default(),
        }
    }

    /// Opens the directory and every queue group. Errors: [`StartError`]; the node must not run without one of them.
    pub(crate) async fn open_groups(&self, count: u32) -> Result<(), StartError> {
        let directory = self.replica.add_group::<DirectoryMachine>(GroupId::META).await?;
        // Opened once, at the start of the process.
        let _ = self.directory.set(directory);
        for id in (1..=count).map(GroupId) {
            let group = self.replica.add_group::<QueueMachine>(id).await?;
            self.queues.write().insert(id, group);
        }
        Ok(())
    }

    pub(crate) fn replica(&self) -> &Replica {
        &self.replica
    }

    /// What this node was asked.
    pub(crate) const fn tally(&self) -> &Arc<Tally> {
        &self.tally
    }

    /// Its certificates and doors.
    pub(crate) fn seals(&self) -> &Seals {
        &self.seals
    }

    /// Whether the disk has room for what is sent. Errors: why not, in words.
    pub(crate) fn room_to_send(&self) -> Result<(), String> {
        self.disk.judge(|| self.replica.disk().0)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// The queue group `id`, if this node serves it.
    pub(crate) fn group(&self, id: GroupId) -> Option<Group<QueueMachine>> {
        self.queues.read().get(&id).cloned()
    }

    /// Every queue group of this node.
    pub(crate) fn groups(&self) -> Vec<Group<QueueMachine>> {
        self.queues.read().values().cloned().collect()
    }

    pub(crate) fn directory(&self) -> Option<&Group<DirectoryMachine>> {
        self.directory.get()
    }

    /// Whether every group knows a leader and has applied what is committed. Otherwise the reasons.
    pub(crate) fn not_ready(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        let groups = self.replica.status();
        if groups.len() <= self.group_count as usize {
            reasons.push(format!("{} of {} groups are open", groups.len(), self.group_count + 1));
        }
        for group in groups {
            if let Some(trouble) = &group.trouble {
                reasons.push(format!("group {}: {trouble}", group.group.0));
            } else if group.role == Role::Stopped || group.leader.is_none() {
                reasons.push(format!("group {} has no leader", group.group.0));
            } else if group.applied < group.committed {
                reasons.push(format!("group {} has applied {} of {}", group.group.0, group.applied, group.committed));
            }
        }
        reasons
    }

    /// The place of a queue's name, as far as this node knows: the directory may learn of a move last.
    pub(crate) async fn place(&self, name: &str) -> Result<Place, LocateError> {
        Ok(self.follow(name, self.place_of(PlaceKind::Queue, name).await?))
    }

    /// Where the signs lead that a queue has left in the groups it was in.
    fn follow(&self, name: &str, mut place: Place) -> Place {
        for _ in 0..MOVES_FOLLOWED_MAX {
            let Some(group) = self.group(place.group) else { return place };
            let Ok(Some(to)) = group.read_stale(|view| view.machine.moved_to(name)) else { return place };
            place = Place { group: to, epoch: place.epoch.saturating_add(1) };
        }
        place
    }

    /// The place of a topic's name.
    pub(crate) async fn place_of_topic(&self, name: &str) -> Result<Place, LocateError> {
        self.place_of(PlaceKind::Topic, name).await
    }

    /// The place of a name: from this node's copy of the directory, or after a fresh look if that knows none.
    async fn place_of(&self, kind: PlaceKind, name: &str) -> Result<Place, LocateError> {
        let unavailable = |error: ReadError| LocateError::Unavailable(error.to_string());
        let starting = || LocateError::Unavailable("the node is starting".to_owned());
        let directory = self.directory().ok_or_else(starting)?;
        if let Some(place) = directory.read_stale(|view| view.machine.place_of(kind, name)).map_err(unavailable)? {
            return Ok(place);
        }
        let fresh = directory.read_anywhere(READ_DEADLINE, |view| view.machine.place_of(kind, name)).await;
        fresh.map_err(unavailable)?.ok_or(LocateError::Unknown)
    }

    /// The addresses of queues that somebody names, each in its group. Errors: `Unknown`, one was never created.
    pub(crate) async fn addresses<const N: usize>(
        &self,
        queues: [Option<String>; N],
    ) -> Result<[Option<QueueAddress>; N], LocateError> {
        let mut addresses = [const { None }; N];
        for (address, queue) in addresses.iter_mut().zip(queues) {
            if let Some(queue) = queue {
                let group = Some(self.place(&queue).await?.group);
                *address = Some(QueueAddress { group, queue });
            }
        }
        Ok(addresses)
    }

    /// Chooses a place for a queue that is about to be created.
    pub(crate) async fn place_new(
        &self,
        name: &str,
        beside: &str,
    ) -> Result<Result<Place, PlaceRefusal>, ProposeError> {
        let placed = self.place_kind(PlaceKind::Queue, name, beside).await?;
        Ok(placed.map(|place| self.follow(name, place)))
    }

    /// Chooses a place for a topic that is about to be created.
    pub(crate) async fn place_new_topic(&self, name: &str) -> Result<Result<Place, PlaceRefusal>, ProposeError> {
        self.place_kind(PlaceKind::Topic, name, "").await
    }

    async fn place_kind(
        &self,
        kind: PlaceKind,
        name: &str,
        beside: &str,
    ) -> Result<Result<Place, PlaceRefusal>, ProposeError> {
        let starting = || ProposeError::NotApplied("the node is starting".to_owned());
        let directory = self.directory().ok_or_else(starting)?;
        let groups = (1..=self.group_count).map(GroupId).collect();
        let place = PlaceQueue { kind, name: name.to_owned(), groups, beside: beside.to_owned() };
        // Placing twice is placing once: no request id is needed.
        let command = DirectoryCommand::Place(place);
        let applied = directory.propose_anywhere(RequestId::NONE, &command, READ_DEADLINE).await?;
        match applied.reply {
            DirectoryReply::Placed(placed) => Ok(placed),
            DirectoryReply::KeyDone(_) => Err(ProposeError::Unknown("the directory gave another reply".to_owned())),
        }
    }

    /// The queue `name` in its group, which this node must lead.
    pub(crate) async fn locate(&self, name: &str) -> Result<Located, LocateError> {
        let group = self.led(self.place(name).await?)?;
        let queue = match find(&group, |machine| machine.queue_id(name)).await {
            Err(LocateError::Unknown) => return Err(unfound(&group, name)),
            found => found?,
        };
        Ok(Located { group, queue })
    }

    /// The topic `name` in its group, which this node must lead.
    pub(crate) async fn locate_topic(&self, name: &str) -> Result<LocatedTopic, LocateError> {
        let group = self.led(self.place_of_topic(name).await?)?;
        let topic = find(&group, |machine| machine.topic_id(name)).await?;
        Ok(LocatedTopic { group, topic })
    }

    /// The group of a place, which this node must lead.
    fn led(&self, place: Place) -> Result<Group<QueueMachine>, LocateError> {
        let not_served = || LocateError::Unavailable(format!("group {} is not served here", place.group.0));
        let group = self.group(place.group).ok_or_else(not_served)?;
        if group.is_leader() { Ok(group) } else { Err(LocateError::NotHere(group)) }
    }
}

/// Why a queue is not found in the group where it should be: it is on its way, or there is none.
pub(crate) fn unfound(group: &Group<QueueMachine>, name: &str) -> LocateError {
    let looked = group.read_stale(|view| {
        let is_under_way = view.machine.arriving_id(name).is_some() || view.machine.moved_to(name).is_some();
        is_under_way.then(|| "the queue is on its way between groups".to_owned())
    });
    match looked {
        Ok(None) => LocateError::Unknown,
        Ok(Some(reason)) => LocateError::Unavailable(reason),
        Err(error) => LocateError::Unavailable(error.to_string()),
    }
}

/// Looks something up by name in a group that this node leads.
async fn find<T: Send>(
    group: &Group<QueueMachine>,
    look: impl Fn(&QueueMachine) -> Option<T> + Send + Sync,
) -> Result<T, LocateError> {
    let unavailable = |error: ReadError| LocateError::Unavailable(error.to_string());
    if let Some(found) = group.read_stale(|view| look(view.machine)).map_err(unavailable)? {
        return Ok(found);
    }
    // A new leader may not have applied the create yet: only a barrier makes "unknown" certain.
    match group.read(|view| look(view.machine)).await {
        Ok(found) => found.ok_or(LocateError::Unknown),
        Err(ReadError::NotLeader { .. }) => Err(LocateError::NotHere(group.clone())),
        Err(error) => Err(unavailable(error)),
    }
}
