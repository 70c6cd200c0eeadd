//! The API of the phone over real HTTP: what is refused, in which words, and that nothing was changed by it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::node::Node;

const DEADLINE: Duration = Duration::from_secs(30);

/// What an answer said.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn refusal(&self) -> (u16, u64) {
        (self.status, self.body["refusal"].as_u64().unwrap_or_default())
    }
}

impl Node {
    pub(crate) fn start(more: &[&str]) -> Self {
        let node = Self::spawn(more);
        node.until("the node is ready", || {
            TcpStream::connect(&node.http).is_ok() && node.ask("GET", "/readyz", "", &[]).status == 200
        });
        node
    }

    fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        let until = Instant::now() + DEADLINE;
        while !is_so() {
            assert!(Instant::now() < until, "{what}, in time, at {}", self.http);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// One request on a connection of its own.
    pub(crate) fn ask(&self, how: &str, path: &str, body: &str, headers: &[(&str, &str)]) -> Answer {
        let mut stream = TcpStream::connect(&self.http).expect("the node listens");
        stream.set_read_timeout(Some(DEADLINE)).expect("a time-out can be set");
        let more: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let kind = "content-type: application/json\r\nconnection: close\r\nhost: phone\r\n";
        let request = format!("{how} {path} HTTP/1.1\r\n{kind}{more}content-length: {}\r\n\r\n{body}", body.len());
        // A node that refuses a giant does not read it to its end.
        let _ = stream.write_all(request.as_bytes());
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said);
        let said = String::from_utf8_lossy(&said).into_owned();
        let (head, text) = said.split_once("\r\n\r\n").unwrap_or((&said, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
        Answer { status, head: head.to_ascii_lowercase(), body: serde_json::from_str(text).unwrap_or_default() }
    }

    pub(crate) fn post(&self, path: &str, body: &Value, token: Option<&str>) -> Answer {
        let bearer = token.map(|token| format!("Bearer {token}"));
        let headers: Vec<_> = bearer.iter().map(|bearer| ("authorization", bearer.as_str())).collect();
        self.ask("POST", path, &body.to_string(), &headers)
    }

    pub(crate) fn get(&self, path: &str, token: Option<&str>) -> Answer {
        let bearer = token.map(|token| format!("Bearer {token}"));
        let headers: Vec<_> = bearer.iter().map(|bearer| ("authorization", bearer.as_str())).collect();
        self.ask("GET", path, "", &headers)
    }

    /// Registers a user; says the token.
    pub(crate) fn register(&self, user: u128, fund_fen: i64) -> String {
        let answer =
            self.post("/api/register", &json!({ "user": id(user), "name": "one", "fund_fen": fund_fen }), None);
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body["token"].as_str().expect("a token").to_owned()
    }
}

pub(crate) fn id(number: u128) -> String {
    format!("{number:032x}")
}

#[test]
fn what_is_refused_is_said_in_one_form_and_changes_nothing() {
    let node = Node::start(&["--open-registration"]);
    let token = node.register(1, 10_000);
    node.register(2, 10_000);
    let alone = node.register(3, 0);
    assert_eq!(node.post("/api/chats", &json!({ "user": id(1), "chat": id(9), "name": "chat" }), None).status, 200);
    assert_eq!(node.post("/api/join", &json!({ "user": id(2), "chat": id(9) }), None).status, 200);
    let packet = json!({
        "user": id(1), "order": id(0x500), "kind": "lucky", "chat": id(9), "total_fen": 100, "shares": 1, "password": "year",
    });
    let sent = node.post("/api/send", &packet, None);
    assert_eq!(sent.status, 200, "{sent:?}");

    let giant = format!("{{\"user\": \"{}\"}}", "0".repeat(1 << 20));
    let open =
        |user: u128, password: &str| json!({ "user": id(user), "packet": id(0x500), "password": password }).to_string();
    let table = [
        // how, path, body, status, refusal
        ("POST", "/api/grab".to_owned(), "{".to_owned(), 400, 20_020),
        ("POST", "/api/grab".to_owned(), "[1]".to_owned(), 400, 20_020),
        ("POST", "/api/send".to_owned(), json!({ "total_fen": "much" }).to_string(), 400, 20_020),
        ("POST", "/api/grab".to_owned(), giant, 413, 20_021),
        ("GET", "/api/bill?limit=many".to_owned(), String::new(), 400, 20_020),
        ("GET", "/api/none".to_owned(), String::new(), 404, 20_022),
        ("GET", "/api/open".to_owned(), String::new(), 404, 20_022),
        ("POST", "/api/grab".to_owned(), "{}".to_owned(), 400, 20_001),
        ("POST", "/api/grab".to_owned(), json!({ "user": id(1), "packet": id(0x700) }).to_string(), 404, 1),
        ("POST", "/api/open".to_owned(), open(9, "year"), 404, 14),
        ("POST", "/api/open".to_owned(), open(3, "year"), 403, 18),
        ("POST", "/api/open".to_owned(), open(2, "no idea"), 403, 19),
        ("GET", format!("/api/packet?user={}&packet={}", id(3), id(0x500)), String::new(), 403, 18),
        ("GET", format!("/api/shown?user={}&chat={}", id(3), id(9)), String::new(), 403, 16),
        ("GET", format!("/api/members?user={}&chat={}", id(3), id(9)), String::new(), 403, 16),
        ("GET", format!("/api/sent?user={}&cursor=ff", id(1)), String::new(), 400, 20_002),
        ("GET", format!("/api/sent?user={}&limit=1000", id(1)), String::new(), 400, 20_002),
    ];
    for (how, path, body, status, refusal) in table {
        let answer = node.ask(how, &path, &body, &[]);
        assert_eq!(answer.refusal(), (status, refusal), "{how} {path}: {answer:?}");
        assert_eq!(answer.body["outcome"], "refused", "{how} {path}");
    }
    for forged in ["forged", &token[1..], alone.as_str()] {
        let answer = node.get(&format!("/api/balance?user={}", id(1)), Some(forged));
        assert_eq!(answer.refusal(), (401, 20_004), "{forged}");
    }
    let balance = node.get(&format!("/api/balance?user={}", id(1)), Some(&token));
    assert_eq!((balance.status, balance.body["balance_fen"].as_i64()), (200, Some(9_900)));
    let shown = node.get(&format!("/api/packet?user={}&packet={}", id(2), id(0x500)), None);
    assert_eq!(shown.body["packet"]["shares_left"], 1, "nobody has it");

    for _ in 0..4 {
        assert_eq!(node.ask("POST", "/api/open", &open(2, "guess"), &[]).refusal(), (403, 19));
    }
    assert_eq!(node.ask("POST", "/api/open", &open(2, "year"), &[]).refusal(), (403, 20_023), "locked out");
}

#[test]
fn who_asks_too_often_is_told_when_to_come_back() {
    let node = Node::start(&["--session-key", "secret", "--user-rate", "5"]);
    let token = node.register(1, 0);
    let path = format!("/api/balance?user={}", id(1));
    let last = (0..100).map(|_| node.get(&path, Some(&token))).find(|answer| answer.status != 200);
    let last = last.expect("five a second, and ten at once");
    assert_eq!((last.status, last.body["outcome"].as_str()), (429, Some("not-applied")));
    assert!(last.head.contains("retry-after: 1"), "{}", last.head);
    assert!(last.body["retry_after_ms"].as_u64().is_some_and(|ms| ms <= 200));
    assert_eq!(node.get(&path, None).refusal(), (401, 20_004), "a closed cluster wants a token");
}

#[test]
fn an_operator_s_switches_are_thrown_and_taken_back_without_a_restart() {
    let node = Node::start(&["--open-registration"]);
    node.register(1, 0);
    let lists = || node.get(&format!("/api/sent?user={}", id(1)), None).status;
    assert_eq!(lists(), 200);
    let file = node.data.path().join("switches");
    fs::write(&file, "lists off\n").expect("the file is written");
    node.until("lists are off", || lists() == 429);
    assert_eq!(node.get(&format!("/api/balance?user={}", id(1)), None).status, 200, "money is not given up");
    fs::remove_file(&file).expect("the file is removed");
    node.until("lists are on", || lists() == 200);
}

#[test]
fn news_tell_a_state_once_and_again_when_it_has_changed() {
    let node = Node::start(&["--open-registration"]);
    node.register(1, 500);
    let listen = |known: &str| {
        let mut stream = TcpStream::connect(&node.http).expect("the node listens");
        stream.set_read_timeout(Some(DEADLINE)).expect("a time-out can be set");
        let path = format!("/api/news?user={}", id(1));
        write!(stream, "GET {path} HTTP/1.1\r\nhost: phone\r\nlast-event-id: {known}\r\n\r\n").expect("it is asked");
        stream
    };
    // Reads until an event has come; says its id and its state.
    let event = |stream: &mut TcpStream| {
        let mut said = String::new();
        let mut piece = [0; 4096];
        while !said.split_once("event: news").is_some_and(|(_, rest)| rest.contains("\n\n")) {
            let read = stream.read(&mut piece).expect("an event in time");
            assert!(read > 0, "the stream goes on: {said}");
            said.push_str(&String::from_utf8_lossy(&piece[..read]));
        }
        let field = |name: &str| said.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().to_owned();
        let state: Value = serde_json::from_str(&field("data: ")).expect("a state");
        (field("id: "), state)
    };
    let mut stream = listen("");
    let (first, state) = event(&mut stream);
    assert_eq!(state["balance"]["balance_fen"], 500);
    drop(stream);

    // Away while something happens; then back with what was known.
    assert_eq!(node.post("/api/chats", &json!({ "user": id(1), "chat": id(9), "name": "chat" }), None).status, 200);
    let (second, state) = event(&mut listen(&first));
    assert_eq!(state["chats"][0]["name"], "chat");
    assert_ne!(first, second);

    // Back with what is still true: silence, until something happens.
    let mut stream = listen(&second);
    let packet = json!({
        "user": id(1), "order": id(0x500), "kind": "lucky", "chat": id(9), "total_fen": 100, "shares": 1,
    });
    assert_eq!(node.post("/api/send", &packet, None).status, 200);
    let (third, state) = event(&mut stream);
    assert_ne!(second, third, "what was known is not told again");
    assert!(state["balance"]["balance_fen"] == 400 || state["sent"][0]["packet"] == id(0x500), "{state}");
}
