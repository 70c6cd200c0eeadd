//! A connection of the HTTP address: it ends if its client stops reading, and tells when what was written has left.
//!
//! Must never: report a flush before everything that HTTP had buffered was taken by the socket.

use std::io::Error;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tls::Stall;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::doors::cmq_http::Slot;
use crate::doors::limits::STALL_MAX;

/// The connection.
pub(super) struct Wire<S> {
    stream: TokioIo<S>,
    slot: Slot,
    stall: Stall,
}

impl<S> Wire<S> {
    pub(super) fn new(stream: S, slot: Slot) -> Self {
        Self { stream: TokioIo::new(stream), slot, stall: Stall::new(STALL_MAX) }
    }
}

impl<S: AsyncRead + Unpin> Read for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> Write for Wire<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, Error>> {
        let outcome = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.stall.timed(outcome, context)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        ready!(Pin::new(&mut self.stream).poll_flush(context))?;
        self.slot.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[std::io::IoSlice<'_>],
    ) -> Poll<Result<usize, Error>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.stall.timed(outcome, context)
    }
}
