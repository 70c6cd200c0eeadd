//! Papers: what a folder of certificates holds, read and checked as a whole.
//!
//! ```text
//!  ca.crt    the authorities that are believed (PEM, any number)
//!  tls.crt   the own certificate, and those between it and its authority
//!  tls.key   its key
//! ```
//!
//! Why these names: a folder is what a Kubernetes secret of the kind `tls` is mounted as, and what cert-manager writes.
//!
//! Must never: pass papers that a peer would refuse; or read a key that anybody can read.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use webpki::{EndEntityCert, KeyUsage};

use crate::der;
use crate::error::TlsError;
use crate::limits::FILE_BYTES_MAX;
use crate::name::Name;

/// The authorities.
pub const AUTHORITY_FILE: &str = "ca.crt";
/// The own certificate.
pub const CERTIFICATE_FILE: &str = "tls.crt";
/// Its key.
pub const KEY_FILE: &str = "tls.key";

/// A folder's papers.
pub(crate) struct Papers {
    pub(crate) roots: Arc<RootCertStore>,
    /// Certificate and key; a client may have none.
    pub(crate) own: Option<Own>,
    /// The second at which the own certificate ends; without one, at which the authority does.
    pub(crate) own_ends_s: u64,
    /// The second at which the last of the authorities ends.
    pub(crate) authority_ends_s: u64,
}

/// The own certificate.
pub(crate) struct Own {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
}

/// What tells one state of the files from another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen([Option<(u64, u64, i64, i64)>; 3]);

impl Seen {
    pub(crate) fn look(folder: &Path) -> Self {
        Self([AUTHORITY_FILE, CERTIFICATE_FILE, KEY_FILE].map(|name| {
            let file = fs::metadata(folder.join(name)).ok()?;
            Some((file.ino(), file.len(), file.mtime(), file.mtime_nsec()))
        }))
    }
}

impl Papers {
    /// Reads a folder. `owner`: the node whose certificate it must be; without one, a folder may hold authorities alone.
    ///
    /// Errors, in this order: authorities, certificate and key that do not read; a certificate that is not good; another's.
    pub(crate) fn read(folder: &Path, owner: Option<&Name>) -> Result<Self, TlsError> {
        let authority = folder.join(AUTHORITY_FILE);
        let authorities = certificates(&authority)?;
        let mut roots = RootCertStore::empty();
        for certificate in &authorities {
            roots.add(certificate.clone()).map_err(|error| TlsError::file(&authority, &error))?;
        }
        let (file, key_file) = (folder.join(CERTIFICATE_FILE), folder.join(KEY_FILE));
        let has_own = owner.is_some() || file.exists() || key_file.exists();
        let authority_ends_s = authorities.iter().filter_map(|one| der::ends_s(one)).max().unwrap_or(u64::MAX);
        let (mut own, mut own_ends_s) = (None, authority_ends_s);
        if has_own {
            let chain = certificates(&file)?;
            let key = key(&key_file)?;
            check(&file, &chain, &roots, owner)?;
            own_ends_s = chain.first().and_then(|leaf| der::ends_s(leaf)).unwrap_or(u64::MAX);
            own = Some(Own { chain, key });
        }
        Ok(Self { roots: Arc::new(roots), own, own_ends_s, authority_ends_s })
    }
}

/// Whether peers that have the same authorities would take this certificate now.
fn check(
    file: &Path,
    chain: &[CertificateDer<'static>],
    roots: &RootCertStore,
    owner: Option<&Name>,
) -> Result<(), TlsError> {
    let bad = |error: webpki::Error| TlsError::certificate(file, &said(&error));
    let (leaf, between) = chain.split_first().ok_or_else(|| TlsError::certificate(file, "there is none"))?;
    let leaf_read = EndEntityCert::try_from(leaf).map_err(bad)?;
    let algorithms = ring::default_provider().signature_verification_algorithms.all;
    let verify = |usage: KeyUsage| {
        let checked = leaf_read.verify_for_usage(algorithms, &roots.roots, between, UnixTime::now(), usage, None, None);
        checked.map(drop).map_err(bad)
    };
    verify(KeyUsage::client_auth())?;
    let Some(owner) = owner else { return Ok(()) };
    // A node calls others, too.
    verify(KeyUsage::server_auth())?;
    let names = names(leaf);
    if names.contains(owner) {
        return Ok(());
    }
    let found: Vec<String> = names.iter().map(ToString::to_string).collect();
    let found = if found.is_empty() { "nobody of a cluster".to_owned() } else { found.join(", ") };
    Err(TlsError::OtherName { file: file.display().to_string(), wanted: owner.to_string(), found })
}

/// What operators know an error by.
fn said(error: &webpki::Error) -> String {
    match error {
        webpki::Error::CertExpired { not_after, .. } => {
            let since = Duration::from_secs(UnixTime::now().as_secs().saturating_sub(not_after.as_secs()));
            format!("it has expired {} hours ago", since.as_secs() / 3600)
        }
        webpki::Error::CertNotValidYet { .. } => "it is not valid yet".to_owned(),
        webpki::Error::UnknownIssuer => "it is from another authority than those of ca.crt".to_owned(),
        other => format!("{other:?}"),
    }
}

/// Whom a certificate is for.
pub(crate) fn names(certificate: &CertificateDer<'_>) -> Vec<Name> {
    let read = EndEntityCert::try_from(certificate);
    read.map(|read| read.valid_dns_names().filter_map(Name::read).collect()).unwrap_or_default()
}

fn bytes(file: &Path) -> Result<Vec<u8>, TlsError> {
    let length = fs::metadata(file).map_err(|error| TlsError::file(file, &error))?.len();
    if length > FILE_BYTES_MAX {
        return Err(TlsError::file(file, &format!("{length} bytes are too many for a PEM file")));
    }
    fs::read(file).map_err(|error| TlsError::file(file, &error))
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found = CertificateDer::pem_slice_iter(&bytes(file)?).collect::<Result<Vec<_>, _>>();
    let found = found.map_err(|error| TlsError::file(file, &error))?;
    if found.is_empty() { Err(TlsError::file(file, "there is no certificate in it")) } else { Ok(found) }
}

fn key(file: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let mode = fs::metadata(file).map_err(|error| TlsError::file(file, &error))?.permissions().mode() & 0o777;
    // A group may read it: that is how secrets are mounted for a user that is not root.
    if mode & 0o007 != 0 {
        return Err(TlsError::KeyIsOpen { file: file.display().to_string(), mode });
    }
    // Why it does not read is not said: a part of the key might be.
    PrivateKeyDer::from_pem_slice(&bytes(file)?).map_err(|_| TlsError::file(file, "there is no key in it"))
}
