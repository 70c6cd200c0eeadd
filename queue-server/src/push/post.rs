//! One POST to an endpoint: resolve, check the address, connect to it, over `https` check the certificate, send, and read
//! no more than the status.
//!
//! Must never: follow a redirect, connect to an address that was not checked, or wait longer than it was told.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, USER_AGENT};
use http::{Request, Uri};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};

use super::guard::Reach;
use super::notice::Notice;
use super::trust::Trust;

/// A subscriber that has not answered after this has failed (CMQ: about 15 s).
pub(super) const POST_TIMEOUT: Duration = Duration::from_secs(15);
/// What subscribers know the sender by.
const AGENT: &str = "Qcloud Notification Service Agent";

/// Why a notice was not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum PostError {
    /// The endpoint is no `http://` or `https://` URL with a host.
    #[error("the endpoint is not an http or https URL")]
    Endpoint,
    /// None of its addresses may be connected to.
    #[error("the endpoint's address may not be reached from here")]
    Guarded,
    /// Its name has no address, or nobody listens there, or the connection broke.
    #[error("the endpoint cannot be reached: {0}")]
    Unreachable(String),
    /// Its certificate is not from somebody that is believed, or not for it.
    #[error("the endpoint is not trusted: {0}")]
    Untrusted(String),
    /// It said something else than 2xx.
    #[error("the endpoint answered {0}")]
    Status(u16),
    /// It did not answer in time.
    #[error("the endpoint did not answer in time")]
    TimedOut,
}

/// Posts a notice. `Ok`: the subscriber has taken it (2xx).
pub(super) async fn post(endpoint: &str, notice: &Notice, reach: Reach, trust: &Trust) -> Result<(), PostError> {
    tokio::time::timeout(POST_TIMEOUT, exchange(endpoint, notice, reach, trust))
        .await
        .unwrap_or(Err(PostError::TimedOut))
}

async fn exchange(endpoint: &str, notice: &Notice, reach: Reach, trust: &Trust) -> Result<(), PostError> {
    let uri: Uri = endpoint.parse().map_err(|_| PostError::Endpoint)?;
    let request = request(&uri, notice)?;
    let host = uri.host().ok_or(PostError::Endpoint)?.trim_start_matches('[').trim_end_matches(']');
    let is_secure = match uri.scheme_str() {
        Some("http") => false,
        Some("https") => true,
        _ => return Err(PostError::Endpoint),
    };
    let port = uri.port_u16().unwrap_or(if is_secure { 443 } else { 80 });
    let stream = connect(host, port, reach).await?;
    if is_secure { send(trust.secure(host, stream).await?, request).await } else { send(stream, request).await }
}

/// Sends a request over a connection; `Ok`: the answer is 2xx.
async fn send(stream: impl AsyncRead + AsyncWrite + Unpin, request: Request<Full<Bytes>>) -> Result<(), PostError> {
    let unreachable = |error: hyper::Error| PostError::Unreachable(error.to_string());
    let (mut sender, connection) =
        http1::handshake::<_, Full<Bytes>>(TokioIo::new(stream)).await.map_err(unreachable)?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(unreachable)?;
        match response.status() {
            status if status.is_success() => Ok(()),
            status => Err(PostError::Status(status.as_u16())),
        }
    };
    let mut answer = std::pin::pin!(answer);
    tokio::select! {
        answer = &mut answer => answer,
        // It ends with the answer or without one; the answer knows.
        _ = connection => answer.await,
    }
}

/// Connects to the first of the endpoint's addresses that is allowed and answers.
async fn connect(host: &str, port: u16, reach: Reach) -> Result<TcpStream, PostError> {
    let unreachable = |error: std::io::Error| PostError::Unreachable(error.to_string());
    let found: Vec<SocketAddr> = lookup_host((host, port)).await.map_err(unreachable)?.collect();
    let mut last = PostError::Guarded;
    for address in found.into_iter().filter(|address| reach.allows(address.ip())) {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = unreachable(error),
        }
    }
    Err(last)
}

fn request(uri: &Uri, notice: &Notice) -> Result<Request<Full<Bytes>>, PostError> {
    let authority = uri.authority().ok_or(PostError::Endpoint)?;
    // What stands before an @ is for logging in, and no part of a host's name.
    let host = authority.as_str().rsplit('@').next().unwrap_or_default();
    let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let mut request = Request::post(path)
        .header(HOST, host)
        .header(CONTENT_TYPE, "text/plain")
        .header(USER_AGENT, AGENT)
        .header("x-cmq-request-id", notice.message.to_string())
        .header("x-cmq-message-id", notice.message.to_string());
    if let Some(tags) = notice.tag_header() {
        request = request.header("x-cmq-message-tag", tags);
    }
    request.body(Full::new(notice.content())).map_err(|_| PostError::Endpoint)
}
