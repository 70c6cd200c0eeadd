//! After a majority was lost for good: one node goes on alone, and its money is lifted when an audit holds.
//!
//! ```text
//!  recover         the server's own `recover` on a stopped node's folder: looks, and with --yes makes it a cluster of its own
//!  start, lift     Recovery.Lift: a full audit, and what was read-only takes commands again if it holds
//! ```
//!
//! Must never: give up a node of a local cluster that runs.

use std::path::PathBuf;

use proto::admin::v1::LiftRequest;
use proto::admin::v1::recovery_client::RecoveryClient;
use tokio::process::Command;
use tokio::time::timeout;

use crate::args::Dir;
use crate::audit;
use crate::error::Error;
use crate::file::{Folder, Kind};
use crate::limits::AUDIT_MAX;
use crate::link;
use crate::nodes;
use crate::reach::Reach;
use crate::screen;

/// The group that queue nodes alone have.
const DIRECTORY: &str = "group-0";

/// Which node goes on alone.
#[derive(Debug, clap::Args)]
pub(crate) struct Recover {
    #[command(flatten)]
    pub(crate) dir: Dir,
    /// The node of a local cluster. The others of its kind are given up.
    #[arg(required_unless_present = "data", conflicts_with = "data")]
    pub(crate) node: Option<String>,
    /// Data folder of a node of any other cluster, on the machine where it lies.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data: Option<PathBuf>,
    /// Do it. Without it the folder is looked at, and not a byte is changed.
    #[arg(long)]
    pub(crate) yes: bool,
}

/// Looks at what a stopped node holds, or makes it a cluster of its own; `false` if there is nothing to recover.
pub(crate) async fn recover(asked: &Recover) -> Result<bool, Error> {
    let Some(data) = &asked.data else { return recover_local(asked).await };
    let kind = if data.join(DIRECTORY).exists() { Kind::Queue } else { Kind::App };
    serve(kind, data, asked.yes).await
}

/// As [`recover`], of a local cluster, which forgets the nodes that were given up. Their data stays where it is.
async fn recover_local(asked: &Recover) -> Result<bool, Error> {
    let folder = Folder::open(&asked.dir)?;
    let _lock = folder.lock()?;
    let mut cluster = folder.cluster()?;
    let (kind, entry) = cluster.find(asked.node.as_deref().unwrap_or_default())?;
    let (kind, node) = (kind, entry.node.clone());
    if asked.yes
        && let Some(other) = nodes::running_of(&folder, &cluster, kind).into_iter().find(|other| *other != node)
    {
        return Err(Error::Impossible(format!(
            "node {other} runs: no majority is lost for good while it may come back"
        )));
    }
    let is_done = serve(kind, &folder.data(&node), asked.yes).await?;
    if is_done && asked.yes {
        cluster.of_mut(kind).retain(|entry| entry.node == node);
        folder.write(&cluster)?;
    }
    Ok(is_done)
}

/// Lets the server do it: only it can read what its machines wrote.
async fn serve(kind: Kind, data: &std::path::Path, is_sure: bool) -> Result<bool, Error> {
    let binary = nodes::binary(kind)?;
    let mut command = Command::new(&binary);
    command.arg("recover").arg("--data").arg(data);
    if is_sure {
        command.arg("--yes");
    }
    let output = command.output().await.map_err(Error::on(&binary))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    if output.status.success() {
        screen::out(&text(&output.stdout));
    } else {
        screen::note(&text(&output.stderr));
    }
    Ok(output.status.success())
}

/// Audits the money of a cluster that was recovered, and lets it take commands again; `true` if every invariant holds.
/// Errors: `NoApp`; `Call`, nobody answered, with the reason of the last node.
pub(crate) async fn lift(reach: &Reach) -> Result<bool, Error> {
    let cluster = reach.cluster().await?;
    let (mut last, mut holds) = (Error::NoApp, None);
    for node in cluster.of(Kind::App) {
        let mut client = RecoveryClient::new(link::signed(&node.grpc)?);
        let asked = timeout(AUDIT_MAX, client.lift(LiftRequest {})).await;
        let reply = match asked {
            Ok(Ok(reply)) => reply.into_inner(),
            Ok(Err(status)) => {
                last = Error::call(&format!("node {}", node.node))(status.message());
                continue;
            }
            Err(_) => {
                last = Error::call(&format!("node {}", node.node))("no answer in time");
                continue;
            }
        };
        let audit = reply.audit.unwrap_or_default();
        let lifted: Vec<String> = reply.lifted.iter().map(u32::to_string).collect();
        let said = match (audit::holds(&audit), lifted.is_empty()) {
            (true, true) => "nothing is read-only".to_owned(),
            (true, false) => format!("groups {} take commands again", lifted.join(", ")),
            (false, _) => "nothing was lifted: what is read-only stays so".to_owned(),
        };
        screen::out(&format!("{}\nnode {}: {said}", audit::text(&audit), node.node));
        holds = Some(holds.unwrap_or(true) && audit::holds(&audit));
    }
    holds.ok_or(last)
}
