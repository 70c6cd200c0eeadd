//! Certificates of a cluster: an authority of its own, and what it issues to nodes and clients.
//!
//! ```text
//!  cluster certs init  --out ca                                      ca/ca.crt, ca/ca.key
//!  cluster certs issue --ca ca --out q2 --node 2 --host 10.0.0.2     q2/ca.crt, q2/tls.crt, q2/tls.key
//!  cluster certs issue --ca ca --out ops --client ops                what `cluster --certs ops` shows
//! ```
//!
//! Must never: write a key that anybody but its owner can read, or over the key of an authority.

mod make;

use std::path::{Path, PathBuf};

use clap::Subcommand;
use tls::{Keeper, Name};

use crate::error::Error;
use crate::file::{Folder, Kind, NodeEntry};
use crate::screen;
pub(crate) use make::{Authority, Issue};

/// How long certificates last, unless said otherwise. Units: days.
const CERTIFICATE_DAYS: u32 = 365;
/// How long an authority lasts: longer than what it issues. Units: days.
const AUTHORITY_DAYS: u32 = 3650;
/// The longest that a certificate may last: one that is lost is good for so long. Units: days.
const CERTIFICATE_DAYS_MAX: i64 = 825;
const AUTHORITY_DAYS_MAX: i64 = 7300;

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
pub(crate) fn certs(verb: Certs) -> Result<bool, Error> {
    match verb {
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
            screen::out(&format!("{}: good for {} days", folder.display(), keeper.standing().seconds_left / 86_400));
        }
    }
    Ok(true)
}

/// Makes the authority of a local cluster, and the operator's certificate; what is there already stays.
pub(crate) fn seal(folder: &Folder) -> Result<(), Error> {
    let authority = folder.authority();
    if !authority.exists() {
        Authority::init(&authority, AUTHORITY_DAYS)?;
    }
    issue_local(folder, &folder.operator_certs(), &Name::Client("operator".to_owned()))
}

/// The certificates of a node of a local cluster, issued now if it has none. `None`: the cluster is not sealed.
pub(crate) fn of_node(folder: &Folder, kind: Kind, entry: &NodeEntry) -> Result<Option<PathBuf>, Error> {
    if !folder.authority().exists() {
        return Ok(None);
    }
    let out = folder.certs(&entry.node);
    let number = entry.number().parse().map_err(|_| Error::Impossible(format!("{} is no number", entry.node)))?;
    issue_local(folder, &out, &Name::node(house(kind), number))?;
    Ok(Some(out))
}

fn issue_local(folder: &Folder, out: &Path, name: &Name) -> Result<(), Error> {
    if out.exists() {
        return Ok(());
    }
    let hosts = ["127.0.0.1", "::1", "localhost"].map(str::to_owned);
    Authority::open(&folder.authority())?.issue(out, &Issue { name, hosts: &hosts, days: CERTIFICATE_DAYS })
}
