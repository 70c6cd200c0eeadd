//! The door against a fake broker: who is let in, and what each action asks and answers.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use base64::Engine as _;
use futures::StreamExt as _;
use hmac::{Hmac, Mac as _};
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use queue_core::Grant;
use serde_json::{Value, json};
use sha1::Sha1;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::CmqHttp;
use super::actions::ACTIONS;
use crate::doors::cmq::fake::FakeBroker;
use crate::doors::http::serve_connection;
use crate::doors::keys::{KeyRing, pair};

const HOST: &str = "127.0.0.1:8080";

struct Room {
    broker: Arc<FakeBroker>,
    router: axum::Router,
}

impl Room {
    fn new() -> Self {
        let broker = Arc::new(FakeBroker::default());
        let grant = |pattern: &str, rights| vec![Grant { pattern: pattern.to_owned(), rights }];
        let keys = KeyRing::of(vec![
            pair("AKIDx", "key", vec![Grant::everything()]),
            pair("AKIDsend", "key", grant("or*", 1)),
            pair("AKIDtake", "key", grant("orders", 2)),
            pair("AKIDown", "key", [grant("orders", 4), grant("dead", 1)].concat()),
        ]);
        let router = CmqHttp::new(Arc::clone(&broker) as _, Arc::new(keys)).router();
        Self { broker, router }
    }

    /// Sends a request as it stands. Status 200 is a law, and so are the three fields that every answer has.
    async fn send(&self, method: &str, path: &str, body: &str) -> Value {
        let request =
            Request::builder().method(method).uri(path).header("host", HOST).body(Body::from(body.to_owned()));
        let request = request.expect("the sample is a request");
        let response = TowerToHyperService::new(self.router.clone()).call(request).await.expect("it is answered");
        assert_eq!(response.status(), StatusCode::OK);
        let mut bytes = Vec::new();
        let mut frames = response.into_body().into_data_stream();
        while let Some(frame) = frames.next().await {
            bytes.extend_from_slice(&frame.expect("the answer is whole"));
        }
        let mut answer: Value = serde_json::from_slice(&bytes).expect("the answer is JSON");
        assert!(answer["requestId"].as_str().is_some_and(|id| id.parse::<u64>().is_ok()), "{answer}");
        assert!(answer["code"].is_u64() && answer["message"].is_string(), "{answer}");
        answer.as_object_mut().expect("it is an object").remove("requestId");
        answer
    }

    /// Posts pairs, signed.
    async fn ask(&self, secret_id: &str, pairs: &str) -> Value {
        let pairs = format!("{pairs}&SecretId={secret_id}&Nonce=7&Timestamp=1");
        self.send("POST", "/v2/index.php", &signed("POST", "/v2/index.php", &pairs)).await
    }
}

/// The pairs and their signature by the key `key`. Their values hold nothing that is decoded differently.
fn signed(method: &str, path: &str, pairs: &str) -> String {
    let mut sorted: Vec<&str> = pairs.split('&').collect();
    sorted.sort_by_key(|pair| pair.split('=').next());
    let text = format!("{method}{HOST}{path}?{}", sorted.join("&"));
    let mac = Hmac::<Sha1>::new_from_slice(b"key").expect("a key of any length").chain_update(text.as_bytes());
    let signature = base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes());
    format!("{pairs}&Signature={}", signature.replace('+', "%2B").replace('=', "%3D"))
}

/// Asks, and holds what the broker was asked and what came back against the table. Fields that are not named are not
/// looked at; code 0 and an empty message are meant where nothing else is said.
async fn check(table: &[(&str, &str, Value)]) {
    let room = Room::new();
    for (pairs, asked, fields) in table {
        let answer = room.ask("AKIDx", pairs).await;
        assert_eq!(room.broker.asked().join("; "), *asked, "{pairs}");
        let mut expected = json!({ "code": 0, "message": "" });
        expected.as_object_mut().expect("an object").extend(fields.as_object().expect("an object").clone());
        for (name, value) in expected.as_object().expect("an object") {
            assert_eq!(&answer[name], value, "{name} of {pairs}: {answer}");
        }
    }
}

#[tokio::test]
async fn queue_actions_ask_and_answer() {
    let facts = json!({
        "maxMsgHeapNum": 1_000_000, "pollingWaitSeconds": 1, "visibilityTimeout": 2, "maxMsgSize": 1024,
        "msgRetentionSeconds": 60, "createTime": 4, "lastModifyTime": 5, "activeMsgNum": 6, "inactiveMsgNum": 7,
        "rewindMsgNum": 9, "rewindmsgNum": 9, "minMsgTime": 10, "delayMsgNum": 8, "rewindSeconds": 3,
        "queueId": "queue-1", "queueName": "q", "deadLetterQueueName": "d", "policy": 0, "maxReceiveCount": 3,
    });
    let list = json!({ "totalCount": 7, "queueList": [{ "queueId": "queue-1", "queueName": "q" }] });
    let nothing = "QueueWish { messages_max: None, poll_s: None, visibility_s: None, message_bytes_max: None, \
                   retention_s: None, rewind_s: None, dead_letter: None, transaction: None, trace: None }";
    let everything = "QueueWish { messages_max: Some(1000000), poll_s: Some(30), visibility_s: Some(43200), \
                      message_bytes_max: Some(1048576), retention_s: Some(1296000), rewind_s: Some(0), \
                      dead_letter: Some(DeadLetterRule { queue: \"d\", when: Old(300) }), \
                      transaction: Some(TransactionRule { first_query_s: Some(5), queries_max: Some(9) }), \
                      trace: Some(true) }";
    let all = "Action=CreateQueue&queueName=q&maxMsgHeapNum=1000000&pollingWaitSeconds=30&visibilityTimeout=43200\
               &maxMsgSize=1048576&msgRetentionSeconds=1296000&rewindSeconds=0&deadLetterQueueName=d&policy=1\
               &maxTimeToLive=300&transaction=1&maxQueryCount=9&trace=true";
    let counted =
        nothing.replace("dead_letter: None", "dead_letter: Some(DeadLetterRule { queue: \"d\", when: Received(4) })");
    check(&[
        ("Action=CreateQueue&queueName=q", &format!("create \"q\" {nothing}"), json!({ "queueId": "queue-1" })),
        (all, &format!("create \"q\" {everything}"), json!({ "queueId": "queue-1" })),
        (
            "Action=SetQueueAttributes&queueName=q&deadLetterQueueName=d&maxReceiveCount=4",
            &format!("set \"q\" {counted}"),
            facts.clone(),
        ),
        ("Action=getqueueattributes&queueName=q", "get \"q\"", facts),
        ("Action=ListQueue", "list  0 20", list.clone()),
        ("Action=ListQueue&searchWord=or&offset=2&limit=50", "list or 2 50", list.clone()),
        ("Action=DeleteQueue&queueName=q", "delete \"q\"", json!({})),
        ("Action=ClearQueue&queueName=q", "clear \"q\"", json!({})),
        ("Action=RewindQueue&queueName=q&startConsumeTime=1500000000", "rewind \"q\" 1500000000", json!({})),
        ("Action=DescribeDeadLetterSourceQueues&deadLetterQueueName=d&limit=5", "sources \"d\" 0 5", list),
        ("Action=UnbindDeadLetter&queueName=q", "unbind \"q\"", json!({})),
        ("Action=QueryQueueRoute&queueName=q", "get \"q\"", json!({ "addr": ["127.0.0.1:7301"] })),
    ])
    .await;
}

#[tokio::test]
async fn message_actions_ask_and_answer() {
    let message = |handle: &str| {
        json!({
            "msgBody": "中 hi", "msgId": "18446744073709551615", "receiptHandle": handle, "enqueueTime": 1,
            "firstDequeueTime": 1, "nextVisibleTime": 31, "dequeueCount": 1,
        })
    };
    let stale =
        |handle: &str| json!({ "code": 4430, "message": "(10260)receipt handle is invalid", "receiptHandle": handle });
    let partly =
        json!({ "code": 6010, "message": "(10150)delete message partially failed", "errorList": [stale("101")] });
    let none = json!({ "code": 6020, "message": "(10290)batch delete message failed", "errorList": [stale("101")] });
    let no_message = json!({ "code": 7000, "message": "(10200)no message" });
    check(&[
        (
            "Action=SendMessage&queueName=q&msgBody=hello world&delaySeconds=0&RequestClient=SDK",
            "send \"q\" [b\"hello world\"] 0 None",
            json!({ "msgId": "11" }),
        ),
        ("Action=SendMessage&queueName=q&msgBody=x&delaySeconds=6048000", "send \"q\" [b\"x\"] 6048000 None", json!({})),
        ("Action=SendMessage&queueName=q&msgBody=x&transaction=1&firstQueryInterval=5", "send \"q\" [b\"x\"] 0 Some(5)", json!({})),
        (
            "Action=BatchSendMessage&queueName=q&msgBody.0=a&msgBody.1=b",
            "send \"q\" [b\"a\", b\"b\"] 0 None",
            json!({ "msgList": [{ "msgId": "11" }, { "msgId": "12" }] }),
        ),
        ("Action=ReceiveMessage&queueName=q&UserpollingWaitSeconds=30", "receive \"q\" 1 None None", message("21")),
        ("Action=ReceiveMessage&queueName=q&pollingWaitSeconds=30000", "receive \"q\" 1 Some(30s) None", message("21")),
        ("Action=ReceiveMessage&queueName=q&pollingWaitSeconds=-1", "receive \"q\" 1 Some(0ns) None", message("21")),
        ("Action=ReceiveMessage&queueName=empty", "receive \"empty\" 1 None None", no_message.clone()),
        (
            "Action=BatchReceiveMessage&queueName=q&numOfMsg=16&pollingWaitSeconds=3",
            "receive \"q\" 16 Some(3s) None",
            json!({ "msgInfoList": [message("21"), message("22")] }),
        ),
        ("Action=BatchReceiveMessage&queueName=empty&numOfMsg=1", "receive \"empty\" 1 None None", no_message),
        ("Action=DeleteMessage&queueName=q&receiptHandle=100", "ack \"q\" [100]", json!({})),
        ("Action=DeleteMessage&queueName=q&receiptHandle=101", "ack \"q\" [101]", json!({ "code": 4430, "message": "(10260)receipt handle is invalid" })),
        ("Action=BatchDeleteMessage&queueName=q&receiptHandle.1=1&receiptHandle.2=2", "ack \"q\" [1, 2]", json!({})),
        ("Action=BatchDeleteMessage&queueName=q&receiptHandle.1=1&receiptHandle.2=101", "ack \"q\" [1, 101]", partly),
        ("Action=BatchDeleteMessage&queueName=q&receiptHandle.1=101", "ack \"q\" [101]", none),
        ("Action=ConfirmTransaction&queueName=q&state=1&msgId.1=1", "confirm \"q\" [Verdict { id: 1, is_commit: true }]", json!({})),
        (
            "Action=ConfirmTransaction&queueName=q&state=2&msgId.1=101",
            "confirm \"q\" [Verdict { id: 101, is_commit: false }]",
            json!({ "code": 6040, "errorList": [{ "code": 4490, "message": "(10770)message id is invalid", "msgId": "101" }],
                    "message": "(10750)transaction confirmation failed" }),
        ),
        ("Action=QueryTransaction&queueName=q", "check backs [\"q\"]", json!({ "msgList": [{ "queueName": "q", "msgId": "41" }] })),
        ("Action=DescribeMessageTrace&queueName=q&msgId=5", "trace \"q\" 5", json!({ "traceList": [{ "event": "sent", "time": 1, "text": "" }] })),
    ])
    .await;
}

#[tokio::test]
async fn topic_actions_ask_and_answer() {
    let nothing =
        "SubscriptionWish { endpoint: None, strategy: None, format: None, filter_tags: None, binding_keys: None }";
    let java = "SubscriptionWish { endpoint: Some(Queue(\"q\")), strategy: Some(Backoff), format: Some(Simplified), \
                filter_tags: None, binding_keys: None }";
    let python = "SubscriptionWish { endpoint: Some(Http(\"http://h:1/p\")), strategy: Some(ExponentialDecay), \
                  format: Some(Json), filter_tags: Some([\"a\", \"b\"]), binding_keys: Some([\"x.#\"]) }";
    let one = "&topicName=t&subscriptionName=s";
    let facts = json!({
        "endpoint": "q", "protocol": "queue", "protocal": "queue", "notifyStrategy": "EXPONENTIAL_DECAY_RETRY",
        "notifyContentFormat": "SIMPLIFIED", "topicOwner": 0, "createTime": 1, "lastModifyTime": 2, "msgCount": 0,
        "bindingKey": ["b.*"], "bindindKey": ["b.*"], "filterTag": ["a"], "filterTags": ["a"],
    });
    check(&[
        (
            "Action=CreateTopic&topicName=t&filterType=2&maxMsgSize=65536",
            "create topic \"t\" TopicWish { message_bytes_max: Some(65536), filter: Some(RoutingKey), retention_s: None, trace: None }",
            json!({ "topicId": "topic-1" }),
        ),
        (
            "Action=SetTopicAttributes&topicName=t&maxMsgSize=1024",
            "set topic \"t\" TopicWish { message_bytes_max: Some(1024), filter: None, retention_s: None, trace: None }",
            json!({}),
        ),
        ("Action=ListTopic", "list topics  0 20", json!({ "totalCount": 7, "topicList": [{ "topicId": "topic-1", "topicName": "t" }] })),
        (
            "Action=GetTopicAttributes&topicName=t",
            "get topic \"t\"",
            json!({ "msgCount": 3, "maxMsgSize": 4, "msgRetentionSeconds": 5, "createTime": 1, "lastModifyTime": 2, "filterType": 2 }),
        ),
        ("Action=DeleteTopic&topicName=t", "delete topic \"t\"", json!({})),
        ("Action=QueryTopicRoute&topicName=t", "get topic \"t\"", json!({ "addr": ["127.0.0.1:7301"] })),
        ("Action=PublishMessage&topicName=t&msgBody=m&routingKey=", "publish \"t\" [b\"m\"] [] None", json!({ "msgId": "31" })),
        (
            "Action=BatchPublishMessage&topicName=t&msgBody.1=m&msgTag.1=a&msgTag.2=b&routingKey=x.y",
            "publish \"t\" [b\"m\"] [\"a\", \"b\"] Some(\"x.y\")",
            json!({ "msgList": [{ "msgId": "31" }] }),
        ),
        (
            &format!("Action=Subscribe{one}&protocol=queue&endpoint=q&notifyStrategy=BACKOFF_RETRY&notifyContentFormat=JSON"),
            &format!("subscribe \"t\" \"s\" {java}"),
            json!({ "subscriptionId": "sub-1" }),
        ),
        (
            &format!(
                "Action=Subscribe{one}&protocol=HTTP&endpoint=http://h:1/p&notifyStrategy=EXPONENTIAL_DECAY_RETRY\
                 &notifyContentFormat=JSON&filterTag.1=a&filterTag.2=b&bindingKey.1=x.#"
            ),
            &format!("subscribe \"t\" \"s\" {python}"),
            json!({ "subscriptionId": "sub-1" }),
        ),
        (&format!("Action=SetSubscriptionAttributes{one}"), &format!("set subscription \"t\" \"s\" {nothing}"), json!({})),
        (&format!("Action=GetSubscriptionAttributes{one}"), "get subscription \"t\" \"s\"", facts),
        (
            "Action=ListSubscriptionByTopic&topicName=t&limit=2",
            "list subscriptions \"t\" 2",
            json!({ "totalCount": 7, "subscriptionList": [{ "subscriptionId": "sub-1", "subscriptionName": "s" }] }),
        ),
        (&format!("Action=Unsubscribe{one}"), "unsubscribe \"t\" \"s\"", json!({})),
        (&format!("Action=ClearSUbscriptionFIlterTags{one}"), "clear tags \"t\" \"s\"", json!({})),
    ])
    .await;
}

#[tokio::test]
async fn what_is_wrong_is_named_with_its_code_and_nothing_is_asked_of_the_broker() {
    let (long, dots) = ("a".repeat(17), ".".repeat(16));
    let tag = format!("Action=PublishMessage&topicName=t&msgBody=m&msgTag.1={long}");
    let key = format!("Action=PublishMessage&topicName=t&msgBody=m&routingKey={dots}");
    let six = |name: &str| (1..=6).map(|n| format!("&{name}.{n}=a")).collect::<String>();
    let subscribe = "Action=Subscribe&topicName=t&subscriptionName=s&protocol=http&endpoint=";
    let table = [
        ("queueName=q", 4000, "(10280)action is not existed"),
        ("Action=Dance", 4000, "(10430)action name Dance is not existed"),
        ("Action=DeleteQueue", 4000, "(10390)lacked of required parameter queueName"),
        (
            "Action=CreateQueue&queueName=q&maxMsgHeapNum=999999",
            4000,
            "(10350)parameter maxMsgHeapNum value or length is out of range",
        ),
        (
            "Action=CreateQueue&queueName=q&visibilityTimeout=0",
            4000,
            "(10350)parameter visibilityTimeout value or length is out of range",
        ),
        ("Action=CreateQueue&queueName=q&maxMsgSize=x", 4000, "(10360)parameter maxMsgSize error type"),
        ("Action=CreateQueue&queueName=q&policy=1", 4000, "(10390)lacked of required parameter deadLetterQueueName"),
        (
            "Action=CreateQueue&queueName=q&deadLetterQueueName=d&policy=1",
            4000,
            "(10390)lacked of required parameter maxTimeToLive",
        ),
        ("Action=ListQueue&limit=51", 4000, "(10350)parameter limit value or length is out of range"),
        ("Action=SendMessage&queueName=q", 4000, "(10390)lacked of required parameter msgBody"),
        ("Action=SendMessage&queueName=q&msgBody=", 4000, "(10120)message body can't be empty"),
        ("Action=SendMessage&queueName=q&msgBody=x&delaySeconds=6048001", 4000, "(10692)delay seconds is out of range"),
        ("Action=SendMessage&queueName=q&msgBody=x&delaySeconds=-1", 4000, "(10692)delay seconds is out of range"),
        ("Action=BatchSendMessage&queueName=q", 4000, "(10390)lacked of required parameter msgBody"),
        (
            "Action=BatchSendMessage&queueName=q&msgBody.1=a&msgBody.3=b",
            4000,
            "(10380)msgBody parameter is not consequent",
        ),
        (
            "Action=BatchReceiveMessage&queueName=q&numOfMsg=17",
            4000,
            "(10350)parameter numOfMsg value or length is out of range",
        ),
        ("Action=DeleteMessage&queueName=q&receiptHandle=x", 4000, "(10470)receiptHandle error"),
        ("Action=GetTopicAttributes&topicName=1t", 4000, "(10620)topic name format error"),
        ("Action=Unsubscribe&topicName=t&subscriptionName=-", 4000, "(10580)subscription name format error"),
        (&tag, 4000, "(10350)parameter msgTag value or length is out of range"),
        (&key, 4000, "(10691)too many delimeters"),
        (&format!("Action=PublishMessage&topicName=t&msgBody=m{}", six("msgTag")), 4000, "(10720)too many msgTag"),
        (&format!("{subscribe}http://h{}", six("filterTag")), 4000, "(10490)number of filterTag exceed limit"),
        (&format!("{subscribe}http://h{}", six("bindingKey")), 4000, "(10680)too many bindingKey"),
        (&format!("{subscribe}ftp://h"), 4000, "(10500)endpoint format error"),
        (&format!("{subscribe}http://h a"), 4510, "(10570)url connot contain any blank characters"),
        (&format!("{subscribe}http://h&notifyStrategy=X"), 4000, "(10520)undefined notify retry stragety"),
        (&format!("{subscribe}http://h&notifyContentFormat=X"), 4000, "(10530)undefined notify content format"),
        ("Action=Subscribe&topicName=t&subscriptionName=s&protocol=sms&endpoint=1", 4000, "(10510)undefined protocol"),
    ];
    let room = Room::new();
    for (pairs, code, message) in table {
        let answer = room.ask("AKIDx", pairs).await;
        assert_eq!(answer, json!({ "code": code, "message": message }), "{pairs}");
        assert_eq!(room.broker.asked(), Vec::<String>::new(), "{pairs}");
    }
    let answer = room.ask("AKIDx", "Action=GetQueueAttributes&queueName=none").await;
    assert_eq!(answer, json!({ "code": 4440, "message": "(10100)queue is not existed, or deleted" }));
}

#[tokio::test]
async fn every_action_is_closed_to_a_key_without_its_right() {
    let room = Room::new();
    for action in &ACTIONS {
        let on = if action.on.is_empty() { String::new() } else { format!("&{}=zebra", action.on) };
        let answer = room.ask("AKIDsend", &format!("Action={}{on}", action.name)).await;
        assert_eq!(answer, json!({ "code": 4000, "message": "(10461)no cam authentication" }), "{}", action.name);
    }
    assert_eq!(room.broker.asked(), Vec::<String>::new());
    let table = [
        ("AKIDsend", "Action=SendMessage&queueName=Orders&msgBody=x", 0),
        ("AKIDtake", "Action=SendMessage&queueName=orders&msgBody=x", 4000),
        ("AKIDtake", "Action=ReceiveMessage&queueName=orders", 0),
        ("AKIDtake", "Action=DeleteQueue&queueName=orders", 4000),
        ("AKIDown", "Action=CreateQueue&queueName=orders", 0),
        ("AKIDown", "Action=CreateQueue&queueName=orders&deadLetterQueueName=dead&maxReceiveCount=4", 0),
        ("AKIDown", "Action=SetQueueAttributes&queueName=orders&deadLetterQueueName=bills&maxReceiveCount=4", 4000),
        ("AKIDown", "Action=Subscribe&topicName=orders&subscriptionName=s&protocol=queue&endpoint=dead", 0),
        ("AKIDown", "Action=Subscribe&topicName=orders&subscriptionName=s&protocol=queue&endpoint=bills", 4000),
        ("AKIDown", "Action=Subscribe&topicName=orders&subscriptionName=s&protocol=http&endpoint=http://h/p", 0),
    ];
    for (id, pairs, code) in table {
        assert_eq!(room.ask(id, pairs).await["code"], code, "{id} {pairs}");
    }
}

#[tokio::test]
async fn both_methods_and_both_paths_are_served_and_strangers_are_not() {
    let room = Room::new();
    let pairs = "Action=DeleteQueue&queueName=q&SecretId=AKIDx&Nonce=1&Timestamp=1";
    for path in ["/", "/v2/index.php"] {
        let answer = room.send("POST", path, &signed("POST", path, pairs)).await;
        assert_eq!(answer["code"], 0, "POST {path}");
        let query = signed("GET", path, pairs);
        let answer = room.send("GET", &format!("{path}?{query}"), "").await;
        assert_eq!(answer["code"], 0, "GET {path}");
        // The Python SDK repeats a GET with its pairs in the body.
        assert_eq!(room.send("GET", path, &query).await["code"], 0, "repeated GET {path}");
        let answer = room.send("POST", path, &query).await;
        assert_eq!(answer, json!({ "code": 4100, "message": "(10030)authentication failed" }), "{path}");
    }
    let strangers = [
        ("PUT", "Action=ListQueue".to_owned(), 4000, "(10410)unexpected http PUT only GET or POST is supported"),
        ("POST", signed("POST", "/", "Action=ListQueue&SecretId=x"), 4000, "(10450)secret id dosen't begin with AKID"),
        ("POST", signed("POST", "/", "Action=ListQueue&SecretId=AKIDy"), 4100, "(10270)secret id is not existed"),
        ("POST", "Action=ListQueue&SecretId=AKIDx".to_owned(), 4000, "(10390)lacked of required parameter Signature"),
        ("POST", "Action=ListQueue&Action=x".to_owned(), 4000, "(10330)parameter Action is NOT a repeatable parameter"),
        ("POST", "a=%ff".to_owned(), 4000, "(10420)cannot parse a, or request size is more than 1MB"),
    ];
    for (method, body, code, message) in strangers {
        assert_eq!(room.send(method, "/", &body).await, json!({ "code": code, "message": message }), "{body}");
    }
}

#[tokio::test]
async fn a_repeat_is_answered_from_memory_only_while_the_first_answer_may_be_lost() {
    let room = Room::new();
    let pairs =
        |nonce: u64| format!("Action=SendMessage&queueName=q&msgBody=x&SecretId=AKIDx&Nonce={nonce}&Timestamp=1");
    for (nonce, sends) in [(1 << 31, 1), ((1 << 31) - 1, 2)] {
        let body = signed("POST", "/", &pairs(nonce));
        // No connection says that the answer was written.
        let (one, two) = (room.send("POST", "/", &body).await, room.send("POST", "/", &body).await);
        assert_eq!(one, two);
        assert_eq!(room.broker.asked().len(), sends, "nonce {nonce}");
    }
}

/// How much of an answer a client reads before its connection is gone.
#[derive(Clone, Copy, Debug)]
enum Reads {
    Nothing,
    Half,
    Whole,
}

/// Posts a body on a connection of its own that holds little, and reads so much of the answer.
async fn post(router: &axum::Router, body: &str, reads: Reads) -> String {
    let (mut client, server) = tokio::io::duplex(64);
    let served = tokio::spawn(serve_connection(server, router.clone()));
    let head = format!("POST / HTTP/1.1\r\nhost: {HOST}\r\ncontent-length: {}\r\n\r\n", body.len());
    client.write_all(format!("{head}{body}").as_bytes()).await.expect("the door reads");
    let mut answer = Vec::new();
    match reads {
        Reads::Nothing => {}
        Reads::Half => {
            answer.resize(40, 0);
            client.read_exact(&mut answer).await.expect("it begins to answer");
        }
        Reads::Whole => {
            while !answer.ends_with(b"}") {
                assert_ne!(client.read_buf(&mut answer).await.expect("it answers"), 0, "the answer is whole");
            }
        }
    }
    drop(client);
    served.await.expect("the connection ends");
    String::from_utf8(answer).expect("it is text")
}

#[tokio::test]
async fn a_request_sent_again_after_a_broken_connection_is_done_twice_only_in_doubt() {
    let (large, small) = (1_u64 << 31, (1_u64 << 31) - 1);
    // nonce, what the first client reads, how often it is sent after a second and a third one read the whole answer
    let table = [
        (large, Reads::Nothing, [1, 2]),
        (large, Reads::Half, [1, 2]),
        (large, Reads::Whole, [2, 3]),
        (small, Reads::Half, [2, 3]),
        (small, Reads::Whole, [2, 3]),
    ];
    for (nonce, reads, sends) in table {
        let room = Room::new();
        let pairs = format!("Action=SendMessage&queueName=q&msgBody=x&SecretId=AKIDx&Nonce={nonce}&Timestamp=1");
        let body = signed("POST", "/", &pairs);
        post(&room.router, &body, reads).await;
        let (mut asked, mut seen) = (0, Vec::new());
        for _ in sends {
            assert!(post(&room.router, &body, Reads::Whole).await.contains("\"msgId\":\"11\""), "{nonce} {reads:?}");
            // The broker tells what it was asked since it last told.
            asked += room.broker.asked().len();
            seen.push(asked);
        }
        assert_eq!(seen, sends, "nonce {nonce}, {reads:?}");
    }
}
