//! Certificates of a cluster: an authority of its own, and what it issues to nodes and clients.
//!
//! ```text
//!  cluster certs init  --out ca                                      ca/ca.crt, ca/ca.key
//!  cluster certs issue --ca ca --out q2 --node 2 --host 10.0.0.2     q2/ca.crt, q2/tls.crt, q2/tls.key
//!  cluster certs issue --ca ca --out ops --client ops                what `cluster --certs ops` shows
//!  cluster certs renew --ca ca q2 ops                                anew, what ends soon
//! ```
//!
//! Must never: write a key that anybody but its owner can read, or over the key of an authority.

mod make;
mod renew;

use std::path::PathBuf;

use clap::Subcommand;
use tls::{Keeper, Name};

use crate::args::Dir;
use crate::error::Error;
use crate::file::{Folder, Kind, NodeEntry};
use crate::reach::Reach;
use crate::screen;
pub(crate) use make::{Authority, Issue};

/// How long certificates last, unless said otherwise. Units: days.
const CERTIFICATE_DAYS: u32 = 365;
/// How long an authority lasts: longer than what it issues. Units: days.
const AUTHORITY_DAYS: u32 = 3650;
/// The longest that a certificate may last: one that is lost is good for so long. Units: days.
const CERTIFICATE_DAYS_MAX: i64 = 825;
const AUTHORITY_DAYS_MAX: i64 = 7300;

/// What lasts less than this ends soon. Units: days.
const WITHIN_DAYS: u64 = 30;

/// What to do with certificates.
#[derive(Debug, Subcommand)]
pub(crate) enum Certs {
    /// Make an authority. Its key, ca.key, belongs on no node.
    Init {
        /// Folder for ca.crt and ca.key.
        #[arg(long, value_name = "FOLDER")]
        out: PathBuf,
        /// Days that it lasts.
        #[arg(long, default_value_t = AUTHORITY_DAYS, value_parser = clap::value_parser!(u32).range(1..=AUTHORITY_DAYS_MAX))]
        days: u32,
    },
    /// Issue a certificate to a node or a client; over an older one, which a running process then takes by itself.
    Issue {
        /// Folder of the authority.
        #[arg(long, value_name = "FOLDER")]
        ca: PathBuf,
        /// Folder for ca.crt, tls.crt and tls.key.
        #[arg(long, value_name = "FOLDER")]
        out: PathBuf,
        #[command(flatten)]
        whose: Whose,
        /// Name or address by which callers dial the node. May be given more than once.
        #[arg(long = "host", value_name = "HOST")]
        hosts: Vec<String>,
        /// Days that it lasts.
        #[arg(long, default_value_t = CERTIFICATE_DAYS, value_parser = clap::value_parser!(u32).range(1..=CERTIFICATE_DAYS_MAX))]
        days: u32,
    },
    /// Issue anew what ends soon, over the old files and under the same names; running processes take it by themselves.
    #[command(after_help = "Examples:
  cluster certs renew --ca ca q1 q2 q3 ops      folders that `certs issue` wrote
  cluster certs renew --dir /tmp/evening        all of a local cluster
  cluster certs renew --ca ca q1 --within-days 400   whatever is left")]
    Renew {
        /// Folder of the authority; without it the local cluster of --dir is meant.
        #[arg(long, value_name = "FOLDER", requires = "folders")]
        ca: Option<PathBuf>,
        /// Folders of certificates.
        #[arg(requires = "ca")]
        folders: Vec<PathBuf>,
        #[command(flatten)]
        dir: Dir,
        /// Only what lasts less than so many days.
        #[arg(long, default_value_t = WITHIN_DAYS)]
        within_days: u64,
    },
    /// What the nodes say of their certificates and authorities; exit 0 only if each lasts long enough.
    #[command(after_help = "Examples:
  cluster certs status --at 10.0.0.1:7101 --certs ops --key ops.key
  cluster certs status --dir /tmp/evening --within-days 60")]
    Status {
        #[command(flatten)]
        reach: Reach,
        /// Long enough are so many days.
        #[arg(long, default_value_t = WITHIN_DAYS)]
        within_days: u64,
    },
    /// Check a folder as a process would, and say how many days it lasts.
    Show {
        /// The folder.
        folder: PathBuf,
    },
}

/// Who gets a certificate.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Whose {
    /// A node of the queue, by its number.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    node: Option<u64>,
    /// A node of the app, by its number.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    app: Option<u64>,
    /// A client, by a name of lower-case letters, digits and hyphens.
    #[arg(long, value_name = "NAME")]
    client: Option<String>,
}

impl Whose {
    fn name(&self) -> Name {
        match (self.node, self.app, &self.client) {
            (Some(number), _, _) => Name::node(house(Kind::Queue), number),
            (_, Some(number), _) => Name::node(house(Kind::App), number),
            (_, _, client) => Name::Client(client.clone().unwrap_or_default()),
        }
    }
}

/// What the nodes of a kind are called in their certificates.
const fn house(kind: Kind) -> &'static str {
    match kind {
        Kind::Queue => "queue",
        Kind::App => "app",
    }
}

/// Does what was asked.
pub(crate) async fn certs(verb: Certs) -> Result<bool, Error> {
    match verb {
        Certs::Renew { ca, folders, dir, within_days } => {
            let local = if ca.is_some() { None } else { Some(Folder::open(&dir)?) };
            return renew::renew(ca.as_deref(), &folders, local.as_ref(), within_days);
        }
        Certs::Status { reach, within_days } => return renew::status(&reach, within_days).await,
        Certs::Init { out, days } => {
            Authority::init(&out, days)?;
            screen::out(&format!("{}: an authority for {days} days; keep ca.key away from the nodes", out.display()));
        }
        Certs::Issue { ca, out, whose, hosts, days } => {
            let name = whose.name();
            Authority::open(&ca)?.issue(&out, &Issue { name: &name, hosts: &hosts, days })?;
            screen::out(&format!("{}: a certificate of {name} for {days} days", out.display()));
        }
        Certs::Show { folder } => {
            let keeper = Keeper::open(&folder, None).map_err(|error| Error::Impossible(error.to_string()))?;
            let standing = keeper.standing();
            let (days, authority) = (standing.seconds_left / 86_400, standing.authority_seconds_left / 86_400);
            screen::out(&format!("{}: good for {days} days, its authority for {authority}", folder.display()));
        }
    }
    Ok(true)
}

/// Makes the authority of a local cluster, and the operator's certificate; what is there already stays.
pub(crate) fn seal(folder: &Folder) -> Result<(), Error> {
    let authority = folder.authority();
    if !make::is_whole(&authority) {
        Authority::init(&authority, AUTHORITY_DAYS)?;
    }
    renew::issue_local(folder, &folder.operator_certs(), &Name::Client("operator".to_owned()))
}

/// The certificates of a node of a local cluster, issued now if it has none. `None`: the cluster is not sealed.
pub(crate) fn of_node(folder: &Folder, kind: Kind, entry: &NodeEntry) -> Result<Option<PathBuf>, Error> {
    if !folder.authority().exists() {
        return Ok(None);
    }
    let out = folder.certs(&entry.node);
    let number = entry.number().parse().map_err(|_| Error::Impossible(format!("{} is no number", entry.node)))?;
    renew::issue_local(folder, &out, &renew::name_of(kind, number))?;
    Ok(Some(out))
}
