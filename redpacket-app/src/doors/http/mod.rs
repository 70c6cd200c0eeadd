//! HTTP: health, readiness, metrics; the phone page and its API.
//!
//! Must never: say "ready" before every group of the node knows a leader.

mod api;
mod assets;
mod convert_json;
mod form;
mod listen;
mod metrics;
mod news;
mod wallet;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::{MethodRouter, get, post};
use proto::traces;
use tokio::net::TcpListener;

use crate::doors::grpc::Door;
use crate::limits::REQUEST_BYTES_MAX;
use crate::node::Slot;

/// Serves until it fails. Errors: text.
pub(crate) async fn serve(listener: TcpListener, door: tls::Door, slot: Slot) -> Result<(), String> {
    let calls = calls().into_iter().fold(Router::new(), |router, (_, path, call)| router.route(path, call));
    // Without traces a call takes no step more; and only what there is has a name in one.
    let calls = if traces::is_on() { calls.layer(from_fn(traced)) } else { calls };
    let phone = calls
        .fallback(form::no_such_call)
        .method_not_allowed_fallback(form::no_such_call)
        .layer(DefaultBodyLimit::max(REQUEST_BYTES_MAX))
        .layer(from_fn_with_state(slot.clone(), form::of_an_address))
        .with_state(Door::new(slot.clone()));
    let router = Router::new()
        .route("/healthz", get(async || "alive\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics::show))
        .with_state(slot)
        .merge(assets::router())
        .merge(phone);
    listen::serve(listener, door, router).await;
    Ok(())
}

/// Every call of the API: how and where it is asked, and who answers.
fn calls() -> [(&'static str, &'static str, MethodRouter<Door>); 22] {
    [
        ("post", "/api/register", post(api::register)),
        ("get", "/api/news", get(news::listen)),
        ("get", "/api/balance", get(api::balance)),
        ("get", "/api/bill", get(api::bill)),
        ("get", "/api/chats", get(api::chats)),
        ("post", "/api/chats", post(api::create_chat)),
        ("post", "/api/join", post(api::join_chat)),
        ("get", "/api/members", get(api::members)),
        ("post", "/api/send", post(api::send)),
        ("get", "/api/order", get(api::order)),
        ("post", "/api/grab", post(api::grab)),
        ("post", "/api/open", post(api::open)),
        ("get", "/api/packet", get(api::packet)),
        ("get", "/api/shown", get(api::shown)),
        ("get", "/api/offered", get(api::offered)),
        ("get", "/api/sent", get(api::sent)),
        ("get", "/api/received", get(api::received)),
        ("get", "/api/pay", get(wallet::show)),
        ("post", "/api/pay", post(wallet::pay)),
        ("post", "/api/pay-password", post(wallet::set_password)),
        ("post", "/api/top-up", post(wallet::top_up)),
        ("post", "/api/take-out", post(wallet::take_out)),
    ]
}

/// A call of a phone, in the trace that its headers say, or in one that begins here.
async fn traced(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    // A stream of news lasts as long as its phone.
    if path == "/api/news" {
        return next.run(request).await;
    }
    let name = format!("{} {path}", request.method());
    let span = traces::arrive(traces::door(request.headers()), name, traces::Kind::Server);
    span.within(next.run(request)).await
}

async fn ready(State(slot): State<Slot>) -> (StatusCode, &'static str) {
    match slot.get() {
        Some(app) if app.is_ready() => (StatusCode::OK, "ready\n"),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    fn contract() -> Value {
        serde_json::from_str(include_str!("../../../web/openapi.json")).expect("the contract is JSON")
    }

    #[test]
    fn the_contract_names_every_call_and_no_other() {
        let contract = contract();
        let paths = contract["paths"].as_object().expect("the contract has paths");
        let said: BTreeSet<(&str, &str)> = paths
            .iter()
            .flat_map(|(path, calls)| {
                calls.as_object().into_iter().flatten().map(|(how, _)| (how.as_str(), path.as_str()))
            })
            .collect();
        assert_eq!(calls().iter().map(|(how, path, _)| (*how, *path)).collect::<BTreeSet<_>>(), said);
    }

    #[test]
    fn every_call_of_the_contract_says_what_it_answers_and_how_it_fails() {
        let contract = contract();
        for (path, calls) in contract["paths"].as_object().expect("the contract has paths") {
            for (how, call) in calls.as_object().expect("a path has calls") {
                let answer = &call["responses"]["200"]["content"];
                let schema = answer.as_object().and_then(|kinds| kinds.values().next()).map(|kind| &kind["schema"]);
                let named = schema.and_then(|schema| schema["$ref"].as_str()).unwrap_or_default();
                let pointer = named.trim_start_matches('#');
                assert!(contract.pointer(pointer).is_some_and(Value::is_object), "{how} {path}: {named}");
                assert!(call["responses"]["default"]["$ref"].is_string(), "{how} {path}");
                assert!(call["summary"].is_string(), "{how} {path}");
            }
        }
    }
}
