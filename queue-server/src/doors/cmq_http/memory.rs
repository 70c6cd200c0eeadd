//! Answers that may not have arrived, kept for the identical request that a client sends again.
//!
//! Why: Tencent's Python SDK repeats a request, the same nonce and signature and all, when its connection was dropped.
//! Answering the repeat with what the first one did spares a duplicate. An answer that was written whole is forgotten at
//! once: two equal requests of a client with few nonces (PHP's end at 65,535) are two messages, and a duplicate is better
//! than a loss.
//!
//! Must never: answer from memory what was written whole, remember a request with a small nonce, or grow without bound.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

use super::form::Pair;

/// Nonces below this are drawn too often to name one request.
const NONCE_MIN: u64 = 1 << 31;
/// Requests that are remembered, under way or not.
const REQUESTS_MAX: usize = 4_096;
/// Bytes of the answers that are remembered.
const BYTES_MAX: usize = 32 * 1024 * 1024;
/// A client that has not come back after this has given up.
const AGE_MAX: Duration = Duration::from_secs(60);

/// Names one request: secret id, nonce, timestamp, signature.
pub(super) type Name = [String; 4];

/// What is remembered.
#[derive(Default)]
pub(super) struct Memory(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    requests: BTreeMap<Arc<Name>, Remembered>,
    order: VecDeque<(Arc<Name>, Instant)>,
    bytes: usize,
}

struct Remembered {
    begun: Instant,
    /// `None` while the request is under way.
    answer: watch::Receiver<Option<Bytes>>,
    bytes: usize,
}

/// A request that begins.
pub(super) enum Begun {
    /// For the first time, as far as is known.
    First(Run),
    /// Once more: its answer comes here.
    Again(watch::Receiver<Option<Bytes>>),
}

/// A request under way. Dropping it without an answer forgets it.
pub(super) struct Run {
    memory: Arc<Memory>,
    name: Option<Arc<Name>>,
    answer: watch::Sender<Option<Bytes>>,
}

/// An answer on its way to a client.
pub(super) struct Ticket {
    memory: Arc<Memory>,
    name: Arc<Name>,
}

/// The name of a request. `None`: its nonce is small, or a part is missing.
pub(super) fn name(pairs: &[Pair]) -> Option<Name> {
    let value = |name: &str| pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    let nonce = value("Nonce")?;
    nonce.parse::<u64>().ok().filter(|nonce| *nonce >= NONCE_MIN)?;
    Some([value("SecretId")?, nonce, value("Timestamp")?, value("Signature")?])
}

impl Memory {
    /// Begins a request; one without a name is not remembered.
    pub(super) fn begin(self: &Arc<Self>, name: Option<Name>) -> Begun {
        let (answer, receiver) = watch::channel(None);
        let run = |name| Begun::First(Run { memory: Arc::clone(self), name, answer });
        let Some(name) = name.map(Arc::new) else { return run(None) };
        let mut inner = self.0.lock();
        inner.forget_old(Instant::now(), 1);
        if let Some(known) = inner.requests.get(&name) {
            return Begun::Again(known.answer.clone());
        }
        let begun = Instant::now();
        inner.requests.insert(Arc::clone(&name), Remembered { begun, answer: receiver, bytes: 0 });
        inner.order.push_back((Arc::clone(&name), begun));
        run(Some(name))
    }

    fn forget(&self, name: &Arc<Name>) {
        self.0.lock().forget(name);
    }

    fn grow(&self, name: &Arc<Name>, bytes: usize) {
        let mut inner = self.0.lock();
        let Some(known) = inner.requests.get_mut(name) else { return };
        known.bytes = bytes;
        inner.bytes += bytes;
        inner.forget_old(Instant::now(), 0);
    }
}

impl Inner {
    fn forget(&mut self, name: &Arc<Name>) {
        if let Some(known) = self.requests.remove(name) {
            self.bytes = self.bytes.saturating_sub(known.bytes);
        }
    }

    /// Forgets what is too old, and the oldest of what is too much for `coming` more. The order may name what is forgotten already.
    fn forget_old(&mut self, now: Instant, coming: usize) {
        while let Some((name, begun)) = self.order.front().cloned() {
            let is_there = self.requests.get(&name).is_some_and(|known| known.begun == begun);
            let is_full = self.requests.len() + coming > REQUESTS_MAX || self.bytes > BYTES_MAX;
            if is_there && !is_full && now.saturating_duration_since(begun) < AGE_MAX {
                // Behind one that is slow lie those that are done: they are struck out before they are many.
                if self.order.len() > 2 * REQUESTS_MAX {
                    let requests = &self.requests;
                    self.order.retain(|(name, begun)| requests.get(name).is_some_and(|known| known.begun == *begun));
                }
                return;
            }
            self.order.pop_front();
            if is_there {
                self.forget(&name);
            }
        }
    }
}

impl Run {
    /// Ends the request. What is `kept` is remembered until its ticket says that it was written.
    pub(super) fn end(mut self, answer: &Bytes, is_kept: bool) {
        self.answer.send_replace(Some(answer.clone()));
        if is_kept && let Some(name) = self.name.take() {
            self.memory.grow(&name, answer.len());
        }
    }

    /// What the answer's writer hands in.
    pub(super) fn ticket(&self) -> Option<Ticket> {
        let name = Arc::clone(self.name.as_ref()?);
        Some(Ticket { memory: Arc::clone(&self.memory), name })
    }

    /// Where the answer comes.
    pub(super) fn answer(&self) -> watch::Receiver<Option<Bytes>> {
        self.answer.subscribe()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if let Some(name) = self.name.take() {
            self.memory.forget(&name);
        }
    }
}

impl Ticket {
    /// A ticket for a repeat of `name`.
    pub(super) fn again(memory: &Arc<Memory>, name: Name) -> Self {
        Self { memory: Arc::clone(memory), name: Arc::new(name) }
    }

    /// The answer was written whole: it is forgotten.
    pub(super) fn written(self) {
        self.memory.forget(&self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(number: usize) -> Name {
        ["AKIDx".to_owned(), number.to_string(), "1".to_owned(), "s".to_owned()]
    }

    fn first(memory: &Arc<Memory>, number: usize) -> Run {
        match memory.begin(Some(named(number))) {
            Begun::First(run) => run,
            Begun::Again(_) => panic!("{number} is new"),
        }
    }

    fn again(memory: &Arc<Memory>, number: usize) -> Option<Option<Bytes>> {
        match memory.begin(Some(named(number))) {
            Begun::First(_) => None,
            Begun::Again(answer) => Some(answer.borrow().clone()),
        }
    }

    #[tokio::test]
    async fn a_repeat_gets_the_answer_until_it_was_written_whole() {
        let memory = Arc::new(Memory::default());
        let run = first(&memory, 1);
        let ticket = run.ticket().expect("it has a name");
        assert_eq!(again(&memory, 1), Some(None), "it is under way");
        run.end(&Bytes::from_static(b"yes"), true);
        assert_eq!(again(&memory, 1), Some(Some(Bytes::from_static(b"yes"))));
        ticket.written();
        assert_eq!(again(&memory, 1), None);
        assert_eq!(memory.0.lock().bytes, 0);
    }

    #[tokio::test]
    async fn what_changed_nothing_is_not_remembered() {
        let memory = Arc::new(Memory::default());
        first(&memory, 1).end(&Bytes::from_static(b"no"), false);
        assert_eq!(again(&memory, 1), None);
        drop(first(&memory, 2));
        assert_eq!(again(&memory, 2), None);
        assert!(matches!(memory.begin(None), Begun::First(run) if run.ticket().is_none()));
    }

    #[tokio::test]
    async fn the_oldest_and_the_old_are_forgotten() {
        let memory = Arc::new(Memory::default());
        for number in 0..REQUESTS_MAX {
            first(&memory, number).end(&Bytes::from_static(b"yes"), true);
        }
        assert_eq!(memory.0.lock().requests.len(), REQUESTS_MAX);
        first(&memory, REQUESTS_MAX).end(&Bytes::from_static(b"yes"), true);
        assert!(memory.0.lock().requests.len() <= REQUESTS_MAX);
        assert!(again(&memory, REQUESTS_MAX).is_some());
        first(&memory, 0).end(&Bytes::from(vec![0; BYTES_MAX + 1]), true);
        assert!(memory.0.lock().bytes <= BYTES_MAX);
        first(&memory, 1).end(&Bytes::from_static(b"yes"), true);
        memory.0.lock().forget_old(Instant::now() + AGE_MAX, 0);
        assert_eq!(again(&memory, 1), None);
    }

    #[test]
    fn a_name_needs_a_large_nonce_and_all_parts() {
        let pairs = |nonce: &str| {
            let list = [("SecretId", "AKIDx"), ("Nonce", nonce), ("Timestamp", "1"), ("Signature", "s")];
            list.map(|(name, value)| (name.to_owned(), value.to_owned()))
        };
        assert!(name(&pairs("2147483648")).is_some());
        for nonce in ["2147483647", "65535", "", "x", "-1"] {
            assert!(name(&pairs(nonce)).is_none(), "{nonce:?}");
        }
        assert!(name(&pairs("2147483648")[..3]).is_none());
    }
}
