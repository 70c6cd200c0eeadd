//! The append call of gRPC with a body of our own: the parts of a parcel go to the socket as they are.
//!
//! ```text
//!  a frame of gRPC:  0 | length u32 | message `Frame`: 0x0a | length as a varint | the parcel's parts | the lineage, if any
//! ```
//! Why not by tonic's codec: it copies each message into a buffer of its own first, and the entries are the greater part of
//! what a leader sends. On the wire nothing differs.
//!
//! Must never: end a stream whose requests go on.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{BufMut as _, Bytes, BytesMut};
use futures::StreamExt as _;
use futures::stream::{BoxStream, Fuse};
use http::{Method, Request, Version};
use http_body::{Body, Frame as BodyFrame};
use prost::encoding::{WireType, encode_key, encode_varint};
use tonic::client::GrpcService as _;
use tonic::codec::Codec as _;
use tonic::transport::Channel;
use tonic::{Status, Streaming};
use tonic_prost::ProstCodec;

use super::parcel::Parcel;
use super::wire::Frame;
use crate::limits::MESSAGE_BYTES_MAX;

const PATH: &str = "/tercet.replica.v1.Replication/Append";
/// The numbers of `Frame`'s fields.
const DATA: u32 = 1;
const LINEAGE: u32 = 2;

/// The body of the call.
struct Parcels {
    /// Fused, because it may be polled on after the end.
    requests: Fuse<BoxStream<'static, Parcel>>,
    /// What is left of the parcel under way.
    parts: VecDeque<Bytes>,
    lineage: u64,
}

impl Body for Parcels {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<BodyFrame<Bytes>, Infallible>>> {
        if self.parts.is_empty() {
            let Some(parcel) = ready!(self.requests.poll_next_unpin(context)) else { return Poll::Ready(None) };
            self.parts = framed(parcel, self.lineage);
        }
        Poll::Ready(self.parts.pop_front().map(|part| Ok(BodyFrame::data(part))))
    }
}

/// The parts, with what stands before and behind them. A small first part goes in one piece with its head.
fn framed(parcel: Parcel, lineage: u64) -> VecDeque<Bytes> {
    let bytes = parcel.len() as u64;
    let mut parts: VecDeque<Bytes> = parcel.parts().collect();
    let first = parts.pop_front().unwrap_or_default();
    let (mut head, mut tail) = (BytesMut::with_capacity(11), BytesMut::new());
    encode_key(DATA, WireType::LengthDelimited, &mut head);
    encode_varint(bytes, &mut head);
    if lineage != 0 {
        encode_key(LINEAGE, WireType::Varint, &mut tail);
        encode_varint(lineage, &mut tail);
    }
    let length = (head.len() + tail.len()) as u64 + bytes;
    let mut out = BytesMut::with_capacity(5 + head.len() + first.len());
    out.put_u8(0);
    out.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    out.extend_from_slice(&head);
    out.extend_from_slice(&first);
    parts.push_front(out.freeze());
    if !tail.is_empty() {
        parts.push_back(tail.freeze());
    }
    parts
}

/// Opens a stream of append requests of a node of that lineage. Errors: the status of the call; the peer cannot be reached.
pub(super) async fn append(
    mut channel: Channel,
    requests: BoxStream<'static, Parcel>,
    lineage: u64,
) -> Result<Streaming<Frame>, Status> {
    std::future::poll_fn(|context| channel.poll_ready(context))
        .await
        .map_err(|error| Status::from_error(error.into()))?;
    let body = tonic::body::Body::new(Parcels { requests: requests.fuse(), parts: VecDeque::new(), lineage });
    let request = Request::builder().method(Method::POST).version(Version::HTTP_2).uri(PATH);
    let request = request.header("te", "trailers").header("content-type", "application/grpc").body(body);
    let request = request.map_err(|error| Status::internal(error.to_string()))?;
    let response = channel.call(request).await.map_err(|error| Status::from_error(error.into()))?;
    if let Some(status) = Status::from_header_map(response.headers()).filter(|status| status.code() != tonic::Code::Ok)
    {
        return Err(status);
    }
    let (code, decoder) = (response.status(), ProstCodec::<Frame, Frame>::default().decoder());
    Ok(Streaming::new_response(decoder, response.into_body(), code, None, Some(MESSAGE_BYTES_MAX)))
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::super::parcel::Packer;
    use super::*;

    #[test]
    fn the_frames_are_those_of_the_generated_message() {
        for (payload, lineage) in [(0, 0), (1, 1), (100, 0), (5_000, 0), (5_000, u64::MAX), (300_000, 300)] {
            let payload = Bytes::from(vec![9; payload]);
            let mut packer = Packer::default();
            packer.out.raw(b"head");
            packer.add(&payload);
            packer.out.raw(b"tail");
            let parcel = packer.finish();
            let message = Frame { data: parcel.clone().join(), lineage }.encode_to_vec();
            let length = u32::try_from(message.len()).expect("it is short").to_be_bytes();
            let expected = [&[0][..], &length, &message].concat();
            assert_eq!(framed(parcel, lineage).into_iter().flatten().collect::<Vec<u8>>(), expected);
        }
    }
}
