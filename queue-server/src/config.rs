//! What a queue node is told at its start.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;
use machine::Format;

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
    /// A file of authorities (PEM) whose certificates are believed of https subscribers, besides the system's. May be given
    /// more than once.
    #[arg(long)]
    pub push_ca: Vec<PathBuf>,
    /// Accept CMQ's key pair AKIDlocal / local, with every right. For local clusters.
    #[arg(long)]
    pub local_key: bool,
    /// Take gRPC calls that carry no key pair, with every right. Only where --grpc is an address of this machine alone. For
    /// local clusters.
    #[arg(long)]
    pub keyless: bool,
    /// Listen on addresses that other machines can reach, without TLS: that network is trusted.
    #[arg(long)]
    pub plain: bool,
    /// Folder of certificates, ca.crt, tls.crt and tls.key: every door and every call between nodes is TLS, and callers show
    /// a certificate of that authority. Files that change are read again.
    #[arg(long)]
    pub tls: Option<PathBuf>,
    /// A door that also takes callers without a certificate; they prove themselves by their key pair. May be given more than
    /// once.
    #[arg(long, value_enum, requires = "tls")]
    pub tls_open: Vec<TlsDoor>,
    /// File of the operator's key pair, "AKID… SECRET", which may do everything and makes the first of the others. The same
    /// on every node; readable by its owner alone.
    #[arg(long)]
    pub operator_key: Option<PathBuf>,
    /// Another name, HOST:PORT, by which clients call this node's gRPC address; they sign whom they call.
    #[arg(long = "grpc-name")]
    pub grpc_names: Vec<String>,
    /// A first member of the cluster, this node included: ID=GRPC_ADDRESS. Once per member.
    #[arg(long = "member", value_parser = parse_member, required = true)]
    pub members: Vec<(u64, String)>,
    /// Below so many free bytes on the disk of its data this node takes no messages that it leads; it hands out and settles
    /// them as before.
    #[arg(long, env = "TERCET_DISK_FREE_MIN_BYTES", default_value_t = 1 << 30)]
    pub disk_free_min_bytes: u64,
    /// A folder that `cluster backup` wrote: a blank node begins with what it holds. Every node of the new cluster is given
    /// the same; a node that holds data passes it over.
    #[arg(long, env = "TERCET_RESTORE")]
    pub restore: Option<PathBuf>,
    /// Take this process for a release that knows formats up to this one: to keep the way back to that release open on all
    /// nodes, or to rehearse an upgrade.
    #[arg(long, env = "TERCET_FORMAT", hide = true)]
    pub format: Option<u32>,
    /// gRPC address of a node of the payment app, whose audit of the money the console shows. Once per node.
    #[arg(long = "app")]
    pub apps: Vec<String>,
    /// A collector of traces, OTLP over gRPC: http://HOST:PORT. Without one nothing is recorded.
    #[arg(long, env = "TERCET_OTLP")]
    pub otlp: Option<String>,
    /// Of the calls that bring no trace of their own this part begins one, 0 to 1.
    #[arg(long, env = "TERCET_OTLP_SHARE", default_value_t = 0.01, requires = "otlp")]
    pub otlp_share: f64,
    /// Groups that hold queues. Every node of a cluster is given the same number.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=16))]
    pub groups: u32,
}

/// A door, where it matters who comes without a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum TlsDoor {
    /// gRPC; nodes show their certificates all the same.
    Grpc,
    /// CMQ's API, metrics, the console.
    Http,
    /// CMQ's TCP protocol.
    Tcp,
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

    /// Why this cannot be: text for the operator. `None`: it can.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        if self.keyless && !self.grpc.ip().is_loopback() {
            return Some(format!(
                "--keyless lets everybody do everything: not on {}, which others can reach",
                self.grpc
            ));
        }
        if self.plain && self.tls.is_some() {
            return Some("--plain and --tls are each other's opposite".to_owned());
        }
        let reachable = [self.grpc, self.http, self.tcp].into_iter().find(|address| !address.ip().is_loopback());
        reachable.filter(|_| !self.plain && self.tls.is_none()).map(|address| {
            format!(
                "{address} can be reached by others, and nothing is encrypted: give certificates with --tls, or say \
                 --plain if that network is trusted"
            )
        })
    }

    /// What clients call this node's gRPC address.
    #[must_use]
    pub fn hosts(&self) -> Vec<String> {
        let member = self.members().remove(&self.node);
        let mut hosts: Vec<String> = member.into_iter().chain([self.grpc.to_string()]).collect();
        hosts.extend(self.grpc_names.iter().cloned());
        hosts.dedup();
        hosts
    }

    /// The latest format that this process knows.
    #[must_use]
    pub fn known_format(&self) -> Format {
        self.format.map_or(Format::LATEST, Format)
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
    // A name is looked up with each connection: where machines change their addresses, a member keeps its name.
    let is_name =
        |host: &str| !host.is_empty() && host.bytes().all(|c| c.is_ascii_alphanumeric() || b".-".contains(&c));
    let named = address.rsplit_once(':').is_some_and(|(host, port)| is_name(host) && port.parse::<u16>().is_ok());
    if !named && address.parse::<SocketAddr>().is_err() {
        return Err(format!("{address:?} is not an address such as 127.0.0.1:7101 or queue-1.example:7101"));
    }
    Ok((id, address.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(words: &[&str]) -> Config {
        let always = ["queue-server", "--node", "1", "--data", "d", "--http", "127.0.0.1:2", "--tcp", "127.0.0.1:3"];
        Config::try_parse_from(always.iter().chain(words)).expect("it is well formed")
    }

    #[test]
    fn what_others_can_reach_takes_keys_and_is_plain_only_where_it_is_said() {
        for (grpc, flags, is_good) in [
            ("127.0.0.1:1", &["--keyless"][..], true),
            ("[::1]:1", &["--keyless"], true),
            ("127.0.0.1:1", &[], true),
            ("0.0.0.0:1", &["--keyless", "--plain"], false),
            ("10.0.0.1:1", &["--keyless", "--plain"], false),
            ("10.0.0.1:1", &[], false),
            ("10.0.0.1:1", &["--plain"], true),
            ("10.0.0.1:1", &["--tls", "d"], true),
            ("10.0.0.1:1", &["--tls", "d", "--plain"], false),
            ("10.0.0.1:1", &["--tls", "d", "--keyless"], false),
        ] {
            let member = format!("1={grpc}");
            let words = [&["--grpc", grpc, "--member", &member], flags].concat();
            assert_eq!(config(&words).fault().is_none(), is_good, "{grpc} {flags:?}");
        }
    }

    #[test]
    fn a_node_is_called_by_its_address_its_place_among_the_members_and_its_names() {
        let words =
            ["--grpc", "0.0.0.0:1", "--member", "1=10.0.0.1:1", "--member", "2=10.0.0.2:1", "--grpc-name", "q:1"];
        assert_eq!(config(&words).hosts(), ["10.0.0.1:1", "0.0.0.0:1", "q:1"]);
        assert_eq!(config(&["--grpc", "10.0.0.1:1", "--member", "1=10.0.0.1:1"]).hosts(), ["10.0.0.1:1"]);
    }

    #[test]
    fn a_member_is_an_id_and_an_address() {
        assert_eq!(parse_member("2=127.0.0.1:7"), Ok((2, "127.0.0.1:7".to_owned())));
        assert_eq!(parse_member("2=queue-2.nodes:7"), Ok((2, "queue-2.nodes:7".to_owned())));
        assert!(parse_member("2=[::1]:7").is_ok());
        for bad in ["", "2", "x=127.0.0.1:7", "2=host", "2=127.0.0.1", "2=:7", "2=a b:7", "2=host:99999"] {
            assert!(parse_member(bad).is_err(), "{bad:?}");
        }
    }
}
