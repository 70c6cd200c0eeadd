//! The hot packet: tens of thousands ask for a hundred shares, while everybody else goes on.
//!
//! ```text
//!  spread │ hot │ spread      three times the same rates: others do what they do, and grabs come on top,
//!                             spread over all packets, or all for one
//! ```
//!
//! Why against a spread of the same size: on a machine that is shared by everything, more requests slow all others
//! anyway. What one packet must not do is to be worse than many.
//!
//! Must never: call the packet well decided when only its answers look so. Its claims are read back and compared.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::Rng as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use serde_json::{Value, json};

use super::arrivals::{arrivals, each};
use super::crowd::{Crowd, id};
use super::http::Answer;
use super::series::{KINDS, Series, Sum, sum_of};
use crate::error::Error;
use crate::screen;

/// Shares of the hot packet: as many as a packet may have.
const SHARES: usize = 100;
/// Its fen.
const FEN: i64 = 100_000;
/// Members of its chat: as many as a chat may have. Whoever else asks has it from hearsay.
const MEMBERS: usize = 500;
/// Of the capacity: what others do, and what the grabs come to.
const OTHERS: f64 = 0.3;
const GRABS: f64 = 0.4;
/// What others may lose.
const SLOWED_MAX: f64 = 0.1;
/// The first seconds of a stage do not count.
const WARM: Duration = Duration::from_secs(1);

/// What came of it.
#[derive(Clone, Debug)]
pub(crate) struct Hot {
    /// Who asked for the packet.
    pub(crate) grabbers: usize,
    /// What the others got done: spread, hot, spread again.
    pub(crate) others: [Sum; 3],
    /// Shares that were told to somebody.
    pub(crate) told: usize,
    /// What does not fit; empty if it was decided correctly.
    pub(crate) wrong: Vec<String>,
}

impl Hot {
    /// What others got done beside the hot packet, as a part of what they did beside the spread.
    pub(crate) fn kept(&self) -> f64 {
        let [before, hot, after] = &self.others;
        let part = |sum: &Sum| sum.answered as f64 / (sum.wanted.max(1)) as f64;
        let spread = f64::midpoint(part(before), part(after));
        if spread > 0.0 { part(hot) / spread } else { 0.0 }
    }

    /// How long half of their answers took at most, as a part of that beside the spread.
    pub(crate) fn slowed(&self) -> f64 {
        let [before, hot, after] = self.others.map(|sum| f64::from(sum.p50_us));
        let spread = f64::midpoint(before, after);
        if spread > 0.0 { hot / spread } else { 0.0 }
    }

    /// Whether each goal is met, in words.
    pub(crate) fn verdicts(&self) -> Vec<(String, bool)> {
        let decided = if self.wrong.is_empty() {
            format!("a packet of {SHARES} shares and {} grabbers was decided correctly", self.grabbers)
        } else {
            format!("the hot packet was decided wrongly: {}", self.wrong.join("; "))
        };
        let (kept, slowed) = (self.kept(), self.slowed());
        let beside = format!(
            "beside it others got {:.0} % of their answers (goal: 90 %), half of them within {:.2} times the time (goal: 1.1)",
            kept * 100.0,
            slowed
        );
        let is_met = kept >= 1.0 - SLOWED_MAX && slowed <= 1.0 + SLOWED_MAX;
        vec![(decided, self.wrong.is_empty()), (beside, is_met)]
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        let others = self.others.iter().map(|sum| {
            json!({ "wanted": sum.wanted, "answered": sum.answered, "shed": sum.shed + sum.held, "p50_us": sum.p50_us, "p99_us": sum.p99_us })
        });
        json!({
            "grabbers": self.grabbers, "others": others.collect::<Vec<_>>(), "others_kept": self.kept(),
            "others_p50_ratio": self.slowed(), "told": self.told, "wrong": self.wrong,
        })
    }
}

/// Plays it. Errors: `Call`, its chat or the packet could not be made or read back.
pub(crate) async fn play(crowd: &Arc<Crowd>, capacity: f64, grabbers: usize, rng: &mut StdRng) -> Result<Hot, Error> {
    let (chat, members) = (id(rng), (0..crowd.count().min(MEMBERS)).collect::<Vec<_>>());
    crowd.open_chat(&chat, &members).await?;
    let rate = capacity * GRABS;
    let length = Duration::from_secs_f64((grabbers as f64 / rate.max(1.0)).max(3.0));
    screen::note(&format!("a hot packet: three times {:.0} s, {grabbers} grabs each", length.as_secs_f64()));
    let mut others = [Sum::default(); 3];
    let (told, mut packet) = (Arc::new(Mutex::new(BTreeMap::new())), String::new());
    for (stage, sum) in others.iter_mut().enumerate() {
        let hot = if stage == 1 {
            packet = send(crowd, &chat, rng).await?;
            Some(packet.clone())
        } else {
            None
        };
        *sum = beside(crowd, (capacity, length, grabbers), hot, &told, rng).await;
    }
    let told = std::mem::take(&mut *told.lock().unwrap_or_else(PoisonError::into_inner));
    let page = crowd.insist(0, &format!("/api/packet?user={}&packet={packet}", crowd.user(0)), None).await?;
    let members: Vec<&str> = members.iter().map(|member| crowd.user(*member)).collect();
    Ok(Hot { grabbers, others, told: told.len(), wrong: wrong(&page, &told, &members) })
}

async fn send(crowd: &Crowd, chat: &str, rng: &mut StdRng) -> Result<String, Error> {
    let body = json!({
        "user": crowd.user(0), "order": id(rng), "kind": "lucky", "chat": chat, "total_fen": FEN, "shares": SHARES,
        "greeting": "For everybody",
    });
    let reply = crowd.insist(0, "/api/send", Some(body)).await?;
    Ok(reply["packet"].as_str().unwrap_or_default().to_owned())
}

/// One stage: others at their rate, and the grabs. Says what the others got done.
async fn beside(
    crowd: &Arc<Crowd>,
    (capacity, length, grabbers): (f64, Duration, usize),
    hot: Option<String>,
    told: &Arc<Mutex<BTreeMap<String, i64>>>,
    rng: &mut StdRng,
) -> Sum {
    let (series, storm) = (Arc::new(Series::start()), Series::start());
    let mut order: Vec<usize> = (0..grabbers).map(|number| number % crowd.count()).collect();
    order.shuffle(rng);
    let mut others_rng: StdRng = rand::SeedableRng::seed_from_u64(rng.random());
    let rate = grabbers as f64 / length.as_secs_f64();
    let grabs = each(
        |_| rate,
        length,
        &storm,
        |_, acts| {
            let Some(user) = order.pop() else { return };
            let seen = hot.clone().or_else(|| crowd.seen(rng).map(|(packet, _)| packet));
            let (crowd, told, is_hot) = (Arc::clone(crowd), Arc::clone(told), hot.is_some());
            acts.spawn(async move {
                let Some(packet) = seen else { return };
                let answer = crowd.grab(user, &packet).await;
                if is_hot && answer.said()["shares_left"].as_u64() > Some(0) {
                    win(&crowd, user, &packet, &told).await;
                }
            });
        },
    );
    tokio::join!(arrivals(crowd, &series, |_| capacity * OTHERS, length, &mut others_rng), grabs);
    sum_of(&series.all(), (WARM, length), &KINDS)
}

/// Tries to open the packet, and writes down what was told.
async fn win(crowd: &Crowd, user: usize, packet: &str, told: &Mutex<BTreeMap<String, i64>>) {
    let answer = crowd.open(user, packet).await;
    if matches!(answer, Answer::Done(_)) {
        let fen = answer.said()["claim"]["fen"].as_i64().unwrap_or_default();
        told.lock().unwrap_or_else(PoisonError::into_inner).insert(crowd.user(user).to_owned(), fen);
    }
}

/// What does not fit between the packet's page and what openers were told.
fn wrong(page: &Value, told: &BTreeMap<String, i64>, members: &[&str]) -> Vec<String> {
    let mut wrong = Vec::new();
    let claims = page["claims"].as_array().cloned().unwrap_or_default();
    let claimed: BTreeMap<&str, i64> =
        claims.iter().filter_map(|claim| Some((claim["user"].as_str()?, claim["fen"].as_i64()?))).collect();
    let expected = SHARES.min(members.len());
    if claims.len() != expected || claimed.len() != expected {
        wrong.push(format!("{} claims of {} users, not {expected}", claims.len(), claimed.len()));
    }
    let left = page["packet"]["left_fen"].as_i64().unwrap_or_default();
    let sum: i64 = claimed.values().sum();
    if sum + left != FEN {
        wrong.push(format!("{sum} fen claimed and {left} left, not {FEN}"));
    }
    if let Some(user) = claimed.keys().find(|user| !members.contains(*user)) {
        wrong.push(format!("{user} has a share and is no member"));
    }
    for (user, fen) in told {
        if claimed.get(user.as_str()) != Some(fen) {
            wrong.push(format!("{user} was told {fen} fen, and has {:?}", claimed.get(user.as_str())));
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(claims: &[(&str, i64)], left: i64) -> Value {
        let claims = claims.iter().map(|(user, fen)| json!({ "user": user, "fen": fen }));
        json!({ "claims": claims.collect::<Vec<_>>(), "packet": { "left_fen": left } })
    }

    #[test]
    fn a_packet_is_well_decided_if_its_claims_are_those_that_were_told() {
        let told = BTreeMap::from([("a".to_owned(), 60_000)]);
        let right = [("a", 60_000), ("b", 40_000)];
        let table = [
            ("all is well, though one answer was lost", right.to_vec(), 0, 0),
            ("a share is missing", vec![("a", 60_000)], 40_000, 1),
            ("a user has two", vec![("a", 60_000), ("a", 40_000), ("b", 0)], 0, 3),
            ("money is missing", right.to_vec(), 1, 1),
            ("another amount than was told", vec![("a", 50_000), ("b", 50_000)], 0, 1),
            ("a stranger has a share", vec![("a", 60_000), ("x", 40_000)], 0, 1),
        ];
        for (name, claims, left, faults) in table {
            let wrong = wrong(&page(&claims, left), &told, &["a", "b"]);
            assert_eq!(wrong.len(), faults, "{name}: {wrong:?}");
        }
    }

    #[test]
    fn others_are_slowed_by_what_they_lose_against_the_spread() {
        let sum = |answered, p50_us| Sum { wanted: 100, answered, p50_us, ..Sum::default() };
        let hot = |hot| Hot { grabbers: 9, others: [sum(100, 100), hot, sum(80, 100)], told: 0, wrong: vec![] };
        for (during, is_met) in [(sum(90, 100), true), (sum(80, 100), false), (sum(90, 111), false)] {
            assert_eq!(hot(during).verdicts()[1].1, is_met, "{during:?}");
        }
    }
}
