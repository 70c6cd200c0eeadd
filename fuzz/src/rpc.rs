//! Bodies of gRPC calls: each message of the contracts, and what the queue's door makes of it.
//!
//! Must never: hand the machine what its door would not.

use bytes::Bytes;
use prost::Message;
use proto::{admin, ledger, packet, pay, queue};

use crate::doors::convert;

/// Decodes; what decodes is encoded and read again.
fn read<M: Message + Default>(bytes: &Bytes) -> Option<M> {
    let message = M::decode(bytes.clone()).ok()?;
    let again = M::decode(Bytes::from(message.encode_to_vec()));
    assert!(again.is_ok(), "what was read can be written and read");
    Some(message)
}

/// The calls of the queue, with the conversions of its door.
pub(crate) fn queue(bytes: Bytes) {
    use queue::v1::*;
    if let Some(send) = read::<SendRequest>(&bytes) {
        send.messages.into_iter().for_each(|message| drop(convert::new_message(message)));
    }
    if let Some(create) = read::<CreateQueueRequest>(&bytes) {
        let _ = create.attributes.as_ref().map(|attributes| convert::changes(attributes).is_ok());
    }
    if let Some(publish) = read::<PublishRequest>(&bytes) {
        publish.messages.into_iter().for_each(|message| drop(convert::publication(message)));
    }
    if let Some(filter) = read::<MessageFilter>(&bytes) {
        let _ = convert::filter(&filter);
    }
    if let Some(subscription) = read::<Subscription>(&bytes) {
        let _ = convert::named_queues(&subscription);
    }
    let _ = convert::read_cursor(&bytes);
    let _ = (read::<ReceiveRequest>(&bytes).is_some(), read::<AckRequest>(&bytes).is_some());
    let _ = (read::<ExtendRequest>(&bytes).is_some(), read::<ReleaseRequest>(&bytes).is_some());
    let _ = (read::<ConsumeRequest>(&bytes).is_some(), read::<PeekRequest>(&bytes).is_some());
}

/// The calls of the payment app, of operators, and what a client reads of an answer.
pub(crate) fn others(bytes: Bytes) {
    let _ = read::<ledger::v1::TransferRequest>(&bytes);
    let _ = read::<ledger::v1::BatchRequest>(&bytes);
    let _ = read::<ledger::v1::HoldRequest>(&bytes);
    let _ = read::<packet::v1::SendPacketRequest>(&bytes);
    let _ = read::<packet::v1::OpenRequest>(&bytes);
    let _ = read::<pay::v1::PlaceOrderRequest>(&bytes);
    let _ = read::<admin::v1::StatusReply>(&bytes);
    if let Ok(text) = std::str::from_utf8(&bytes) {
        let _ = proto::proof::Proof::read(text);
    }
    let status = tonic::Status::with_details(tonic::Code::Unknown, "", bytes);
    let _ = (proto::outcome::outcome_of(&status), proto::outcome::failure_of(&status));
}
