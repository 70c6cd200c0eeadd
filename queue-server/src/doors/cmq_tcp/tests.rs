//! The protocol against a fake broker: the vectors of the Java SDK, and each command's answer.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use hmac::{Hmac, Mac as _};
use queue_core::Grant;
use sha1::Sha1;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use super::connection::serve;
use super::wire::*;
use super::{cmd, frame};
use crate::doors::budget::Budget;
use crate::doors::cmq::fake::FakeBroker;
use crate::doors::keys::{KeyRing, pair};
use crate::doors::limits::TCP_ANSWER_BYTES_MAX;

const AUTH_FRAME: &str = "000050000000080110fc07ba0c420a05414b494478121c3942342b74513746592f6768463675736b4b7250627268634331733d\
                          1a113132372e302e302e314044454641554c542208486d616353484131";
const SEND_FRAME: &str = "000018000000080210fd07c20c0a0a027131120268691800";
const HEARTBEAT_FRAME: &str = "00000b0000000803109008";

fn bytes(hex: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("the vector is hexadecimal");
    (0..hex.len()).step_by(2).map(digit).collect()
}

fn ask(seqno: i64, cmd: i32) -> Envelope {
    Envelope { seqno, cmd, ..Envelope::default() }
}

fn auth(secret_id: &str, key: &[u8]) -> Envelope {
    let mac = Hmac::<Sha1>::new_from_slice(key).expect("a key of any length").chain_update(format!("me{secret_id}"));
    let auth = Auth {
        secret_id: secret_id.to_owned(),
        signature: base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes()),
        client_id: "me".to_owned(),
        signature_method: "HmacSHA1".to_owned(),
    };
    Envelope { auth: Some(auth), ..ask(1, cmd::AUTH) }
}

/// A connection to a door behind which the fake broker stands.
struct Line {
    broker: Arc<FakeBroker>,
    stream: DuplexStream,
    unread: Budget,
}

impl Line {
    fn new() -> Self {
        Self::with(Budget::new(TCP_ANSWER_BYTES_MAX))
    }

    fn with(unread: Budget) -> Self {
        let broker = Arc::new(FakeBroker::default());
        let takes = vec![Grant { pattern: "q".to_owned(), rights: 2 }];
        let keys = KeyRing::of(vec![pair("AKIDx", "key", vec![Grant::everything()]), pair("AKIDtake", "key", takes)]);
        let (stream, theirs) = tokio::io::duplex(64 * 1024);
        tokio::spawn(serve(theirs, Arc::clone(&broker) as _, Arc::new(keys), unread.clone()));
        Self { broker, stream, unread }
    }

    async fn logged_in(secret_id: &str) -> Self {
        Self::new().log_in(secret_id).await
    }

    async fn log_in(mut self, secret_id: &str) -> Self {
        self.say(&auth(secret_id, b"key")).await;
        assert_eq!(self.hear().await.result, Some(0));
        self
    }

    async fn say(&mut self, envelope: &Envelope) {
        let frame = frame::write(envelope).expect("it is small");
        self.stream.write_all(&frame).await.expect("the door listens");
    }

    async fn hear(&mut self) -> Envelope {
        let limit = AtomicUsize::new(1 << 20);
        let read = frame::read(&mut self.stream, &limit, Duration::from_secs(10)).await;
        read.expect("the door answers").expect("the door has not ended")
    }

    /// Whether the door closes the connection without another word.
    async fn is_closed(&mut self) -> bool {
        let mut rest = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(10), self.stream.read_to_end(&mut rest)).await;
        matches!(read, Ok(Ok(0)))
    }
}

#[tokio::test]
async fn the_vectors_of_the_java_sdk_are_understood() {
    let mut line = Line::new();
    for hex in [AUTH_FRAME, SEND_FRAME, HEARTBEAT_FRAME] {
        line.stream.write_all(&bytes(hex)).await.expect("the door listens");
    }
    let answers = [line.hear().await, line.hear().await, line.hear().await];
    let heads = answers.clone().map(|answer| (answer.seqno, answer.cmd, answer.result));
    assert_eq!(heads, [(1, 1020, Some(0)), (2, 1021, Some(0)), (3, 1040, Some(0))]);
    assert_eq!(answers[1].msgids, [11]);
    assert_eq!(line.broker.asked(), ["send \"q1\" [b\"hi\"] 0 None"]);
}

#[test]
fn our_frames_are_those_of_the_java_sdk() {
    let body = Some(Bytes::from_static(b"hi"));
    let send = Send { queue_name: "q1".to_owned(), body, delay_seconds: Some(0), ..Send::default() };
    let send = Envelope { send: Some(send), ..ask(2, cmd::SEND) };
    assert_eq!(frame::write(&send).as_deref(), Some(&bytes(SEND_FRAME)[..]));
    assert_eq!(frame::write(&ask(3, cmd::HEARTBEAT)).as_deref(), Some(&bytes(HEARTBEAT_FRAME)[..]));
}

/// Every command, what the broker is asked, and the answer's result.
fn every_command() -> Vec<(Envelope, &'static str, i32)> {
    let (queue_name, queue) = (|| "q".to_owned(), |name: &str| name.to_owned());
    let body = || Bytes::from_static(b"m");
    let send = Send { queue_name: queue_name(), body: Some(body()), delay_seconds: Some(5), ..Send::default() };
    let half = Send { is_transaction: Some(1), first_query_interval: Some(7), ..send.clone() };
    let batch_send = BatchSend { queue_name: queue_name(), body: vec![body(), body()], ..BatchSend::default() };
    let pull = Pull { queue_name: queue_name(), poll_wait_seconds: Some(3), visible_timeout: Some(9) };
    let empty = Pull { queue_name: queue("empty"), ..Pull::default() };
    let missing = Pull { queue_name: queue("none"), ..Pull::default() };
    let batch_pull = BatchPull { queue_name: queue_name(), num_msg: 2, ..BatchPull::default() };
    let delete = |receipt_handle| Delete { queue_name: queue_name(), receipt_handle };
    let batch_delete = |receipt_handle| BatchDelete { queue_name: queue_name(), receipt_handle };
    let tag = vec!["a".to_owned()];
    let routing_key = Some("x.y".to_owned());
    let publish = Publish { topic_name: queue("t"), body: body(), tag: tag.clone(), routing_key: None };
    let batch_publish = BatchPublish { topic_name: queue("t"), body: vec![body()], tag: vec![], routing_key };
    let confirm = Confirm { queue_name: queue_name(), item: vec![ConfirmItem { msg_id: 1, state: 2 }] };
    vec![
        (Envelope { send: Some(send), ..ask(2, cmd::SEND) }, "send \"q\" [b\"m\"] 5 None", 0),
        (Envelope { send: Some(half), ..ask(2, cmd::SEND) }, "send \"q\" [b\"m\"] 5 Some(7)", 0),
        (Envelope { batch_send: Some(batch_send), ..ask(2, cmd::BATCH_SEND) }, "send \"q\" [b\"m\", b\"m\"] 0 None", 0),
        (Envelope { pull: Some(pull), ..ask(2, cmd::PULL) }, "receive \"q\" 1 Some(3s) Some(9s)", 0),
        (Envelope { pull: Some(empty), ..ask(2, cmd::PULL) }, "receive \"empty\" 1 None None", 10_200),
        (Envelope { pull: Some(missing), ..ask(2, cmd::PULL) }, "receive \"none\" 1 None None", 4440),
        (Envelope { batch_pull: Some(batch_pull), ..ask(2, cmd::BATCH_PULL) }, "receive \"q\" 2 None None", 0),
        (Envelope { delete: Some(delete(1)), ..ask(2, cmd::DELETE) }, "ack \"q\" [1]", 0),
        (Envelope { delete: Some(delete(101)), ..ask(2, cmd::DELETE) }, "ack \"q\" [101]", 4430),
        (Envelope { batch_delete: Some(batch_delete(vec![1, 2])), ..ask(2, cmd::BATCH_DELETE) }, "ack \"q\" [1, 2]", 0),
        (
            Envelope { batch_delete: Some(batch_delete(vec![1, 101])), ..ask(2, cmd::BATCH_DELETE) },
            "ack \"q\" [1, 101]",
            6010,
        ),
        (Envelope { publish: Some(publish), ..ask(2, cmd::PUBLISH) }, "publish \"t\" [b\"m\"] [\"a\"] None", 0),
        (
            Envelope { batch_publish: Some(batch_publish), ..ask(2, cmd::BATCH_PUBLISH) },
            "publish \"t\" [b\"m\"] [] Some(\"x.y\")",
            0,
        ),
        (
            Envelope { confirm: Some(confirm), ..ask(2, cmd::CONFIRM) },
            "confirm \"q\" [Verdict { id: 1, is_commit: false }]",
            0,
        ),
        (ask(2, cmd::SEND), "", 4000),
        (ask(2, 1), "", 4000),
    ]
}

#[tokio::test]
async fn every_command_asks_the_broker_and_answers() {
    for (envelope, asked, result) in every_command() {
        let mut line = Line::logged_in("AKIDx").await;
        line.say(&envelope).await;
        let answer = line.hear().await;
        assert_eq!((answer.seqno, answer.cmd, answer.result), (2, envelope.cmd, Some(result)), "{envelope:?}");
        assert_eq!(line.broker.asked().first().map_or("", String::as_str), asked, "{envelope:?}");
    }
}

#[tokio::test]
async fn messages_and_failed_deletes_come_back_whole() {
    let mut line = Line::logged_in("AKIDx").await;
    let pull = BatchPull { queue_name: "q".to_owned(), num_msg: 16, ..BatchPull::default() };
    line.say(&Envelope { batch_pull: Some(pull), ..ask(2, cmd::BATCH_PULL) }).await;
    let list = line.hear().await.batch_pull_rsp.expect("there are messages").list;
    let message = list.first().expect("there is a message").clone();
    let expected = Message {
        msg_id: u64::MAX,
        receipt_handle: Some(21),
        body: Some(Bytes::from_static("中 hi".as_bytes())),
        enqueue_time: Some(1),
        next_visible_time: Some(31),
        first_dequeue_time: Some(1),
        dequeue_count: Some(1),
        ..Message::default()
    };
    assert_eq!((list.len(), message), (2, expected));
    let delete = BatchDelete { queue_name: "q".to_owned(), receipt_handle: vec![1, 101] };
    line.say(&Envelope { batch_delete: Some(delete), ..ask(3, cmd::BATCH_DELETE) }).await;
    let err_msg = "(10260)receipt handle is invalid".to_owned();
    let failed = DeleteResult { receipt_handle: 101, err_code: 4430, err_msg };
    assert_eq!(line.hear().await.del_result, [failed]);
}

#[tokio::test]
async fn a_poll_holds_up_no_other_call_and_ends_with_its_connection() {
    let mut line = Line::logged_in("AKIDx").await;
    let endless = Pull { queue_name: "endless".to_owned(), ..Pull::default() };
    line.say(&Envelope { pull: Some(endless), ..ask(2, cmd::PULL) }).await;
    line.stream.write_all(&bytes(SEND_FRAME)).await.expect("the door listens");
    assert_eq!(line.hear().await.cmd, cmd::SEND);
    line.stream.shutdown().await.expect("it is open");
    let answer = line.hear().await;
    assert_eq!((answer.cmd, answer.result), (cmd::PULL, Some(10_200)));
    assert!(line.is_closed().await);
}

#[tokio::test]
async fn strangers_are_not_served_and_rights_are_kept() {
    let mut line = Line::new();
    line.stream.write_all(&bytes(SEND_FRAME)).await.expect("the door listens");
    assert_eq!(line.hear().await.result, Some(306));
    for (secret_id, key, result) in [("AKIDx", "wrong", 4100), ("AKIDnobody", "key", 4100), ("x", "key", 4000)] {
        line.say(&auth(secret_id, key.as_bytes())).await;
        assert_eq!(line.hear().await.result, Some(result), "{secret_id} {key}");
    }
    line.say(&auth("AKIDtake", b"key")).await;
    assert_eq!(line.hear().await.result, Some(0));
    line.say(&auth("AKIDtake", b"key")).await;
    assert_eq!(line.hear().await.result, Some(307));
    line.stream.write_all(&bytes(SEND_FRAME)).await.expect("the door listens");
    assert_eq!(line.hear().await.result, Some(4000));
    assert_eq!(line.broker.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn what_is_no_frame_or_too_large_ends_the_connection() {
    let table = [
        ("a byte that is not zero", "010018000000"),
        ("a length below the head's", "000005000000"),
        ("a stranger's large frame", "000000ffff00"),
        ("no envelope", "00000800000000ff"),
    ];
    for (what, hex) in table {
        let mut line = Line::new();
        line.stream.write_all(&bytes(hex)).await.expect("the door listens");
        assert!(line.is_closed().await, "{what}");
    }
    let mut line = Line::logged_in("AKIDx").await;
    line.stream.write_all(&bytes("000000ffffff")).await.expect("the door listens");
    assert!(line.is_closed().await, "a large frame");
}

#[tokio::test]
async fn a_producer_of_half_messages_is_asked_about_them_and_answers_one_way() {
    let mut line = Line::logged_in("AKIDx").await;
    let body = Some(Bytes::from_static(b"m"));
    let half = Send { queue_name: "q".to_owned(), body, is_transaction: Some(1), ..Send::default() };
    line.say(&Envelope { send: Some(half), ..ask(2, cmd::SEND) }).await;
    assert_eq!(line.hear().await.msgids, [11]);
    let query = line.hear().await;
    assert_eq!((query.cmd, query.query), (cmd::QUERY, Some(Query { queue_name: "q".to_owned(), msg_id: 41 })));
    let confirm = Confirm { queue_name: "q".to_owned(), item: vec![ConfirmItem { msg_id: 41, state: 1 }] };
    let one_way = Envelope { confirm: Some(confirm), is_oneway: Some(1), ..ask(3, cmd::CONFIRM) };
    line.say(&one_way).await;
    line.say(&ask(4, cmd::HEARTBEAT)).await;
    let mut heard = line.hear().await;
    while heard.cmd == cmd::QUERY {
        heard = line.hear().await;
    }
    assert_eq!((heard.seqno, heard.cmd), (4, cmd::HEARTBEAT), "a one-way call has no answer");
    let confirmed = "confirm \"q\" [Verdict { id: 41, is_commit: true }]";
    assert!(line.broker.asked().iter().any(|asked| asked == confirmed));
}

#[tokio::test]
async fn answers_that_nobody_reads_are_bounded_and_whoever_reads_them_gives_their_room_back() {
    const ROOM: usize = 60;
    let mut deaf = Line::with(Budget::new(ROOM)).log_in("AKIDx").await;
    // The connection's own buffer takes the first answers; what comes after them waits.
    let question = frame::write(&ask(7, cmd::HEARTBEAT)).expect("it is small").repeat(1_000);
    let asked = async { while deaf.stream.write_all(&question).await.is_ok() {} };
    // Sooner than a write may stall.
    tokio::time::timeout(Duration::from_secs(20), asked).await.expect("who never reads is closed");
    let until = tokio::time::Instant::now() + Duration::from_secs(30);
    while deaf.unread.held() > 0 {
        assert!(tokio::time::Instant::now() < until, "{} bytes are held for nobody", deaf.unread.held());
        tokio::task::yield_now().await;
    }
    let mut reader = Line::with(Budget::new(ROOM)).log_in("AKIDx").await;
    for _ in 0..10 * ROOM {
        reader.say(&ask(7, cmd::HEARTBEAT)).await;
        assert_eq!(reader.hear().await.result, Some(0));
    }
}
