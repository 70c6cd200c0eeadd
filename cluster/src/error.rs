//! Why a command could not be done, in one line for its operator.
//!
//! Must never: speak of a state ("not healthy") as of a failure; an answer that is "no" is an exit code.

use std::io;
use std::path::PathBuf;

/// What stood in the way.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The folder holds no cluster.
    #[error("{}: no cluster here (there is no cluster.json)", dir.display())]
    NoCluster {
        /// The folder.
        dir: PathBuf,
    },
    /// `up` in a folder whose cluster runs.
    #[error("{}: a cluster runs here already (node {node}, pid {pid})", dir.display())]
    Running {
        /// The folder.
        dir: PathBuf,
        /// A node that runs.
        node: String,
        /// Its process.
        pid: u32,
    },
    /// The cluster has no node of that name.
    #[error("no node {node} in this cluster; there are {known}")]
    NoNode {
        /// What was asked for.
        node: String,
        /// The names there are.
        known: String,
    },
    /// The node does not run.
    #[error("node {node} does not run")]
    Dead {
        /// The node.
        node: String,
    },
    /// The node runs.
    #[error("node {node} runs already (pid {pid})")]
    Alive {
        /// The node.
        node: String,
        /// Its process.
        pid: u32,
    },
    /// The group has no leader that says so.
    #[error("{group} has no leader")]
    NoLeader {
        /// The group, in words.
        group: &'static str,
    },
    /// A node did not get ready.
    #[error("node {node} {what}; the end of its log:\n{tail}")]
    NotReady {
        /// The node.
        node: String,
        /// What it did instead.
        what: String,
        /// Last lines of its log.
        tail: String,
    },
    /// The cluster has no app nodes.
    #[error("this cluster has no app nodes; start it with --app")]
    NoApp,
    /// A call to the cluster failed.
    #[error("{what}: {reason}")]
    Call {
        /// The call.
        what: String,
        /// What came back.
        reason: String,
    },
    /// The operating system said no.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// What it said.
        source: io::Error,
    },
    /// Stopped from outside.
    #[error("interrupted")]
    Interrupted,
    /// What was asked for cannot be.
    #[error("{0}")]
    Impossible(String),
}

impl Error {
    /// For `map_err`: a failure of the operating system on a file.
    pub(crate) fn on(path: &std::path::Path) -> impl FnOnce(io::Error) -> Self {
        let what = path.display().to_string();
        |source| Self::Io { what, source }
    }

    /// For `map_err`: a call that failed.
    pub(crate) fn call<E: ToString>(what: &str) -> impl FnOnce(E) -> Self {
        let what = what.to_owned();
        move |error| Self::Call { what, reason: error.to_string() }
    }
}
