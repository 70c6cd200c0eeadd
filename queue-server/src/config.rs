//! What a queue node is told at its start.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;

use crate::push::Reach;

/// One node of the queue: three copies of every message, fsynced on a majority before every yes.
///
/// Example:
///   queue-server --node 1 --data /var/lib/tercet --grpc 127.0.0.1:7101 --http 127.0.0.1:7201 --tcp 127.0.0.1:7301
///     --member 1=127.0.0.1:7101 --member 2=127.0.0.1:7102 --member 3=127.0.0.1:7103
#[derive(Clone, Debug, Parser)]
#[command(version, verbatim_doc_comment)]
pub struct Config {
    /// This node's id, from 1; never used again once its data is lost.
    #[arg(long)]
    pub node: u64,
    /// Folder of this node's data.
    #[arg(long)]
    pub data: PathBuf,
    /// Address of gRPC, for clients, operators and the other nodes.
    #[arg(long)]
    pub grpc: SocketAddr,
    /// Address of HTTP: CMQ's API, health, readiness, metrics, the console.
    #[arg(long)]
    pub http: SocketAddr,
    /// Address of CMQ's TCP protocol.
    #[arg(long)]
    pub tcp: SocketAddr,
    /// An address of CMQ's TCP protocol that clients are told when they ask for a queue's route. Once per node; without
    /// any, this node's own.
    #[arg(long = "tcp-route")]
    pub tcp_routes: Vec<String>,
    /// Let HTTP subscribers of topics stand at addresses of this kind, besides public ones. May be given more than once.
    #[arg(long, value_enum)]
    pub push_allow: Vec<PushAllow>,
    /// Accept CMQ's key pair AKIDlocal / local, with every right. For local clusters.
    #[arg(long)]
    pub local_key: bool,
    /// A first member of the cluster, this node included: ID=GRPC_ADDRESS. Once per member.
    #[arg(long = "member", value_parser = parse_member, required = true)]
    pub members: Vec<(u64, String)>,
    /// gRPC address of a node of the payment app, whose audit of the money the console shows. Once per node.
    #[arg(long = "app")]
    pub apps: Vec<String>,
    /// Groups that hold queues. Every node of a cluster is given the same number.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=16))]
    pub groups: u32,
}

/// Addresses that are not public.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum PushAllow {
    /// This machine's own.
    Loopback,
    /// Those of private networks.
    Private,
}

impl Config {
    /// What HTTP subscribers of topics may stand at, besides public addresses.
    pub(crate) fn push_reach(&self) -> Reach {
        let allows = |what| self.push_allow.contains(&what);
        Reach { loopback: allows(PushAllow::Loopback), private: allows(PushAllow::Private) }
    }

    /// The members by id.
    #[must_use]
    pub fn members(&self) -> BTreeMap<u64, String> {
        self.members.iter().cloned().collect()
    }

    /// The addresses of CMQ's TCP protocol that clients are told.
    #[must_use]
    pub fn tcp_routes(&self) -> Vec<String> {
        if self.tcp_routes.is_empty() { vec![self.tcp.to_string()] } else { self.tcp_routes.clone() }
    }

    /// The node's name in status and cluster files.
    #[must_use]
    pub fn name(&self) -> String {
        self.node.to_string()
    }
}

fn parse_member(text: &str) -> Result<(u64, String), String> {
    let (id, address) = text.split_once('=').ok_or("a member is written ID=ADDRESS")?;
    let id = id.parse().map_err(|_| format!("{id:?} is not a node id"))?;
    address.parse::<SocketAddr>().map_err(|_| format!("{address:?} is not an address such as 127.0.0.1:7101"))?;
    Ok((id, address.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_an_id_and_an_address() {
        assert_eq!(parse_member("2=127.0.0.1:7"), Ok((2, "127.0.0.1:7".to_owned())));
        for bad in ["", "2", "x=127.0.0.1:7", "2=host", "2=127.0.0.1"] {
            assert!(parse_member(bad).is_err(), "{bad:?}");
        }
    }
}
