//! Which cluster an operator means: a local one by its folder, any other by the address of one of its nodes, or by a
//! context, which is a name for such addresses.
//!
//! ```text
//!  --at HOST:PORT | --context NAME | --dir DIR, if a cluster is there | the context in use
//! ```
//!
//! Must never: ask a node for more than it takes to find the others.

use std::collections::BTreeMap;
use std::path::PathBuf;

use futures::future::join_all;
use proto::admin::v1::{GroupKind, StatusReply};
use serde::{Deserialize, Serialize};

use crate::admin;
use crate::args::Dir;
use crate::error::Error;
use crate::file::{ClusterFile, Folder, NodeEntry};
use crate::link::{self, Asker};

/// Which cluster.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Reach {
    #[command(flatten)]
    pub(crate) dir: Dir,
    /// gRPC address of a node of the cluster, HOST:PORT; it names the others. May be given more than once.
    #[arg(long, value_name = "ADDRESS", conflicts_with = "context")]
    pub(crate) at: Vec<String>,
    /// A cluster by the name it was given with `cluster context set`.
    #[arg(long, env = "TERCET_CONTEXT", value_name = "NAME")]
    pub(crate) context: Option<String>,
}

impl Reach {
    /// The folder, if a local cluster is meant. Errors: `NoCluster`.
    pub(crate) fn folder(&self) -> Result<Folder, Error> {
        if self.at.is_empty() && self.context.is_none() {
            return Folder::open(&self.dir);
        }
        Err(Error::Impossible("this starts or stops processes of this machine: name the cluster by --dir".to_owned()))
    }

    /// Whether a local cluster is meant.
    pub(crate) fn is_local(&self) -> bool {
        self.folder().is_ok()
    }

    /// The nodes of the cluster. Errors: `NoCluster`, an unknown context, or no node answers.
    pub(crate) async fn cluster(&self) -> Result<ClusterFile, Error> {
        if !self.at.is_empty() {
            link::settle(&Asker::default())?;
            return ask(&self.at).await;
        }
        if let Some(name) = &self.context {
            return Contexts::read()?.find(name)?.cluster().await;
        }
        match (Folder::open(&self.dir), Contexts::read()?) {
            (Ok(folder), _) => folder.cluster(),
            (Err(_), contexts) if contexts.current.is_some() => {
                let name = contexts.current.clone().unwrap_or_default();
                contexts.find(&name)?.cluster().await
            }
            (Err(error), _) => Err(error),
        }
    }
}

/// The nodes that those at these addresses know of. Errors: none answers.
async fn ask(addresses: &[String]) -> Result<ClusterFile, Error> {
    let asked: Vec<NodeEntry> = addresses.iter().map(|address| entry(address, address)).collect();
    let views = join_all(asked.iter().map(std::slice::from_ref).map(admin::look)).await;
    let mut cluster = ClusterFile::default();
    let mut reason = String::new();
    for (view, at) in views.into_iter().flatten().zip(addresses) {
        match view.answer {
            Ok(status) => add(&mut cluster, &status, at),
            Err(why) => reason = format!("{at}: {why}"),
        }
    }
    if cluster.nodes().next().is_none() {
        return Err(Error::Impossible(format!("no node answers: {reason}")));
    }
    Ok(cluster)
}

fn entry(name: &str, grpc: &str) -> NodeEntry {
    NodeEntry { node: name.to_owned(), pid: 0, grpc: grpc.to_owned(), http: String::new(), tcp: None }
}

/// Adds a node that answered at `at`, and those that it names.
fn add(cluster: &mut ClusterFile, status: &StatusReply, at: &str) {
    let is_queue = status.groups.iter().any(|group| matches!(group.kind(), GroupKind::Meta | GroupKind::Queue));
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    for member in status.groups.iter().flat_map(|group| &group.members) {
        known.insert(member.node.clone(), member.grpc.clone());
    }
    known.entry(status.node.clone()).or_insert_with(|| at.to_owned());
    let list = if is_queue { &mut cluster.queue } else { &mut cluster.app };
    for (node, grpc) in known {
        if !list.iter().any(|there| there.node == node) {
            list.push(entry(&node, &grpc));
        }
    }
    list.sort_by_key(|entry| (entry.node.len(), entry.node.clone()));
}

/// Names for clusters, kept in the operator's own folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Contexts {
    /// The one in use where nothing else is said.
    #[serde(default)]
    pub(crate) current: Option<String>,
    /// Clusters by name.
    #[serde(default)]
    pub(crate) contexts: BTreeMap<String, Known>,
}

/// A cluster that has a name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Known {
    /// Addresses of some of its nodes.
    pub(crate) at: Vec<String>,
    /// File of the key pair that signs calls to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<PathBuf>,
    /// Folder of the certificates for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) certs: Option<PathBuf>,
}

impl Known {
    /// Its nodes. Errors: key or certificates do not read, or no node answers.
    async fn cluster(&self) -> Result<ClusterFile, Error> {
        link::settle(&Asker { key: self.key.clone(), certs: self.certs.clone() })?;
        ask(&self.at).await
    }
}

impl Contexts {
    fn path() -> Result<PathBuf, Error> {
        if let Some(path) = std::env::var_os("TERCET_CONTEXTS") {
            return Ok(path.into());
        }
        let home = std::env::var_os("HOME").ok_or_else(|| Error::Impossible("HOME is not set".to_owned()))?;
        Ok(PathBuf::from(home).join(".config/tercet/contexts.json"))
    }

    /// The contexts there are; none if there is no file.
    pub(crate) fn read() -> Result<Self, Error> {
        let path = Self::path()?;
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| Error::on(&path)(error.into())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(Error::on(&path)(error)),
        }
    }

    /// Keeps them.
    pub(crate) fn write(&self) -> Result<(), Error> {
        let path = Self::path()?;
        let folder = path.parent().map(std::path::Path::to_owned).unwrap_or_default();
        std::fs::create_dir_all(&folder).map_err(Error::on(&folder))?;
        let text = serde_json::to_string_pretty(self).map_err(|error| Error::on(&path)(error.into()))?;
        let beside = path.with_extension("new");
        std::fs::write(&beside, text + "\n").map_err(Error::on(&beside))?;
        std::fs::rename(&beside, &path).map_err(Error::on(&path))
    }

    /// A context. Errors: there is none of that name.
    pub(crate) fn find(&self, name: &str) -> Result<&Known, Error> {
        let known = || self.contexts.keys().cloned().collect::<Vec<_>>().join(", ");
        self.contexts.get(name).ok_or_else(|| Error::Impossible(format!("no context {name}; there are: {}", known())))
    }
}

#[cfg(test)]
mod tests {
    use proto::admin::v1::{GroupStatus, Member};

    use super::*;

    #[test]
    fn one_node_names_all_the_others() {
        let member = |node: &str| Member { node: node.to_owned(), grpc: format!("h{node}:1"), ..Member::default() };
        let group = GroupStatus {
            kind: GroupKind::Queue.into(),
            members: ["1", "2", "10"].map(member).to_vec(),
            ..GroupStatus::default()
        };
        let status = StatusReply { node: "7".to_owned(), groups: vec![group], ..StatusReply::default() };
        let mut cluster = ClusterFile::default();
        add(&mut cluster, &status, "seven:1");
        add(&mut cluster, &status, "seven:1");
        let found: Vec<_> = cluster.queue.iter().map(|node| (node.node.as_str(), node.grpc.as_str())).collect();
        assert_eq!(found, [("1", "h1:1"), ("2", "h2:1"), ("7", "seven:1"), ("10", "h10:1")]);
        assert!(cluster.app.is_empty());
    }
}
