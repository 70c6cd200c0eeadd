//! Frames: how envelopes lie on the stream.
//!
//! ```text
//!  00 00 | length of the whole frame, these six bytes included: u32, little-endian | Envelope (protobuf)
//! ```
//!
//! Must never: allocate for a length before it was held against the limit.

use std::io::{Error, ErrorKind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use prost::Message as _;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::time::timeout;

use super::wire::Envelope;
use crate::doors::cmq::REQUEST_BYTES_MAX;

/// Bytes before the envelope.
pub(super) const HEAD_BYTES: usize = 6;
/// Bytes of an envelope from a client that has logged in.
pub(super) const ENVELOPE_BYTES_MAX: usize = REQUEST_BYTES_MAX;
/// Bytes of an envelope from anybody else: a login is small.
pub(super) const STRANGER_BYTES_MAX: usize = 4_096;
/// A frame that has begun is whole within this.
const FRAME_MAX: Duration = Duration::from_secs(10);

fn broken(what: &'static str) -> Error {
    Error::new(ErrorKind::InvalidData, what)
}

/// Reads the next envelope of at most `limit` bytes; waits `idle` for it to begin. `None`: the client ended well. Errors: a frame that is too
/// large, too slow or not one; the stream is of no use then.
pub(super) async fn read(
    stream: &mut (impl AsyncRead + Unpin),
    limit: &AtomicUsize,
    idle: Duration,
) -> Result<Option<Envelope>, Error> {
    let mut head = [0; HEAD_BYTES];
    let begun = timeout(idle, stream.read(&mut head)).await.map_err(|_| Error::from(ErrorKind::TimedOut))??;
    if begun == 0 {
        return Ok(None);
    }
    let rest = async {
        let (_, missing) = head.split_at_mut(begun);
        stream.read_exact(missing).await?;
        // Read behind the head: a login may have raised the limit while the client said nothing.
        let mut body = BytesMut::zeroed(body_bytes(head, limit.load(Ordering::Relaxed))?);
        stream.read_exact(&mut body).await?;
        envelope(body.freeze())
    };
    timeout(FRAME_MAX, rest).await.map_err(|_| Error::from(ErrorKind::TimedOut))?.map(Some)
}

/// Bytes of the envelope behind `head`. Errors: it is the head of no frame, or of one beyond the limit.
pub(super) fn body_bytes(head: [u8; HEAD_BYTES], limit: usize) -> Result<usize, Error> {
    let [zero, one, length @ ..] = head;
    let length = u32::from_le_bytes(length) as usize;
    let length = length.checked_sub(HEAD_BYTES).filter(|_| (zero, one) == (0, 0));
    let length = length.ok_or_else(|| broken("not a frame"))?;
    if length > limit { Err(broken("the frame is too large")) } else { Ok(length) }
}

/// The envelope in the body of a frame. Errors: it is none.
pub(super) fn envelope(body: Bytes) -> Result<Envelope, Error> {
    Envelope::decode(body).map_err(|_| broken("not an envelope"))
}

/// An envelope as a frame. `None`: it is larger than a length can say.
pub(super) fn write(envelope: &Envelope) -> Option<Bytes> {
    let length = HEAD_BYTES + envelope.encoded_len();
    let mut frame = BytesMut::with_capacity(length);
    frame.put_u16(0);
    frame.put_u32_le(u32::try_from(length).ok()?);
    // The buffer grows as needed: encoding into it cannot fail.
    envelope.encode(&mut frame).ok()?;
    Some(frame.freeze())
}
