//! What an operator does after a recovery: the money is audited, and takes commands again if it holds.
//!
//! Must never: lift anything that an audit has not found right.

use proto::admin::v1::recovery_server::Recovery;
use proto::admin::v1::{LiftReply, LiftRequest};
use tonic::{Request, Response, Status};

use super::Door;
use super::admin::audit_reply;
use super::convert::packet_status;

#[tonic::async_trait]
impl Recovery for Door {
    async fn lift(&self, request: Request<LiftRequest>) -> Result<Response<LiftReply>, Status> {
        self.operated(request)?;
        let (report, lifted) = self.app()?.lift().await.map_err(packet_status)?;
        let lifted = lifted.into_iter().map(|group| group.0).collect();
        Ok(Response::new(LiftReply { audit: Some(audit_reply(report)), lifted }))
    }
}
