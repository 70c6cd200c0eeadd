//! The command line of a node.
//!
//! Must never: hold a limit that decides replies; those belong to the machines.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;
use machine::Format;

use crate::limits::GROUPS_MAX;
use crate::pay::Allowed;

/// Calls that one user may make in a second, unless said otherwise.
const USER_RATE: u32 = 20;

/// A node of the red-packet payment system: the roles access, pay, packet and tenpay.
#[derive(Clone, Debug, Parser)]
#[command(name = "redpacket-app", version)]
pub struct Config {
    /// This node's number, never used again once its data is lost.
    #[arg(long)]
    pub node: u64,
    /// Folder of the node's data.
    #[arg(long)]
    pub data: PathBuf,
    /// Where gRPC is served, for phones, programs and the other nodes.
    #[arg(long)]
    pub grpc: SocketAddr,
    /// Where HTTP is served: the phone page, health and metrics.
    #[arg(long)]
    pub http: SocketAddr,
    /// A first member, as NODE=HOST:PORT of its gRPC; once for each.
    #[arg(long = "member", value_parser = member, required = true)]
    pub members: Vec<(u64, String)>,
    /// gRPC address of a queue node; once for each.
    #[arg(long = "queue", required = true)]
    pub queues: Vec<String>,
    /// Folder of certificates, ca.crt, tls.crt and tls.key: both doors and every call to other nodes are TLS, and callers show
    /// a certificate of that authority. Files that change are read again.
    #[arg(long)]
    pub tls: Option<PathBuf>,
    /// A door that also takes callers without a certificate, as phones are. May be given more than once.
    #[arg(long, value_enum, requires = "tls")]
    pub tls_open: Vec<TlsDoor>,
    /// Listen on addresses that other machines can reach, without TLS: that network is trusted.
    #[arg(long)]
    pub plain: bool,
    /// Shards of the ledger. Never changed while there is data.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=i64::from(GROUPS_MAX)))]
    pub ledger_groups: u32,
    /// Groups of packets. Never changed while there is data.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=i64::from(GROUPS_MAX)))]
    pub packet_groups: u32,
    /// Anyone may register with a funded wallet, and calls need no session token. For local clusters.
    #[arg(long)]
    pub open_registration: bool,
    /// Secret that signs session tokens, and that programs show to the ledger's service; the same on every node.
    #[arg(long, env = "TERCET_SESSION_KEY", hide_env_values = true, required_unless_present = "open_registration")]
    pub session_key: Option<String>,
    /// File of the key pair that signs calls to the queue's nodes: its id and its secret. Without it they must be keyless.
    #[arg(long)]
    pub queue_key: Option<PathBuf>,
    /// Topic of the queue to which the journals of the ledger are published, each posting at least once; none: they are not.
    #[arg(long)]
    pub journal_topic: Option<String>,
    /// Calls that one user may make in a second; 0: as many as come. Where registration is open: 0 unless said.
    #[arg(long)]
    pub user_rate: Option<u32>,
    /// Calls from one address in a second, but from this machine; 0: as many as come.
    #[arg(long, default_value_t = 2000)]
    pub address_rate: u32,
    /// Most fen of a share that a packet is sent with; the machines allow no more than 20,000.
    #[arg(long, default_value_t = packets::limits::SHARE_FEN_MAX, value_parser = clap::value_parser!(i64).range(1..=packets::limits::SHARE_FEN_MAX))]
    pub share_fen_max: i64,
    /// Least fen that a share of a packet holds on the mean.
    #[arg(long, default_value_t = packets::limits::SHARE_FEN_MIN, value_parser = clap::value_parser!(i64).range(packets::limits::SHARE_FEN_MIN..=packets::limits::SHARE_FEN_MAX))]
    pub share_fen_min: i64,
    /// Most shares that a packet is sent with; the machines allow no more than 100.
    #[arg(long, default_value_t = packets::limits::SHARES_MAX, value_parser = clap::value_parser!(u16).range(1..=i64::from(packets::limits::SHARES_MAX)))]
    pub shares_max: u16,
    /// gRPC address of a risk system that is asked before each payment of an order, as HOST:PORT; none: nobody is.
    #[arg(long)]
    pub risk: Option<String>,
    /// Take this process for a release that knows formats up to this one: to keep the way back to that release open on all
    /// nodes, or to rehearse an upgrade.
    #[arg(long, env = "TERCET_FORMAT", hide = true)]
    pub format: Option<u32>,
    /// A collector of traces, OTLP over gRPC: http://HOST:PORT. Without one nothing is recorded.
    #[arg(long, env = "TERCET_OTLP")]
    pub otlp: Option<String>,
    /// Of the calls that bring no trace of their own this part begins one, 0 to 1.
    #[arg(long, env = "TERCET_OTLP_SHARE", default_value_t = 0.01, requires = "otlp")]
    pub otlp_share: f64,
    /// A credit not booked for this long is put into the queue again. Milliseconds.
    #[arg(long, default_value_t = packets::limits::CREDIT_RETRY_MS)]
    pub resend_after_ms: u64,
}

/// A door, where it matters who comes without a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum TlsDoor {
    /// gRPC; nodes show their certificates all the same.
    Grpc,
    /// The phone page, health, metrics.
    Http,
}

impl Config {
    /// Why this cannot be: text for the operator. `None`: it can.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        if self.plain && self.tls.is_some() {
            return Some("--plain and --tls are each other's opposite".to_owned());
        }
        let reachable = [self.grpc, self.http].into_iter().find(|address| !address.ip().is_loopback());
        reachable.filter(|_| !self.plain && self.tls.is_none()).map(|address| {
            format!(
                "{address} can be reached by others, and nothing is encrypted: give certificates with --tls, or say \
                 --plain if that network is trusted"
            )
        })
    }

    /// What may be sent here.
    pub(crate) const fn allowed(&self) -> Allowed {
        let Self { share_fen_min, share_fen_max, shares_max, .. } = *self;
        Allowed { share_fen_min, share_fen_max, shares_max }
    }

    /// Calls that one user may make in a second; 0: as many as come.
    #[must_use]
    pub fn user_rate(&self) -> u32 {
        self.user_rate.unwrap_or(if self.open_registration { 0 } else { USER_RATE })
    }

    /// The latest format that this process knows.
    #[must_use]
    pub fn known_format(&self) -> Format {
        self.format.map_or(Format::LATEST, Format)
    }

    /// The members by number.
    #[must_use]
    pub fn member_map(&self) -> BTreeMap<u64, String> {
        self.members.iter().cloned().collect()
    }
}

fn member(text: &str) -> Result<(u64, String), String> {
    let (node, address) = text.split_once('=').ok_or("write NODE=HOST:PORT")?;
    let node = node.parse().map_err(|_| "the node is not a number")?;
    if address.is_empty() {
        return Err("the address is missing".to_owned());
    }
    Ok((node, address.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_a_number_and_an_address() {
        assert_eq!(member("2=127.0.0.1:7001"), Ok((2, "127.0.0.1:7001".to_owned())));
        for text in ["2", "two=127.0.0.1:1", "2=", ""] {
            assert!(member(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_command_line_of_a_local_cluster_is_understood() {
        let line = "redpacket-app --node 1 --data d --grpc 127.0.0.1:1 --http 127.0.0.1:2 --member 1=127.0.0.1:1 \
                    --member 2=127.0.0.1:3 --queue 127.0.0.1:4 --queue 127.0.0.1:5 --open-registration";
        let config = Config::try_parse_from(line.split_whitespace()).expect("the line is right");
        assert_eq!(config.member_map().len(), 2);
        assert_eq!((config.queues.len(), config.ledger_groups, config.packet_groups), (2, 2, 2));
        assert!(config.open_registration);
        assert_eq!((config.user_rate(), config.address_rate), (0, 2000));
        for (words, is_good) in [
            ("", true),
            (" --http 0.0.0.0:2", false),
            (" --http 0.0.0.0:2 --plain", true),
            (" --http 0.0.0.0:2 --tls d", true),
            (" --http 0.0.0.0:2 --tls d --plain", false),
        ] {
            let line =
                line.replace(" --http 127.0.0.1:2", if words.is_empty() { " --http 127.0.0.1:2" } else { words });
            let config = Config::try_parse_from(line.split_whitespace()).expect("the line is right");
            assert_eq!(config.fault().is_none(), is_good, "{words}");
        }
        let closed = line.replace(" --open-registration", "");
        assert!(Config::try_parse_from(closed.split_whitespace()).is_err(), "a closed cluster needs a session key");
        let keyed = format!("{closed} --session-key secret");
        let keyed = Config::try_parse_from(keyed.split_whitespace()).expect("the line is right");
        assert_eq!(keyed.user_rate(), USER_RATE);
    }
}
