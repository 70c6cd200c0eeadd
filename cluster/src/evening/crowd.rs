//! The crowd: tens of thousands of phones with wallets and chats, and the packets that they see.
//!
//! Must never: hold a phone back because another one waits, or ask the same thing under a new id.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::http::{Answer, Call, Lines};
use super::series::{End, Series};
use crate::draw::{Action, Zipf};
use crate::error::Error;
use crate::limits::SETTLE_IN_CALLS;
use crate::screen::Progress;

/// Members of a chat.
const MEMBERS: usize = 50;
/// Shares of a packet.
const SHARES: i64 = 10;
/// Packets that people still look at.
const BOARD_PACKETS: usize = 400;
/// Fen of a wallet.
const FUND_FEN: i64 = 10_000_000;
/// The first phone's account is hot: it sends one packet of so many, to its chat, the first one.
const HOST_SENDS: u32 = 4;
/// Times that a phone asks for its share again when it is sent away or hears nothing.
const OPEN_TRIES: u32 = 4;
/// A phone comes back after this where it was not told when.
const COME_BACK: Duration = Duration::from_millis(500);
/// Times that a wallet is asked for again before the evening.
const REGISTER_TRIES: u32 = 20;

#[derive(Debug)]
struct Person {
    id: String,
    token: String,
}

#[derive(Debug)]
struct Shown {
    packet: String,
    chat: usize,
    /// Who will open it, the next one last.
    to_open: Vec<usize>,
}

/// Everybody, and what they see.
#[derive(Debug)]
pub(crate) struct Crowd {
    lines: Lines,
    people: Vec<Person>,
    chats: Vec<(String, Vec<usize>)>,
    board: Mutex<VecDeque<Shown>>,
    zipf: Zipf,
    waiting: AtomicU64,
}

fn id(rng: &mut StdRng) -> String {
    format!("{:032x}", rng.random::<u128>())
}

impl Crowd {
    /// Registers so many phones, and lets them join their chats. Errors: `Call`, the app did not let them.
    pub(crate) async fn settle_in(lines: Lines, phones: usize, rng: &mut StdRng) -> Result<Self, Error> {
        let ids: Vec<String> = (0..phones).map(|_| id(rng)).collect();
        let (progress, done) = (Mutex::new(Progress::new()), AtomicU64::new(0));
        let register = |user: String| async {
            let body = json!({ "user": user, "name": "a phone", "fund_fen": FUND_FEN });
            let reply =
                insist(&lines, Call { path: "/api/register".to_owned(), token: None, body: Some(body) }).await?;
            let count = done.fetch_add(1, Ordering::Relaxed) + 1;
            if count.is_multiple_of(500)
                && let Ok(mut progress) = progress.lock()
            {
                progress.show(&format!("{count} of {phones} phones have a wallet"));
            }
            let token = reply["token"].as_str().unwrap_or_default().to_owned();
            Ok::<_, Error>(Person { id: user, token })
        };
        let people = stream::iter(ids).map(register).buffered(SETTLE_IN_CALLS).try_collect::<Vec<_>>().await?;
        let chats: Vec<(String, Vec<usize>)> = (0..phones.div_ceil(MEMBERS))
            .map(|number| (id(rng), (number * MEMBERS..((number + 1) * MEMBERS).min(phones)).collect()))
            .collect();
        let open = |(chat, members): &(String, Vec<usize>)| {
            let calls = members.iter().enumerate().map(|(place, member)| {
                let person = &people[*member];
                let path = if place == 0 { "/api/chats" } else { "/api/join" };
                let body = json!({ "user": person.id, "chat": chat, "name": "a chat" });
                Call { path: path.to_owned(), token: Some(person.token.clone()), body: Some(body) }
            });
            let calls: Vec<Call> = calls.collect();
            let lines = &lines;
            async move {
                for call in calls {
                    insist(lines, call).await?;
                }
                Ok::<_, Error>(())
            }
        };
        stream::iter(&chats).map(open).buffer_unordered(SETTLE_IN_CALLS).try_collect::<Vec<()>>().await?;
        let zipf = Zipf::new(u32::try_from(BOARD_PACKETS).unwrap_or(u32::MAX));
        Ok(Self { lines, people, chats, board: Mutex::default(), zipf, waiting: AtomicU64::new(0) })
    }

    /// Opens that were answered "waiting".
    pub(crate) fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }

    fn board(&self) -> MutexGuard<'_, VecDeque<Shown>> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does one thing, wanted at `moment` of the series, and enters how it ended.
    pub(crate) async fn act(&self, action: Action, seed: u64, moment: Duration, series: &Series) {
        let mut rng = StdRng::seed_from_u64(seed);
        let end = match action {
            Action::Send => self.send(&mut rng).await,
            Action::Open => self.open(&mut rng).await,
            Action::Grab | Action::View => self.look(action, &mut rng).await,
        };
        series.ended(action, moment, end);
    }

    async fn send(&self, rng: &mut StdRng) -> End {
        let is_host = rng.random_ratio(1, HOST_SENDS);
        let chat = if is_host { 0 } else { rng.random_range(0..self.chats.len()) };
        let (name, members) = &self.chats[chat];
        let sender = if is_host { 0 } else { members[rng.random_range(0..members.len())] };
        let total = SHARES * rng.random_range(10..=400);
        let body = json!({
            "user": self.people[sender].id, "order": id(rng), "kind": "lucky", "chat": name, "total_fen": total,
            "shares": SHARES, "greeting": "Good luck in the new year",
        });
        let answer = self.ask(sender, "/api/send", Some(body)).await;
        if let Answer::Done(reply) = &answer {
            let mut to_open = members.clone();
            to_open.shuffle(rng);
            let packet = reply["packet"].as_str().unwrap_or_default().to_owned();
            let mut board = self.board();
            board.push_front(Shown { packet, chat, to_open });
            board.truncate(BOARD_PACKETS);
        }
        end(&answer)
    }

    async fn open(&self, rng: &mut StdRng) -> End {
        let Some((packet, user)) = self.next_opener(rng) else {
            return self.look(Action::Grab, rng).await;
        };
        let body = json!({ "user": self.people[user].id, "packet": packet });
        let mut answer = Answer::Shed(None);
        for _ in 0..OPEN_TRIES {
            answer = self.ask(user, "/api/open", Some(body.clone())).await;
            let after = match &answer {
                Answer::Done(_) | Answer::Refused(_) => break,
                Answer::Shed(after) => after.unwrap_or(COME_BACK),
                Answer::Failed(_) => COME_BACK,
            };
            sleep(after).await;
        }
        if let Answer::Done(reply) = &answer
            && reply["claim"]["credit"].as_str() != Some("arrived")
        {
            self.waiting.fetch_add(1, Ordering::Relaxed);
        }
        end(&answer)
    }

    fn next_opener(&self, rng: &mut StdRng) -> Option<(String, usize)> {
        let mut board = self.board();
        let rank = self.zipf.rank(rng, board.len());
        let shown = board.get_mut(rank)?;
        Some((shown.packet.clone(), shown.to_open.pop()?))
    }

    /// Asks whether a share is left, or looks at a list.
    async fn look(&self, action: Action, rng: &mut StdRng) -> End {
        let shown = {
            let board = self.board();
            board.get(self.zipf.rank(rng, board.len())).map(|shown| (shown.packet.clone(), shown.chat))
        };
        let Some((packet, chat)) = shown else {
            let user = rng.random_range(0..self.people.len());
            return end(&self.ask(user, &format!("/api/balance?user={}", self.people[user].id), None).await);
        };
        let members = &self.chats[chat].1;
        let user = members[rng.random_range(0..members.len())];
        let person = &self.people[user].id;
        let answer = if action == Action::Grab {
            self.ask(user, "/api/grab", Some(json!({ "user": person, "packet": packet }))).await
        } else if rng.random() {
            self.ask(user, &format!("/api/packet?user={person}&packet={packet}"), None).await
        } else {
            self.ask(user, &format!("/api/received?user={person}"), None).await
        };
        end(&answer)
    }

    async fn ask(&self, user: usize, path: &str, body: Option<Value>) -> Answer {
        let token = Some(self.people[user].token.clone());
        self.lines.ask(&Call { path: path.to_owned(), token, body }).await
    }
}

fn end(answer: &Answer) -> End {
    match answer {
        Answer::Done(_) | Answer::Refused(_) => End::Answered,
        Answer::Shed(_) => End::Shed,
        Answer::Failed(reason) => {
            tracing::debug!(reason, "a phone heard nothing");
            End::Failed
        }
    }
}

/// Asks until it is done: before the evening nobody is sent home. Errors: `Call`.
async fn insist(lines: &Lines, call: Call) -> Result<Value, Error> {
    let mut last = String::new();
    for _ in 0..REGISTER_TRIES {
        match lines.ask(&call).await {
            Answer::Done(reply) => return Ok(reply),
            Answer::Refused(reason) => return Err(Error::call("settle in")(reason)),
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
    Err(Error::call("settle in")(last))
}
