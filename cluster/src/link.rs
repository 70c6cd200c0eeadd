//! How this command speaks to nodes: the key pair that signs its calls, and the certificates that it shows and believes.
//!
//! ```text
//!  --key, --certs  >  the context's  >  the folder's own   ─ settled once ─>  every call of every verb
//! ```
//!
//! Why once for the process: a command is given by one operator to one cluster. A verb that had to bring its own would
//! sooner or later ask without.
//!
//! Must never: ask a node in the clear once certificates are known, or print a secret.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use queue_client::{ClientConfig, Credentials, Keeper, Signer, signer};
use tls::{Protocol, Stream, Way};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};

use crate::error::Error;
use crate::limits::STATUS_MAX;

/// Who asks.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Asker {
    /// File of the key pair that signs calls: its id and its secret. A local cluster knows its own.
    #[arg(long, env = "TERCET_KEY", value_name = "FILE", global = true)]
    pub(crate) key: Option<PathBuf>,
    /// Folder of certificates: ca.crt, whom to believe; tls.crt and tls.key, what to show. A local cluster knows its own.
    #[arg(long, env = "TERCET_CERTS", value_name = "FOLDER", global = true)]
    pub(crate) certs: Option<PathBuf>,
}

#[derive(Debug, Default)]
struct Link {
    credentials: Option<Credentials>,
    keeper: Option<Arc<Keeper>>,
}

/// What was said on the command line.
static SAID: OnceLock<Asker> = OnceLock::new();
static LINK: OnceLock<Link> = OnceLock::new();

/// Calls that are signed, where there is a key pair.
pub(crate) type Signed = InterceptedService<Channel, Signer>;

/// Keeps what was said on the command line: it counts more than what a cluster knows of itself.
pub(crate) fn say(asker: Asker) {
    // Said once, at the start of the command.
    let _ = SAID.set(asker);
}

/// What was said on the command line.
pub(crate) fn said() -> Asker {
    SAID.get().cloned().unwrap_or_default()
}

/// Settles how this command speaks, by what was said, and else by what the named cluster knows. Errors: a file that does
/// not read, or holds no papers.
pub(crate) fn settle(known: &Asker) -> Result<(), Error> {
    let said = said();
    let key = said.key.as_ref().or(known.key.as_ref());
    let certs = said.certs.as_ref().or(known.certs.as_ref());
    let link = Link {
        credentials: key.map(|key| Credentials::read(key)).transpose().map_err(|error| impossible(&error))?,
        keeper: certs.map(|certs| Keeper::open(certs, None)).transpose().map_err(|error| impossible(&error))?,
    };
    // The first cluster that a command names is the one it asks.
    let _ = LINK.set(link);
    Ok(())
}

fn impossible(error: &impl ToString) -> Error {
    Error::Impossible(error.to_string())
}

fn link() -> &'static Link {
    LINK.get_or_init(Link::default)
}

fn way() -> Way {
    Way::new(link().keeper.clone())
}

/// How to reach a node. Errors: the address is none.
fn endpoint(address: &str) -> Result<Endpoint, Error> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(Error::call(address))?;
    Ok(endpoint.tcp_nodelay(true).connect_timeout(STATUS_MAX))
}

fn sign(channel: Channel, address: &str) -> Signed {
    InterceptedService::new(channel, signer(link().credentials.as_ref(), address))
}

/// A connection that is made when first used, for calls that no key pair signs: those of phones.
pub(crate) fn channel(address: &str) -> Result<Channel, Error> {
    Ok(way().channel(&endpoint(address)?))
}

/// As [`channel`], for calls that are signed.
pub(crate) fn signed(address: &str) -> Result<Signed, Error> {
    Ok(sign(channel(address)?, address))
}

/// A connection that is made now. Errors: the node cannot be reached, or is not believed.
pub(crate) async fn connected(address: &str) -> Result<Signed, Error> {
    let channel = way().connected(&endpoint(address)?).await;
    Ok(sign(channel.map_err(|error| Error::call(address)(reason(&error)))?, address))
}

/// What a program is told that uses these nodes.
pub(crate) fn client_config(nodes: impl IntoIterator<Item = impl Into<String>>) -> ClientConfig {
    let Link { credentials, keeper } = link();
    ClientConfig { credentials: credentials.clone(), tls: keeper.clone(), ..ClientConfig::new(nodes) }
}

/// A connection to a node's HTTP address.
pub(crate) async fn http(address: &str) -> std::io::Result<Stream> {
    way().stream(address, Protocol::Http).await
}

/// The last cause of an error: what is above it says only that something failed.
fn reason(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    let text = last.to_string();
    if text.contains("TLS") { text } else { "cannot be reached".to_owned() }
}

/// What a folder that holds these two knows of how to speak to its cluster.
pub(crate) fn of_folder(key: &Path, certs: &Path) -> Asker {
    let there = |path: &Path| path.exists().then(|| path.to_owned());
    Asker { key: there(key), certs: there(certs) }
}
