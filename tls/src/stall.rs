//! A write that nobody reads: it waits for so long, and then it fails.
//!
//! Must never: look at what is written.

use std::future::Future as _;
use std::io::{Error, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Sleep, sleep};

/// The end of the time of the write that waits, if one does.
#[derive(Debug)]
pub struct Stall {
    most: Duration,
    end: Option<Pin<Box<Sleep>>>,
}

impl Stall {
    /// A write waits for so long.
    #[must_use]
    pub const fn new(most: Duration) -> Self {
        Self { most, end: None }
    }

    /// Passes a write's outcome on; one that waits too long fails.
    pub fn timed<T>(&mut self, outcome: Poll<Result<T, Error>>, context: &mut Context<'_>) -> Poll<Result<T, Error>> {
        if outcome.is_ready() {
            self.end = None;
            return outcome;
        }
        let most = self.most;
        let end = self.end.get_or_insert_with(|| Box::pin(sleep(most)));
        ready!(end.as_mut().poll(context));
        Poll::Ready(Err(Error::from(ErrorKind::TimedOut)))
    }
}
