//! CMQ's API 2.0 over HTTP, for the SDKs that people already have: `/v2/index.php`, and `/` for the official Go SDK.
//!
//! ```text
//!  request ─> body (bounded) ─> form ─> action ─> key, signature, right ─> memory ─> action.run ─> Broker
//!                                                                              └──> JSON, always with HTTP 200
//! ```
//!
//! Must never: answer with another status than 200, or run an action for a caller whose signature and right were not
//! checked.

mod actions;
mod answers;
mod body;
mod form;
mod memory;
mod message_actions;
mod params;
mod queue_actions;
mod signature;
#[cfg(test)]
mod tests;
mod topic_actions;
mod written;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONNECTION, CONTENT_TYPE, HOST};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method};
use axum::response::Response;
use axum::routing::any;
use bytes::Bytes;

use self::actions::Action;
use self::answers::Fields;
use self::body::{Buffers, Whole};
use self::form::Pair;
use self::memory::{Begun, Memory, Ticket};
use self::params::Params;
use self::signature::Signed;
pub(crate) use self::signature::is_mac;
pub(crate) use self::written::Slot;
use self::written::Told;
use proto::traces;
use queue_core::Right;

use super::cmq::{Broker, Caller, Flaw, Said, no};
use super::keys::KeyRing;

/// What the door needs.
pub(crate) struct CmqHttp {
    broker: Arc<dyn Broker>,
    keys: Arc<KeyRing>,
    memory: Arc<Memory>,
    buffers: Buffers,
}

/// A call that may be run.
struct Call {
    action: Action,
    pairs: Vec<Pair>,
    /// Under which a repeat of it is known, if it changes anything.
    name: Option<memory::Name>,
}

impl CmqHttp {
    pub(crate) fn new(broker: Arc<dyn Broker>, keys: Arc<KeyRing>) -> Self {
        Self { broker, keys, memory: Arc::default(), buffers: Buffers::default() }
    }

    /// The routes of the API.
    pub(crate) fn router(self) -> Router {
        Router::new().route("/v2/index.php", any(serve)).route("/", any(serve)).with_state(Arc::new(self))
    }

    /// Finds out what is asked and whether the caller may. Flaws, in their order: method, form, action, key, signature,
    /// right.
    fn admit(&self, parts: &Parts, body: &[u8]) -> Said<Call> {
        Flaw::unless(matches!(parts.method, Method::GET | Method::POST), no::METHOD.about(parts.method.as_str()))?;
        let pairs = form::parse(parts.uri.query().unwrap_or_default().as_bytes(), body)?;
        let params = Params::new(&pairs);
        let action = Action::named(params.text("Action").ok_or(no::NO_ACTION)?)?;
        let id = params.required("SecretId")?;
        params.required("Signature")?;
        Flaw::unless(id.starts_with("AKID"), no::SECRET_ID)?;
        let (key, now) = self.keys.find(id).ok_or(no::NO_SECRET_ID)?;
        let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let signed = Signed { method: parts.method.as_str(), host, path: parts.uri.path(), pairs: &pairs };
        Flaw::unless(signed.is_signed_by(key.secrets(now)), no::SIGNATURE)?;
        let on = if action.on.is_empty() { "" } else { params.required(action.on)? };
        Flaw::unless(key.allows(action.right, on), no::NO_RIGHT)?;
        let into = action.flows_into().and_then(|name| params.text(name)).unwrap_or_default();
        // An address is no queue.
        let is_queue = !into.is_empty() && !into.contains("://");
        Flaw::unless(!is_queue || key.allows(Right::Send, into), no::NO_RIGHT)?;
        let name = if action.is_change() { memory::name(&pairs) } else { None };
        Ok(Call { action, pairs, name })
    }

    /// Runs a call to its end whatever becomes of its caller, who may come back for the answer.
    async fn run(&self, call: Call, request_id: String) -> (Bytes, Option<Ticket>) {
        let name = call.name.clone();
        let run = match self.memory.begin(call.name) {
            Begun::First(run) => run,
            Begun::Again(mut answer) => {
                let ticket = name.map(|name| Ticket::again(&self.memory, name));
                let answer = answer.wait_for(Option::is_some).await.ok().and_then(|answer| answer.clone());
                // The first one ended without an answer: nobody knows what it did.
                return (answer.unwrap_or_else(|| text(Err(no::UNKNOWN.into()), &request_id)), ticket);
            }
        };
        let (ticket, mut answer) = (run.ticket(), run.answer());
        let (sign, caller) = Caller::new();
        let broker = Arc::clone(&self.broker);
        let id = request_id.clone();
        let trace = traces::current();
        tokio::spawn(async move {
            let outcome = traces::under(trace, call.action.run(&Params::new(&call.pairs), &*broker, caller)).await;
            let is_kept = outcome.is_ok();
            run.end(&text(outcome, &id), is_kept);
        });
        let answer = answer.wait_for(Option::is_some).await.ok().and_then(|answer| answer.clone());
        drop(sign);
        (answer.unwrap_or_else(|| text(Err(no::UNKNOWN.into()), &request_id)), ticket)
    }
}

fn text(outcome: Said<Fields>, request_id: &str) -> Bytes {
    Bytes::from(answers::body(outcome, request_id))
}

async fn serve(State(door): State<Arc<CmqHttp>>, request: Request) -> Response {
    let request_id = rand::random::<u64>().to_string();
    let (parts, body) = request.into_parts();
    let slot = parts.extensions.get::<Slot>().cloned().unwrap_or_default();
    let whole = door.buffers.read(body).await;
    let is_cut = whole.is_err();
    let admitted = whole.and_then(|Whole { bytes, held }| Ok((door.admit(&parts, &bytes)?, held)));
    let (answer, ticket) = match admitted {
        Ok((call, held)) => {
            let span = traces::follow(traces::door(&parts.headers), "cmq.call", traces::Kind::Server);
            let answered = span.within(door.run(call, request_id)).await;
            drop(held);
            answered
        }
        Err(flaw) => (text(Err(flaw), &request_id), None),
    };
    let mut response = Response::new(Body::new(Told::new(answer, ticket, slot)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    if is_cut {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
