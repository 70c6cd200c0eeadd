//! A node's groups, and the way from a queue's name to its group.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use machine::{GroupId, RequestId};
use parking_lot::RwLock;
use queue_core::{
    DirectoryCommand, DirectoryMachine, DirectoryReply, Place, PlaceQueue, PlaceRefusal, QueueId, QueueMachine,
};
use replica::{Group, ProposeError, ReadError, Replica, Role, StartError};

use crate::config::Config;

/// How long a node asks for a fresh look at the directory or a queue.
const READ_DEADLINE: Duration = Duration::from_secs(3);

/// One node of the queue.
pub(crate) struct Node {
    name: String,
    started: Instant,
    replica: Arc<Replica>,
    group_count: u32,
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
    pub(crate) fn new(config: &Config, replica: Arc<Replica>) -> Self {
        Self {
            name: config.name(),
            started: Instant::now(),
            replica,
            group_count: config.groups,
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

    /// The place of a queue's name: from this node's copy of the directory, or after a fresh look if that knows none.
    pub(crate) async fn place(&self, name: &str) -> Result<Place, LocateError> {
        let unavailable = |error: ReadError| LocateError::Unavailable(error.to_string());
        let starting = || LocateError::Unavailable("the node is starting".to_owned());
        let directory = self.directory().ok_or_else(starting)?;
        if let Some(place) = directory.read_stale(|view| view.machine.place(name)).map_err(unavailable)? {
            return Ok(place);
        }
        let fresh = directory.read_anywhere(READ_DEADLINE, |view| view.machine.place(name)).await;
        fresh.map_err(unavailable)?.ok_or(LocateError::Unknown)
    }

    /// Chooses a place for a queue that is about to be created.
    pub(crate) async fn place_new(
        &self,
        name: &str,
        beside: &str,
    ) -> Result<Result<Place, PlaceRefusal>, ProposeError> {
        let starting = || ProposeError::NotApplied("the node is starting".to_owned());
        let directory = self.directory().ok_or_else(starting)?;
        let groups = (1..=self.group_count).map(GroupId).collect();
        let place = PlaceQueue { name: name.to_owned(), groups, beside: beside.to_owned() };
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
        let place = self.place(name).await?;
        let not_served = || LocateError::Unavailable(format!("group {} is not served here", place.group.0));
        let group = self.group(place.group).ok_or_else(not_served)?;
        if !group.is_leader() {
            return Err(LocateError::NotHere(group));
        }
        let unavailable = |error: ReadError| LocateError::Unavailable(error.to_string());
        let known = group.read_stale(|view| view.machine.queue_id(name)).map_err(unavailable)?;
        let queue = match known {
            Some(queue) => queue,
            // A new leader may not have applied the create yet: only a barrier makes "unknown" certain.
            None => match group.read(|view| view.machine.queue_id(name)).await {
                Ok(queue) => queue.ok_or(LocateError::Unknown)?,
                Err(ReadError::NotLeader { .. }) => return Err(LocateError::NotHere(group)),
                Err(error) => return Err(unavailable(error)),
            },
        };
        Ok(Located { group, queue })
    }
}
