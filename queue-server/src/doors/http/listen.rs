//! The HTTP server of a queue node: so many connections, each with so much time for its headers.
//!
//! Why not the framework's own loop: it bounds neither connections nor the time of a header, and does not tell when an
//! answer was written whole.
//!
//! Must never: let clients hold more connections than the limit, or end for the sake of one of them.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::TokioTimer;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::wire::Wire;
use crate::doors::cmq_http::Slot;

/// Connections at once; who comes later waits in the system's queue.
const CONNECTIONS_MAX: usize = 4_096;
/// Headers of a request are there within this, from the end of the one before: idle connections end by it too.
const HEADERS_MAX: Duration = Duration::from_secs(30);
/// Pause after the system refused a connection (no more descriptors), so that it can recover.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves for as long as the process lives.
pub(crate) async fn serve_http(listener: TcpListener, router: Router) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let router = router.clone();
                tokio::spawn(async move {
                    serve(stream, router).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection to the HTTP address was not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, router: Router) {
    // Answers are written at once anyway; an error here shows again with the first read.
    let _ = stream.set_nodelay(true);
    let slot = Slot::default();
    let service = TowerToHyperService::new(router);
    let of_connection = slot.clone();
    let with_slot = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(of_connection.clone());
        service.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_MAX)
        .serve_connection(Wire::new(stream, slot), with_slot);
    if let Err(error) = connection.await {
        tracing::trace!(%error, "a connection to the HTTP address ended early");
    }
}
