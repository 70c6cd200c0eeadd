//! A connection of the gRPC address: its first bytes come in time, and it ends if its client stops reading.
//!
//! Why: what HTTP/2 itself asks of a client, a sign of life now and then, begins only with its first bytes.
//!
//! Must never: look at what is sent.

use std::future::Future as _;
use std::io::{Error, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Sleep, sleep};
use tonic::transport::server::{Connected, TcpConnectInfo};

use crate::doors::gate::{Gate, Place};
use crate::doors::limits::{GRPC_PREFACE_BYTES, GRPC_PREFACE_MAX};
use crate::doors::stall::Stall;

/// The connection.
pub(super) struct Connection {
    stream: TcpStream,
    /// The end of the time for the first bytes, until they are there.
    preface: Option<Pin<Box<Sleep>>>,
    read: usize,
    stall: Stall,
    _place: Place,
}

/// Connections as they come in.
pub(super) fn connections(listener: TcpListener) -> impl futures::Stream<Item = Result<Connection, Error>> {
    futures::stream::unfold((Gate::new("grpc"), listener), |(gate, listener)| async move {
        let (stream, place) = gate.next(&listener).await?;
        Some((Ok(Connection::new(stream, place)), (gate, listener)))
    })
}

impl Connection {
    fn new(stream: TcpStream, place: Place) -> Self {
        let preface = Some(Box::pin(sleep(GRPC_PREFACE_MAX)));
        Self { stream, preface, read: 0, stall: Stall::default(), _place: place }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<(), Error>> {
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut self.stream).poll_read(context, buffer);
        if let Some(preface) = &mut self.preface {
            if outcome.is_pending() && preface.as_mut().poll(context).is_ready() {
                return Poll::Ready(Err(Error::from(ErrorKind::TimedOut)));
            }
            self.read = self.read.saturating_add(buffer.filled().len().saturating_sub(before));
            if self.read >= GRPC_PREFACE_BYTES {
                self.preface = None;
            }
        }
        outcome
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, Error>> {
        let outcome = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.stall.timed(outcome, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<Result<usize, Error>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.stall.timed(outcome, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}
