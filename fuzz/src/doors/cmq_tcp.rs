//! A frame over TCP: its head, its envelope, and the frame that the envelope would be again.
//!
//! Must never: allocate for a length that was not held against the limit.

#[path = "../../../queue-server/src/doors/cmq_tcp/frame.rs"]
mod frame;

/// The generated messages.
mod wire {
    include!(concat!(env!("OUT_DIR"), "/cmq.rs"));
}

use bytes::Bytes;
use frame::{ENVELOPE_BYTES_MAX, HEAD_BYTES, STRANGER_BYTES_MAX};

/// One frame of anybody.
pub(crate) fn play(bytes: Bytes) {
    let Some(head) = bytes.first_chunk::<HEAD_BYTES>() else { return };
    let stranger = frame::body_bytes(*head, STRANGER_BYTES_MAX);
    if let Ok(length) = frame::body_bytes(*head, ENVELOPE_BYTES_MAX) {
        assert!(length <= ENVELOPE_BYTES_MAX && (stranger.is_ok() == (length <= STRANGER_BYTES_MAX)));
    }
    // The rest as an envelope, whatever the head says: its length is what the fuzzer finds last.
    if let Ok(envelope) = frame::envelope(bytes.slice(HEAD_BYTES..)) {
        let again = frame::write(&envelope).expect("it came in a frame");
        assert!(frame::envelope(again.slice(HEAD_BYTES..)).is_ok_and(|same| same == envelope), "it reads back");
    }
}
