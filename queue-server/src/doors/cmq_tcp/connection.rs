//! One connection: a reader, a writer, and between them the calls under way.
//!
//! Calls begin in the order they came, so the sends of one producer stay in their order; what one waits for (an fsync, a
//! message) holds up no other. Each answer carries the number of its question.
//!
//! Must never: read on while as much is under way as may be, or wait for a client that does not read.

use std::collections::BTreeSet;
use std::io::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use prost::Message as _;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::calls::{Desk, failed, reply_to};
use super::frame::{self, ENVELOPE_BYTES_MAX, STRANGER_BYTES_MAX};
use super::login::Login;
use super::wire::{Envelope, Query};
use super::{cmd, result};
use crate::doors::budget::{Budget, Holding};
use crate::doors::cmq::{ANSWER_MAX, Broker, Caller, CheckBack, no};
use crate::doors::keys::KeyRing;
use crate::doors::limits::STALL_MAX;

/// Calls under way on one connection.
const CALLS_MAX: usize = 256;
/// Bytes of the calls under way on one connection.
const CALL_BYTES_MAX: usize = 8 * ENVELOPE_BYTES_MAX;
/// Answers that wait for a client that does not read.
const ANSWERS_WAITING_MAX: usize = 8;
/// Queues of half messages that one connection is asked about.
const HALF_QUEUES_MAX: usize = 64;
/// A connection without a login is closed after this.
const LOGIN_MAX: Duration = Duration::from_secs(10);
/// A connection that says nothing for this long is gone: clients that are idle send a heartbeat every 3 s.
const IDLE_MAX: Duration = Duration::from_secs(60);
/// Pause before half messages are looked for again when there were none.
const CHECK_PAUSE: Duration = Duration::from_secs(1);

/// A call's answer; `None`: none is wanted.
struct Answered {
    envelope: Option<Envelope>,
    bytes: usize,
    /// A queue that took half messages.
    half_queue: Option<String>,
}

type UnderWay = FuturesUnordered<BoxFuture<'static, Answered>>;

struct Connection {
    broker: Arc<dyn Broker>,
    keys: Arc<KeyRing>,
    login: Option<Login>,
    limit: Arc<AtomicUsize>,
    answers: mpsc::Sender<Unread>,
    unread: Budget,
    under_way: UnderWay,
    bytes_under_way: usize,
    half_queues: BTreeSet<String>,
}

/// Serves a connection until it ends.
pub(super) async fn serve<S>(stream: S, broker: Arc<dyn Broker>, keys: Arc<KeyRing>, unread: Budget)
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let (reader, writer) = tokio::io::split(stream);
    let (answers, waiting) = mpsc::channel(ANSWERS_WAITING_MAX);
    let (asks, mut asked) = mpsc::channel(1);
    let limit = Arc::new(AtomicUsize::new(STRANGER_BYTES_MAX));
    let reading = tokio::spawn(read(reader, Arc::clone(&limit), asks));
    let writing = tokio::spawn(write(writer, waiting));
    let mut connection = Connection {
        broker,
        keys,
        login: None,
        limit,
        answers,
        unread,
        under_way: FuturesUnordered::new(),
        bytes_under_way: 0,
        half_queues: BTreeSet::new(),
    };
    let ended = connection.run(&mut asked).await;
    reading.abort();
    drop(connection);
    if ended.is_err() {
        writing.abort();
    }
    // What was answered still leaves.
    let _ = writing.await;
}

/// An answer that waits for its client, and its part of what all of them may hold.
type Unread = (Bytes, Holding);

/// The client takes no more answers, or there is no room for them.
struct Gone;

impl Connection {
    async fn run(&mut self, asked: &mut mpsc::Receiver<Envelope>) -> Result<(), Gone> {
        let (sign, caller) = Caller::new();
        let login_by = Instant::now() + LOGIN_MAX;
        let mut checks = self.check_backs();
        loop {
            let has_room = self.under_way.len() < CALLS_MAX && self.bytes_under_way < CALL_BYTES_MAX;
            let far = Instant::now() + IDLE_MAX;
            let until = if self.login.is_some() { far } else { login_by };
            tokio::select! {
                biased;
                Some(answered) = self.under_way.next(), if !self.under_way.is_empty() => {
                    if self.settle(answered).await? {
                        checks = self.check_backs();
                    }
                }
                ask = timeout_at(until, asked.recv()), if has_room => match ask {
                    Ok(Some(ask)) => if self.begin(ask, &caller).await? {
                        checks = self.check_backs();
                    },
                    Ok(None) => break,
                    Err(_) if self.login.is_some() => {}
                    Err(_) => return Ok(()),
                },
                list = &mut checks => {
                    self.ask_about(list).await?;
                    checks = self.check_backs();
                }
            }
        }
        // Nobody waits for polls any more; what was begun is done to its end.
        drop(sign);
        let drained = timeout(ANSWER_MAX, async {
            while let Some(answered) = self.under_way.next().await {
                self.settle(answered).await?;
            }
            Ok(())
        });
        drained.await.unwrap_or(Ok(()))
    }

    async fn say(&mut self, envelope: &Envelope) -> Result<(), Gone> {
        let Some(frame) = frame::write(envelope) else { return Err(Gone) };
        let Some(holding) = self.unread.hold(frame.len()) else {
            tracing::debug!("too many answers wait for clients that do not read: a connection to the TCP address ends");
            return Err(Gone);
        };
        self.answers.send((frame, holding)).await.map_err(|_| Gone)
    }

    /// `true`: a queue took half messages for the first time.
    async fn settle(&mut self, answered: Answered) -> Result<bool, Gone> {
        self.bytes_under_way = self.bytes_under_way.saturating_sub(answered.bytes);
        if let Some(envelope) = &answered.envelope {
            self.say(envelope).await?;
        }
        let half_queue = answered.half_queue.filter(|_| self.half_queues.len() < HALF_QUEUES_MAX);
        Ok(half_queue.is_some_and(|queue| self.half_queues.insert(queue)))
    }

    /// As [`Self::settle`], for what is answered at once.
    async fn begin(&mut self, ask: Envelope, caller: &Caller) -> Result<bool, Gone> {
        match (ask.cmd, self.login.clone()) {
            (cmd::HEARTBEAT, _) => self.say(&reply_to(&ask)).await,
            (cmd::AUTH, Some(_)) => {
                self.say(&Envelope { result: Some(result::LOGGED_IN_BEFORE), ..reply_to(&ask) }).await
            }
            (cmd::AUTH, None) => self.log_in(ask).await,
            (_, None) => self.say(&failed(&ask, &no::NOT_LOGGED_IN.into())).await,
            (_, Some(login)) => {
                let bytes = ask.encoded_len();
                self.bytes_under_way += bytes;
                let mut call = self.call(ask, login, caller.clone(), bytes);
                // The first poll hands the command to the road: here, in the order of the connection.
                match (&mut call).now_or_never() {
                    Some(answered) => return self.settle(answered).await,
                    None => self.under_way.push(call),
                }
                Ok(())
            }
        }?;
        Ok(false)
    }

    async fn log_in(&mut self, mut ask: Envelope) -> Result<(), Gone> {
        let Some(auth) = ask.auth.take() else { return self.say(&failed(&ask, &no::REQUEST.into())).await };
        match Login::new(auth, &self.keys) {
            Ok(login) => {
                self.login = Some(login);
                self.limit.store(ENVELOPE_BYTES_MAX, Ordering::Relaxed);
                self.say(&reply_to(&ask)).await
            }
            Err(flaw) => self.say(&failed(&ask, &flaw)).await,
        }
    }

    fn call(&self, ask: Envelope, login: Login, caller: Caller, bytes: usize) -> BoxFuture<'static, Answered> {
        let (broker, keys) = (Arc::clone(&self.broker), Arc::clone(&self.keys));
        Box::pin(async move {
            let desk = Desk { broker: &*broker, keys: &keys, login: &login };
            let envelope = desk.answer(&ask, caller).await;
            let half_queue = half_queue(&ask).filter(|_| envelope.result == Some(0));
            let is_oneway = ask.is_oneway.is_some_and(|is_oneway| is_oneway != 0);
            Answered { envelope: (!is_oneway).then_some(envelope), bytes, half_queue }
        })
    }

    /// Waits for half messages that this connection's producer shall be asked about.
    fn check_backs(&self) -> BoxFuture<'static, Vec<CheckBack>> {
        let (broker, queues) = (Arc::clone(&self.broker), self.half_queues.iter().cloned().collect::<Vec<_>>());
        if queues.is_empty() {
            return Box::pin(futures::future::pending());
        }
        Box::pin(async move {
            let list = broker.check_backs(&queues).await.unwrap_or_default();
            if list.is_empty() {
                sleep(CHECK_PAUSE).await;
            }
            list
        })
    }

    async fn ask_about(&mut self, list: Vec<CheckBack>) -> Result<(), Gone> {
        for CheckBack { queue, id } in list {
            let query = Query { queue_name: queue, msg_id: id };
            let (seqno, cmd) = (0, cmd::QUERY);
            self.say(&Envelope { seqno, cmd, query: Some(query), ..Envelope::default() }).await?;
        }
        Ok(())
    }
}

fn half_queue(ask: &Envelope) -> Option<String> {
    let one = ask.send.as_ref().filter(|send| send.is_transaction == Some(1)).map(|send| &send.queue_name);
    let many = ask.batch_send.as_ref().filter(|send| send.is_transaction == Some(1)).map(|send| &send.queue_name);
    one.or(many).cloned()
}

async fn read(mut stream: impl AsyncRead + Unpin, limit: Arc<AtomicUsize>, asks: mpsc::Sender<Envelope>) {
    loop {
        match frame::read(&mut stream, &limit, IDLE_MAX).await {
            Ok(Some(ask)) => {
                if asks.send(ask).await.is_err() {
                    return;
                }
            }
            Ok(None) => return,
            Err(error) => {
                tracing::trace!(%error, "a connection to the TCP address ends");
                return;
            }
        }
    }
}

async fn write(mut stream: impl AsyncWrite + Unpin, mut waiting: mpsc::Receiver<Unread>) {
    while let Some((frame, _holding)) = waiting.recv().await {
        let written = timeout(STALL_MAX, async {
            stream.write_all(&frame).await?;
            stream.flush().await?;
            Ok::<(), Error>(())
        });
        if !matches!(written.await, Ok(Ok(()))) {
            return;
        }
    }
    // Nothing is left to say; the other end learns it either way.
    let _ = stream.shutdown().await;
}
