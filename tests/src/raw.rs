//! Any rpc by its path, with bytes for its message: what a client of our own would never send.
//!
//! Must never: repeat a call, or hide what came back.

use std::time::Duration;

use bytes::{Buf as _, BufMut as _, Bytes};
use proto::outcome::{Outcome, outcome_of};
use queue_client::{Credentials, Signer, signer};
use tls::Way;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::service::Interceptor as _;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, GrpcMethod, Request, Status};

/// Calls under way end within this.
const ANSWER_MAX: Duration = Duration::from_secs(20);

/// A connection to one node.
#[derive(Clone, Debug)]
pub struct Raw {
    grpc: Grpc<Channel>,
    signer: Option<Signer>,
}

impl Raw {
    /// A connection to the node at `address`, whose calls are signed if there is something to sign with.
    pub async fn connect(address: &str, credentials: Option<&Credentials>) -> Self {
        Self::connect_by(&Way::default(), address, credentials).await
    }

    /// As [`Self::connect`], over TLS where the way says so.
    pub async fn connect_by(way: &Way, address: &str, credentials: Option<&Credentials>) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("it is an address");
        let channel = way.connected(&endpoint.timeout(ANSWER_MAX)).await.expect("the node listens");
        Self { grpc: Grpc::new(channel), signer: credentials.map(|credentials| signer(Some(credentials), address)) }
    }

    /// The line that proves the key pair for a call of `rpc`, such as `/tercet.queue.v1.Queue/Send`.
    #[must_use]
    pub fn proof(&self, rpc: &'static str) -> Option<String> {
        let mut request = Request::new(());
        let (service, method) = rpc.trim_start_matches('/').split_once('/').expect("it is the path of a call");
        request.extensions_mut().insert(GrpcMethod::new(service, method));
        let request = self.signer.clone()?.call(request).expect("it is signed");
        let line = request.metadata().get("authorization").expect("it is there");
        Some(line.to_str().expect("it is text").to_owned())
    }

    /// Calls `rpc` with one message, under a fresh proof. Answers: the first message that came back, if any.
    pub async fn call(&mut self, rpc: &'static str, message: Bytes) -> Result<Option<Bytes>, Status> {
        let proof = self.proof(rpc);
        self.call_with(rpc, message, proof.as_deref()).await
    }

    /// As [`Self::call`], under this proof.
    pub async fn call_with(
        &mut self,
        rpc: &'static str,
        message: Bytes,
        proof: Option<&str>,
    ) -> Result<Option<Bytes>, Status> {
        self.grpc.ready().await.map_err(|error| Status::new(Code::Unavailable, error.to_string()))?;
        let mut request = Request::new(tokio_stream::once(message));
        if let Some(proof) = proof {
            request.metadata_mut().insert("authorization", proof.parse().expect("it is a header"));
        }
        let replies = self.grpc.streaming(request, http::uri::PathAndQuery::from_static(rpc), Plain).await?;
        replies.into_inner().message().await
    }
}

/// The number of the refusal that a call ended with; 0 if it ended otherwise.
#[must_use]
pub fn refusal<T>(result: &Result<T, Status>) -> u16 {
    match result.as_ref().map_err(outcome_of) {
        Err(Outcome::Refused { number }) => number,
        Ok(_) | Err(_) => 0,
    }
}

/// Messages as they are.
#[derive(Clone, Copy, Debug, Default)]
struct Plain;

impl Codec for Plain {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Plain {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for Plain {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        let length = buffer.remaining();
        Ok(Some(buffer.copy_to_bytes(length)))
    }
}
