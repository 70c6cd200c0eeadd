//! Laws of one call: what is unknown keeps its id, what was not applied goes elsewhere, what was refused stays refused.
//!
//! Must never: let a wrong answer pass because the right one came too; the ids that nodes saw are compared, too.

use std::sync::Arc;
use std::time::Duration;

use proto::outcome::{self, Hint, MOVED, REQUEST_TOO_OLD};
use queue_client::limits::{CALL_BYTES_MAX, SEARCH_EVERY};
use queue_client::{Client, ClientConfig, Error, MessageState, QueueAttributes, Receive, Release};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tonic::{Code, Status};

use crate::fake::{GROUP, Node, PATIENCE, Play, client, in_time, message, unknown};

/// Long enough for a call on loopback, short enough to wait for its end.
const SOON: Duration = Duration::from_millis(300);

fn led_by(leader: &str) -> Status {
    outcome::not_applied("not the leader", Hint { leader: Some(leader.to_owned()), ..Hint::default() })
}

fn too_old() -> Status {
    outcome::refused(Code::FailedPrecondition, REQUEST_TOO_OLD, "too old")
}

#[tokio::test]
async fn unknown_is_repeated_under_the_same_id() {
    let node = Node::start();
    node.play("Send", Play::Fail(outcome::unknown("the leader has changed", Hint::default())));
    node.play("Send", Play::Break);
    let reply = in_time(client(&[&node]).send("q", vec![message(1)])).await.expect("the third try is answered");
    let sends = node.calls("Send");
    assert_eq!(sends.len(), 3);
    assert!(sends.iter().all(|send| send.request == sends[0].request && send.request.sequence == 1), "{sends:?}");
    assert_eq!((reply.ids.len(), sends[0].request.group), (1, GROUP));
}

#[tokio::test]
async fn killed_node_that_comes_back_sees_the_same_id() {
    let mut node = Node::start();
    node.play("Send", Play::Hang);
    let client = client(&[&node]);
    let send = tokio::spawn(async move { client.send("q", vec![message(1)]).await });
    node.until("Send", 1).await;
    node.kill();
    node.restart();
    in_time(send).await.expect("the task ends").expect("the node is back");
    let sends = node.calls("Send");
    assert_eq!(sends[0].request, sends[1].request);
    assert_eq!(node.calls("OpenSession").len(), 1, "a session outlives its leader");
}

#[tokio::test]
async fn not_applied_goes_to_the_named_leader() {
    let (follower, leader) = (Node::start(), Node::start());
    // The client is told of the follower alone.
    for verb in ["OpenSession", "Send"] {
        follower.play(verb, Play::Fail(led_by(&leader.name())));
    }
    let client = client(&[&follower]);
    for _ in 0..3 {
        in_time(client.send("q", vec![message(1)])).await.expect("the leader answers");
    }
    assert_eq!(leader.calls("Send").len(), 3);
    assert!(follower.calls("Send").len() <= 1, "the leader is remembered");
}

#[tokio::test]
async fn leader_that_does_not_answer_is_left_for_the_next_node() {
    let (mut leader, next) = (Node::start(), Node::start());
    let client = client(&[&leader, &next]);
    next.play("OpenSession", Play::Fail(led_by(&leader.name())));
    in_time(client.send("q", vec![message(1)])).await.expect("one of them answers");
    leader.kill();
    in_time(client.send("q", vec![message(1)])).await.expect("the other one answers");
    assert_eq!(next.calls("Send").last().map(|send| send.request.session), Some(1), "the session is the group's");
}

#[tokio::test]
async fn refused_connection_is_not_applied_and_leaves_no_doubt() {
    let mut dead = Node::start();
    dead.kill();
    let error = in_time(client(&[&dead]).with_timeout(SOON).send("q", vec![message(1)])).await;
    assert!(matches!(error, Err(Error::NotApplied { .. })), "{error:?}");

    let node = Node::start();
    in_time(client(&[&dead, &node]).send("q", vec![message(1)])).await.expect("the living node answers");
}

#[tokio::test]
async fn leader_that_refuses_the_connection_leaves_no_doubt() {
    let (node, mut dead) = (Node::start(), Node::start());
    dead.kill();
    // More than a client can try in the time it has.
    for verb in ["PurgeQueue", "Send"] {
        for _ in 0..10_000 {
            node.play(verb, Play::Fail(led_by(&dead.name())));
        }
    }
    let client = client(&[&node]).with_timeout(SOON);
    leaves_no_doubt(|| async { client.purge_queue("q").await.map(drop) }).await;
    leaves_no_doubt(|| async { client.send("q", vec![message(1)]).await.map(drop) }).await;
}

/// Makes a call that ends in time without an answer. Its time may be over in the middle of an attempt at the living node,
/// which leaves a doubt that is no fault; then it is made again.
async fn leaves_no_doubt<F: Future<Output = Result<(), Error>>>(call: impl Fn() -> F) {
    for _ in 0..10 {
        match in_time(call()).await {
            Err(Error::NotApplied { .. }) => return,
            Err(Error::Unknown { reason, .. })
                if reason.contains("no answer in time") || reason.contains("Timeout expired") => {}
            other => panic!("no node leads: {other:?}"),
        }
    }
    panic!("a connection that is refused leaves no doubt");
}

#[tokio::test]
async fn refused_is_not_tried_again() {
    let node = Node::start();
    node.play("Send", Play::Fail(outcome::refused(Code::NotFound, 4, "no such queue")));
    let error = in_time(client(&[&node]).send("q", vec![message(1)])).await;
    assert_eq!(error, Err(Error::Refused { number: 4, text: "no such queue".to_owned() }));
    assert_eq!(node.calls("Send").len(), 1);
}

#[tokio::test]
async fn call_that_is_too_large_is_refused_and_harms_no_other() {
    let node = Node::start();
    let client = client(&[&node]);
    let go = Arc::new(Notify::new());
    node.play("Send", Play::After(Arc::clone(&go)));
    let held = tokio::spawn({
        let client = client.clone();
        async move { client.send("q", vec![message(1)]).await }
    });
    node.until("Send", 1).await;
    let error = in_time(client.send("q", vec![message(CALL_BYTES_MAX)])).await;
    assert!(matches!(error, Err(Error::Refused { number: outcome::CALL_TOO_LARGE, .. })), "{error:?}");
    go.notify_one();
    in_time(held).await.expect("the task ends").expect("its stream went on");
    assert_eq!(node.calls("Send").len(), 1);
}

#[tokio::test]
async fn deadline_gives_unknown_and_its_id_can_be_repeated() {
    let node = Node::start();
    node.play("Send", Play::Hang);
    let client = client(&[&node]);
    let error = in_time(client.with_timeout(SOON).send("q", vec![message(1)])).await;
    let request = unknown(error.expect_err("nobody answered"));
    assert_eq!(node.calls("Send")[0].request, request);

    in_time(client.repeating(request).send("q", vec![message(1)])).await.expect("the repeat is answered");
    in_time(client.send("q", vec![message(1)])).await.expect("a new call is answered");
    let sequences: Vec<u64> = node.calls("Send").iter().map(|send| send.request.sequence).collect();
    assert_eq!(sequences, [1, 1, 2]);
}

#[tokio::test]
async fn repeat_that_reaches_nobody_stays_unknown() {
    let mut node = Node::start();
    node.play("Send", Play::Hang);
    let client = client(&[&node]).with_timeout(SOON);
    let request = unknown(in_time(client.send("q", vec![message(1)])).await.expect_err("nobody answered"));
    node.kill();
    let error = in_time(client.repeating(request).send("q", vec![message(1)])).await;
    assert_eq!(unknown(error.expect_err("the node is dead")), request);
}

#[tokio::test]
async fn silent_node_is_left_after_the_attempt_timeout_under_the_same_id() {
    let (silent, next) = (Node::start(), Node::start());
    let mut config = ClientConfig::new([silent.name(), next.name()]);
    config.attempt_timeout = SOON;
    let client = Client::new(config).expect("the addresses are good");
    silent.play("Send", Play::Hang);
    silent.play("Send", Play::Hang);
    next.play("OpenSession", Play::Fail(led_by(&silent.name())));
    in_time(client.send("q", vec![message(1)])).await.expect("the next node answers");
    assert_eq!(silent.calls("Send")[0].request, next.calls("Send")[0].request);
}

#[tokio::test]
async fn silent_node_is_passed_over_though_others_still_name_it() {
    let (silent, next) = (Node::start(), Node::start());
    let mut config = ClientConfig::new([silent.name(), next.name()]);
    config.attempt_timeout = SOON;
    let client = Client::new(config).expect("the addresses are good");
    silent.play("Send", Play::Hang);
    next.play("OpenSession", Play::Fail(led_by(&silent.name())));
    for _ in 0..3 {
        next.play("Send", Play::Fail(led_by(&silent.name())));
    }
    in_time(client.send("q", vec![message(1)])).await.expect("the next node leads in the end");
    assert_eq!((silent.calls("Send").len(), next.calls("Send").len()), (1, 4));
}

#[tokio::test]
async fn calls_that_look_for_a_leader_take_turns() {
    const CALLS: usize = 64;
    let node = Node::start();
    let client = client(&[&node]);
    in_time(client.send("q", vec![message(1)])).await.expect("the node leads");
    let come_back = Hint { retry_after: Some(Duration::from_millis(1)), ..Hint::default() };
    for _ in 0..CALLS * 1000 {
        node.play("Send", Play::Fail(outcome::not_applied("nobody leads", come_back.clone())));
    }
    let mut calls = JoinSet::new();
    for _ in 0..CALLS {
        let client = client.with_timeout(SOON);
        calls.spawn(async move { client.send("q", vec![message(1)]).await });
    }
    while let Some(call) = in_time(calls.join_next()).await {
        // One that is on its way when the time is over is unknown.
        call.expect("its task ends").expect_err("nobody leads");
    }
    // Each call once at the node that led, then one call at a time.
    let most = CALLS + usize::try_from(SOON.as_millis() / SEARCH_EVERY.as_millis()).expect("a small number");
    let seen = node.calls("Send").len() - 1;
    assert!(seen <= 2 * most, "{seen} tries of {CALLS} calls, {most} at a turn each");
}

#[tokio::test]
async fn refusal_before_the_log_leaves_a_call_in_doubt_unknown() {
    let cases = [outcome::refused(Code::PermissionDenied, outcome::DOOR_REFUSALS + 1, "no key"), too_old()];
    for status in cases {
        let node = Node::start();
        let client = client(&[&node]);
        in_time(client.send("q", vec![message(1)])).await.expect("group 1 answers");
        *node.mind.group.lock() = 2;
        node.play("Send", Play::Fail(outcome::unknown("the leader has changed", Hint::default())));
        node.play("Send", Play::Fail(status));
        let error = in_time(client.send("q", vec![message(1)])).await.expect_err("the second answer ends the call");
        let sends = node.calls("Send");
        assert_eq!((unknown(error), sends.len()), (sends[1].request, 3));
        assert_eq!(sends[1].request, sends[2].request);
    }
}

#[tokio::test]
async fn machine_refusal_of_a_repeat_is_its_reply() {
    let node = Node::start();
    node.play("Send", Play::Fail(outcome::unknown("the leader has changed", Hint::default())));
    node.play("Send", Play::Fail(outcome::refused(Code::ResourceExhausted, 6, "the queue is full")));
    let error = in_time(client(&[&node]).send("q", vec![message(1)])).await;
    assert_eq!(error, Err(Error::Refused { number: 6, text: "the queue is full".to_owned() }));
}

#[tokio::test]
async fn forgotten_session_is_opened_anew_for_a_call_without_doubt() {
    let node = Node::start();
    let client = client(&[&node]);
    in_time(client.send("q", vec![message(1)])).await.expect("the first call is answered");
    node.play("Send", Play::Fail(too_old()));
    in_time(client.send("q", vec![message(1)])).await.expect("a new session is opened");
    let requests: Vec<(u64, u64)> =
        node.calls("Send").iter().map(|send| (send.request.session, send.request.sequence)).collect();
    assert_eq!(requests, [(1, 1), (1, 2), (2, 1)]);
}

#[tokio::test]
async fn moved_queue_is_located_again_and_numbered_in_its_new_group() {
    let node = Node::start();
    let client = client(&[&node]);
    in_time(client.send("q", vec![message(1)])).await.expect("group 1 answers");
    *node.mind.group.lock() = 2;
    node.play("Send", Play::Fail(outcome::not_applied("moved", Hint { group: Some(2), ..Hint::default() })));
    in_time(client.send("q", vec![message(1)])).await.expect("group 2 answers");
    let groups: Vec<u32> = node.calls("Send").iter().map(|send| send.request.group).collect();
    assert_eq!(groups, [1, 1, 2]);
    assert_eq!(node.calls("OpenSession").iter().map(|open| open.numbers[0]).collect::<Vec<_>>(), [1, 2]);
}

#[tokio::test]
async fn a_deletion_in_doubt_is_repeated_under_an_id_of_the_group_that_decides_it() {
    let node = Node::start();
    let client = client(&[&node]);
    let elsewhere = outcome::not_applied("the id belongs to another group", Hint { group: Some(2), ..Hint::default() });
    node.play("DeleteQueue", Play::Fail(elsewhere));
    node.play("DeleteQueue", Play::Fail(outcome::unknown("no majority answered in time", Hint::default())));
    in_time(client.delete_queue("q")).await.expect("the repeat gets the former reply");
    let requests: Vec<_> = node.calls("DeleteQueue").iter().map(|call| call.request).collect();
    assert_eq!(requests.iter().map(|request| request.group).collect::<Vec<_>>(), [0, 2, 2]);
    assert_eq!(requests[1], requests[2], "one call, one id");
}

#[tokio::test]
async fn in_doubt_only_the_group_that_was_asked_ends_the_doubt() {
    let node = Node::start();
    let client = client(&[&node]);
    in_time(client.send("q", vec![message(1)])).await.expect("group 1 answers");
    *node.mind.group.lock() = 2;
    node.play("Send", Play::Fail(outcome::unknown("the leader has changed", Hint::default())));
    node.play("Send", Play::Fail(outcome::not_applied("moved", Hint { group: Some(2), ..Hint::default() })));
    node.play("Send", Play::Fail(outcome::refused(Code::FailedPrecondition, MOVED, "the queue has moved")));
    in_time(client.send("q", vec![message(1)])).await.expect("group 2 answers");
    let requests: Vec<_> = node.calls("Send").iter().map(|send| send.request).collect();
    assert_eq!((requests[1], requests[2]), (requests[2], requests[3]), "a hint is no word of the machine");
    assert_eq!(requests.iter().map(|request| request.group).collect::<Vec<_>>(), [1, 1, 1, 1, 2]);
}

#[tokio::test]
async fn window_waits_for_the_lowest_unanswered_number() {
    const CALLS: usize = 1500;
    let node = Node::start();
    let client = client(&[&node]);
    let go = Arc::new(Notify::new());
    node.play("Send", Play::After(Arc::clone(&go)));
    let mut calls = JoinSet::new();
    for _ in 0..CALLS {
        let client = client.clone();
        calls.spawn(async move { client.send("q", vec![message(1)]).await });
        // The first call is the one that is held.
        node.until("Send", 1).await;
    }
    for _ in 0..1023 {
        in_time(calls.join_next()).await.expect("a call ends").expect("its task ends").expect("it is answered");
    }
    let mut sequences: Vec<u64> = node.calls("Send").iter().map(|send| send.request.sequence).collect();
    sequences.sort_unstable();
    assert_eq!(sequences, (1..=1024).collect::<Vec<_>>(), "the window is used to its end, and not beyond");
    go.notify_one();
    while let Some(call) = in_time(calls.join_next()).await {
        call.expect("its task ends").expect("it is answered");
    }
    assert_eq!(node.calls("Send").len(), CALLS);
    assert_eq!(node.calls("OpenSession").len(), 1);
}

#[tokio::test]
async fn long_poll_does_not_hold_up_the_window() {
    let node = Node::start();
    let client = client(&[&node]);
    let poll = tokio::spawn({
        let client = client.clone();
        async move { client.receive("q", Receive { wait: PATIENCE, ..Receive::default() }).await }
    });
    let session = node.until("Receive", 1).await[0].request.session;
    for _ in 0..1100 {
        in_time(client.ack("q", &[1])).await.expect("an ack is answered");
    }
    assert!(node.calls("Ack").iter().all(|ack| ack.request.session != session));
    node.put(5, 0);
    let messages = in_time(poll).await.expect("the task ends").expect("the poll is answered");
    assert_eq!(messages.len(), 1);
    in_time(client.receive("q", Receive::default())).await.expect("an empty queue answers");
    assert_eq!(node.calls("Receive")[1].request.session, session, "a poll's session is used again");
    assert_eq!(node.calls("Receive")[1].request.sequence, 2);
}

#[tokio::test]
async fn hurried_poll_returns_what_was_leased_for_it() {
    let node = Node::start();
    node.put(5, 0);
    node.play("Receive", Play::TakeAndHang);
    let client = client(&[&node]);
    let (stop, hurry) = watch::channel(false);
    let poll = tokio::spawn(async move {
        client.receive("q", Receive { wait: PATIENCE, hurry: Some(hurry), ..Receive::default() }).await
    });
    node.until("Receive", 1).await;
    stop.send_replace(true);
    let messages = in_time(poll).await.expect("the task ends").expect("the repeat is answered");
    assert_eq!(messages.iter().map(|message| message.receipt).collect::<Vec<_>>(), [5]);
    let polls = node.calls("Receive");
    assert_eq!((polls[0].request, polls[1].delay_ms), (polls[1].request, 0));
}

#[tokio::test]
async fn every_verb_reaches_the_node() {
    let node = Node::start();
    let client = client(&[&node]);
    let attributes = QueueAttributes { lease_s: Some(9), ..QueueAttributes::default() };
    in_time(client.create_queue("q", attributes.clone())).await.expect("create");
    in_time(client.list_queues("", 0, 10)).await.expect("list");
    assert_eq!(in_time(client.get_queue("q")).await.expect("get").queue, "q");
    assert_eq!(in_time(client.set_queue_attributes("q", attributes.clone())).await, Ok(attributes));
    assert_eq!(in_time(client.purge_queue("q")).await, Ok(7));
    in_time(client.peek("q", MessageState::Visible, b"", 1)).await.expect("peek");
    let done = in_time(client.ack("q", &[1, 2])).await.expect("ack");
    assert_eq!(done.iter().map(|result| result.receipt).collect::<Vec<_>>(), [1, 2]);
    in_time(client.extend("q", &[3], SOON)).await.expect("extend");
    in_time(client.release("q", &[4], Release { delay: SOON, failed: true })).await.expect("release");
    assert_eq!(node.calls("Release")[0].delay_ms, 300);
    in_time(client.delete_queue("q")).await.expect("delete");
    for (verb, group) in [("CreateQueue", 0), ("DeleteQueue", 0), ("SetQueueAttributes", GROUP), ("PurgeQueue", GROUP)]
    {
        let request = node.calls(verb)[0].request;
        assert_eq!((request.group, request.session > 0), (group, true), "{verb}");
    }
}

#[tokio::test]
async fn connect_needs_a_node_that_answers() {
    let mut node = Node::start();
    let mut config = ClientConfig::new([node.name()]);
    in_time(Client::connect(config.clone())).await.expect("the node answers");
    node.kill();
    config.call_timeout = SOON;
    let error = in_time(Client::connect(config)).await;
    assert!(matches!(error, Err(Error::NotApplied { .. })), "{error:?}");
    assert!(matches!(Client::new(ClientConfig::new([""; 0])), Err(Error::NotApplied { .. })));
    assert!(matches!(Client::new(ClientConfig::new(["no address"])), Err(Error::NotApplied { .. })));
}
