//! HTTP: health, readiness, metrics; the phone page and its API.
//!
//! Must never: say "ready" before every group of the node knows a leader.

mod api;
mod arrivals;
mod convert_json;
mod metrics;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::Html;
use axum::routing::{get, post};
use tokio::net::TcpListener;

use crate::doors::grpc::Door;
use crate::node::Slot;

/// The phone: one page without anything from elsewhere.
const PHONE: &str = include_str!("../../../web/phone.html");
/// What the API offers.
const OPENAPI: &str = include_str!("../../../web/openapi.json");

/// Serves until it fails. Errors: text.
pub(crate) async fn serve(listener: TcpListener, slot: Slot) -> Result<(), String> {
    let phone = Router::new()
        .route("/api/register", post(api::register))
        .route("/api/balance", get(api::balance))
        .route("/api/bill", get(api::bill))
        .route("/api/chats", get(api::chats).post(api::create_chat))
        .route("/api/join", post(api::join_chat))
        .route("/api/send", post(api::send))
        .route("/api/grab", post(api::grab))
        .route("/api/open", post(api::open))
        .route("/api/packet", get(api::packet))
        .route("/api/arrival", get(arrivals::watch))
        .route("/api/shown", get(api::shown))
        .route("/api/offered", get(api::offered))
        .route("/api/sent", get(api::sent))
        .route("/api/received", get(api::received))
        .with_state(Door::new(slot.clone()));
    let router = Router::new()
        .route("/", get(async || Html(PHONE)))
        .route("/openapi.json", get(async || ([(header::CONTENT_TYPE, "application/json")], OPENAPI)))
        .route("/healthz", get(async || "alive\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics::show))
        .with_state(slot)
        .merge(phone);
    axum::serve(listener, router).await.map_err(|error| error.to_string())
}

async fn ready(State(slot): State<Slot>) -> (StatusCode, &'static str) {
    match slot.get() {
        Some(app) if app.is_ready() => (StatusCode::OK, "ready\n"),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
    }
}
