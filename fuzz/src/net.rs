//! The decoders of the replication protocol: requests and answers of peers.
//!
//! Must never: answer one.

#[path = "../../replica/src/net/message.rs"]
mod message;

use bytes::Bytes;
use machine::Layout as _;
use message::{Hello, ProposeAnswer, Request};

/// One message of a peer.
pub(crate) fn play(bytes: Bytes) {
    if let Ok((group, request)) = Request::decode(bytes.clone()) {
        let again = request.encode(group);
        assert!(Request::decode(again).is_ok_and(|(same, _)| same == group), "a request reads back");
    }
    let _ = (Hello::from_bytes(&bytes), ProposeAnswer::from_bytes(&bytes));
    let _ = (message::read_vote_response(bytes.clone()), message::read_append_result(bytes.clone()));
    let _ = message::read_answer(bytes);
}
