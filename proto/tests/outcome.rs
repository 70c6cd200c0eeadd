//! Laws of the trailers: what a failure says survives both roads, trailers and stream; what says nothing is unknown.
//!
//! Must never: be edited to fit new names; clients of the release before read the trailers as they stand here.

use std::time::Duration;

use proto::outcome::{self, Hint, Outcome};
use proto::queue::v1::{Failure, FailureOutcome};
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Code, Status};

fn full_hint() -> Hint {
    Hint { leader: Some("10.0.0.2:7100".to_owned()), retry_after: Some(Duration::from_millis(250)), group: Some(3) }
}

fn outcomes() -> Vec<Outcome> {
    vec![
        Outcome::Refused { number: 7 },
        Outcome::Refused { number: outcome::REQUEST_TOO_OLD },
        Outcome::NotApplied(Hint::default()),
        Outcome::NotApplied(full_hint()),
        Outcome::NotApplied(Hint { group: Some(0), ..Hint::default() }),
        Outcome::Unknown(Hint::default()),
        Outcome::Unknown(full_hint()),
    ]
}

#[test]
fn trailers_say_what_was_meant() {
    for meant in outcomes() {
        let status = outcome::with_outcome(Code::FailedPrecondition, "no", &meant);
        assert_eq!(outcome::outcome_of(&status), meant);
    }
}

#[test]
fn stream_and_trailers_say_the_same() {
    for meant in outcomes() {
        let status = outcome::with_outcome(Code::NotFound, "no such queue", &meant);
        let back = outcome::status_of(&outcome::failure_of(&status));
        assert_eq!(outcome::outcome_of(&back), meant);
        assert_eq!((back.code(), back.message()), (Code::NotFound, "no such queue"));
    }
}

#[test]
fn trailers_are_pinned() {
    let cases = [
        (
            outcome::refused(Code::NotFound, 12, "no"),
            Code::NotFound,
            vec![("tercet-outcome", "refused"), ("tercet-refusal", "12")],
        ),
        (
            outcome::not_applied("no", full_hint()),
            Code::Unavailable,
            vec![
                ("tercet-outcome", "not-applied"),
                ("tercet-leader", "10.0.0.2:7100"),
                ("tercet-retry-after-ms", "250"),
                ("tercet-group", "3"),
            ],
        ),
        (outcome::unknown("no", Hint::default()), Code::Unknown, vec![("tercet-outcome", "unknown")]),
    ];
    for (status, code, trailers) in cases {
        assert_eq!(status.code(), code);
        assert_eq!(status.metadata().len(), trailers.len(), "{status:?}");
        for (name, value) in trailers {
            assert_eq!(status.metadata().get(name).and_then(|value| value.to_str().ok()), Some(value), "{name}");
        }
    }
}

#[test]
fn what_says_nothing_is_unknown() {
    let mut refusal_without_number = MetadataMap::new();
    refusal_without_number.insert(outcome::OUTCOME, MetadataValue::from_static("refused"));
    let mut new_word = MetadataMap::new();
    new_word.insert(outcome::OUTCOME, MetadataValue::from_static("postponed"));
    let cases = [
        (Status::unavailable("connection reset"), Outcome::Unknown(Hint::default())),
        (Status::deadline_exceeded("too late"), Outcome::Unknown(Hint::default())),
        (Status::cancelled("stream closed"), Outcome::Unknown(Hint::default())),
        (Status::with_metadata(Code::NotFound, "", refusal_without_number), Outcome::Unknown(Hint::default())),
        (Status::with_metadata(Code::Unimplemented, "", new_word), Outcome::Unknown(Hint::default())),
        (Status::unimplemented("no such call"), Outcome::NotApplied(Hint::default())),
    ];
    for (status, meaning) in cases {
        assert_eq!(outcome::outcome_of(&status), meaning, "{status:?}");
    }
}

#[test]
fn failure_without_outcome_is_unknown() {
    let cases = [
        (Failure::default(), Outcome::Unknown(Hint::default())),
        (Failure { outcome: 99, ..Failure::default() }, Outcome::Unknown(Hint::default())),
        (
            Failure { outcome: FailureOutcome::Refused.into(), refusal: 70_000, ..Failure::default() },
            Outcome::Unknown(Hint::default()),
        ),
    ];
    for (failure, meaning) in cases {
        assert_eq!(outcome::outcome_of(&outcome::status_of(&failure)), meaning, "{failure:?}");
    }
}

#[test]
fn leader_that_cannot_be_a_header_is_left_out() {
    let status = outcome::not_applied("no", Hint { leader: Some("\n".to_owned()), ..Hint::default() });
    assert_eq!(outcome::outcome_of(&status), Outcome::NotApplied(Hint::default()));
}
