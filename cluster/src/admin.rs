//! How nodes say they stand: Admin.Status of each, asked at the same time.
//!
//! Must never: wait for a node longer than an operator looks at a screen.

use futures::future::join_all;
use proto::admin::v1::admin_client::AdminClient;
use proto::admin::v1::{Role, StatusReply, StatusRequest};
use tokio::time::timeout;

use crate::error::Error;
use crate::file::NodeEntry;
use crate::limits::STATUS_MAX;
use crate::link::{self, Signed};

/// A node and what it said.
#[derive(Clone, Debug)]
pub(crate) struct View {
    /// Its name.
    pub(crate) node: String,
    /// Its status, or why there is none.
    pub(crate) answer: Result<StatusReply, String>,
}

/// Asks every node.
pub(crate) async fn look(nodes: &[NodeEntry]) -> Vec<View> {
    join_all(nodes.iter().map(|entry| async {
        let answer = timeout(STATUS_MAX, status(&entry.grpc)).await;
        let late = || Err(format!("no answer within {} ms", STATUS_MAX.as_millis()));
        View { node: entry.node.clone(), answer: answer.unwrap_or_else(|_| late()) }
    }))
    .await
}

async fn status(address: &str) -> Result<StatusReply, String> {
    let channel = link::connected(address).await.map_err(|error| match error {
        // Who is meant stands beside it.
        Error::Call { reason, .. } => reason,
        other => other.to_string(),
    })?;
    let reply = AdminClient::new(channel).status(StatusRequest {}).await;
    reply.map(tonic::Response::into_inner).map_err(|status| status.message().to_owned())
}

/// A client of a node's Admin that connects when first used.
pub(crate) fn client(address: &str) -> Result<AdminClient<Signed>, Error> {
    Ok(AdminClient::new(link::signed(address)?))
}

/// The node that leads a group, if one says so. Of two that do, the one with the later term is right.
pub(crate) fn leader_of(views: &[View], group: u32) -> Option<String> {
    let answers = views.iter().filter_map(|view| view.answer.as_ref().ok().map(|status| (&view.node, status)));
    let groups = answers.flat_map(|(node, status)| status.groups.iter().map(move |group| (node, group)));
    let leaders = groups.filter(|(_, replica)| replica.group == group && replica.role() == Role::Leader);
    leaders.max_by_key(|(_, replica)| replica.term).map(|(node, _)| node.clone())
}
