//! Who belongs to the cluster, for operators: each call is one change of one group, on the group's leader.
//!
//! Must never: repeat a change by itself, or say that one happened which may not have.

use std::sync::Arc;

use machine::GroupId;
use proto::admin::v1::members_server::Members;
use proto::admin::v1::*;
use proto::outcome::{Hint, not_applied, unknown};
use replica::{MemberChange, MemberError};
use tonic::{Request, Response, Status};

use super::entrance::admitted;
use super::failure::{DoorRefusal, door_refused};
use crate::node::Node;

/// Answers operators.
pub(crate) struct MembersDoor {
    node: Arc<Node>,
}

type Answer<T> = Result<Response<T>, Status>;

impl MembersDoor {
    pub(crate) const fn new(node: Arc<Node>) -> Self {
        Self { node }
    }

    async fn change(&self, group: u32, change: MemberChange) -> Result<(), Status> {
        let group = GroupId(group);
        let replica = self.node.replica();
        replica.change_member(group, change).await.map_err(|error| match error {
            MemberError::NotLeader => {
                let status = replica.status().into_iter().find(|status| status.group == group);
                let leader = status.and_then(|status| {
                    let leader = status.leader?;
                    status.members.into_iter().find(|(node, _, _)| *node == leader).map(|(_, address, _)| address)
                });
                not_applied(&error.to_string(), Hint { leader, ..Hint::default() })
            }
            MemberError::UnderWay | MemberError::Behind { .. } => not_applied(&error.to_string(), Hint::default()),
            MemberError::Unknown(_) => unknown(&error.to_string(), Hint::default()),
            _ => door_refused(DoorRefusal::MembersKept, &error.to_string()),
        })
    }
}

fn node_id(text: &str) -> Result<u64, Status> {
    let id = text.parse().ok().filter(|id| *id > 0);
    id.ok_or_else(|| door_refused(DoorRefusal::MembersKept, "a node's id is a number from 1 on"))
}

#[tonic::async_trait]
impl Members for MembersDoor {
    async fn add_member(&self, request: Request<AddMemberRequest>) -> Answer<AddMemberReply> {
        let call = admitted(request)?;
        let change = MemberChange::Add { node: node_id(&call.node)?, address: call.grpc };
        self.change(call.group, change).await?;
        Ok(Response::new(AddMemberReply {}))
    }

    async fn promote_member(&self, request: Request<PromoteMemberRequest>) -> Answer<PromoteMemberReply> {
        let call = admitted(request)?;
        self.change(call.group, MemberChange::Promote { node: node_id(&call.node)? }).await?;
        Ok(Response::new(PromoteMemberReply {}))
    }

    async fn remove_member(&self, request: Request<RemoveMemberRequest>) -> Answer<RemoveMemberReply> {
        let call = admitted(request)?;
        self.change(call.group, MemberChange::Remove { node: node_id(&call.node)? }).await?;
        Ok(Response::new(RemoveMemberReply {}))
    }

    async fn drain(&self, request: Request<DrainRequest>) -> Answer<DrainReply> {
        let drained = admitted(request)?.drained;
        let kept = self.node.replica().drain(drained).await;
        kept.map_err(|error| not_applied(&format!("the wish cannot be kept: {error}"), Hint::default()))?;
        tracing::info!(drained, "an operator changed whether this node leads");
        Ok(Response::new(DrainReply {}))
    }
}
