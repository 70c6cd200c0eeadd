//! A write that nobody reads: it waits for so long, and then it fails.
//!
//! Must never: look at what is written.

use std::future::Future as _;
use std::io::{Error, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::time::{Sleep, sleep};

use crate::doors::limits::STALL_MAX;

/// The end of the time of the write that waits, if one does.
#[derive(Default)]
pub(super) struct Stall(Option<Pin<Box<Sleep>>>);

impl Stall {
    /// Passes a write's outcome on; one that waits too long fails.
    pub(super) fn timed<T>(
        &mut self,
        outcome: Poll<Result<T, Error>>,
        context: &mut Context<'_>,
    ) -> Poll<Result<T, Error>> {
        if outcome.is_ready() {
            self.0 = None;
            return outcome;
        }
        let end = self.0.get_or_insert_with(|| Box::pin(sleep(STALL_MAX)));
        ready!(end.as_mut().poll(context));
        Poll::Ready(Err(Error::from(ErrorKind::TimedOut)))
    }
}
