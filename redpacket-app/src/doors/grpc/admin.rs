//! The operators' service of a node.
//!
//! Must never: wait for other nodes, except in an audit and a transfer of the lead.

use std::time::Duration;

use machine::GroupId;
use proto::admin::v1::admin_server::Admin;
use proto::admin::v1::{
    AuditItem, AuditReply, AuditRequest, CertificateStatus, CourierPair, CourierStatusReply, CourierStatusRequest,
    FsyncStatus, GroupHash, GroupKind, GroupStatus, Member, QueuesReply, QueuesRequest, Role, ScrubStatus,
    StateHashReply, StateHashRequest, StatusReply, StatusRequest, TransferLeaderReply, TransferLeaderRequest,
};
use proto::outcome::{Hint, not_applied, refused, unknown};
use replica::Scrubbed;
use tokio::time::{Instant, sleep};
use tonic::{Code, Request, Response, Status};

use super::Door;
use super::convert::packet_status;
use crate::app::App;
use crate::audit::check::Report;
use crate::failure::DoorRefusal;
use crate::limits::PACKET_GROUPS_BASE;

/// How long a new leader is waited for.
const TRANSFER_DEADLINE: Duration = Duration::from_secs(5);

#[tonic::async_trait]
impl Admin for Door {
    async fn status(&self, _: Request<StatusRequest>) -> Result<Response<StatusReply>, Status> {
        let app = self.app()?;
        let (p50_us, p99_us, count) = app.replica.fsyncs();
        let (disk_free_bytes, disk_bytes) = app.replica.disk();
        let Scrubbed { bytes, damaged, passed_ms } = app.replica.scrubbed();
        Ok(Response::new(StatusReply {
            node: node_name(app.replica.node()),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            groups: app.replica.status().iter().map(group_status).collect(),
            known_format: app.replica.known().0,
            drained: app.replica.is_drained(),
            lineage: app.replica.lineage().unwrap_or_default(),
            fsync: Some(FsyncStatus { count, p50_us, p99_us }),
            scrub: Some(ScrubStatus { bytes, damaged, passed_ms }),
            disk_free_bytes,
            disk_bytes,
            uptime_ms: u64::try_from(app.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            wall_ms: replica::system_wall_nanos() / 1_000_000,
            certificate: app.seals.identity.standing().map(|standing| CertificateStatus {
                seconds_left: standing.seconds_left,
                authority_seconds_left: standing.authority_seconds_left,
                renewed: standing.renewed,
                trouble: standing.trouble.unwrap_or_default(),
            }),
            ..StatusReply::default()
        }))
    }

    async fn transfer_leader(
        &self,
        request: Request<TransferLeaderRequest>,
    ) -> Result<Response<TransferLeaderReply>, Status> {
        let app = self.app()?;
        let TransferLeaderRequest { group, to } = request.into_inner();
        let to = if to.is_empty() { None } else { Some(node_number(&to).ok_or_else(bad_node)?) };
        let group = GroupId(group);
        let handed = app.replica.transfer_leader(group, to).await;
        handed.map_err(|reason| not_applied(&reason, Hint::default()))?;
        let leader = new_leader(app, group).await?;
        Ok(Response::new(TransferLeaderReply { leader: node_name(leader) }))
    }

    async fn audit(&self, _: Request<AuditRequest>) -> Result<Response<AuditReply>, Status> {
        let report = self.app()?.audit().await.map_err(packet_status)?;
        Ok(Response::new(audit_reply(report)))
    }

    async fn state_hash(&self, request: Request<StateHashRequest>) -> Result<Response<StateHashReply>, Status> {
        let app = self.app()?;
        let mut groups: Vec<GroupId> = request.into_inner().groups.into_iter().map(GroupId).collect();
        if groups.is_empty() {
            groups = app.replica.status().iter().map(|status| status.group).collect();
        }
        let replica = std::sync::Arc::clone(&app.replica);
        let hashes = tokio::task::spawn_blocking(move || {
            let hash = |group: GroupId| {
                replica.state_hash(group).map(|(index, hash)| GroupHash { group: group.0, index, hash })
            };
            groups.into_iter().map(hash).collect::<Result<Vec<_>, String>>()
        });
        let hashes = hashes.await.unwrap_or_else(|error| Err(error.to_string()));
        let hashes = hashes.map_err(|reason| not_applied(&reason, Hint::default()))?;
        Ok(Response::new(StateHashReply { hashes }))
    }

    async fn courier_status(&self, _: Request<CourierStatusRequest>) -> Result<Response<CourierStatusReply>, Status> {
        let app = self.app()?;
        let ledger = app.homes.ledgers().map(|shard| (shard.group.id(), shard.group.courier_waiting()));
        let packets = app.homes.packet_shards().map(|shard| (shard.group.id(), shard.group.courier_waiting()));
        let pairs = ledger.chain(packets).flat_map(|(source, targets)| {
            targets.into_iter().map(move |waiting| CourierPair {
                source: source.0,
                target: waiting.status.target.group.0,
                track: waiting.status.target.track.0.into(),
                waiting: waiting.status.waiting,
                first: waiting.status.first,
                refused: waiting.refused.unwrap_or_default(),
            })
        });
        Ok(Response::new(CourierStatusReply { pairs: pairs.collect() }))
    }

    async fn queues(&self, _: Request<QueuesRequest>) -> Result<Response<QueuesReply>, Status> {
        Err(Status::unimplemented("queues are shown by the queue's nodes"))
    }
}

/// An audit in the words of the wire.
pub(super) fn audit_reply(report: Report) -> AuditReply {
    let ok = report.is_ok();
    let items = report.items.into_iter().map(|item| AuditItem {
        number: item.number,
        name: item.name.to_owned(),
        ok: item.broken == 0,
        detail: if item.broken == 0 {
            item.details.join("; ")
        } else {
            format!("{} differences: {}", item.broken, item.details.join("; "))
        },
    });
    AuditReply {
        ok,
        items: items.collect(),
        packets: report.packets,
        fen_in: report.fen_in,
        fen_out: report.fen_out,
        credits_now: report.credits_now,
        credits_queued: report.credits_queued,
        longest_wait_ms: report.longest_wait_ms,
    }
}

/// The node that leads `group` once this one does not.
async fn new_leader(app: &App, group: GroupId) -> Result<u64, Status> {
    let until = Instant::now() + TRANSFER_DEADLINE;
    loop {
        let status = app.replica.status().into_iter().find(|status| status.group == group);
        match status.and_then(|status| status.leader) {
            Some(leader) if leader != app.replica.node() => return Ok(leader),
            _ if Instant::now() >= until => return Err(unknown("no new leader is known yet", Hint::default())),
            _ => sleep(Duration::from_millis(20)).await,
        }
    }
}

fn bad_node() -> Status {
    refused(Code::InvalidArgument, proto::outcome::DOOR_REFUSALS + DoorRefusal::BadField as u16, "no such node")
}

/// Nodes of the app are called a1, a2 and so on, so that they are not taken for nodes of the queue.
pub(super) fn node_name(node: u64) -> String {
    format!("a{node}")
}

pub(super) fn node_number(name: &str) -> Option<u64> {
    name.strip_prefix('a').unwrap_or(name).parse().ok()
}

fn group_status(status: &replica::GroupStatus) -> GroupStatus {
    let kind = if status.group.0 > PACKET_GROUPS_BASE { GroupKind::Packets } else { GroupKind::Ledger };
    let role = match status.role {
        replica::Role::Leader => Role::Leader,
        replica::Role::Follower => Role::Follower,
        replica::Role::Candidate => Role::Candidate,
        replica::Role::Learner => Role::Learner,
        replica::Role::Stopped => Role::Stopped,
    };
    let members = status.members.iter().map(|(node, address, matched)| Member {
        node: node_name(*node),
        grpc: address.clone(),
        is_voter: status.voters.contains(node),
        matched_index: *matched,
    });
    GroupStatus {
        group: status.group.0,
        kind: kind.into(),
        role: role.into(),
        term: status.term,
        last_index: status.last,
        committed_index: status.committed,
        applied_index: status.applied,
        snapshot_index: status.snapshot,
        leader: status.leader.map(node_name).unwrap_or_default(),
        parked: status.trouble.clone().unwrap_or_default(),
        format: status.format,
        read_only: status.is_read_only,
        members: members.collect(),
    }
}
