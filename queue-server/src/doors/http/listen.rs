//! The HTTP server of a queue node: each connection has so much time for its headers, and so much room.
//!
//! Why not the framework's own loop: it bounds neither connections nor the time of a header, and does not tell when an
//! answer was written whole.
//!
//! Must never: end for the sake of one connection.

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::TokioTimer;
use hyper_util::service::TowerToHyperService;
use tls::{Door, Gate};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;

use super::wire::Wire;
use crate::doors::cmq_http::Slot;
use crate::doors::limits::{HTTP_HEADER_BYTES_MAX, HTTP_HEADERS_MAX, ROOM};

/// Serves for as long as the process lives.
pub(crate) async fn serve_http(listener: TcpListener, door: Door, router: Router) {
    let gate = Gate::new("http", &ROOM);
    while let Some((stream, place)) = gate.next(&listener).await {
        let (door, router) = (door.clone(), router.clone());
        tokio::spawn(async move {
            if let Some(stream) = door.open(stream).await {
                serve(stream, router).await;
            }
            drop(place);
        });
    }
}

/// Serves one connection until it ends.
pub(crate) async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + Send, router: Router) {
    let slot = Slot::default();
    let service = TowerToHyperService::new(router);
    let of_connection = slot.clone();
    let with_slot = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(of_connection.clone());
        service.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HTTP_HEADERS_MAX)
        .max_buf_size(HTTP_HEADER_BYTES_MAX)
        .serve_connection(Wire::new(stream, slot), with_slot);
    if let Err(error) = connection.await {
        tracing::trace!(%error, "a connection to the HTTP address ended early");
    }
}
