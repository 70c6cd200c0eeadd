//! The console: a page at `/console` that shows the cluster live, and the few acts that an operator needs in a hurry.
//!
//! ```text
//!  browser ─> guard ─┬─> assets                 the page: files inside the binary
//!                    ├─> cluster ──┐
//!                    ├─> queues    │            /console/api/*: JSON, at any node
//!                    ├─> messages  ├─> peers ─> the rpcs that every client and operator uses
//!                    ├─> audit     │
//!                    └─> acts ─────┘            POST, from the page itself
//! ```
//!
//! Why: an operator at three in the morning has a browser, and wants to see what dies and what waits.
//!
//! Must never: reach what the rpcs do not offer, change anything by a GET, or answer whom the guard did not admit.

mod acts;
mod assets;
mod audit;
mod cluster;
mod convert;
mod fault;
mod guard;
mod limits;
mod messages;
mod peers;
mod queues;
mod verdict;

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use proto::credentials::Credentials;
use replica::system_wall_clock;
use serde_json::Value;
use tokio::sync::Mutex;

use self::guard::Guard;
use self::peers::{Asker, Peers};
use super::keys::KeyRing;
use crate::config::Config;
use crate::node::Node;

/// What the console needs.
pub(crate) struct Console {
    node: Arc<Node>,
    guard: Guard,
    peers: Peers,
    /// Nodes of the payment app, which audit the money.
    apps: Vec<String>,
    /// The last look at the cluster: many viewers cost as much as one.
    look: Mutex<Option<(Instant, Arc<Value>)>>,
    /// One audit at a time: it reads every row.
    audit: Mutex<()>,
}

impl Console {
    /// Errors: text; the operator's key file does not read.
    pub(crate) fn new(node: Arc<Node>, keys: Arc<KeyRing>, config: &Config) -> Result<Self, String> {
        let credentials = config.operator_key.as_deref().map(Credentials::read).transpose();
        let credentials = credentials.map_err(|error| error.to_string())?;
        // Who borrows the operator's rights shows a key pair; what stays on this machine needs no TLS for that.
        let is_loopback = config.http.ip().is_loopback();
        let is_local = is_loopback && credentials.is_none();
        let is_sealed = is_loopback || !node.seals().http.is_plain();
        let asker = Asker { way: node.seals().identity.way(), credentials, clock: system_wall_clock() };
        Ok(Self {
            node,
            guard: Guard::new(is_local, is_sealed, keys),
            peers: Peers::new(config.members(), asker),
            apps: config.apps.clone(),
            look: Mutex::default(),
            audit: Mutex::default(),
        })
    }

    /// The routes of the console.
    pub(crate) fn router(self) -> Router {
        let console = Arc::new(self);
        Router::new()
            .route("/console", get(async || assets::page()))
            .route("/console/{file}", get(async |Path(file): Path<String>| assets::asset(&file)))
            .route("/console/api/cluster", get(cluster::show))
            .route("/console/api/queues", get(queues::list))
            .route("/console/api/queue", get(queues::show))
            .route("/console/api/topic", get(queues::topic))
            .route("/console/api/messages", get(messages::search))
            .route("/console/api/message", get(messages::explain))
            .route("/console/api/audit", get(audit::show))
            .route("/console/api/redrive", post(acts::redrive))
            .route("/console/api/redrive/stop", post(acts::stop_redrive))
            .route("/console/api/purge", post(acts::purge))
            .layer(DefaultBodyLimit::max(limits::ACT_BYTES_MAX))
            .layer(from_fn_with_state(Arc::clone(&console), admitted))
            .with_state(console)
    }
}

/// What a browser may do with anything that comes from here: run and load what stands here, and nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Lets through whom the guard admits, and tells the browser what it may do.
async fn admitted(State(console): State<Arc<Console>>, request: Request, next: Next) -> Response {
    let mut response = match console.guard.admit(request.method(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(denied) => denied.into_response(),
    };
    if response.status() == StatusCode::PAYLOAD_TOO_LARGE {
        response = fault::Fault::form("the request is too large").into_response();
    }
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    // What a node holds changes all the time, and another release brings another page.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
