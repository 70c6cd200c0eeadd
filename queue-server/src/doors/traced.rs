//! Traces at the doors: a message carries its trace in a header, and what is done to it here joins that trace.
//!
//! ```text
//!  header traceparent, or the call's ─> "send" ─> "propose" ─> "fsync"        one for each message that is of a trace
//!  header traceparent                ─> "receive" ─> "propose" ─> "fsync"
//! ```
//!
//! Why at the doors: the machine keeps the header as any other and never looks at it.
//!
//! Must never: change what is kept of a message that a client has marked, or cost anything where traces are off.

use std::time::Instant;

use proto::traces::{Context, Given, Kind, Span, TRACEPARENT, arrive, follow, is_on};
use queue_core::limits::HEADERS_MAX;
use queue_core::{Header, NewMessage};
use replica::{Fsyncs, Receipt, Replica};

/// Messages of one call that are followed.
const FOLLOWED_MAX: usize = 16;

/// The spans of the messages of one send.
#[derive(Debug, Default)]
pub(crate) struct Sends(Vec<Span>);

impl Sends {
    /// Begins a span for each message that is of a trace. A call that brings none begins one, as often as the node was told,
    /// with its first message, which is marked.
    pub(crate) fn of(queue: &str, messages: &mut [NewMessage]) -> Self {
        if !is_on() {
            return Self::default();
        }
        let mut spans = Vec::new();
        let mut may_begin = true;
        for message in messages.iter_mut().take(FOLLOWED_MAX) {
            let given = given(&message.headers);
            let mut span = match given {
                Given::Nothing if may_begin => {
                    may_begin = false;
                    arrive(given, "queue.send", Kind::Server)
                }
                given => follow(given, "queue.send", Kind::Server),
            };
            let Some(context) = span.context() else { continue };
            if given == Given::Nothing && message.headers.len() < HEADERS_MAX {
                message.headers.push(Header { name: TRACEPARENT.to_owned(), value: context.line() });
            }
            span.text("messaging.destination.name", queue);
            spans.push(span);
        }
        Self(spans)
    }

    /// Begins a span for messages that bring no headers, if the call is of a trace or begins one.
    pub(crate) fn bare(queue: &str) -> Self {
        let mut span = arrive(Given::Nothing, "queue.send", Kind::Server);
        span.text("messaging.destination.name", queue);
        Self(Some(span).filter(Span::is_some).into_iter().collect())
    }

    /// What marks the first of such messages.
    pub(crate) fn mark(&self) -> Option<Context> {
        self.0.first().and_then(Span::context)
    }

    /// Proposes within the spans, which have failed if that has.
    pub(crate) async fn proposed<T, E>(
        mut self,
        replica: &Replica,
        propose: impl Future<Output = Result<T, E>>,
        receipt: impl Fn(&T) -> Receipt,
    ) -> Result<T, E> {
        let began = Instant::now();
        let applied = propose.await;
        if !self.0.is_empty() {
            let (times, fsyncs) = ((began, Instant::now()), replica.recent_fsyncs());
            for span in &mut self.0 {
                match &applied {
                    Ok(applied) => parts(span, Some(&fsyncs), &receipt(applied), times),
                    Err(_) => span.fail(),
                }
            }
        }
        applied
    }
}

/// Marks the first of new messages with where its trace is, if it is of one.
pub(crate) fn mark(messages: &mut [NewMessage], context: Option<Context>) {
    if let Some((first, context)) = messages.first_mut().zip(context) {
        first.headers.push(Header { name: TRACEPARENT.to_owned(), value: context.line() });
    }
}

/// A receive that was proposed.
pub(crate) struct Asked<'a> {
    pub(crate) queue: &'a str,
    /// None where another node may lead.
    pub(crate) fsyncs: Option<Fsyncs>,
    pub(crate) began: Instant,
    pub(crate) receipt: Receipt,
}

/// Tells of the messages of a receive that are of a trace, each by what its header says.
pub(crate) fn received<'a>(asked: &Asked<'_>, headers: impl Iterator<Item = Option<&'a str>>) {
    if !is_on() {
        return;
    }
    let ended = Instant::now();
    for line in headers.take(FOLLOWED_MAX).flatten() {
        let followed = follow(Given::read(line), "queue.receive", Kind::Server);
        let mut span = followed.since(asked.began);
        span.text("messaging.destination.name", asked.queue);
        parts(&span, asked.fsyncs.as_ref(), &asked.receipt, (asked.began, ended));
    }
}

/// What the header of a stored message says.
pub(crate) fn line_of(headers: &[Header]) -> Option<&str> {
    headers.iter().find(|header| header.name == TRACEPARENT).map(|header| header.value.as_str())
}

fn given(headers: &[Header]) -> Given {
    line_of(headers).map_or(Given::Nothing, Given::read)
}

fn parts(span: &Span, fsyncs: Option<&Fsyncs>, receipt: &Receipt, times: (Instant, Instant)) {
    let mut propose = span.part("propose", times);
    propose.number("tercet.group", u64::from(receipt.group.0));
    propose.number("tercet.index", receipt.index);
    if let Some(fsync) = fsyncs.and_then(|fsyncs| fsyncs.of(receipt.group, receipt.index)) {
        drop(propose.part("fsync", (fsync.began, fsync.ended)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_traces_are_off_messages_stay_as_they_are() {
        let mut messages = vec![NewMessage::default()];
        assert!(Sends::of("q", &mut messages).0.is_empty());
        assert_eq!(messages, [NewMessage::default()]);
    }

    #[test]
    fn a_message_says_its_trace_by_one_header() {
        let header = |name: &str, value: &str| Header { name: name.to_owned(), value: value.to_owned() };
        for (headers, expected) in [
            (vec![], None),
            (vec![header("other", "x")], None),
            (vec![header("other", "x"), header(TRACEPARENT, "y")], Some("y")),
        ] {
            assert_eq!(line_of(&headers), expected);
        }
    }
}
