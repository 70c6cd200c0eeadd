//! Laws of the consumer: a lease lives as long as the work, what failed comes back later, and no node's death ends it.
//!
//! Must never: count on a message's order; the queue promises none.

use std::sync::Arc;
use std::time::Duration;

use proto::outcome;
use queue_client::{Consumer, ConsumerConfig, Delivery, Error};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinHandle;
use tonic::Code;

use crate::fake::{Node, PATIENCE, Play, client, in_time};

const CONFIG: ConsumerConfig = ConsumerConfig {
    lease: Duration::from_secs(60),
    wait: PATIENCE,
    retry_first: Duration::from_millis(100),
    retry_cap: Duration::from_secs(1),
};

/// A consumer at work, and what stops it.
struct Running {
    stop: watch::Sender<bool>,
    end: JoinHandle<Result<(), Error>>,
}

impl Running {
    fn start<W>(node: &Node, config: ConsumerConfig, handler: impl Fn(Delivery) -> W + Send + Sync + 'static) -> Self
    where
        W: Future<Output = Result<(), &'static str>> + Send + 'static,
    {
        let (stop, stopped) = watch::channel(false);
        let consumer = Consumer::new(&client(&[node]), "q", config);
        Self { stop, end: tokio::spawn(async move { consumer.run(handler, 4, stopped).await }) }
    }

    async fn stop(self) {
        self.stop.send_replace(true);
        in_time(self.end).await.expect("the task ends").expect("a stopped consumer ends well");
    }
}

#[tokio::test]
async fn done_work_is_acknowledged() {
    let node = Node::start();
    for receipt in 1..=9 {
        node.put(receipt, 0);
    }
    let running = Running::start(&node, CONFIG, |_| async { Ok(()) });
    let mut acked: Vec<u64> = node.until("Ack", 9).await.iter().map(|ack| ack.numbers[0]).collect();
    acked.sort_unstable();
    assert_eq!(acked, (1..=9).collect::<Vec<_>>());
    running.stop().await;
    assert!(node.calls("Release").is_empty());
}

#[tokio::test]
async fn lease_is_extended_for_as_long_as_the_work_takes() {
    let node = Node::start();
    node.put(1, 0);
    let (go, done) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let config = ConsumerConfig { lease: Duration::from_millis(100), ..CONFIG };
    let running = Running::start(&node, config, {
        let (go, done) = (Arc::clone(&go), Arc::clone(&done));
        move |delivery| {
            let (go, done) = (Arc::clone(&go), Arc::clone(&done));
            async move {
                go.notified().await;
                assert!(!delivery.lease.is_lost(), "it was extended");
                done.notify_one();
                Ok(())
            }
        }
    });
    let extensions = node.until("Extend", 3).await;
    assert!(extensions.iter().all(|extend| extend.numbers == [1]));
    go.notify_one();
    in_time(done.notified()).await;
    assert_eq!(node.until("Ack", 1).await[0].numbers, [1]);
    running.stop().await;
}

#[tokio::test]
async fn lost_lease_is_told_and_never_acknowledged() {
    let node = Node::start();
    node.put(1, 0);
    node.mind.lost.lock().push(1);
    let told = Arc::new(Notify::new());
    let config = ConsumerConfig { lease: Duration::from_millis(100), ..CONFIG };
    let running = Running::start(&node, config, {
        let told = Arc::clone(&told);
        move |mut delivery| {
            let told = Arc::clone(&told);
            async move {
                delivery.lease.lost().await;
                told.notify_one();
                Ok(())
            }
        }
    });
    in_time(told.notified()).await;
    running.stop().await;
    assert_eq!((node.calls("Ack").len(), node.calls("Release").len()), (0, 0));
    assert_eq!(node.calls("Extend").len(), 1, "a lost lease is not extended any more");
}

#[tokio::test]
async fn failed_work_is_released_with_a_growing_pause() {
    let node = Node::start();
    node.put(1, 0);
    node.put(2, 2);
    node.put(3, 60);
    let running = Running::start(&node, CONFIG, |_| async { Err("out of paper") });
    let mut releases = node.until("Release", 3).await;
    running.stop().await;
    releases.sort_unstable_by_key(|release| release.numbers[0]);
    for (release, full_ms) in releases.iter().zip([100, 400, 1000]) {
        assert!(release.failed && (full_ms / 2..=full_ms).contains(&release.delay_ms), "{release:?} of {full_ms} ms");
    }
    assert!(node.calls("Ack").is_empty());
}

#[tokio::test]
async fn panic_fails_one_message_and_no_other() {
    let node = Node::start();
    for receipt in 1..=3 {
        node.put(receipt, 0);
    }
    let running = Running::start(&node, CONFIG, |delivery| async move {
        assert_ne!(delivery.message.id, 2, "a bad message");
        Ok(())
    });
    assert!(node.until("Release", 1).await.iter().all(|release| release.failed && release.numbers == [2]));
    node.until("Ack", 2).await;
    running.stop().await;
}

#[tokio::test]
async fn dead_node_does_not_end_the_consumer() {
    let mut node = Node::start();
    let running = Running::start(&node, CONFIG, |_| async { Ok(()) });
    for receipt in 1..=3 {
        node.until("Receive", 1).await;
        node.kill();
        node.put(receipt, 0);
        node.restart();
        let acked = node.until("Ack", usize::try_from(receipt).expect("a small number")).await;
        assert_eq!(acked.last().map(|ack| ack.numbers.clone()), Some(vec![receipt]));
    }
    running.stop().await;
}

#[tokio::test]
async fn no_more_messages_are_taken_than_there_are_places() {
    let node = Node::start();
    for receipt in 1..=20 {
        node.put(receipt, 0);
    }
    let (begun, gate) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let running = Running::start(&node, CONFIG, {
        let (begun, gate) = (Arc::clone(&begun), Arc::clone(&gate));
        move |_| {
            let (begun, gate) = (Arc::clone(&begun), Arc::clone(&gate));
            async move {
                begun.add_permits(1);
                gate.acquire().await.map_err(|_| "the gate is gone")?.forget();
                Ok(())
            }
        }
    });
    in_time(begun.acquire_many(4)).await.expect("four begin").forget();
    assert_eq!(node.calls("Receive").iter().map(|receive| receive.numbers[0]).collect::<Vec<_>>(), [4]);
    gate.add_permits(1);
    in_time(begun.acquire()).await.expect("one ends, one begins").forget();
    assert_eq!(begun.available_permits(), 0);
    assert_eq!(node.calls("Receive")[1].numbers, [1]);
    gate.add_permits(19);
    node.until("Ack", 20).await;
    running.stop().await;
    assert!(node.calls("Receive").iter().all(|receive| receive.numbers[0] <= 4));
}

#[tokio::test]
async fn stop_gives_back_what_a_poll_had_taken() {
    let node = Node::start();
    node.put(7, 0);
    node.play("Receive", Play::TakeAndHang);
    let running = Running::start(&node, CONFIG, |_| async { Ok(()) });
    node.until("Receive", 1).await;
    running.stop().await;
    let releases = node.calls("Release");
    assert_eq!((releases.len(), releases[0].numbers.clone()), (1, vec![7]));
    assert!(!releases[0].failed && releases[0].delay_ms == 0, "{releases:?}");
}

#[tokio::test]
async fn stop_waits_for_the_work_under_way() {
    let node = Node::start();
    node.put(1, 0);
    let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let running = Running::start(&node, CONFIG, {
        let (begun, go) = (Arc::clone(&begun), Arc::clone(&go));
        move |_| {
            let (begun, go) = (Arc::clone(&begun), Arc::clone(&go));
            async move {
                begun.notify_one();
                go.notified().await;
                Ok(())
            }
        }
    });
    in_time(begun.notified()).await;
    running.stop.send_replace(true);
    // The wait of the poll that follows the first is ended by the stop; the work is not.
    node.until("Receive", 2).await;
    assert!(!running.end.is_finished());
    go.notify_one();
    running.stop().await;
    assert_eq!(node.calls("Ack").len(), 1);
}

#[tokio::test]
async fn sender_that_is_gone_stops_too() {
    let node = Node::start();
    let running = Running::start(&node, CONFIG, |_| async { Ok(()) });
    node.until("Receive", 1).await;
    drop(running.stop);
    in_time(running.end).await.expect("the task ends").expect("a stopped consumer ends well");
}

#[tokio::test]
async fn refused_receive_ends_the_consumer_and_says_why() {
    let node = Node::start();
    node.play("Receive", Play::Fail(outcome::refused(Code::NotFound, 4, "no such queue")));
    let running = Running::start(&node, CONFIG, |_| async { Ok(()) });
    let end = in_time(running.end).await.expect("the task ends");
    assert_eq!(end, Err(Error::Refused { number: 4, text: "no such queue".to_owned() }));
}
