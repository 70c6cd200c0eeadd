//! Deeds: what a phone does next, drawn at once, and how it goes.
//!
//! Why drawn before it is done: what is counted as wanted must be what was done. An open that finds nothing to open is a
//! grab, and is counted as one.
//!
//! Must never: ask the same thing under a new id.

use std::time::Duration;

use rand::Rng as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use serde_json::json;
use tokio::time::sleep;

use super::crowd::{COME_BACK, Crowd, Shown, id};
use super::http::Answer;
use super::series::{End, Series};
use crate::draw::{self, Action};

/// Shares of a packet.
pub(super) const SHARES: usize = 10;
/// The first phone's account is hot: it sends one packet of so many, to its chat, the first one.
const HOST_SENDS: u32 = 4;
/// And one packet of so many is for it alone.
const GIFTS: u32 = 8;
/// The hot account.
const HOST: usize = 0;
/// Times that a phone asks for its share again when it is sent away or hears nothing.
const OPEN_TRIES: u32 = 4;

/// What a phone does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    /// Sends a packet to a chat.
    Send {
        sender: usize,
        chat: usize,
        order: String,
        fen: i64,
        /// Who will open it, the next one last.
        to_open: Vec<usize>,
    },
    /// Sends a packet to the hot account.
    Give { sender: usize, order: String, fen: i64 },
    /// Takes a share.
    Open { user: usize, packet: String },
    /// Asks whether a share is left.
    Grab { user: usize, packet: String },
    /// Looks at a packet.
    Packet { user: usize, packet: String },
    /// Looks at what it has received.
    Received { user: usize },
}

impl Deed {
    /// What it is counted as.
    pub(crate) const fn action(&self) -> Action {
        match self {
            Self::Send { .. } | Self::Give { .. } => Action::Send,
            Self::Open { .. } => Action::Open,
            Self::Grab { .. } => Action::Grab,
            Self::Packet { .. } | Self::Received { .. } => Action::View,
        }
    }
}

impl Deed {
    /// Who does it, and the class that the app admits it by.
    const fn asker(&self) -> (usize, u64) {
        match self {
            Self::Send { sender, .. } | Self::Give { sender, .. } => (*sender, 1),
            Self::Open { user, .. } => (*user, 1),
            Self::Grab { user, .. } | Self::Packet { user, .. } => (*user, 2),
            Self::Received { user } => (*user, 3),
        }
    }
}

impl Crowd {
    /// Whether the deed gets as far as the app's door: a phone asks one thing at a time, and one that was sent away stays
    /// away as long as it was told. The hot account is many people's, and asks as often as they like. Whoever waits to open
    /// is held up by nothing but an answer that is under way.
    pub(crate) fn is_at_the_door(&self, deed: &Deed) -> bool {
        let (phone, class) = deed.asker();
        phone == HOST || self.begins(phone, if matches!(deed, Deed::Open { .. }) { 0 } else { class })
    }

    /// The deed is not done after all.
    pub(crate) fn gives_up(&self, deed: &Deed) {
        self.answered(deed.asker().0);
    }

    /// What somebody does next.
    pub(crate) fn draw(&self, rng: &mut StdRng) -> Deed {
        self.draw_a(draw::action(rng), rng)
    }

    /// The next deed of one kind, or what comes nearest to it.
    pub(crate) fn draw_a(&self, action: Action, rng: &mut StdRng) -> Deed {
        match action {
            Action::Send => self.draw_send(rng),
            Action::Open => {
                let gift = if rng.random_ratio(1, GIFTS) { self.gift().map(|packet| (packet, HOST)) } else { None };
                match gift.or_else(|| self.next_opener(rng)) {
                    Some((packet, user)) => Deed::Open { user, packet },
                    None => self.draw_a(Action::Grab, rng),
                }
            }
            Action::Grab | Action::View => match self.seen(rng) {
                Some((packet, chat)) => {
                    let members = self.chat(chat).1;
                    let user = members[rng.random_range(0..members.len())];
                    match action {
                        Action::Grab => Deed::Grab { user, packet },
                        _ if rng.random() => Deed::Packet { user, packet },
                        _ => Deed::Received { user },
                    }
                }
                None => Deed::Received { user: rng.random_range(0..self.count()) },
            },
        }
    }

    fn draw_send(&self, rng: &mut StdRng) -> Deed {
        let order = id(rng);
        let fen = i64::try_from(SHARES).unwrap_or(1) * rng.random_range(10..=400);
        if rng.random_ratio(1, GIFTS) {
            return Deed::Give { sender: rng.random_range(1..self.count()), order, fen };
        }
        let is_host = rng.random_ratio(1, HOST_SENDS);
        let chat = if is_host { 0 } else { rng.random_range(0..self.chats()) };
        let members = self.chat(chat).1;
        let sender = if is_host { HOST } else { members[rng.random_range(0..members.len())] };
        let mut to_open = members.to_vec();
        to_open.shuffle(rng);
        Deed::Send { sender, chat, order, fen, to_open }
    }

    /// Does it, and enters how it ended. It was wanted at `moment` of the series.
    pub(crate) async fn act(&self, deed: Deed, moment: Duration, series: &Series) {
        let (action, (phone, class)) = (deed.action(), deed.asker());
        let (end, after) = self.attempt(deed).await;
        self.answered(phone);
        if end == End::Shed {
            self.sent_away(phone, class, after.unwrap_or(COME_BACK));
        }
        series.ended(action, moment, end);
    }

    /// Does it; when it was sent away, for how long.
    pub(crate) async fn attempt(&self, deed: Deed) -> (End, Option<Duration>) {
        match deed {
            Deed::Send { sender, chat, order, fen, to_open } => {
                let answer = self.send(sender, chat, &order, fen).await;
                if let Some(packet) = packet_of(&answer) {
                    self.show(Shown { packet, chat, to_open });
                }
                end(&answer)
            }
            Deed::Give { sender, order, fen } => {
                let body = json!({
                    "user": self.user(sender), "order": order, "kind": "direct", "recipients": [self.user(HOST)],
                    "total_fen": fen, "shares": 1, "greeting": "For the host",
                });
                let answer = self.ask(sender, "/api/send", Some(body)).await;
                packet_of(&answer).into_iter().for_each(|packet| self.give(packet));
                end(&answer)
            }
            Deed::Open { user, packet } => end(&self.open(user, &packet).await),
            Deed::Grab { user, packet } => end(&self.grab(user, &packet).await),
            Deed::Packet { user, packet } => {
                let path = format!("/api/packet?user={}&packet={packet}", self.user(user));
                end(&self.ask(user, &path, None).await)
            }
            Deed::Received { user } => {
                end(&self.ask(user, &format!("/api/received?user={}", self.user(user)), None).await)
            }
        }
    }

    /// Sends a packet to a chat.
    pub(super) async fn send(&self, sender: usize, chat: usize, order: &str, fen: i64) -> Answer {
        let body = json!({
            "user": self.user(sender), "order": order, "kind": "lucky", "chat": self.chat(chat).0,
            "total_fen": fen, "shares": SHARES, "greeting": "Good luck in the new year",
        });
        self.ask(sender, "/api/send", Some(body)).await
    }

    /// Whether a share is left.
    pub(super) async fn grab(&self, user: usize, packet: &str) -> Answer {
        self.ask(user, "/api/grab", Some(json!({ "user": self.user(user), "packet": packet }))).await
    }

    /// Takes a share; who is sent away or hears nothing comes back, with the same ids.
    pub(super) async fn open(&self, user: usize, packet: &str) -> Answer {
        let body = json!({ "user": self.user(user), "packet": packet });
        let mut answer = self.ask(user, "/api/open", Some(body.clone())).await;
        for _ in 1..OPEN_TRIES {
            let after = match &answer {
                Answer::Done(_) | Answer::Refused(_) => break,
                Answer::Shed(after) => after.unwrap_or(COME_BACK),
                Answer::Failed(_) => COME_BACK,
            };
            sleep(after).await;
            answer = self.ask(user, "/api/open", Some(body.clone())).await;
        }
        if matches!(answer, Answer::Done(_)) && answer.said()["claim"]["credit"].as_str() != Some("arrived") {
            self.waits();
        }
        answer
    }
}

/// The packet that an answer to a send names.
pub(super) fn packet_of(answer: &Answer) -> Option<String> {
    answer.said()["packet"].as_str().map(str::to_owned)
}

fn end(answer: &Answer) -> (End, Option<Duration>) {
    match answer {
        Answer::Done(_) | Answer::Refused(_) => (End::Answered, None),
        Answer::Shed(after) => (End::Shed, *after),
        Answer::Failed(reason) => {
            tracing::debug!(reason, "a phone heard nothing");
            (End::Failed, None)
        }
    }
}
