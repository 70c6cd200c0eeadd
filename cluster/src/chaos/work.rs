//! The checked load: producers number their messages, consumers take them, and the book says what became of each.
//!
//! Must never: stop because a call failed. Faults are why it runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use queue_client::{Client, ClientConfig, Message, NewMessage, QueueAttributes, Receive};
use tokio::signal::unix::Signal;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use super::Work;
use super::book::{Account, Book};
use crate::args::Output;
use crate::error::Error;
use crate::file::{Folder, Kind};
use crate::interrupt::interrupts;
use crate::limits::{LEASE_WORK, POLL_PAUSE, RECEIVE_WORK};
use crate::screen::{self, Progress};

/// How often the load looks whether it is to end.
const WATCH_EVERY: Duration = Duration::from_secs(1);

struct Load {
    queue: String,
    book: Mutex<Book>,
    next: AtomicU64,
    is_sending: AtomicBool,
    is_dry: AtomicBool,
}

/// Runs the load on a queue of its own. Errors: no queue could be made.
pub(super) async fn run(work: &Work) -> Result<bool, Error> {
    let mut interrupts = interrupts()?;
    let cluster = Folder::open(&work.dir)?.cluster()?;
    let addresses = cluster.addresses(Kind::Queue);
    let connect = || Client::new(ClientConfig::new(addresses.iter().cloned())).map_err(Error::call("queue"));
    let queue = format!("chaos-{:08x}", rand::random::<u32>());
    let owner = connect()?;
    owner.create_queue(&queue, QueueAttributes::default()).await.map_err(Error::call("create queue"))?;
    let load = Arc::new(Load {
        queue,
        book: Mutex::new(Book::new()),
        next: AtomicU64::new(1),
        is_sending: AtomicBool::new(true),
        is_dry: AtomicBool::new(false),
    });
    let (mut producers, mut consumers) = (JoinSet::new(), JoinSet::new());
    for _ in 0..work.producers {
        producers.spawn(produce(Arc::clone(&load), connect()?, work.clone()));
    }
    for _ in 0..work.consumers {
        consumers.spawn(consume(Arc::clone(&load), connect()?));
    }
    watch(&load, work, &mut interrupts).await?;
    load.is_sending.store(false, Ordering::Relaxed);
    load.book.lock().stop();
    let settled = async {
        producers.join_all().await;
        let is_dry = drained(&load, &owner, Duration::from_secs(work.drain_secs)).await;
        load.is_dry.store(true, Ordering::Relaxed);
        consumers.join_all().await;
        is_dry
    };
    let is_dry = tokio::select! {
        is_dry = settled => is_dry,
        _ = interrupts.recv() => return Err(Error::Interrupted),
    };
    let account = load.book.lock().account(is_dry);
    print(&account, work.output);
    if account.holds() {
        // The queue is evidence only if something is wrong with it.
        owner.delete_queue(&load.queue).await.map_err(Error::call("delete queue"))?;
    }
    Ok(account.holds())
}

/// Waits until enough was sent: for long enough, or until whoever runs the faults says that they are over, and then until
/// as much is acknowledged as was asked for. Errors: `Interrupted`, told a second time.
async fn watch(load: &Load, work: &Work, interrupts: &mut Signal) -> Result<(), Error> {
    let (begun, within, mut progress) = (Instant::now(), Duration::from_secs(work.secs), Progress::new());
    let mut is_over = false;
    loop {
        let acknowledged = load.book.lock().acknowledged();
        progress.show(&format!("{} s: {acknowledged} acknowledged", begun.elapsed().as_secs()));
        is_over |= begun.elapsed() >= within;
        if is_over && acknowledged >= work.messages {
            return Ok(());
        }
        let left = if is_over { WATCH_EVERY } else { WATCH_EVERY.min(within.saturating_sub(begun.elapsed())) };
        tokio::select! {
            () = sleep(left) => {}
            _ = interrupts.recv() => {
                if std::mem::replace(&mut is_over, true) {
                    return Err(Error::Interrupted);
                }
            }
        }
    }
}

async fn produce(load: Arc<Load>, client: Client, work: Work) {
    let size = usize::try_from(work.size).unwrap_or(usize::MAX);
    let mut pace = (work.rate > 0).then(|| {
        let mut pace =
            interval(Duration::from_secs(work.producers * work.batch) / u32::try_from(work.rate).unwrap_or(u32::MAX));
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        pace
    });
    while load.is_sending.load(Ordering::Relaxed) {
        if let Some(pace) = &mut pace {
            pace.tick().await;
        }
        let first = load.next.fetch_add(work.batch, Ordering::Relaxed);
        let numbers: Vec<u64> = (first..first + work.batch).collect();
        let messages = numbers.iter().map(|number| NewMessage { body: body(*number, size), ..NewMessage::default() });
        load.book.lock().send(&numbers);
        match client.send(&load.queue, messages.collect()).await {
            Ok(reply) => load.book.lock().acknowledge(&numbers, &reply.ids),
            // The book has it as unknown.
            Err(_) => sleep(POLL_PAUSE).await,
        }
    }
}

async fn consume(load: Arc<Load>, client: Client) {
    let how = Receive { wait: RECEIVE_WORK, lease: Some(LEASE_WORK), ..Receive::default() };
    while !load.is_dry.load(Ordering::Relaxed) {
        let Ok(messages) = client.receive(&load.queue, how.clone()).await else {
            sleep(POLL_PAUSE).await;
            continue;
        };
        let numbers: Vec<u64> = messages.iter().map(number).collect();
        {
            let mut book = load.book.lock();
            for (number, message) in numbers.iter().zip(&messages) {
                book.deliver(*number, message.id);
            }
        }
        let receipts: Vec<u64> = messages.iter().map(|message| message.receipt).collect();
        if receipts.is_empty() {
            continue;
        }
        let acked = client.ack(&load.queue, &receipts).await;
        let mut book = load.book.lock();
        match acked {
            Ok(results) => {
                for (number, _) in numbers.iter().zip(results).filter(|(_, result)| result.refusal == 0) {
                    book.consume(*number, true);
                }
            }
            Err(_) => numbers.iter().for_each(|number| book.consume(*number, false)),
        }
    }
}

/// Waits until the queue holds nothing more; `false` if it still does after `within`.
async fn drained(load: &Load, owner: &Client, within: Duration) -> bool {
    let until = Instant::now() + within;
    while Instant::now() < until {
        if let Ok(reply) = owner.get_queue(&load.queue).await {
            let left = reply.counters.map_or(1, |left| left.visible + left.leased + left.delayed + left.arriving);
            if left == 0 {
                return true;
            }
        }
        sleep(POLL_PAUSE).await;
    }
    false
}

fn body(number: u64, size: usize) -> bytes::Bytes {
    let mut body = number.to_be_bytes().to_vec();
    body.resize(size, b'.');
    body.into()
}

/// What a body says; 0, which nobody sends, if it says nothing.
fn number(message: &Message) -> u64 {
    message.body.first_chunk().map_or(0, |number| u64::from_be_bytes(*number))
}

fn print(account: &Account, output: Output) {
    let json = serde_json::to_string(account).unwrap_or_default();
    match output {
        Output::Json => screen::out(&json),
        Output::Text => {
            let Account { sent, acknowledged, unknown, consumed, redelivered, .. } = account;
            let Account { lost, doubled, returned, longest_gap_ms, is_dry, .. } = account;
            let verdict = if account.holds() { "every message is accounted for" } else { "BROKEN" };
            let dry = if *is_dry { "" } else { "; the queue did not run dry" };
            screen::out(&format!(
                "{verdict}{dry}\n  sent {sent}, acknowledged {acknowledged}, unknown {unknown}\n  consumed {consumed}, \
                 redelivered {redelivered}\n  lost {lost}, doubled {doubled}, returned {returned}\n  longest time without an \
                 acknowledgement: {longest_gap_ms} ms"
            ));
        }
    }
}
