//! Spans: one deed each, and the context that what it causes goes on from.
//!
//! Why a context of the task: a call walks through many hands between its door and its deeds, and none of them shall name
//! what it only carries. A task of its own is told with [`under`].
//!
//! Must never: cost anything where traces are off, or where a call is not recorded.

use std::borrow::Cow;
use std::time::Instant;

use tonic::codegen::http::HeaderMap;

use super::buffer::{self, is_on};
use super::context::{Context, Given, TRACEPARENT};
use super::otlp::SpanKind;
use crate::limits::{ATTRIBUTE_BYTES_MAX, ATTRIBUTES_MAX};

tokio::task_local! {
    static CURRENT: Option<Context>;
}

/// On which side of a call a span stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Within a process.
    Within,
    /// Answers a call.
    Server,
    /// Sends a message.
    Producer,
    /// Works on a message.
    Consumer,
}

impl Kind {
    pub(super) const fn wire(self) -> SpanKind {
        match self {
            Self::Within => SpanKind::Internal,
            Self::Server => SpanKind::Server,
            Self::Producer => SpanKind::Producer,
            Self::Consumer => SpanKind::Consumer,
        }
    }
}

/// A particular of a span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Number(u64),
}

/// What is told of a span that has ended.
#[derive(Clone, Debug)]
pub(super) struct Deed {
    pub(super) context: Context,
    /// 0: none.
    pub(super) parent: u64,
    pub(super) name: Cow<'static, str>,
    pub(super) kind: Kind,
    pub(super) began: Instant,
    /// `None`: now.
    pub(super) ended: Option<Instant>,
    pub(super) attributes: Vec<(&'static str, Value)>,
    pub(super) has_failed: bool,
}

/// A deed under way; it ends when it is dropped. Most are of no trace, and nothing.
#[derive(Debug, Default)]
#[must_use = "a span lasts as long as it is held"]
pub struct Span(Option<Box<Deed>>);

impl Span {
    /// A span of no trace.
    pub const NONE: Self = Self(None);

    fn open(parent: Option<Context>, name: Cow<'static, str>, kind: Kind, began: Instant) -> Self {
        let trace = parent.map_or_else(|| rand::random::<u128>().max(1), |parent| parent.trace);
        let context = Context { trace, span: rand::random::<u64>().max(1) };
        Self(Some(Box::new(Deed {
            context,
            parent: parent.map_or(0, |parent| parent.span),
            name,
            kind,
            began,
            ended: None,
            attributes: Vec::new(),
            has_failed: false,
        })))
    }

    /// Whether it is of a trace.
    #[must_use]
    pub const fn is_some(&self) -> bool {
        self.0.is_some()
    }

    /// What its consequences go on from.
    #[must_use]
    pub fn context(&self) -> Option<Context> {
        self.0.as_ref().map(|deed| deed.context)
    }

    /// The same span, begun at `began`.
    pub fn since(mut self, began: Instant) -> Self {
        if let Some(deed) = self.0.as_deref_mut() {
            deed.began = began;
        }
        self
    }

    /// The same span under the name of what was called.
    pub fn called(mut self, name: &str) -> Self {
        if let Some(deed) = self.0.as_deref_mut() {
            deed.name = Cow::Owned(name.chars().take(ATTRIBUTE_BYTES_MAX).collect());
        }
        self
    }

    /// Adds a name, cut where it is long.
    pub fn text(&mut self, key: &'static str, value: &str) {
        if let Some(deed) = self.room() {
            let cut = value.floor_char_boundary(ATTRIBUTE_BYTES_MAX);
            deed.attributes.push((key, Value::Text(value.get(..cut).unwrap_or_default().to_owned())));
        }
    }

    /// Adds a number.
    pub fn number(&mut self, key: &'static str, value: u64) {
        if let Some(deed) = self.room() {
            deed.attributes.push((key, Value::Number(value)));
        }
    }

    fn room(&mut self) -> Option<&mut Deed> {
        self.0.as_deref_mut().filter(|deed| deed.attributes.len() < ATTRIBUTES_MAX)
    }

    /// It did not end well.
    pub fn fail(&mut self) {
        if let Some(deed) = self.0.as_deref_mut() {
            deed.has_failed = true;
        }
    }

    /// A part of it that is over: from `began` to `ended`.
    pub fn part(&self, name: &'static str, (began, ended): (Instant, Instant)) -> Self {
        let Some(deed) = &self.0 else { return Self::NONE };
        let mut part = Self::open(Some(deed.context), Cow::Borrowed(name), Kind::Within, began);
        if let Some(deed) = part.0.as_deref_mut() {
            deed.ended = Some(ended);
        }
        part
    }

    /// Does `work` within this span, which ends with it.
    pub async fn within<T>(self, work: impl Future<Output = T>) -> T {
        let Some(context) = self.context() else { return work.await };
        CURRENT.scope(Some(context), Box::pin(work)).await
    }

    /// Does `work` within this span, which ends with it, and has failed if the work has.
    pub async fn around<T, E>(mut self, work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let Some(context) = self.context() else { return work.await };
        let done = CURRENT.scope(Some(context), Box::pin(work)).await;
        if done.is_err() {
            self.fail();
        }
        done
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if let Some(mut deed) = self.0.take() {
            deed.ended.get_or_insert_with(Instant::now);
            buffer::keep(deed);
        }
    }
}

/// Where this task is in a trace. `None`: in none.
#[must_use]
pub fn current() -> Option<Context> {
    if !is_on() {
        return None;
    }
    CURRENT.try_with(|current| *current).ok().flatten()
}

/// The line of where this task is; empty: in no trace.
#[must_use]
pub fn line() -> String {
    current().map_or_else(String::new, Context::line)
}

/// Puts where this task is into headers that say nothing of it yet.
pub fn mark(headers: &mut std::collections::BTreeMap<String, String>) {
    if let Some(current) = current() {
        headers.entry(TRACEPARENT.to_owned()).or_insert_with(|| current.line());
    }
}

/// Does `work`, on whatever task, from a place in a trace on.
pub async fn under<T>(context: Option<Context>, work: impl Future<Output = T>) -> T {
    match context {
        None => work.await,
        Some(_) => CURRENT.scope(context, Box::pin(work)).await,
    }
}

/// A part of what this task does, if that is of a trace.
pub fn child(name: &'static str, kind: Kind) -> Span {
    current().map_or(Span::NONE, |parent| Span::open(Some(parent), Cow::Borrowed(name), kind, Instant::now()))
}

/// What follows from somewhere else, if that was of a trace.
pub fn follow(given: Given, name: &'static str, kind: Kind) -> Span {
    match given {
        Given::Recorded(parent) if is_on() => Span::open(Some(parent), Cow::Borrowed(name), kind, Instant::now()),
        Given::Recorded(_) | Given::Unrecorded | Given::Nothing => Span::NONE,
    }
}

/// What comes in: it goes on from its caller, or from this task, or begins a trace, as often as was asked for.
pub fn arrive(given: Given, name: impl Into<Cow<'static, str>>, kind: Kind) -> Span {
    if !is_on() {
        return Span::NONE;
    }
    let parent = match given {
        Given::Unrecorded => return Span::NONE,
        Given::Recorded(parent) => Some(parent),
        Given::Nothing => current(),
    };
    if parent.is_none() && !buffer::is_chosen(rand::random()) {
        return Span::NONE;
    }
    Span::open(parent, name.into(), kind, Instant::now())
}

/// What the headers of a call say of its trace.
#[must_use]
pub fn door(headers: &HeaderMap) -> Given {
    let line = headers.get(TRACEPARENT).filter(|_| is_on()).and_then(|line| line.to_str().ok());
    line.map_or(Given::Nothing, Given::read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn where_traces_are_off_nothing_is_of_a_trace() {
        let given = Given::Recorded(Context { trace: 1, span: 1 });
        assert!(!arrive(given, "a", Kind::Server).is_some() && !follow(given, "a", Kind::Server).is_some());
        let work = async { (current(), line(), child("b", Kind::Within).is_some()) };
        assert_eq!(under(Some(Context { trace: 1, span: 1 }), work).await, (None, String::new(), false));
    }
}
