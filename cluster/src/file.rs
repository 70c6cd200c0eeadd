//! The cluster's folder and its cluster.json: which nodes there are, where they listen, which process each one is.
//!
//! Must never: leave a half-written file. It is replaced by rename, under a lock, so that two commands at a time do not
//! undo each other's work.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::args::Dir;
use crate::error::Error;
use crate::link;

const FILE: &str = "cluster.json";
const FILE_NEW: &str = "cluster.json.new";
const LOCK: &str = "cluster.lock";

/// What a node runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The queue.
    Queue,
    /// Wallets and red packets.
    App,
}

impl Kind {
    /// The server's binary.
    pub(crate) const fn binary(self) -> &'static str {
        match self {
            Self::Queue => "queue-server",
            Self::App => "redpacket-app",
        }
    }
}

/// A node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NodeEntry {
    /// Its name: `1` in the queue, `a1` in the app.
    pub(crate) node: String,
    /// Its process, as of its last start.
    pub(crate) pid: u32,
    /// Where gRPC listens, `host:port`.
    pub(crate) grpc: String,
    /// Where HTTP listens.
    pub(crate) http: String,
    /// Where the queue's TCP door listens; app nodes have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tcp: Option<String>,
}

impl NodeEntry {
    /// What a node of that name runs.
    pub(crate) fn kind_of(name: &str) -> Kind {
        if name.starts_with('a') { Kind::App } else { Kind::Queue }
    }

    /// The node's number within its kind: what its server is told.
    pub(crate) fn number(&self) -> &str {
        self.node.trim_start_matches('a')
    }
}

/// All nodes of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ClusterFile {
    /// Queue nodes.
    pub(crate) queue: Vec<NodeEntry>,
    /// App nodes.
    #[serde(default)]
    pub(crate) app: Vec<NodeEntry>,
}

impl ClusterFile {
    /// Every node, queue nodes first.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = (Kind, &NodeEntry)> {
        let queue = self.queue.iter().map(|node| (Kind::Queue, node));
        queue.chain(self.app.iter().map(|node| (Kind::App, node)))
    }

    /// The nodes of one kind.
    pub(crate) fn of(&self, kind: Kind) -> &[NodeEntry] {
        match kind {
            Kind::Queue => &self.queue,
            Kind::App => &self.app,
        }
    }

    /// The node of that name. Errors: `NoNode`.
    pub(crate) fn find(&self, name: &str) -> Result<(Kind, &NodeEntry), Error> {
        self.nodes().find(|(_, node)| node.node == name).ok_or_else(|| Error::NoNode {
            node: name.to_owned(),
            known: self.nodes().map(|(_, node)| node.node.as_str()).collect::<Vec<_>>().join(", "),
        })
    }

    /// The nodes of one kind, to be changed.
    pub(crate) fn of_mut(&mut self, kind: Kind) -> &mut Vec<NodeEntry> {
        match kind {
            Kind::Queue => &mut self.queue,
            Kind::App => &mut self.app,
        }
    }

    /// Notes a node's process.
    pub(crate) fn set_pid(&mut self, name: &str, pid: u32) {
        if let Some(node) = self.queue.iter_mut().chain(&mut self.app).find(|node| node.node == name) {
            node.pid = pid;
        }
    }

    /// gRPC addresses of one kind's nodes.
    pub(crate) fn addresses(&self, kind: Kind) -> Vec<String> {
        self.of(kind).iter().map(|node| node.grpc.clone()).collect()
    }
}

/// The folder of a cluster. Its path is absolute: the nodes' command lines name it.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// The folder of a cluster that is there. Errors: `NoCluster`.
    pub(crate) fn open(dir: &Dir) -> Result<Self, Error> {
        let path = dir.path.canonicalize().map_err(|_| Error::NoCluster { dir: dir.path.clone() })?;
        let folder = Self { path };
        if folder.read()?.is_none() {
            return Err(Error::NoCluster { dir: dir.path.clone() });
        }
        folder.settle()?;
        Ok(folder)
    }

    /// The folder, made if need be.
    pub(crate) fn create(dir: &Dir) -> Result<Self, Error> {
        fs::create_dir_all(&dir.path).map_err(Error::on(&dir.path))?;
        Ok(Self { path: dir.path.canonicalize().map_err(Error::on(&dir.path))? })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// From here on this command speaks as the cluster's operator. Errors: its key or its certificates do not read.
    pub(crate) fn settle(&self) -> Result<(), Error> {
        link::settle(&link::of_folder(&self.operator_key(), &self.operator_certs()))
    }

    /// The operator's key pair, if the cluster asks for keys.
    pub(crate) fn operator_key(&self) -> PathBuf {
        self.path.join("operator.key")
    }

    /// The cluster's own authority, if it is sealed.
    pub(crate) fn authority(&self) -> PathBuf {
        self.path.join("certs/authority")
    }

    /// The operator's certificates, if it is sealed.
    pub(crate) fn operator_certs(&self) -> PathBuf {
        self.certs("operator")
    }

    /// A node's certificates.
    pub(crate) fn certs(&self, node: &str) -> PathBuf {
        self.path.join("certs").join(node)
    }

    /// A node's data.
    pub(crate) fn data(&self, node: &str) -> PathBuf {
        self.path.join(node)
    }

    /// A node's log.
    pub(crate) fn log(&self, node: &str) -> PathBuf {
        self.path.join(format!("{node}.log"))
    }

    /// The cluster. Errors: `NoCluster`, or the file cannot be read.
    pub(crate) fn cluster(&self) -> Result<ClusterFile, Error> {
        self.read()?.ok_or_else(|| Error::NoCluster { dir: self.path.clone() })
    }

    /// The cluster, if there is one.
    pub(crate) fn read(&self) -> Result<Option<ClusterFile>, Error> {
        let path = self.path.join(FILE);
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| Error::on(&path)(error.into())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::on(&path)(error)),
        }
    }

    /// Keeps other commands from changing the cluster until the guard is dropped.
    pub(crate) fn lock(&self) -> Result<File, Error> {
        let path = self.path.join(LOCK);
        let lock = File::create(&path).map_err(Error::on(&path))?;
        lock.lock().map_err(Error::on(&path))?;
        Ok(lock)
    }

    /// Replaces the file by rename. The caller holds the lock.
    pub(crate) fn write(&self, cluster: &ClusterFile) -> Result<(), Error> {
        let (new, path) = (self.path.join(FILE_NEW), self.path.join(FILE));
        let mut bytes = serde_json::to_vec_pretty(cluster).map_err(|error| Error::on(&path)(error.into()))?;
        bytes.push(b'\n');
        fs::write(&new, bytes).map_err(Error::on(&new))?;
        fs::rename(&new, &path).map_err(Error::on(&path))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A cluster of one queue node and one app node.
    pub(crate) fn sample() -> ClusterFile {
        let node = |name: &str, port: u16, tcp: Option<u16>| NodeEntry {
            node: name.to_owned(),
            pid: 7,
            grpc: format!("127.0.0.1:{port}"),
            http: format!("127.0.0.1:{}", port + 1),
            tcp: tcp.map(|port| format!("127.0.0.1:{port}")),
        };
        ClusterFile { queue: vec![node("1", 100, Some(102))], app: vec![node("a1", 200, None)] }
    }

    #[test]
    fn the_file_reads_back_as_it_was_written_and_has_the_pinned_fields() {
        let dir = tempfile::tempdir().expect("a temporary folder can be made");
        let folder = Folder::create(&Dir { path: dir.path().to_owned() }).expect("the folder is there");
        assert!(matches!(folder.cluster(), Err(Error::NoCluster { .. })));
        folder.write(&sample()).expect("the file can be written");
        assert_eq!(folder.cluster().expect("the file can be read"), sample());
        let text = fs::read_to_string(dir.path().join(FILE)).expect("the file can be read");
        let json: serde_json::Value = serde_json::from_str(&text).expect("the file is JSON");
        let expected = serde_json::json!({
            "queue": [{"node": "1", "pid": 7, "grpc": "127.0.0.1:100", "http": "127.0.0.1:101", "tcp": "127.0.0.1:102"}],
            "app": [{"node": "a1", "pid": 7, "grpc": "127.0.0.1:200", "http": "127.0.0.1:201"}],
        });
        assert_eq!(json, expected);
    }

    #[test]
    fn a_node_is_found_by_its_name_and_its_pid_is_replaced() {
        let mut cluster = sample();
        cluster.set_pid("a1", 9);
        let (kind, node) = cluster.find("a1").expect("there is such a node");
        assert_eq!((kind, node.pid, node.number()), (Kind::App, 9, "1"));
        let error = cluster.find("2").expect_err("there is no such node");
        assert_eq!(error.to_string(), "no node 2 in this cluster; there are 1, a1");
    }
}
