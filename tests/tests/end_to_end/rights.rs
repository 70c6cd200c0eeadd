//! Key pairs on the gRPC address: every rpc asks for its right, and a key is good for as long as it is there.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use ::queue_client::{Client, ClientConfig, Credentials, Error, Receive, signer};
use bytes::Bytes;
use prost::Message as _;
use proto::admin::v1::*;
use proto::outcome::{DOOR_REFUSALS, NO_RIGHT, status_of};
use proto::queue::v1::exchange_reply::Outcome as Reply;
use proto::queue::v1::exchange_request::Call;
use proto::queue::v1::*;
use tests::lone::{LoneNode, OPERATOR};
use tests::raw::{Raw, refusal};

const KEY_NEEDED: u16 = DOOR_REFUSALS + 25;
const MALFORMED: u16 = DOOR_REFUSALS + 26;
const SIGNATURE_WRONG: u16 = DOOR_REFUSALS + 27;
const OTHER_HOST: u16 = DOOR_REFUSALS + 28;
const STALE: u16 = DOOR_REFUSALS + 29;
const USED: u16 = DOOR_REFUSALS + 30;

/// Which of the keys may make a call: `s`end, `r`eceive, `m`anage on "orders"; the operator may make any.
type Row = (&'static str, Bytes, &'static str);

macro_rules! rows {
    ($([$service:literal] $($rpc:literal $may:literal $message:expr;)*)*) => {
        vec![$($((concat!("/tercet.", $service, "/", $rpc), Bytes::from($message.encode_to_vec()), $may),)*)*]
    };
}

/// Every rpc, about the queue or topic "orders".
fn table() -> Vec<Row> {
    [of_queues(), of_operators()].concat()
}

fn of_queues() -> Vec<Row> {
    let name = || "orders".to_owned();
    rows! {
        ["queue.v1.Queue"]
        "OpenSession" "srmo" OpenSessionRequest { group: 1 };
        "Locate" "srm" LocateRequest { queue: name(), ..LocateRequest::default() };
        "CreateQueue" "m" CreateQueueRequest { queue: name(), ..CreateQueueRequest::default() };
        "ListQueues" "" ListQueuesRequest::default();
        "GetQueue" "m" GetQueueRequest { queue: name() };
        "SetQueueAttributes" "m" SetQueueAttributesRequest { queue: name(), ..SetQueueAttributesRequest::default() };
        "DeleteQueue" "m" DeleteQueueRequest { queue: name(), ..DeleteQueueRequest::default() };
        "PurgeQueue" "m" PurgeQueueRequest { queue: name(), ..PurgeQueueRequest::default() };
        "Send" "s" SendRequest { queue: name(), ..SendRequest::default() };
        "Receive" "r" ReceiveRequest { queue: name(), messages_max: 1, wait_ms: Some(0), ..ReceiveRequest::default() };
        "Ack" "r" AckRequest { queue: name(), receipts: vec![1], ..AckRequest::default() };
        "Extend" "r" ExtendRequest { queue: name(), receipts: vec![1], ..ExtendRequest::default() };
        "Release" "r" ReleaseRequest { queue: name(), receipts: vec![1], ..ReleaseRequest::default() };
        "Consume" "r" ConsumeRequest { queue: name(), credits: 10_001, ..ConsumeRequest::default() };
        "ConfirmHalf" "s" ConfirmHalfRequest { queue: name(), ..ConfirmHalfRequest::default() };
        "QueryHalf" "s" QueryHalfRequest { queue: name(), messages_max: 1, ..QueryHalfRequest::default() };
        "Peek" "m" PeekRequest { queue: name(), state: MessageState::Visible.into(), ..PeekRequest::default() };
        "Exchange" "srmo" ExchangeRequest::default();

        ["queue.v1.Topics"]
        "CreateTopic" "m" CreateTopicRequest { topic: name(), ..CreateTopicRequest::default() };
        "ListTopics" "" ListTopicsRequest::default();
        "GetTopic" "m" GetTopicRequest { topic: name() };
        "SetTopicAttributes" "m" SetTopicAttributesRequest { topic: name(), ..SetTopicAttributesRequest::default() };
        "DeleteTopic" "m" DeleteTopicRequest { topic: name(), ..DeleteTopicRequest::default() };
        "Subscribe" "m" SubscribeRequest { topic: name(), name: name(), ..SubscribeRequest::default() };
        "ListSubscriptions" "m" ListSubscriptionsRequest { topic: name(), ..ListSubscriptionsRequest::default() };
        "GetSubscription" "m" GetSubscriptionRequest { topic: name(), name: name() };
        "SetSubscription" "m" SetSubscriptionRequest { topic: name(), ..SetSubscriptionRequest::default() };
        "Unsubscribe" "m" UnsubscribeRequest { topic: name(), ..UnsubscribeRequest::default() };
        "Publish" "s" PublishRequest { topic: name(), ..PublishRequest::default() };

        ["queue.v1.History"]
        "Search" "m" SearchRequest { queue: name(), ..SearchRequest::default() };
        "Explain" "m" ExplainRequest { queue: name(), id: 1 };
        "ListEvents" "m" ListEventsRequest { queue: name(), ..ListEventsRequest::default() };
        "Rewind" "m" RewindRequest { queue: name(), ..RewindRequest::default() };
        "ListDeadLetterSources" "m" ListDeadLetterSourcesRequest { queue: name() };
        "StartRedrive" "m" StartRedriveRequest { queue: name(), ..StartRedriveRequest::default() };
        "StopRedrive" "m" StopRedriveRequest { queue: name(), ..StopRedriveRequest::default() };
        "GetRedrive" "m" GetRedriveRequest { queue: name() };

        ["queue.v1.Moves"]
        "MoveQueue" "m" MoveQueueRequest { queue: name(), group: 99, ..MoveQueueRequest::default() };
        "CancelMove" "m" CancelMoveRequest { queue: name(), ..CancelMoveRequest::default() };
        "GetMove" "m" GetMoveRequest { queue: name() };
    }
}

fn of_operators() -> Vec<Row> {
    rows! {
        ["admin.v1.Admin"]
        "Status" "srmo" StatusRequest {};
        "TransferLeader" "" TransferLeaderRequest { group: 99, to: String::new() };
        "Audit" "" AuditRequest {};
        "StateHash" "" StateHashRequest::default();
        "CourierStatus" "" CourierStatusRequest {};
        "Queues" "" QueuesRequest {};

        ["admin.v1.Members"]
        "AddMember" "" AddMemberRequest { group: 99, ..AddMemberRequest::default() };
        "PromoteMember" "" PromoteMemberRequest { group: 99, ..PromoteMemberRequest::default() };
        "RemoveMember" "" RemoveMemberRequest { group: 99, ..RemoveMemberRequest::default() };
        "Drain" "" DrainRequest { drained: false };
        ["admin.v1.Backups"]
        "Backup" "" BackupRequest { group: 99 };
        ["admin.v1.Keys"]
        "CreateKey" "" CreateKeyRequest::default();
        "ListKeys" "" ListKeysRequest {};
        "RotateKey" "" RotateKeyRequest { id: "AKIDnone".to_owned(), overlap_ms: 0 };
        "GrantKey" "" GrantKeyRequest { id: "AKIDnone".to_owned(), ..GrantKeyRequest::default() };
        "RevokeKey" "" RevokeKeyRequest { id: "AKIDnone".to_owned() };
    }
}

/// Every rpc of the services that a queue node shows, by its path.
fn published() -> BTreeSet<String> {
    let files = prost_types::FileDescriptorSet::decode(proto::FILE_DESCRIPTOR_SET).expect("the contracts are whole");
    let files = files.file.iter().filter(|file| ["tercet.queue.v1", "tercet.admin.v1"].contains(&file.package()));
    let of_file = |file: &prost_types::FileDescriptorProto| {
        let package = file.package().to_owned();
        // App nodes alone recover money.
        let services = file.service.iter().filter(|service| service.name() != "Recovery");
        let services = services.flat_map(move |service| {
            let path = format!("/{package}.{}", service.name());
            service.method.iter().map(move |method| format!("{path}/{}", method.name())).collect::<Vec<_>>()
        });
        services.collect::<Vec<_>>()
    };
    files.flat_map(of_file).collect()
}

fn operator() -> Credentials {
    Credentials::new(OPERATOR.0, OPERATOR.1)
}

fn config(node: &LoneNode, credentials: &Credentials) -> ClientConfig {
    ClientConfig {
        credentials: Some(credentials.clone()),
        call_timeout: Duration::from_secs(20),
        ..ClientConfig::new([&node.grpc])
    }
}

/// A key with these rights, made by the operators' command.
fn key(node: &LoneNode, grant: &str) -> Credentials {
    let made = node.cluster(&["keys", "create", "--grant", grant], Some(&node.operator_key()));
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let text = String::from_utf8(made.stdout).expect("it is text");
    let (id, secret) = text.trim().split_once(' ').expect("an id and a secret");
    Credentials::new(id, secret)
}

fn id(key: &Credentials) -> String {
    // What may be printed of a key is its id.
    let shown = format!("{key:?}");
    shown.split('"').nth(1).expect("its id is shown").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_rpc_asks_for_its_right_and_no_other_opens_it() {
    let node = LoneNode::with_keys(&[]).ready();
    let table = table();
    let listed: BTreeSet<String> = table.iter().map(|(rpc, ..)| (*rpc).to_owned()).collect();
    assert_eq!(listed, published(), "every rpc has its row");
    let keys = [
        ('s', key(&node, "orders=send")),
        ('r', key(&node, "Orders=receive")),
        ('m', key(&node, "ord*=manage")),
        ('o', key(&node, "other*=send,receive,manage")),
    ];
    let mut stranger = Raw::connect(&node.grpc, None).await;
    let mut forger = Raw::connect(&node.grpc, Some(&Credentials::new(OPERATOR.0, "another secret"))).await;
    let mut owner = Raw::connect(&node.grpc, Some(&operator())).await;
    for (rpc, message, _) in &table {
        assert_eq!(refusal(&stranger.call(rpc, message.clone()).await), KEY_NEEDED, "{rpc} without a key");
        assert_eq!(refusal(&forger.call(rpc, message.clone()).await), SIGNATURE_WRONG, "{rpc} with a wrong secret");
    }
    for (letter, key) in &keys {
        let mut raw = Raw::connect(&node.grpc, Some(key)).await;
        for (rpc, message, may) in &table {
            let is_open = refusal(&raw.call(rpc, message.clone()).await) != NO_RIGHT;
            assert_eq!(is_open, may.contains(*letter), "{rpc} with the right {letter}");
        }
    }
    for (rpc, message, _) in &table {
        let number = refusal(&owner.call(rpc, message.clone()).await);
        assert!(!(KEY_NEEDED..=NO_RIGHT).contains(&number), "{rpc} by the operator: {number}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_call_on_a_stream_is_held_against_the_key() {
    let node = LoneNode::with_keys(&[]).ready();
    let sender = key(&node, "orders=send");
    let mut raw = Raw::connect(&node.grpc, Some(&sender)).await;
    let queue = || "orders".to_owned();
    let table = [
        (Call::Send(SendRequest { queue: queue(), ..SendRequest::default() }), true),
        (Call::Send(SendRequest { queue: "bills".to_owned(), ..SendRequest::default() }), false),
        (Call::Receive(ReceiveRequest { queue: queue(), ..ReceiveRequest::default() }), false),
        (Call::Ack(AckRequest { queue: queue(), ..AckRequest::default() }), false),
        (Call::Extend(ExtendRequest { queue: queue(), ..ExtendRequest::default() }), false),
        (Call::Release(ReleaseRequest { queue: queue(), ..ReleaseRequest::default() }), false),
    ];
    for (call, is_open) in table {
        let what = format!("{call:?}");
        let request = ExchangeRequest { correlation: 7, call: Some(call), traceparent: String::new() }.encode_to_vec();
        let reply = raw.call("/tercet.queue.v1.Queue/Exchange", request.into()).await.expect("the stream opens");
        let reply = ExchangeReply::decode(reply.expect("it is answered")).expect("it is an answer");
        let Some(Reply::Failure(failure)) = reply.outcome else { panic!("there is no such queue: {reply:?}") };
        let number = refusal::<()>(&Err(status_of(&failure)));
        assert_eq!(number != NO_RIGHT, is_open, "{what}: {failure:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_is_good_once_and_for_its_own_call_at_its_own_node() {
    const LIST: &str = "/tercet.queue.v1.Queue/ListQueues";
    let node = LoneNode::with_keys(&[]).ready();
    let mut raw = Raw::connect(&node.grpc, Some(&operator())).await;
    let proof = raw.proof(LIST).expect("it signs");
    let time = proof.split("time=").nth(1).and_then(|rest| rest.split(',').next()).expect("it has a time").to_owned();
    let later = (time.parse::<u64>().expect("it is a number") + 60_000).to_string();
    assert_eq!(refusal(&raw.call_with(LIST, Bytes::new(), Some(&proof)).await), 0);
    let table = [
        ("used again", LIST, proof.clone(), USED),
        ("for another rpc", "/tercet.queue.v1.Topics/ListTopics", proof.clone(), SIGNATURE_WRONG),
        ("with another time", LIST, proof.replace(&time, &later), SIGNATURE_WRONG),
        ("with another host", LIST, proof.replace(&node.grpc, "10.0.0.1:1"), SIGNATURE_WRONG),
        ("cut short", LIST, proof[..proof.len() / 2].to_owned(), MALFORMED),
        ("of another kind", LIST, "Bearer secret".to_owned(), MALFORMED),
    ];
    for (what, rpc, proof, expected) in table {
        assert_eq!(refusal(&raw.call_with(rpc, Bytes::new(), Some(&proof)).await), expected, "{what}");
    }
    // Signed by the right secret, but for another node, or by a clock that is wrong.
    let other = signer(Some(&operator()), "10.0.0.1:1");
    for (what, signed, expected) in [
        ("for another node", sign(other, None), OTHER_HOST),
        ("late", sign(signer(Some(&operator()), &node.grpc), Some(&later)), STALE),
    ] {
        assert_eq!(refusal(&raw.call_with(LIST, Bytes::new(), Some(&signed)).await), expected, "{what}");
    }
}

/// A proof for listing queues; `time` in milliseconds instead of now.
fn sign(mut signer: ::queue_client::Signer, time: Option<&str>) -> String {
    use base64::Engine as _;
    use hmac::Mac as _;
    use proto::proof::Proof;
    use tonic::service::Interceptor as _;
    let mut request = tonic::Request::new(());
    request.extensions_mut().insert(tonic::GrpcMethod::new("tercet.queue.v1.Queue", "ListQueues"));
    let request = signer.call(request).expect("it is signed");
    let line = request.metadata().get("authorization").expect("it is there").to_str().expect("it is text").to_owned();
    let Some(time) = time else { return line };
    let mut claim = Proof::read(&line).expect("it is a proof").claim;
    claim.time_ms = time.parse().expect("it is a number");
    let mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(OPERATOR.1.as_bytes()).expect("a key of any length");
    let code = mac.chain_update(claim.text("/tercet.queue.v1.Queue/ListQueues")).finalize().into_bytes();
    claim.line(&base64::engine::general_purpose::STANDARD.encode(code))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_revoked_is_refused_at_once_on_open_streams_too() {
    let node = LoneNode::with_keys(&[]).ready();
    let owner = Client::connect(config(&node, &operator())).await.expect("the operator is known");
    owner.create_queue("orders", QueueAttributes::default()).await.expect("the queue is made");
    let worker = key(&node, "orders=send,receive");
    let client = Client::connect(config(&node, &worker)).await.expect("a worker is known though he may not list");
    let message = || vec![NewMessage { body: Bytes::from_static(b"x"), ..NewMessage::default() }];
    client.send("orders", message()).await.expect("it may send");
    let taken = client.receive("orders", Receive::default()).await.expect("it may receive");
    client.ack("orders", &[taken[0].receipt]).await.expect("it may acknowledge");
    let refused = client.create_queue("bills", QueueAttributes::default()).await;
    assert!(matches!(refused, Err(Error::Refused { number: NO_RIGHT, .. })), "{refused:?}");
    let mut deliveries = client.consume("orders", 10, None).await.expect("the stream opens");

    let revoked = node.cluster(&["keys", "revoke", &id(&worker)], Some(&node.operator_key()));
    assert!(revoked.status.success(), "{}", String::from_utf8_lossy(&revoked.stderr));
    let since = Instant::now();
    let sent = client.send("orders", message()).await;
    assert!(matches!(sent, Err(Error::Refused { number: SIGNATURE_WRONG, .. })), "{sent:?}");
    let received = client.receive("orders", Receive::default()).await;
    assert!(matches!(received, Err(Error::Refused { number: SIGNATURE_WRONG, .. })), "{received:?}");
    assert!(since.elapsed() < Duration::from_secs(2), "at once: {:?}", since.elapsed());
    // What is sent now is not delivered on the stream that was opened before.
    owner.send("orders", message()).await.expect("the operator may send");
    let delivered = deliveries.next().await;
    assert!(matches!(delivered, Err(Error::Refused { number: SIGNATURE_WRONG, .. })), "{delivered:?}");
    let again = owner.receive("orders", Receive { wait: Duration::from_secs(5), ..Receive::default() }).await;
    assert_eq!(again.expect("the operator may receive").len(), 1, "it was given back");

    let rotated = node.cluster(&["keys", "list"], None);
    assert!(!rotated.status.success(), "keys are not listed for strangers");
}

#[test]
fn a_node_that_others_can_reach_asks_for_keys() {
    let mut node = LoneNode::keyless_at("0.0.0.0:7101", &["--plain"]);
    assert!(!node.ended());
    assert!(node.log().contains("--keyless lets everybody do everything"), "{}", node.log());
}
