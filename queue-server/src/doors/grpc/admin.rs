//! The operators' service of a queue node.

use std::sync::Arc;

use proto::admin::v1::admin_server::Admin;
use proto::admin::v1::*;
use proto::outcome::{Hint, not_applied, unknown};
use replica::{Role as ReplicaRole, Scrubbed};
use tonic::{Request, Response, Status};

use machine::GroupId;

use super::entrance::admitted;
use super::failure::{DoorRefusal, door_refused};
use crate::node::Node;

/// Answers operators.
pub(crate) struct AdminDoor {
    node: Arc<Node>,
}

impl AdminDoor {
    pub(crate) fn new(node: Arc<Node>) -> Self {
        Self { node }
    }
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl Admin for AdminDoor {
    async fn status(&self, request: Request<StatusRequest>) -> Answer<StatusReply> {
        admitted(request)?;
        let (p50_us, p99_us, count) = self.node.replica().fsyncs();
        let (free, size) = self.node.replica().disk();
        let Scrubbed { bytes, damaged, passed_ms } = self.node.replica().scrubbed();
        Ok(Response::new(StatusReply {
            node: self.node.name().to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            groups: self.node.replica().status().into_iter().map(group_status).collect(),
            fsync: Some(FsyncStatus { count, p50_us, p99_us }),
            scrub: Some(ScrubStatus { bytes, damaged, passed_ms }),
            disk_free_bytes: free,
            disk_bytes: size,
            uptime_ms: u64::try_from(self.node.uptime().as_millis()).unwrap_or(u64::MAX),
            known_format: self.node.replica().known().0,
            lineage: self.node.replica().lineage().unwrap_or_default(),
            quarantined: String::new(),
            wall_ms: replica::system_wall_nanos() / 1_000_000,
            drained: self.node.replica().is_drained(),
            certificate: self.node.seals().identity.standing().map(|standing| CertificateStatus {
                seconds_left: standing.seconds_left,
                authority_seconds_left: standing.authority_seconds_left,
                renewed: standing.renewed,
                trouble: standing.trouble.unwrap_or_default(),
            }),
        }))
    }

    async fn transfer_leader(&self, request: Request<TransferLeaderRequest>) -> Answer<TransferLeaderReply> {
        let call = admitted(request)?;
        let bad_node = |_| door_refused(DoorRefusal::EnumMissing, "a node's id is a number");
        let to = if call.to.is_empty() { None } else { Some(call.to.parse().map_err(bad_node)?) };
        let group = GroupId(call.group);
        let replica = self.node.replica();
        replica.transfer_leader(group, to).await.map_err(|reason| not_applied(&reason, Hint::default()))?;
        let leader = replica.status().into_iter().find(|status| status.group == group).and_then(|status| status.leader);
        Ok(Response::new(TransferLeaderReply { leader: leader.map_or_else(String::new, |node| node.to_string()) }))
    }

    async fn audit(&self, request: Request<AuditRequest>) -> Answer<AuditReply> {
        admitted(request)?;
        Err(door_refused(DoorRefusal::NoMoneyHere, "queue nodes keep no money: ask an app node"))
    }

    async fn state_hash(&self, request: Request<StateHashRequest>) -> Answer<StateHashReply> {
        let asked = admitted(request)?.groups;
        let all = || self.node.replica().status().into_iter().map(|status| status.group.0).collect();
        let groups: Vec<u32> = if asked.is_empty() { all() } else { asked };
        let node = Arc::clone(&self.node);
        // Hashing reads every row: not on the threads that answer others.
        let hashes = tokio::task::spawn_blocking(move || {
            let hash = |group: u32| {
                let (index, hash) = node.replica().state_hash(GroupId(group))?;
                Ok(GroupHash { group, index, hash })
            };
            groups.into_iter().map(hash).collect::<Result<Vec<_>, String>>()
        });
        let hashes = hashes.await.map_err(|error| unknown(&error.to_string(), Hint::default()))?;
        let hashes = hashes.map_err(|reason| door_refused(DoorRefusal::NoSuchGroup, &reason))?;
        Ok(Response::new(StateHashReply { hashes }))
    }

    async fn courier_status(&self, request: Request<CourierStatusRequest>) -> Answer<CourierStatusReply> {
        admitted(request)?;
        let mut pairs = Vec::new();
        for group in self.node.groups() {
            let source = group.id().0;
            pairs.extend(group.courier_waiting().into_iter().map(|waiting| CourierPair {
                source,
                target: waiting.status.target.group.0,
                track: waiting.status.target.track.0.into(),
                waiting: waiting.status.waiting,
                first: waiting.status.first,
                refused: waiting.refused.unwrap_or_default(),
            }));
        }
        Ok(Response::new(CourierStatusReply { pairs }))
    }

    async fn queues(&self, request: Request<QueuesRequest>) -> Answer<QueuesReply> {
        admitted(request)?;
        let mut queues = Vec::new();
        for group in self.node.groups() {
            queues.append(&mut crate::doors::overview::queues(&group));
        }
        queues.sort_by(|a, b| a.queue.cmp(&b.queue));
        Ok(Response::new(QueuesReply { queues }))
    }
}

fn group_status(status: replica::GroupStatus) -> GroupStatus {
    let is_meta = status.group == GroupId::META;
    let voters = status.voters;
    let member = |(node, grpc, matched_index): (u64, String, Option<u64>)| Member {
        node: node.to_string(),
        grpc,
        is_voter: voters.contains(&node),
        matched_index,
    };
    GroupStatus {
        group: status.group.0,
        kind: (if is_meta { GroupKind::Meta } else { GroupKind::Queue }).into(),
        role: match status.role {
            ReplicaRole::Leader => Role::Leader,
            ReplicaRole::Follower => Role::Follower,
            ReplicaRole::Candidate => Role::Candidate,
            ReplicaRole::Learner => Role::Learner,
            ReplicaRole::Stopped => Role::Stopped,
        }
        .into(),
        term: status.term,
        last_index: status.last,
        committed_index: status.committed,
        applied_index: status.applied,
        snapshot_index: status.snapshot,
        leader: status.leader.map_or_else(String::new, |node| node.to_string()),
        parked: status.trouble.unwrap_or_default(),
        format: status.format,
        read_only: status.is_read_only,
        members: status.members.into_iter().map(member).collect(),
    }
}
