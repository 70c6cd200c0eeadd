//! The keeper: the newest papers of a folder that were good, as the configurations of both sides of a connection.
//!
//! ```text
//!  a connection comes or goes ─> look at the files, once a second at most ─ changed ─> read and check ─ good ─> from now on
//!                                                                                           └ bad: log, keep the old ones
//! ```
//!
//! Must never: break a connection that is there. New papers are for new connections.

use std::fmt::{self, Debug, Formatter};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use parking_lot::{Mutex, RwLock};
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::UnixTime;
use tokio_rustls::rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use tokio_rustls::rustls::{ClientConfig, Error, ServerConfig};

use crate::door::Protocol;
use crate::error::TlsError;
use crate::limits::LOOK_EVERY;
use crate::name::Name;
use crate::papers::{CERTIFICATE_FILE, Papers, Seen};

/// Keeps the papers of one folder.
pub struct Keeper {
    folder: PathBuf,
    owner: Option<Name>,
    configs: RwLock<Arc<Configs>>,
    watch: Mutex<Watch>,
}

/// What the last looks at the files have found.
struct Watch {
    looked: Instant,
    seen: Seen,
    renewed: u64,
    trouble: Option<String>,
}

/// Ready for connections.
pub(crate) struct Configs {
    client: Arc<ClientConfig>,
    /// By protocol, for callers with a certificate and for all.
    servers: Vec<(Protocol, bool, Arc<ServerConfig>)>,
    own_ends_s: u64,
    authority_ends_s: u64,
}

/// How a folder's papers stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Seconds until the first of certificate and authority ends; 0: it has.
    pub seconds_left: u64,
    /// Seconds until the own certificate ends, whatever becomes of its authority.
    pub own_seconds_left: u64,
    /// Seconds until the last of the authorities ends that are believed.
    pub authority_seconds_left: u64,
    /// How often new papers were taken since the process began.
    pub renewed: u64,
    /// Why the newest files are not used, if they are not.
    pub trouble: Option<String>,
}

impl Keeper {
    /// Opens a folder. `owner`: the node whose certificate it must hold. Errors: the papers are not good.
    pub fn open(folder: &Path, owner: Option<Name>) -> Result<Arc<Self>, TlsError> {
        let seen = Seen::look(folder);
        let configs = Configs::read(folder, owner.as_ref())?;
        let watch = Watch { looked: Instant::now(), seen, renewed: 0, trouble: None };
        let configs = RwLock::new(Arc::new(configs));
        Ok(Arc::new(Self { folder: folder.to_owned(), owner, configs, watch: Mutex::new(watch) }))
    }

    /// How the papers stand now.
    pub fn standing(&self) -> Standing {
        let configs = self.configs();
        let watch = self.watch.lock();
        let left = |ends_s: u64| ends_s.saturating_sub(UnixTime::now().as_secs());
        let (own_seconds_left, authority_seconds_left) = (left(configs.own_ends_s), left(configs.authority_ends_s));
        let seconds_left = own_seconds_left.min(authority_seconds_left);
        Standing {
            seconds_left,
            own_seconds_left,
            authority_seconds_left,
            renewed: watch.renewed,
            trouble: watch.trouble.clone(),
        }
    }

    /// Looks at the files for as long as the process lives, so that an operator is told of bad ones without a connection.
    pub async fn watch(self: Arc<Self>) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            drop(self.configs());
        }
    }

    pub(crate) fn client(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.configs().client)
    }

    /// The configuration for a door. `None`: the folder holds no own certificate.
    pub(crate) fn server(&self, protocol: Protocol, is_open: bool) -> Option<Arc<ServerConfig>> {
        let configs = self.configs();
        let found = configs.servers.iter().find(|(of, open, _)| *of == protocol && *open == is_open);
        found.map(|(_, _, config)| Arc::clone(config))
    }

    /// The newest that are good.
    fn configs(&self) -> Arc<Configs> {
        self.look();
        Arc::clone(&self.configs.read())
    }

    fn look(&self) {
        let mut watch = self.watch.lock();
        if watch.looked.elapsed() < LOOK_EVERY {
            return;
        }
        watch.looked = Instant::now();
        // Before they are read: what changes meanwhile is seen at the next look.
        let seen = Seen::look(&self.folder);
        if seen == watch.seen {
            return;
        }
        watch.seen = seen;
        match Configs::read(&self.folder, self.owner.as_ref()) {
            Ok(configs) => {
                let days = configs.own_ends_s.saturating_sub(UnixTime::now().as_secs()) / 86_400;
                tracing::info!(folder = %self.folder.display(), days, "new certificates are used from now on");
                *self.configs.write() = Arc::new(configs);
                watch.renewed += 1;
                watch.trouble = None;
            }
            Err(error) => {
                let error = error.to_string();
                if watch.trouble.as_ref() != Some(&error) {
                    tracing::error!(error, "new certificates are not good; the old ones are used further");
                }
                watch.trouble = Some(error);
                // A clock behind, or no descriptor left: the same files may be good at the next look.
                watch.seen = Seen::default();
            }
        }
    }
}

impl Debug for Keeper {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeper").field("folder", &self.folder).field("owner", &self.owner).finish_non_exhaustive()
    }
}

impl Configs {
    fn read(folder: &Path, owner: Option<&Name>) -> Result<Self, TlsError> {
        let papers = Papers::read(folder, owner)?;
        let file = folder.join(CERTIFICATE_FILE);
        let bad = |error: Error| TlsError::certificate(&file, &error);
        let client = client(&papers).map_err(bad)?;
        let mut servers = Vec::new();
        if papers.own.is_some() {
            for is_open in [false, true] {
                let config = server(&papers, is_open).map_err(|what| TlsError::certificate(&file, &what))?;
                for protocol in Protocol::ALL {
                    let mut config = config.clone();
                    config.alpn_protocols = protocol.alpn();
                    servers.push((protocol, is_open, Arc::new(config)));
                }
            }
        }
        Ok(Self {
            client: Arc::new(client),
            servers,
            own_ends_s: papers.own_ends_s,
            authority_ends_s: papers.authority_ends_s,
        })
    }
}

fn client(papers: &Papers) -> Result<ClientConfig, Error> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions()?.with_root_certificates(Arc::clone(&papers.roots));
    let mut config = match &papers.own {
        Some(own) => builder.with_client_auth_cert(own.chain.clone(), own.key.clone_key())?,
        None => builder.with_no_client_auth(),
    };
    // Each connection is checked anew; they last, so it costs little.
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// Errors: text.
fn server(papers: &Papers, is_open: bool) -> Result<ServerConfig, String> {
    let own = papers.own.as_ref().ok_or("there is no own certificate")?;
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(&papers.roots), Arc::clone(&provider));
    let verifier = if is_open { verifier.allow_unauthenticated() } else { verifier };
    let verifier = verifier.build().map_err(|error| error.to_string())?;
    let builder = ServerConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
    let builder = builder.with_client_cert_verifier(verifier);
    let config = builder.with_single_cert(own.chain.clone(), own.key.clone_key());
    let mut config = config.map_err(|error| error.to_string())?;
    // A session that was taken up again would pass a certificate that has ended meanwhile.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}
