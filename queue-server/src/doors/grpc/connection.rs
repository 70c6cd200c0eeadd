//! A connection of the gRPC address: its first bytes come in time, and it ends if its client stops reading.
//!
//! Why: what HTTP/2 itself asks of a client, a sign of life now and then, begins only with its first bytes.
//!
//! With certificates its handshake comes first, in a task of its own, so that nobody waits for another's.
//!
//! Must never: look at what is sent.

use std::future::Future as _;
use std::io::{Error, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::StreamExt as _;
use tls::{Door, Met, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::{Sleep, sleep};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::Connected;

use crate::doors::gate::{Gate, Place};
use crate::doors::limits::{GRPC_CONNECTIONS_WAITING, GRPC_PREFACE_BYTES, GRPC_PREFACE_MAX};
use crate::doors::stall::Stall;

/// The connection.
pub(super) struct Connection {
    stream: Stream,
    /// The end of the time for the first bytes, until they are there.
    preface: Option<Pin<Box<Sleep>>>,
    read: usize,
    stall: Stall,
    _place: Place,
}

/// Connections as they come in.
pub(super) fn connections(listener: TcpListener, door: Door) -> impl futures::Stream<Item = Result<Connection, Error>> {
    let (made, ready) = mpsc::channel(GRPC_CONNECTIONS_WAITING);
    tokio::spawn(accept(listener, door, made));
    ReceiverStream::new(ready).map(Ok)
}

/// Lets connections in until the server wants no more of them.
async fn accept(listener: TcpListener, door: Door, made: mpsc::Sender<Connection>) {
    let gate = Gate::new("grpc");
    loop {
        let next = tokio::select! {
            next = gate.next(&listener) => next,
            () = made.closed() => None,
        };
        let Some((stream, place)) = next else { return };
        let (door, made) = (door.clone(), made.clone());
        tokio::spawn(async move {
            if let Some(stream) = door.open(stream).await {
                // The server has ended; so does the connection.
                let _ = made.send(Connection::new(stream, place)).await;
            }
        });
    }
}

impl Connection {
    fn new(stream: Stream, place: Place) -> Self {
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
    type ConnectInfo = Met;

    fn connect_info(&self) -> Met {
        self.stream.connect_info()
    }
}
