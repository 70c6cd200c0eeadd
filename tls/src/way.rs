//! The way to a door: how connections that go out are made, as the channels of gRPC and by themselves.
//!
//! ```text
//!  connect ─> handshake: is it whom I meant? ─> its first bytes, or its reason why not ─> the connection
//! ```
//!
//! Why the first bytes: with TLS 1.3 a caller has finished before its own certificate was judged. Who goes on at once
//! learns that it was refused from a broken call, and cannot know that the call never was.
//!
//! Must never: fall back to a connection without TLS.

use std::future::Future;
use std::io::{Error, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tonic::transport::{Channel, Endpoint};
use tower_service::Service;

use crate::door::{Protocol, said};
use crate::keeper::Keeper;
use crate::limits::HANDSHAKE_MAX;
use crate::name::Name;
use crate::stream::Stream;

/// Bytes of a first answer.
const HEAD_BYTES: usize = 1024;

/// How others are reached.
#[derive(Clone, Debug, Default)]
pub struct Way {
    keeper: Option<Arc<Keeper>>,
    name: Option<Name>,
}

impl Way {
    /// Over TLS with these papers, or plain without any. Whoever is called must have a certificate for its host.
    #[must_use]
    pub fn new(keeper: Option<Arc<Keeper>>) -> Self {
        Self { keeper, name: None }
    }

    /// The same way, to whoever has a certificate of that name, wherever it is.
    #[must_use]
    pub fn to(&self, name: Name) -> Self {
        Self { keeper: self.keeper.clone(), name: Some(name) }
    }

    /// Whether connections are not encrypted.
    #[must_use]
    pub const fn is_plain(&self) -> bool {
        self.keeper.is_none()
    }

    /// A channel that connects when it is first used. The endpoint is one of `http://`, whatever the way.
    #[must_use]
    pub fn channel(&self, endpoint: &Endpoint) -> Channel {
        if self.is_plain() { endpoint.connect_lazy() } else { endpoint.connect_with_connector_lazy(self.connector()) }
    }

    /// A channel that is connected. Errors: it cannot be reached, or is not whom it should be.
    pub async fn connected(&self, endpoint: &Endpoint) -> Result<Channel, tonic::transport::Error> {
        if self.is_plain() { endpoint.connect().await } else { endpoint.connect_with_connector(self.connector()).await }
    }

    /// A connection to `address`, host:port, over which `protocol` is spoken. Errors: it cannot be reached, or is not whom
    /// it should be.
    pub async fn stream(&self, address: &str, protocol: Protocol) -> Result<Stream, Error> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let Some(keeper) = &self.keeper else { return Ok(Stream::plain(stream)) };
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let name = self.name.as_ref().map_or_else(|| host.to_owned(), Name::dns);
        let name = ServerName::try_from(name).map_err(|error| Error::new(ErrorKind::InvalidInput, error))?;
        let mut config = (*keeper.client()).clone();
        config.alpn_protocols = protocol.alpn();
        let handshake = async {
            let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
            let mut head = Vec::new();
            if protocol == Protocol::Grpc {
                head.resize(HEAD_BYTES, 0);
                let length = stream.read(&mut head).await?;
                head.truncate(length);
                if head.is_empty() {
                    return Err(Error::new(ErrorKind::UnexpectedEof, "it has closed the connection"));
                }
            }
            Ok(Stream::sealed(stream.into(), head))
        };
        let late = || Err(Error::new(ErrorKind::TimedOut, "no handshake in time: does it speak TLS?"));
        timeout(HANDSHAKE_MAX, handshake).await.unwrap_or_else(|_| late()).map_err(|error| {
            let kind = error.kind();
            Error::new(kind, format!("TLS with {address}: {}", said(&error)))
        })
    }

    fn connector(&self) -> Connector {
        Connector(self.clone())
    }
}

/// Makes connections for tonic.
struct Connector(Way);

impl Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let way = self.0.clone();
        Box::pin(async move {
            let address = uri.authority().map(|authority| authority.as_str().to_owned()).unwrap_or_default();
            way.stream(&address, Protocol::Grpc).await.map(TokioIo::new)
        })
    }
}
