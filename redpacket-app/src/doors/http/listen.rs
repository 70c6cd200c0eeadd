//! The server of the HTTP address: each connection has so much time for its headers, and so much room.
//!
//! Why not the framework's own loop: it bounds neither connections nor the time of a header, nor how long an answer waits for
//! somebody who does not read.
//!
//! Must never: end for the sake of one connection, or hand on one that the door has not let in.

use std::net::{Ipv4Addr, SocketAddr};

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::Request;
use hyper::body::Incoming as Body;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tls::{Door, Gate, Guarded, Incoming};
use tokio::net::TcpListener;

use crate::limits::{HTTP_HEADER_BYTES_MAX, HTTP_HEADERS_MAX, HTTP_PATIENCE, HTTP_ROOM};

/// Where a caller is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller(pub(super) SocketAddr);

/// Serves for as long as the process lives.
pub(super) async fn serve(listener: TcpListener, door: Door, router: Router) {
    let mut incoming = Incoming::new(listener, door, Gate::new("http", &HTTP_ROOM), HTTP_PATIENCE);
    while let Some(connection) = incoming.next().await {
        tokio::spawn(serve_one(connection, router.clone()));
    }
}

/// Serves one connection until it ends.
async fn serve_one(connection: Guarded, router: Router) {
    // One that is gone already has no address, and no request.
    let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let caller = Caller(connection.met().address.unwrap_or(nowhere));
    let service = TowerToHyperService::new(router);
    let with_caller = service_fn(move |mut request: Request<Body>| {
        request.extensions_mut().insert(ConnectInfo(caller));
        service.call(request)
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HTTP_HEADERS_MAX)
        .max_buf_size(HTTP_HEADER_BYTES_MAX)
        .serve_connection(TokioIo::new(connection), with_caller);
    if let Err(error) = served.await {
        tracing::trace!(%error, "a connection to the HTTP address ended early");
    }
}
