//! Laws of the producer: what waits travels together, what is refused alone is refused alone, and nothing is unbounded.
//!
//! Must never: rely on how fast a batch is; a node holds it for as long as the test wants.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use proto::limits::MESSAGES_PER_CALL_MAX;
use proto::outcome::{self, Hint};
use queue_client::limits::{PRODUCER_BYTES_MAX, SEND_BYTES_SOFT};
use queue_client::{Error, Producer, ProducerConfig, Ticket};
use tokio::sync::Notify;

use crate::fake::{Node, Play, client, in_time, message};

const ONE: ProducerConfig = ProducerConfig { sends_max: 1 };

/// A producer whose first Send, of one message, is held until the notification.
async fn held(node: &Node) -> (Producer, Arc<Notify>, Ticket) {
    let go = Arc::new(Notify::new());
    node.play("Send", Play::After(Arc::clone(&go)));
    let producer = Producer::new(&client(&[node]), "q", ONE);
    let first = producer.submit(message(1)).await.expect("there is room");
    node.until("Send", 1).await;
    (producer, go, first)
}

fn sizes(node: &Node) -> Vec<u64> {
    node.calls("Send").iter().map(|send| send.numbers[0]).collect()
}

#[tokio::test]
async fn what_waits_while_a_send_is_under_way_travels_together() {
    let node = Node::start();
    let (producer, go, first) = held(&node).await;
    let mut tickets = vec![first];
    for _ in 0..300 {
        tickets.push(producer.submit(message(1)).await.expect("there is room"));
    }
    go.notify_one();
    let mut ids = Vec::new();
    for ticket in tickets {
        ids.push(in_time(ticket.sent()).await.expect("the message is kept").id);
    }
    let full = MESSAGES_PER_CALL_MAX as u64;
    assert_eq!(sizes(&node), [1, full, full, 300 - 2 * full]);
    assert!(ids.windows(2).all(|pair| pair[0] < pair[1]), "one Send at a time keeps the order");
}

#[tokio::test]
async fn batch_ends_before_it_grows_beyond_its_bytes() {
    let node = Node::start();
    let (producer, go, first) = held(&node).await;
    let mut tickets = vec![first];
    for bytes in [SEND_BYTES_SOFT / 2, SEND_BYTES_SOFT / 2, 1, SEND_BYTES_SOFT + 1, 1] {
        tickets.push(producer.submit(message(bytes)).await.expect("there is room"));
    }
    go.notify_one();
    for ticket in tickets {
        in_time(ticket.sent()).await.expect("the message is kept");
    }
    assert_eq!(sizes(&node), [1, 2, 1, 1, 1]);
}

#[tokio::test]
async fn full_producer_makes_its_senders_wait() {
    let node = Node::start();
    let (producer, go, first) = held(&node).await;
    let large = PRODUCER_BYTES_MAX as usize / 8;
    let mut tickets = vec![first];
    for _ in 0..7 {
        tickets.push(producer.submit(message(large)).await.expect("there is room"));
    }
    let mut eighth = Box::pin(producer.submit(message(large)));
    assert!(eighth.as_mut().now_or_never().is_none(), "one byte is under way, seven eighths wait");
    go.notify_one();
    tickets.push(in_time(eighth).await.expect("room came back"));
    for ticket in tickets {
        in_time(ticket.sent()).await.expect("the message is kept");
    }
}

#[tokio::test]
async fn refused_message_does_not_take_its_batch_along() {
    let node = Node::start();
    let (producer, go, first) = held(&node).await;
    let mut tickets = Vec::new();
    for bytes in [1, 0, 1] {
        tickets.push(producer.submit(message(bytes)).await.expect("there is room"));
    }
    go.notify_one();
    in_time(first.sent()).await.expect("the message is kept");
    let mut kept = Vec::new();
    for ticket in tickets {
        kept.push(in_time(ticket.sent()).await);
    }
    assert!(matches!(&kept[..], [Ok(_), Err(Error::Refused { number: 8, .. }), Ok(_)]), "{kept:?}");
    assert_eq!(sizes(&node), [1, 3, 1, 1, 1]);
}

#[tokio::test]
async fn unknown_batch_is_repeated_as_it_was() {
    let node = Node::start();
    node.play("Send", Play::Fail(outcome::unknown("the leader has changed", Hint::default())));
    let producer = Producer::new(&client(&[&node]), "q", ProducerConfig::default());
    let sent = in_time(producer.send(message(1))).await.expect("the repeat is answered");
    let sends = node.calls("Send");
    assert_eq!(sends[0], sends[1]);
    assert_eq!((sent.durability.term, sent.durability.copies), (1, 2));
}

#[tokio::test]
async fn what_was_submitted_is_sent_when_the_producer_is_gone() {
    let node = Node::start();
    let (producer, go, first) = held(&node).await;
    let last = producer.submit(message(1)).await.expect("there is room");
    drop(producer);
    go.notify_one();
    in_time(first.sent()).await.expect("the message is kept");
    in_time(last.sent()).await.expect("the message is kept");
}

#[tokio::test]
async fn batch_that_nobody_answers_is_unknown_to_each_sender() {
    let node = Node::start();
    node.play("Send", Play::Hang);
    let client = client(&[&node]).with_timeout(Duration::from_millis(300));
    let producer = Producer::new(&client, "q", ONE);
    let error = in_time(producer.send(message(1))).await;
    assert!(matches!(error, Err(Error::Unknown { .. })), "{error:?}");
}
