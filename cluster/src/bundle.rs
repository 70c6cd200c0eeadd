//! What to send to whoever shall find a fault: status, queues, couriers, and the ends of a local cluster's logs, in one file.
//!
//! Must never: hold a key, a body of a message, or an environment.

use std::path::Path;

use proto::admin::v1::CourierStatusRequest;
use serde_json::{Value, json};

use crate::admin;
use crate::error::Error;
use crate::file::Kind;
use crate::nodes;
use crate::reach::Reach;
use crate::{screen, status};

/// Writes the file.
pub(crate) async fn bundle(reach: &Reach, out: &Path) -> Result<bool, Error> {
    let cluster = reach.cluster().await?;
    let mut couriers = Vec::new();
    for entry in cluster.of(Kind::Queue) {
        let reply = admin::client(&entry.grpc)?.courier_status(CourierStatusRequest {}).await;
        let pairs = reply.map(|reply| reply.into_inner().pairs).unwrap_or_default();
        couriers.extend(pairs.into_iter().map(|pair| {
            let (source, target) = (pair.source, pair.target);
            json!({"node": entry.node, "source": source, "target": target, "waiting": pair.waiting, "refused": pair.refused})
        }));
    }
    let logs: Vec<Value> = match reach.folder() {
        Ok(folder) => cluster
            .nodes()
            .map(|(_, entry)| json!({"node": entry.node, "end": nodes::log_tail(&folder.log(&entry.node))}))
            .collect(),
        Err(_) => Vec::new(),
    };
    let text = json!({
        "cluster": env!("CARGO_PKG_VERSION"),
        "status": status::snapshot(&cluster).await,
        "nodes": cluster.nodes().map(|(_, entry)| json!({"node": entry.node, "grpc": entry.grpc})).collect::<Vec<_>>(),
        "couriers": couriers,
        "logs": logs,
    });
    std::fs::write(out, format!("{text:#}\n")).map_err(Error::on(out))?;
    screen::out(&format!("{} written; it holds no keys and no bodies", out.display()));
    Ok(true)
}
