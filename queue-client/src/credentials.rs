//! The clock by which this process signs its calls.
//!
//! Must never: sign; `proto` does, for clients and nodes alike.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use proto::credentials::KeyFileError;
pub use proto::credentials::{Credentials, Signer};

use crate::error::Error;

/// Signs the calls to the node at `address`, as it is dialled, by this machine's clock; without credentials they pass as
/// they are.
#[must_use]
pub fn signer(credentials: Option<&Credentials>, address: &str) -> Signer {
    let now = || {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    };
    Signer::new(credentials, address, Arc::new(now))
}

impl From<KeyFileError> for Error {
    fn from(error: KeyFileError) -> Self {
        Self::NotApplied { reason: error.to_string() }
    }
}
