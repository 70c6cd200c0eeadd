//! Nodes come, go, and share the leads: add, promote, remove, replace, transfer, rebalance, drain, safe-to-stop.
//!
//! ```text
//!  verb ──> group (one change, asked of whoever leads, repeated until its outcome is known) × every group
//!      └──> plan  (pure: may it stop, which lead moves where)
//! ```
//!
//! Must never: go on to the next group before the change of this one is known to have happened. Every verb may be given
//! again after it broke off: what is so already is passed over.

mod group;
mod plan;
mod verbs;

use clap::Subcommand;

use crate::error::Error;
use crate::file::{Kind, NodeEntry};
use crate::reach::Reach;

/// What to do with the nodes of a cluster.
#[derive(Debug, Subcommand)]
pub(crate) enum Members {
    /// Add a node: it copies every group and then votes. A local cluster starts it by itself.
    Add {
        #[command(flatten)]
        reach: Reach,
        #[command(flatten)]
        newcomer: Newcomer,
        /// Let it copy, but not vote; `promote` does the rest.
        #[arg(long)]
        learner: bool,
    },
    /// Let a node vote that was added as a learner.
    Promote {
        #[command(flatten)]
        reach: Reach,
        /// The node's name.
        node: String,
    },
    /// Take a node out of every group; a local cluster stops it, too. Refused below three copies, or without a majority.
    Remove {
        #[command(flatten)]
        reach: Reach,
        /// The node's name.
        node: String,
    },
    /// Let a new, blank node take the place of one that is lost: add, promote, remove.
    Replace {
        #[command(flatten)]
        reach: Reach,
        /// The name of the node that goes.
        node: String,
        #[command(flatten)]
        newcomer: Newcomer,
    },
    /// Hand the lead of a group to a node, or to the one that has come furthest.
    Transfer {
        #[command(flatten)]
        reach: Reach,
        /// The group's number.
        group: u32,
        /// The node's name.
        node: Option<String>,
    },
    /// Spread the leads of all groups evenly over the nodes.
    Rebalance {
        #[command(flatten)]
        reach: Reach,
    },
    /// Say whether a node may be stopped now; exit 0 only if every group keeps a majority that is up and caught up.
    SafeToStop {
        #[command(flatten)]
        reach: Reach,
        /// The node's name.
        node: String,
        /// Wait so long until it is, seconds.
        #[arg(long, default_value_t = 0, value_name = "SECONDS")]
        wait: u64,
    },
    /// Take every lead from a node, and give it none until it is revived, restarts included.
    Drain {
        #[command(flatten)]
        reach: Reach,
        /// The node's name.
        node: String,
    },
    /// Let a drained node lead again.
    Revive {
        #[command(flatten)]
        reach: Reach,
        /// The node's name.
        node: String,
    },
}

/// A node that this machine does not start: its process runs already, blank, with the cluster's members and itself.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Newcomer {
    /// Its name, a number never used before in the cluster; after an a, if it is a node of the app. Not for local clusters,
    /// which choose it.
    #[arg(long = "as", value_name = "NODE", requires = "grpc")]
    pub(crate) name: Option<String>,
    /// Its gRPC address, HOST:PORT.
    #[arg(long, value_name = "ADDRESS", requires = "name")]
    pub(crate) grpc: Option<String>,
    /// Of a local cluster: a node of the app, not of the queue.
    #[arg(long, conflicts_with = "name")]
    pub(crate) app: bool,
}

impl Newcomer {
    /// What it runs.
    fn kind(&self) -> Kind {
        if self.app { Kind::App } else { self.name.as_deref().map_or(Kind::Queue, NodeEntry::kind_of) }
    }
}

/// Does what was asked.
pub(crate) async fn members(verb: Members) -> Result<bool, Error> {
    match verb {
        Members::Add { reach, newcomer, learner } => verbs::add(&reach, &newcomer, learner).await,
        Members::Promote { reach, node } => verbs::promote(&reach, &node).await,
        Members::Remove { reach, node } => verbs::remove(&reach, &node).await,
        Members::Replace { reach, node, newcomer } => verbs::replace(&reach, &node, &newcomer).await,
        Members::Transfer { reach, group, node } => verbs::transfer(&reach, group, node.as_deref()).await,
        Members::Rebalance { reach } => verbs::rebalance(&reach).await,
        Members::SafeToStop { reach, node, wait } => verbs::safe_to_stop(&reach, &node, wait).await,
        Members::Drain { reach, node } => verbs::drain(&reach, &node, true).await,
        Members::Revive { reach, node } => verbs::drain(&reach, &node, false).await,
    }
}
