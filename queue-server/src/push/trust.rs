//! Trust: whose certificates the pusher believes, of endpoints that begin with `https`.
//!
//! Why not the wish of a subscriber: whoever subscribes chooses where messages go, the operator whom to believe.
//!
//! Must never: take a certificate unseen.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::post::PostError;

/// Where systems keep the authorities that they believe: Debian and Alpine, Fedora.
const SYSTEM: [&str; 2] = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"];

/// Makes connections safe.
#[derive(Clone)]
pub(crate) struct Trust(TlsConnector);

impl Trust {
    /// The system's authorities, and those of these files (PEM). Errors: text; a file cannot be read or holds none.
    pub(crate) fn new(files: &[PathBuf]) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        // A system without a list believes nobody; posts to public endpoints then fail, and say so.
        let system = SYSTEM.iter().map(Path::new).find_map(|file| authorities(file).ok());
        roots.add_parsable_certificates(system.unwrap_or_default());
        for file in files {
            let failed = |what: String| format!("the authorities in {}: {what}", file.display());
            let found = authorities(file).map_err(failed)?;
            if found.is_empty() {
                return Err(failed("there is no certificate".to_owned()));
            }
            for authority in found {
                roots.add(authority).map_err(|error| failed(error.to_string()))?;
            }
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
        let config = builder.with_root_certificates(roots).with_no_client_auth();
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }

    /// Makes a connection to `host` safe. Errors: `Untrusted`, or `Unreachable` if it broke.
    pub(super) async fn secure(&self, host: &str, stream: TcpStream) -> Result<TlsStream<TcpStream>, PostError> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| PostError::Endpoint)?;
        self.0.connect(name, stream).await.map_err(|error| match error.kind() {
            std::io::ErrorKind::InvalidData => PostError::Untrusted(error.to_string()),
            _ => PostError::Unreachable(error.to_string()),
        })
    }
}

fn authorities(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let found = CertificateDer::pem_file_iter(file).map_err(|error| error.to_string())?;
    found.collect::<Result<_, _>>().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::rustls::ServerConfig;
    use tokio_rustls::rustls::pki_types::PrivateKeyDer;

    use super::*;
    use crate::push::guard::Reach;
    use crate::push::notice::Notice;
    use crate::push::post::post;

    fn file(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tls").join(name)
    }

    /// A subscriber on this machine that takes what comes over TLS; answers its port.
    async fn subscriber() -> u16 {
        let chain = authorities(&file("server.pem")).expect("there is a certificate");
        let key = PrivateKeyDer::from_pem_file(file("server.key")).expect("there is a key");
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().expect("there are versions");
        let config = builder.with_no_client_auth().with_single_cert(chain, key).expect("they belong together");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let port = listener.local_addr().expect("it has an address").port();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // A client that does not believe it goes away.
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
                let _ = stream.shutdown().await;
            }
        });
        port
    }

    fn notice() -> Notice {
        Notice {
            topic: "t".to_owned(),
            subscription: "s".to_owned(),
            message: 7,
            tags: Vec::new(),
            published_ms: 1,
            body: Bytes::from_static(b"hello"),
            is_simplified: true,
        }
    }

    #[tokio::test]
    async fn only_an_endpoint_whose_certificate_is_believed_and_named_gets_a_message() {
        let port = subscriber().await;
        let ours = Trust::new(&[file("authority.pem")]).expect("the authority is read");
        let others = Trust::new(&[file("stranger.pem")]).expect("the authority is read");
        let near = Reach { loopback: true, private: false };
        let table = [
            ("127.0.0.1", &ours, near, "taken"),
            ("localhost", &ours, near, "taken"),
            ("127.0.0.2", &ours, near, "cannot be reached"),
            ("127.0.0.1", &others, near, "is not trusted"),
            ("127.0.0.1", &ours, Reach::default(), "may not be reached from here"),
        ];
        for (host, trust, reach, expected) in table {
            let posted = post(&format!("https://{host}:{port}/p"), &notice(), reach, trust).await;
            let said = posted.map_or_else(|error| error.to_string(), |()| "taken".to_owned());
            assert!(said.contains(expected), "{host}: {said}");
        }
        // The certificate stands for two names; a third one at the same place is another host.
        let elsewhere = TcpStream::connect(("127.0.0.1", port)).await.expect("it listens");
        let secured = ours.secure("example.com", elsewhere).await;
        assert!(matches!(secured, Err(PostError::Untrusted(_))), "{:?}", secured.err());
        let plain = post(&format!("ftp://127.0.0.1:{port}/"), &notice(), near, &ours).await;
        assert!(matches!(plain, Err(PostError::Endpoint)), "{plain:?}");
    }

    #[test]
    fn a_file_without_authorities_is_said() {
        assert!(Trust::new(&[file("none.pem")]).is_err());
        assert!(Trust::new(&[file("server.key")]).is_err());
    }
}
