//! A connection, sealed or plain, and whom it was met with.
//!
//! Must never: look at what is sent.

use std::io::{Error, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;
use tonic::transport::server::Connected;

use crate::name::Name;
use crate::papers::names;

/// The connection.
#[derive(Debug)]
pub struct Stream {
    wire: Wire,
    /// What was read before anybody asked.
    head: Vec<u8>,
    met: Met,
}

#[derive(Debug)]
enum Wire {
    Plain(TcpStream),
    Sealed(Box<TlsStream<TcpStream>>),
}

/// Who is at the other end.
#[derive(Clone, Debug, Default)]
pub struct Met {
    /// Where from.
    pub address: Option<SocketAddr>,
    /// Whose certificate was shown: none without TLS, and none by a caller without one.
    pub names: Arc<[Name]>,
}

impl Stream {
    /// A connection without TLS.
    #[must_use]
    pub fn plain(stream: TcpStream) -> Self {
        let met = Met { address: stream.peer_addr().ok(), names: Arc::default() };
        Self { wire: Wire::Plain(stream), head: Vec::new(), met }
    }

    pub(crate) fn sealed(stream: TlsStream<TcpStream>, head: Vec<u8>) -> Self {
        let (tcp, connection) = stream.get_ref();
        let leaf = connection.peer_certificates().and_then(<[_]>::first);
        let met = Met { address: tcp.peer_addr().ok(), names: leaf.map(names).unwrap_or_default().into() };
        Self { wire: Wire::Sealed(Box::new(stream)), head, met }
    }

    /// Who is at the other end.
    #[must_use]
    pub fn met(&self) -> &Met {
        &self.met
    }

    fn wire(self: Pin<&mut Self>) -> Pin<&mut (dyn Both + 'static)> {
        match &mut self.get_mut().wire {
            Wire::Plain(stream) => Pin::new(stream),
            Wire::Sealed(stream) => Pin::new(&mut **stream),
        }
    }
}

/// Reads and writes.
trait Both: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Both for T {}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<(), Error>> {
        if self.head.is_empty() {
            return self.wire().poll_read(context, buffer);
        }
        let length = self.head.len().min(buffer.remaining());
        let rest = self.head.split_off(length);
        buffer.put_slice(&self.head);
        self.head = rest;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, Error>> {
        self.wire().poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<Result<usize, Error>> {
        self.wire().poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.wire {
            Wire::Plain(stream) => stream.is_write_vectored(),
            Wire::Sealed(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.wire().poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.wire().poll_shutdown(context)
    }
}

impl Connected for Stream {
    type ConnectInfo = Met;

    fn connect_info(&self) -> Met {
        self.met.clone()
    }
}
