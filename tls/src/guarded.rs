//! A connection with its place at the gate: its first bytes come in time, and it ends if its client stops reading.
//!
//! Why the first bytes: what HTTP/2 itself asks of a client, a sign of life now and then, begins only with them.
//!
//! Must never: look at what is sent.

use std::future::Future as _;
use std::io::{Error, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};
use tonic::transport::server::Connected;

use crate::gate::Place;
use crate::stall::Stall;
use crate::stream::{Met, Stream};

/// How patient a door is.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// So many first bytes are there within so long; `None`: whoever reads the connection sees to it.
    pub first: Option<(usize, Duration)>,
    /// A client that takes nothing for this long is gone.
    pub stall: Duration,
}

/// The connection.
#[derive(Debug)]
pub struct Guarded {
    stream: Stream,
    /// How many first bytes are missing, and the end of their time; until they are there.
    first: Option<(usize, Pin<Box<Sleep>>)>,
    stall: Stall,
    _place: Place,
}

impl Guarded {
    /// A connection that was let in.
    #[must_use]
    pub fn new(stream: Stream, place: Place, patience: &Patience) -> Self {
        let first = patience.first.map(|(bytes, within)| (bytes, Box::pin(sleep(within))));
        Self { stream, first, stall: Stall::new(patience.stall), _place: place }
    }

    /// Who is at the other end.
    #[must_use]
    pub fn met(&self) -> &Met {
        self.stream.met()
    }
}

impl AsyncRead for Guarded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<(), Error>> {
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut self.stream).poll_read(context, buffer);
        if let Some((missing, end)) = &mut self.first {
            if outcome.is_pending() && end.as_mut().poll(context).is_ready() {
                return Poll::Ready(Err(Error::from(ErrorKind::TimedOut)));
            }
            *missing = missing.saturating_sub(buffer.filled().len().saturating_sub(before));
            if *missing == 0 {
                self.first = None;
            }
        }
        outcome
    }
}

impl AsyncWrite for Guarded {
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
        // What TLS has taken counts as taken by the client only when it is flushed.
        let outcome = Pin::new(&mut self.stream).poll_flush(context);
        self.stall.timed(outcome, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let outcome = Pin::new(&mut self.stream).poll_shutdown(context);
        self.stall.timed(outcome, context)
    }
}

impl Connected for Guarded {
    type ConnectInfo = Met;

    fn connect_info(&self) -> Met {
        self.stream.connect_info()
    }
}
