//! The risk system, asked over gRPC.
//!
//! Must never: wait longer than whoever asks; the deadline is his.

use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use proto::pay::v1::JudgeRequest;
use proto::pay::v1::risk_client::RiskClient;
use proto::traces;
use tls::Way;
use tonic::Request;
use tonic::transport::{Channel, Endpoint};

use super::convert::wire_id;
use crate::limits::RISK_DEADLINE;
use crate::pay::risk::{Attempt, Judge};

/// A risk system at an address; the connection is made when it is first asked.
struct Remote(RiskClient<Channel>);

/// The risk system at `address`, asked as the queue's nodes are: over TLS where this node has certificates. Errors: it is
/// none.
pub(crate) fn judge(address: &str, way: &Way) -> Result<Arc<dyn Judge>, String> {
    let endpoint = Endpoint::try_from(format!("http://{address}")).map_err(|error| error.to_string())?;
    let channel = way.channel(&endpoint.connect_timeout(RISK_DEADLINE));
    Ok(Arc::new(Remote(RiskClient::new(channel))))
}

impl Judge for Remote {
    fn judge(&self, attempt: Attempt) -> BoxFuture<'_, Result<bool, String>> {
        let request = JudgeRequest {
            user: wire_id(attempt.payer.0),
            merchant: wire_id(attempt.merchant.0),
            order: wire_id(attempt.order.0),
            amount_fen: attempt.fen,
        };
        let mut client = self.0.clone();
        let mut request = Request::new(request);
        if let Some(line) = traces::current().and_then(|current| current.line().parse().ok()) {
            request.metadata_mut().insert(traces::TRACEPARENT, line);
        }
        async move {
            let reply = client.judge(request).await.map_err(|status| status.to_string())?;
            Ok(reply.into_inner().allowed)
        }
        .boxed()
    }
}
