//! Why a measurement could not be made.
//!
//! Must never: stand for a credit that failed; those are counted, and the measurement goes on.

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// A program is missing, or ended with an error.
    #[error("{program}: {text}")]
    Program {
        /// Which.
        program: String,
        /// What it said.
        text: String,
    },
    /// A database did not answer where it must.
    #[error("PostgreSQL: {}", reason(.0))]
    Database(#[from] tokio_postgres::Error),
    /// The system.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

impl Failure {
    pub(crate) fn program(program: &str, text: impl Into<String>) -> Self {
        Self::Program { program: program.to_owned(), text: text.into() }
    }
}

/// What the server said, or what became of the connection.
fn reason(error: &tokio_postgres::Error) -> String {
    error.as_db_error().map_or_else(|| error.to_string(), ToString::to_string)
}
