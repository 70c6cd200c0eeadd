//! What can go wrong with a measurement.
//!
//! Must never: be swallowed into a figure. A phase that failed leaves no record, or one that counts its errors.

use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};

/// Why something was not measured.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A client's call failed.
    #[error("{what}: {reason}")]
    Call {
        /// What was asked.
        what: &'static str,
        /// What came back.
        reason: String,
    },
    /// A file or a program.
    #[error("{path}: {source}")]
    On {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Nodes did not get ready.
    #[error("{what} was not ready in time; see {log}")]
    NotReady {
        /// What was waited for.
        what: String,
        /// Where its nodes say why.
        log: PathBuf,
    },
    /// The plan cannot be carried out here.
    #[error("{0}")]
    Impossible(String),
    /// A signal ended the run.
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// For `map_err`: a call failed.
    pub(crate) fn call<E: Display>(what: &'static str) -> impl Fn(E) -> Self {
        move |error| Self::Call { what, reason: error.to_string() }
    }

    /// For `map_err`: a file or a program failed.
    pub(crate) fn on(path: &Path) -> impl Fn(io::Error) -> Self + '_ {
        move |source| Self::On { path: path.to_owned(), source }
    }
}
