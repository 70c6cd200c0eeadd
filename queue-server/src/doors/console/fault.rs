//! What a call of the console ends with when it fails: as on gRPC, refused, not applied, or unknown.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use proto::outcome::{Outcome, outcome_of};
use serde_json::json;
use tonic::{Code, Status};

/// A failure, as the page is told.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    status: StatusCode,
    outcome: &'static str,
    number: u16,
    text: String,
}

impl Fault {
    /// The request itself breaks a rule.
    pub(super) fn form(text: &str) -> Self {
        Self { status: StatusCode::BAD_REQUEST, outcome: "refused", number: 0, text: text.to_owned() }
    }

    /// There is no queue or topic of this name.
    pub(super) fn missing(name: &str) -> Self {
        let text = format!("there is no {name}");
        Self { status: StatusCode::NOT_FOUND, outcome: "refused", number: 0, text }
    }

    /// Nobody can answer now; nothing was changed.
    pub(super) fn unavailable(text: &str) -> Self {
        Self { status: StatusCode::SERVICE_UNAVAILABLE, outcome: "not-applied", number: 0, text: text.to_owned() }
    }

    /// The caller may not.
    pub(super) fn denied(status: StatusCode, text: &str) -> Self {
        Self { status, outcome: "refused", number: 0, text: text.to_owned() }
    }
}

impl From<Status> for Fault {
    fn from(status: Status) -> Self {
        let text = status.message().to_owned();
        match outcome_of(&status) {
            Outcome::Refused { number } => {
                let status = match status.code() {
                    Code::NotFound => StatusCode::NOT_FOUND,
                    Code::FailedPrecondition | Code::AlreadyExists => StatusCode::CONFLICT,
                    Code::PermissionDenied | Code::Unauthenticated => StatusCode::FORBIDDEN,
                    _ => StatusCode::BAD_REQUEST,
                };
                Self { status, outcome: "refused", number, text }
            }
            Outcome::NotApplied(_) => Self::unavailable(&text),
            Outcome::Unknown(_) => Self { status: StatusCode::BAD_GATEWAY, outcome: "unknown", number: 0, text },
        }
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let Self { status, outcome, number, text } = self;
        (status, Json(json!({"error": {"outcome": outcome, "number": number, "text": text}}))).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::outcome::{Hint, not_applied, refused, unknown};

    #[test]
    fn a_failure_says_whether_it_may_have_happened() {
        let table = [
            (refused(Code::NotFound, 7, "x"), (StatusCode::NOT_FOUND, "refused", 7)),
            (refused(Code::FailedPrecondition, 8, "x"), (StatusCode::CONFLICT, "refused", 8)),
            (refused(Code::InvalidArgument, 9, "x"), (StatusCode::BAD_REQUEST, "refused", 9)),
            (not_applied("x", Hint::default()), (StatusCode::SERVICE_UNAVAILABLE, "not-applied", 0)),
            (unknown("x", Hint::default()), (StatusCode::BAD_GATEWAY, "unknown", 0)),
            (Status::unavailable("x"), (StatusCode::BAD_GATEWAY, "unknown", 0)),
        ];
        for (status, (code, outcome, number)) in table {
            let expected = Fault { status: code, outcome, number, text: "x".to_owned() };
            assert_eq!(Fault::from(status), expected);
        }
    }
}
