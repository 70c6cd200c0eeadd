//! Why there is no TLS.
//!
//! Must never: hold a part of a key.

/// What is wrong with a folder of certificates.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or is no PEM file of the right kind.
    #[error("{file}: {what}")]
    File {
        /// The file.
        file: String,
        /// What is wrong with it.
        what: String,
    },
    /// Others than its owner and its group may read the key.
    #[error("{file}: anybody may read this key (mode {mode:o}); chmod 600 it")]
    KeyIsOpen {
        /// The file.
        file: String,
        /// Its mode.
        mode: u32,
    },
    /// The certificate is not good for what it is for: expired, of another authority, not of this key.
    #[error("{file}: the certificate is not good: {what}")]
    Certificate {
        /// The file.
        file: String,
        /// Why not.
        what: String,
    },
    /// The certificate is another's.
    #[error("{file}: the certificate is not for {wanted}; it is for: {found}")]
    OtherName {
        /// The file.
        file: String,
        /// Whose it should be.
        wanted: String,
        /// Whose it is.
        found: String,
    },
}

impl TlsError {
    pub(crate) fn file(file: &std::path::Path, what: &(impl ToString + ?Sized)) -> Self {
        Self::File { file: file.display().to_string(), what: what.to_string() }
    }

    pub(crate) fn certificate(file: &std::path::Path, what: &(impl ToString + ?Sized)) -> Self {
        Self::Certificate { file: file.display().to_string(), what: what.to_string() }
    }
}
