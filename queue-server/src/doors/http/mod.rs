//! The HTTP address: health, readiness, metrics. CMQ's API stands beside them, in `cmq_http`.

mod listen;
mod metrics;
mod wire;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;

#[cfg(test)]
pub(crate) use self::listen::serve as serve_connection;
pub(crate) use self::listen::serve_http;
use crate::node::Node;

/// The routes of a queue node's HTTP address.
pub(crate) fn http_router(node: Arc<Node>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "alive\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(node)
}

async fn readyz(State(node): State<Arc<Node>>) -> (StatusCode, String) {
    let reasons = node.not_ready();
    if reasons.is_empty() {
        return (StatusCode::OK, "ready\n".to_owned());
    }
    (StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", reasons.join("\n")))
}

async fn metrics(State(node): State<Arc<Node>>) -> String {
    metrics::render(&node)
}
