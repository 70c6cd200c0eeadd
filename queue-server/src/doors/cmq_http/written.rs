//! A body that knows the ticket of its answer, and the connection's slot that tells when it was written whole.
//!
//! ```text
//!  body: last bytes handed to HTTP ──> slot ──> connection flushed: ticket says "written"
//!                                        └────> connection broken: ticket is dropped, the answer stays remembered
//! ```
//!
//! Must never: call written what the connection has not taken.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use parking_lot::Mutex;

use super::memory::Ticket;

/// The answer of a connection that is on its way.
#[derive(Clone, Default)]
pub(crate) struct Slot(Arc<Mutex<Option<Ticket>>>);

impl Slot {
    /// Everything that was handed to the connection has been taken by it.
    pub(crate) fn flushed(&self) {
        if let Some(ticket) = self.0.lock().take() {
            ticket.written();
        }
    }
}

/// An answer's bytes.
pub(super) struct Told {
    bytes: Option<Bytes>,
    ticket: Option<Ticket>,
    slot: Slot,
}

impl Told {
    pub(super) const fn new(bytes: Bytes, ticket: Option<Ticket>, slot: Slot) -> Self {
        Self { bytes: Some(bytes), ticket, slot }
    }
}

impl Body for Told {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let bytes = self.bytes.take();
        if let Some(ticket) = self.ticket.take() {
            *self.slot.0.lock() = Some(ticket);
        }
        Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}
