//! A door: connections that came in are made safe, or sent away with a line in the log that says why.
//!
//! Must never: let a connection through whose handshake failed, or fill the log for the sake of a stranger.

use std::io::Error as IoError;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{AlertDescription, CertificateError, Error, InvalidMessage};

use crate::keeper::Keeper;
use crate::limits::{FAREWELL_BYTES_MAX, FAREWELL_MAX, HANDSHAKE_MAX, SAY_EVERY};
use crate::stream::Stream;

/// What is spoken behind a door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// gRPC: HTTP/2.
    Grpc,
    /// HTTP/1.1.
    Http,
    /// Something of its own.
    Own,
}

impl Protocol {
    pub(crate) const ALL: [Self; 3] = [Self::Grpc, Self::Http, Self::Own];

    /// What the handshake agrees on.
    pub(crate) fn alpn(self) -> Vec<Vec<u8>> {
        match self {
            Self::Grpc => vec![b"h2".to_vec()],
            Self::Http => vec![b"http/1.1".to_vec()],
            Self::Own => Vec::new(),
        }
    }
}

/// A door. Clones share what they count.
#[derive(Clone, Debug)]
pub struct Door {
    name: &'static str,
    seal: Option<Seal>,
    refused: Arc<AtomicU64>,
    said: Arc<Mutex<Option<Instant>>>,
}

#[derive(Clone, Debug)]
struct Seal {
    keeper: Arc<Keeper>,
    protocol: Protocol,
    /// Callers without a certificate may come, too.
    is_open: bool,
}

impl Door {
    /// The door `name`: sealed if there is a keeper. `is_open`: it also takes callers without a certificate.
    #[must_use]
    pub fn new(name: &'static str, keeper: Option<&Arc<Keeper>>, protocol: Protocol, is_open: bool) -> Self {
        let seal = keeper.map(|keeper| Seal { keeper: Arc::clone(keeper), protocol, is_open });
        Self { name, seal, refused: Arc::default(), said: Arc::default() }
    }

    /// Whether connections need no handshake.
    #[must_use]
    pub const fn is_plain(&self) -> bool {
        self.seal.is_none()
    }

    /// How many connections were sent away.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Makes a connection safe. `None`: it was sent away.
    pub async fn open(&self, stream: TcpStream) -> Option<Stream> {
        let Some(seal) = &self.seal else { return Some(Stream::plain(stream)) };
        let config = seal.keeper.server(seal.protocol, seal.is_open)?;
        let address = stream.peer_addr().ok();
        let handshake = TlsAcceptor::from(config).accept(stream).into_fallible();
        let (error, stream) = match timeout(HANDSHAKE_MAX, handshake).await {
            Ok(Ok(stream)) => return Some(Stream::sealed(stream.into(), Vec::new())),
            Ok(Err(failed)) => failed,
            Err(_) => {
                self.refuse(address, "it is silent");
                return None;
            }
        };
        // Who came only to see whether somebody listens is not worth a line.
        if error.kind() != std::io::ErrorKind::UnexpectedEof {
            self.refuse(address, &said(&error));
        }
        farewell(stream).await;
        None
    }

    fn refuse(&self, address: Option<std::net::SocketAddr>, why: &str) {
        let refused = self.refused.fetch_add(1, Ordering::Relaxed) + 1;
        let mut said = self.said.lock();
        if said.is_none_or(|said| said.elapsed() >= SAY_EVERY) {
            *said = Some(Instant::now());
            let address = address.map_or_else(|| "?".to_owned(), |address| address.to_string());
            tracing::warn!(door = self.name, address, refused, "a connection was sent away: {why}");
        }
    }
}

/// Lets the caller read why: what closes with bytes unread is reset, and takes the reason with it.
async fn farewell(mut stream: TcpStream) {
    let read = async {
        stream.shutdown().await?;
        let mut rest = [0; 1024];
        let mut left = FAREWELL_BYTES_MAX;
        while left > 0 {
            match stream.read(&mut rest).await? {
                0 => break,
                length => left = left.saturating_sub(length),
            }
        }
        Ok::<_, IoError>(())
    };
    // One that reads nothing has had its time.
    let _ = timeout(FAREWELL_MAX, read).await;
}

/// A failed handshake in words.
pub(crate) fn said(error: &IoError) -> String {
    let failed = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    match failed {
        Some(Error::InvalidMessage(InvalidMessage::InvalidContentType)) => {
            "it speaks without TLS, and this address asks for it".to_owned()
        }
        Some(Error::NoCertificatesPresented) => "it shows no certificate, and this address asks for one".to_owned(),
        Some(Error::InvalidCertificate(why)) => match why {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "its certificate has expired".to_owned()
            }
            CertificateError::UnknownIssuer => "its certificate is from another authority".to_owned(),
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "its certificate is for another name".to_owned()
            }
            other => format!("its certificate is not good: {other}"),
        },
        Some(Error::AlertReceived(AlertDescription::CertificateRequired)) => {
            "it asks for a certificate, and this side has none to show".to_owned()
        }
        Some(Error::AlertReceived(alert)) => format!("it does not take the certificate of this side: {alert:?}"),
        Some(other) => other.to_string(),
        None => error.to_string(),
    }
}
