//! Lines to the app's HTTP doors: connections that are kept, as a phone network's gateway keeps them.
//!
//! Why so many of them: a crowd that waits for its own lines would hide from the app that it is overloaded. Why an answer
//! is read no further than it is needed: this program shares a machine with the servers that it measures.
//!
//! Must never: repeat a call by itself. Whoever makes it knows its ids.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::limits::{ANSWER_BYTES_MAX, LINES_PER_NODE, PAGE_MAX, PHONE_PATIENCE};
use crate::link;

/// What a phone asks.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// Path and query.
    pub(crate) path: String,
    /// The session.
    pub(crate) token: Option<String>,
    /// Of a POST; `None` makes it a GET.
    pub(crate) body: Option<Value>,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    /// It was done; what was said, unread.
    Done(Bytes),
    /// No, for good: sold out, opened already.
    Refused(String),
    /// Sent away because too much is asked; the time after which to come back, if it was told.
    Shed(Option<Duration>),
    /// No answer, or one that says "unknown".
    Failed(String),
}

#[derive(Debug)]
struct Node {
    address: String,
    idle: Mutex<Vec<SendRequest<Full<Bytes>>>>,
    places: Semaphore,
}

impl Answer {
    /// What a call that was done said; null for any other.
    pub(crate) fn said(&self) -> Value {
        match self {
            Self::Done(body) => serde_json::from_slice(body).unwrap_or(Value::Null),
            _ => Value::Null,
        }
    }
}

/// Connections to all app nodes.
#[derive(Debug)]
pub(crate) struct Lines {
    nodes: Vec<Node>,
    turn: AtomicUsize,
}

impl Lines {
    /// Lines to these HTTP addresses; nothing is connected yet.
    pub(crate) fn new(addresses: impl IntoIterator<Item = String>) -> Self {
        let node = |address| Node { address, idle: Mutex::default(), places: Semaphore::new(LINES_PER_NODE) };
        Self { nodes: addresses.into_iter().map(node).collect(), turn: AtomicUsize::new(0) }
    }

    /// A page of every node that shows it, with the node's number.
    pub(crate) async fn pages(&self, path: &str) -> Vec<(usize, String)> {
        let call = Call { path: path.to_owned(), token: None, body: None };
        let pages = self.nodes.iter().enumerate().map(|(number, node)| {
            let call = &call;
            async move {
                // On a line of its own: it does not wait behind the crowd.
                let page = async {
                    let mut line = node.dial().await.ok()?;
                    let reply = line.send_request(node.request(call).ok()?).await.ok()?;
                    let body = Limited::new(reply.into_body(), ANSWER_BYTES_MAX).collect().await.ok()?;
                    Some(String::from_utf8_lossy(&body.to_bytes()).into_owned())
                };
                Some((number, timeout(PAGE_MAX, page).await.ok().flatten()?))
            }
        });
        join_all(pages).await.into_iter().flatten().collect()
    }

    /// Opens a stream at one of the nodes, on a connection of its own; its bytes as they come. Errors: text.
    pub(crate) async fn stream(&self, number: usize, call: &Call) -> Result<Incoming, String> {
        let node = &self.nodes[number % self.nodes.len().max(1)];
        let mut line = node.dial().await?;
        let request = node.request(call).map_err(|error| error.to_string())?;
        let reply = line.send_request(request).await.map_err(|error| error.to_string())?;
        if reply.status() == StatusCode::OK { Ok(reply.into_body()) } else { Err(reply.status().to_string()) }
    }

    /// Asks the next node in turn; one that cannot be reached has not been asked, and the one after it is.
    pub(crate) async fn ask(&self, call: &Call) -> Answer {
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        let mut last = "there is no app node".to_owned();
        for step in 0..self.nodes.len() {
            let node = &self.nodes[(first + step) % self.nodes.len()];
            match timeout(PHONE_PATIENCE, node.ask(call)).await {
                Ok(Ok(answer)) => return answer,
                Ok(Err(unreachable)) => last = unreachable,
                Err(_) => return Answer::Failed("no answer in time".to_owned()),
            }
        }
        Answer::Failed(last)
    }
}

impl Node {
    /// Errors: the node was not reached, so nothing was asked.
    async fn ask(&self, call: &Call) -> Result<Answer, String> {
        let Ok(_place) = self.places.acquire().await else { return Err("closed".to_owned()) };
        let idle = self.idle().pop().filter(SendRequest::is_ready);
        let mut line = match idle {
            Some(line) => line,
            None => self.dial().await?,
        };
        let request = match self.request(call) {
            Ok(request) => request,
            Err(error) => return Ok(Answer::Failed(error.to_string())),
        };
        let reply = match line.send_request(request).await {
            Ok(reply) => reply,
            Err(error) => return Ok(Answer::Failed(error.to_string())),
        };
        let status = reply.status();
        let after = reply.headers().get(header::RETRY_AFTER).and_then(|after| after.to_str().ok()?.parse().ok());
        let body = match Limited::new(reply.into_body(), ANSWER_BYTES_MAX).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) => return Ok(Answer::Failed(error.to_string())),
        };
        self.idle().push(line);
        Ok(answer(status, after.map(Duration::from_secs), body))
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<SendRequest<Full<Bytes>>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn dial(&self) -> Result<SendRequest<Full<Bytes>>, String> {
        let stream = link::http(&self.address).await.map_err(|error| error.to_string())?;
        let (line, connection) = handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a line is broken");
            }
        });
        Ok(line)
    }

    fn request(&self, call: &Call) -> Result<Request<Full<Bytes>>, http::Error> {
        let method = if call.body.is_some() { Method::POST } else { Method::GET };
        let mut request = Request::builder().method(method).uri(&call.path).header(header::HOST, &self.address);
        if let Some(token) = &call.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if call.body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let body = call.body.as_ref().map_or_else(Bytes::new, |body| Bytes::from(body.to_string()));
        request.body(Full::new(body))
    }
}

fn answer(status: StatusCode, after: Option<Duration>, body: Bytes) -> Answer {
    match status {
        StatusCode::OK => return Answer::Done(body),
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => return Answer::Shed(after),
        _ => {}
    }
    let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let text = || body["text"].as_str().unwrap_or("").to_owned();
    match body["outcome"].as_str() {
        Some("refused") => Answer::Refused(text()),
        Some("not-applied") => Answer::Shed(after),
        _ => Answer::Failed(format!("{status}: {}", text())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_what_its_status_and_outcome_say() {
        let shed = Answer::Shed(Some(Duration::from_secs(1)));
        let table = [
            (200, "{}", Answer::Done(Bytes::from_static(b"{}"))),
            (409, r#"{"outcome":"refused","text":"sold out"}"#, Answer::Refused("sold out".to_owned())),
            (503, r#"{"outcome":"not-applied"}"#, shed.clone()),
            (429, "", shed.clone()),
            (500, r#"{"outcome":"not-applied"}"#, shed),
            (504, r#"{"outcome":"unknown","text":"?"}"#, Answer::Failed("504 Gateway Timeout: ?".to_owned())),
            (502, "<html>", Answer::Failed("502 Bad Gateway: ".to_owned())),
        ];
        for (status, body, expected) in table {
            let status = StatusCode::from_u16(status).expect("a status");
            let found = answer(status, Some(Duration::from_secs(1)), Bytes::from(body));
            assert_eq!(found, expected, "{status} {body}");
        }
    }
}
