//! The quick start in Rust: make a queue, send, consume until everything is acknowledged.
//!
//! Run it against any cluster: `cargo run --example quick_start -- 127.0.0.1:7101 127.0.0.1:7102 127.0.0.1:7103`
//!
//! Must never: be longer than what a newcomer reads at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use queue_client::{Client, ClientConfig, Consumer, ConsumerConfig, Error, NewMessage, QueueAttributes};
use tokio::sync::watch;

const QUEUE: &str = "quick-start";
const MESSAGES: usize = 10;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let addresses: Vec<String> = std::env::args().skip(1).collect();
    let client = Client::connect(ClientConfig::new(addresses)).await?;

    // A queue that is there already is fine.
    match client.create_queue(QUEUE, QueueAttributes::default()).await {
        Ok(_) | Err(Error::Refused { .. }) => {}
        Err(error) => return Err(error),
    }

    // The answer comes when a majority of the replicas has fsynced the messages, never earlier.
    let message =
        |number: usize| NewMessage { body: Bytes::from(format!("message {number}")), ..NewMessage::default() };
    let sent = client.send(QUEUE, (1..=MESSAGES).map(message).collect()).await?;
    eprintln!("sent {} messages: {:?}", sent.ids.len(), sent.durability);

    // The consumer keeps the leases alive while the work goes on. Ok acknowledges; Err gives the message back as failed.
    let (stop, stopped) = watch::channel(false);
    let (done, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(stop));
    let work = move |delivery: queue_client::Delivery| {
        let (done, stop) = (Arc::clone(&done), Arc::clone(&stop));
        async move {
            eprintln!("got {}", String::from_utf8_lossy(&delivery.message.body));
            if done.fetch_add(1, Ordering::Relaxed) + 1 >= MESSAGES {
                stop.send_replace(true);
            }
            Ok::<(), std::convert::Infallible>(())
        }
    };
    Consumer::new(&client, QUEUE, ConsumerConfig::default()).run(work, 4, stopped).await
}
