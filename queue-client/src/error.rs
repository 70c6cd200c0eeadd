//! The one error of the client. It answers one question: may the call have happened?
//!
//! Must never: grow a variant that does not answer it.

use proto::queue::v1::RequestId;

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The queue said no, for good. Nothing changed, and a repeat would be refused too.
    #[error("refused ({number}): {text}")]
    Refused {
        /// The refusal's number; see the contract's README for the ranges.
        number: u16,
        /// The refusal in words.
        text: String,
    },
    /// The call surely did not happen; it may be made again.
    #[error("not applied: {reason}")]
    NotApplied {
        /// What stood in the way last.
        reason: String,
    },
    /// The call may have happened. [`crate::Client::repeating`] asks again under the same id and cannot do it twice.
    #[error("unknown (request {} of session {} of group {}): {reason}", request.sequence, request.session, request.group)]
    Unknown {
        /// The request's id.
        request: RequestId,
        /// What stood in the way last.
        reason: String,
    },
}
