//! Who belongs to the app's cluster, for operators: each call is one change of one group, on the group's leader.
//!
//! Must never: repeat a change by itself, or say that one happened which may not have.

use machine::GroupId;
use proto::admin::v1::members_server::Members;
use proto::admin::v1::{
    AddMemberReply, AddMemberRequest, DrainReply, DrainRequest, PromoteMemberReply, PromoteMemberRequest,
    RemoveMemberReply, RemoveMemberRequest,
};
use proto::outcome::{Hint, not_applied, refused, unknown};
use replica::{MemberChange, MemberError};
use tonic::{Code, Request, Response, Status};

use super::Door;
use super::admin::node_number;
use crate::failure::DoorRefusal;

type Answer<T> = Result<Response<T>, Status>;

impl Door {
    async fn change_member(&self, group: u32, change: MemberChange) -> Result<(), Status> {
        let group = GroupId(group);
        let replica = &self.app()?.replica;
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
            _ => kept(&error.to_string()),
        })
    }
}

fn kept(reason: &str) -> Status {
    refused(Code::InvalidArgument, proto::outcome::DOOR_REFUSALS + DoorRefusal::MembersKept as u16, reason)
}

fn node_id(text: &str) -> Result<u64, Status> {
    node_number(text).filter(|id| *id > 0).ok_or_else(|| kept("a node's name is a number from 1 on, after an a"))
}

#[tonic::async_trait]
impl Members for Door {
    async fn add_member(&self, request: Request<AddMemberRequest>) -> Answer<AddMemberReply> {
        let call = self.operated(request)?;
        let change = MemberChange::Add { node: node_id(&call.node)?, address: call.grpc };
        self.change_member(call.group, change).await?;
        Ok(Response::new(AddMemberReply {}))
    }

    async fn promote_member(&self, request: Request<PromoteMemberRequest>) -> Answer<PromoteMemberReply> {
        let call = self.operated(request)?;
        self.change_member(call.group, MemberChange::Promote { node: node_id(&call.node)? }).await?;
        Ok(Response::new(PromoteMemberReply {}))
    }

    async fn remove_member(&self, request: Request<RemoveMemberRequest>) -> Answer<RemoveMemberReply> {
        let call = self.operated(request)?;
        self.change_member(call.group, MemberChange::Remove { node: node_id(&call.node)? }).await?;
        Ok(Response::new(RemoveMemberReply {}))
    }

    async fn drain(&self, request: Request<DrainRequest>) -> Answer<DrainReply> {
        let drained = self.operated(request)?.drained;
        let kept = self.app()?.replica.drain(drained).await;
        kept.map_err(|error| not_applied(&format!("the wish cannot be kept: {error}"), Hint::default()))?;
        tracing::info!(drained, "an operator changed whether this node leads");
        Ok(Response::new(DrainReply {}))
    }
}
