//! Form: what a phone's request must look like before a call sees it.
//!
//! Why: a body that is broken, or giant, or meant for another call is told so in the words of the API.
//!
//! Must never: read more of a body than it may have, or wait for it for ever.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{ConnectInfo, FromRequest, FromRequestParts, Query, Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use proto::outcome::{Hint, not_applied};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::convert_json::Failed;
use super::listen::Caller;
use crate::doors::grpc::convert::packet_status;
use crate::failure::DoorRefusal;
use crate::limits::BODY_MAX;
use crate::node::Slot;

/// A body of JSON. Refuses: `BodyTooLarge`, `BadForm`. Errors: not applied, if it does not come in time.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Failed;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failed> {
        match timeout(BODY_MAX, Json::<T>::from_request(request, state)).await {
            Ok(Ok(Json(body))) => Ok(Self(body)),
            Ok(Err(rejection)) => Err(Failed(packet_status(refusal(&rejection)))),
            Err(_) => Err(Failed(not_applied("the request did not come in time", Hint::default()))),
        }
    }
}

fn refusal(rejection: &JsonRejection) -> DoorRefusal {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE { DoorRefusal::BodyTooLarge } else { DoorRefusal::BadForm }
}

/// What stands behind the question mark of an address. Refuses: `BadForm`.
pub(super) struct Asking<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asking<T> {
    type Rejection = Failed;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failed> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(asked)) => Ok(Self(asked)),
            Err(_) => Err(Failed(packet_status(DoorRefusal::BadForm))),
        }
    }
}

/// Lets a request pass, if its address may ask once more. Errors: `Busy`.
pub(super) async fn of_an_address(
    State(slot): State<Slot>,
    ConnectInfo(Caller(address)): ConnectInfo<Caller>,
    request: Request,
    next: Next,
) -> Result<Response, Failed> {
    if let Some(app) = slot.get() {
        app.entrance.pass(address.ip()).map_err(packet_status)?;
    }
    Ok(next.run(request).await)
}

/// The answer where there is no such call. Refuses: `CallUnknown`.
pub(super) async fn no_such_call() -> Failed {
    Failed(packet_status(DoorRefusal::CallUnknown))
}
