//! The crowd: tens of thousands of phones with wallets and chats, and the packets that they see.
//!
//! Why phones share lines: a phone has no more than one question under way now and then, and its gateway keeps the
//! connection. What a phone is to the app (a session, a wallet, a place in its chats), each of them is.
//!
//! Must never: hold a phone back because another one waits.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use hyper::body::Incoming;
use rand::Rng as _;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::http::{Answer, Call, Lines};
use crate::draw::Zipf;
use crate::error::Error;
use crate::limits::SETTLE_IN_CALLS;
use crate::screen::Progress;

/// Members of a chat.
const MEMBERS: usize = 50;
/// Packets that people still look at.
const BOARD_PACKETS: usize = 400;
/// Fen of a wallet: what the hot one pays in a long evening, too.
const FUND_FEN: i64 = 1_000_000_000;
/// A phone comes back after this where it was not told when.
pub(super) const COME_BACK: Duration = Duration::from_millis(500);
/// Members of one chat that join it at the same time.
const JOINS: usize = 8;
/// Times that a wallet is asked for again before the evening.
const REGISTER_TRIES: u32 = 20;

#[derive(Debug)]
struct Person {
    id: String,
    token: String,
    /// From which class on, and until when, it was told to stay away: the class in the lowest two bits, above them
    /// milliseconds since the crowd settled in.
    away: AtomicU64,
    /// Whether it waits for an answer.
    is_asking: AtomicBool,
}

/// Whether phones do as they are told when they are sent away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manners {
    /// They come back when they were told to, with everything that is no more urgent than what was sent away.
    Patient,
    /// They ask on.
    Stubborn,
}

/// A packet that people see.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) packet: String,
    pub(super) chat: usize,
    /// Who will open it, the next one last.
    pub(super) to_open: Vec<usize>,
}

/// Everybody, and what they see.
#[derive(Debug)]
pub(crate) struct Crowd {
    lines: Lines,
    people: Vec<Person>,
    chats: Vec<(String, Vec<usize>)>,
    board: Mutex<VecDeque<Shown>>,
    /// Packets for the hot account alone.
    gifts: Mutex<Vec<String>>,
    zipf: Zipf,
    waiting: AtomicU64,
    manners: Manners,
    begun: Instant,
}

/// An id that nobody else draws.
pub(super) fn id(rng: &mut StdRng) -> String {
    format!("{:032x}", rng.random::<u128>())
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Crowd {
    /// Registers so many phones, and lets them join their chats. Errors: `Call`, the app did not let them.
    pub(crate) async fn settle_in(
        lines: Lines,
        phones: usize,
        manners: Manners,
        rng: &mut StdRng,
    ) -> Result<Self, Error> {
        let ids: Vec<String> = (0..phones).map(|_| id(rng)).collect();
        let (progress, done) = (Mutex::new(Progress::new()), AtomicU64::new(0));
        let register = |user: String| async {
            let body = json!({ "user": user, "name": "a phone", "fund_fen": FUND_FEN });
            let call = Call { path: "/api/register".to_owned(), token: None, body: Some(body) };
            let reply = insist(&lines, call).await?;
            let count = done.fetch_add(1, Ordering::Relaxed) + 1;
            if count.is_multiple_of(500) {
                locked(&progress).show(&format!("{count} of {phones} phones have a wallet"));
            }
            let token = reply["token"].as_str().unwrap_or_default().to_owned();
            Ok::<_, Error>(Person { id: user, token, away: AtomicU64::new(0), is_asking: AtomicBool::new(false) })
        };
        let people = stream::iter(ids).map(register).buffered(SETTLE_IN_CALLS).try_collect::<Vec<_>>().await?;
        let zipf = Zipf::new(u32::try_from(BOARD_PACKETS).unwrap_or(u32::MAX));
        let mut crowd = Self {
            lines,
            people,
            chats: Vec::new(),
            board: Mutex::default(),
            gifts: Mutex::default(),
            zipf,
            waiting: AtomicU64::new(0),
            manners,
            begun: Instant::now(),
        };
        let chats = (0..phones.div_ceil(MEMBERS))
            .map(|number| (id(rng), (number * MEMBERS..((number + 1) * MEMBERS).min(phones)).collect()));
        let chats: Vec<(String, Vec<usize>)> = chats.collect();
        let opened = chats.iter().map(|(chat, members)| crowd.open_chat(chat, members));
        let opened = stream::iter(opened).buffer_unordered(SETTLE_IN_CALLS / JOINS);
        opened.try_collect::<Vec<()>>().await?;
        crowd.chats = chats;
        Ok(crowd)
    }

    /// Makes a chat of these phones, the first of them its owner. Errors: `Call`.
    pub(super) async fn open_chat(&self, chat: &str, members: &[usize]) -> Result<(), Error> {
        let call = |path: &str, member: usize| {
            let person = &self.people[member];
            let body = json!({ "user": person.id, "chat": chat, "name": "a chat" });
            Call { path: path.to_owned(), token: Some(person.token.clone()), body: Some(body) }
        };
        let Some((owner, others)) = members.split_first() else { return Ok(()) };
        insist(&self.lines, call("/api/chats", *owner)).await?;
        let joins = others.iter().map(|member| insist(&self.lines, call("/api/join", *member)));
        stream::iter(joins).buffer_unordered(JOINS).try_collect::<Vec<_>>().await?;
        Ok(())
    }

    /// How many they are.
    pub(crate) fn count(&self) -> usize {
        self.people.len()
    }

    /// A phone's user.
    pub(super) fn user(&self, phone: usize) -> &str {
        &self.people[phone].id
    }

    /// A chat's id and its members.
    pub(super) fn chat(&self, number: usize) -> (&str, &[usize]) {
        let (id, members) = &self.chats[number];
        (id, members)
    }

    /// How many chats there are.
    pub(super) fn chats(&self) -> usize {
        self.chats.len()
    }

    /// One question of a phone.
    pub(super) async fn ask(&self, phone: usize, path: &str, body: Option<Value>) -> Answer {
        let token = Some(self.people[phone].token.clone());
        self.lines.ask(&Call { path: path.to_owned(), token, body }).await
    }

    /// Asks until it is done or refused for good. Errors: `Call`.
    pub(super) async fn insist(&self, phone: usize, path: &str, body: Option<Value>) -> Result<Value, Error> {
        let token = Some(self.people[phone].token.clone());
        insist(&self.lines, Call { path: path.to_owned(), token, body }).await
    }

    /// A phone's stream of news, on a connection of its own. Errors: text.
    pub(super) async fn listen(&self, phone: usize) -> Result<Incoming, String> {
        let person = &self.people[phone];
        let call =
            Call { path: format!("/api/news?user={}", person.id), token: Some(person.token.clone()), body: None };
        self.lines.stream(phone, &call).await
    }

    /// Whether a phone asks something of that class now: it asks one thing at a time, and it was not sent away with
    /// anything as urgent, or its time has come. If so it is asking, until it is answered.
    pub(super) fn begins(&self, phone: usize, class: u64) -> bool {
        let person = &self.people[phone];
        let away = person.away.load(Ordering::Relaxed);
        (class < away % 4 || self.now_ms() >= away / 4) && !person.is_asking.swap(true, Ordering::Relaxed)
    }

    /// A phone has its answer.
    pub(super) fn answered(&self, phone: usize) {
        self.people[phone].is_asking.store(false, Ordering::Relaxed);
    }

    /// A phone was sent away with something of that class.
    pub(super) fn sent_away(&self, phone: usize, class: u64, after: Duration) {
        if self.manners == Manners::Patient {
            let after_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX / 8);
            self.people[phone].away.store((self.now_ms() + after_ms) * 4 + class, Ordering::Relaxed);
        }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX / 8)
    }

    /// The metrics of all app nodes that show theirs.
    pub(super) async fn metrics(&self) -> Vec<(usize, String)> {
        self.lines.pages("/metrics").await
    }

    /// Opens that were answered "waiting".
    pub(crate) fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// One more of them.
    pub(super) fn waits(&self) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
    }

    /// Everybody sees a packet from now on.
    pub(super) fn show(&self, shown: Shown) {
        let mut board = locked(&self.board);
        board.push_front(shown);
        board.truncate(BOARD_PACKETS);
    }

    /// A packet for the hot account.
    pub(super) fn give(&self, packet: String) {
        locked(&self.gifts).push(packet);
    }

    /// Takes the newest of them.
    pub(super) fn gift(&self) -> Option<String> {
        locked(&self.gifts).pop()
    }

    /// A packet and who opens it next; the newest are opened most.
    pub(super) fn next_opener(&self, rng: &mut StdRng) -> Option<(String, usize)> {
        let mut board = locked(&self.board);
        let rank = self.zipf.rank(rng, board.len());
        let shown = board.get_mut(rank)?;
        Some((shown.packet.clone(), shown.to_open.pop()?))
    }

    /// A packet and its chat.
    pub(super) fn seen(&self, rng: &mut StdRng) -> Option<(String, usize)> {
        let board = locked(&self.board);
        board.get(self.zipf.rank(rng, board.len())).map(|shown| (shown.packet.clone(), shown.chat))
    }
}

/// Asks until it is done: before the evening nobody is sent home. Errors: `Call`.
async fn insist(lines: &Lines, call: Call) -> Result<Value, Error> {
    let mut last = String::new();
    for _ in 0..REGISTER_TRIES {
        let answer = lines.ask(&call).await;
        match answer {
            Answer::Done(_) => return Ok(answer.said()),
            Answer::Refused(reason) => return Err(Error::call(&call.path)(reason)),
            Answer::Shed(after) => {
                last = "sent away".to_owned();
                sleep(after.unwrap_or(COME_BACK)).await;
            }
            Answer::Failed(reason) => {
                last = reason;
                sleep(COME_BACK).await;
            }
        }
    }
    Err(Error::call(&call.path)(last))
}
