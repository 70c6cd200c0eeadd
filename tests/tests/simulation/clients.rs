//! Producers and consumers, and what they note down.
//!
//! Must never: note an outcome that they were not told.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use machine::TimestampMs;
use queue_core::{Command, Delivery, DeliveryNumber, MessageId, NewMessage, QueueId, Reply};
use rand::Rng as _;

use crate::caller::Caller;
use crate::history::{Delivered, End, Ended, Extended, Line, Number, Sent, Span};
use crate::play::Run;

/// Every so-manieth message of the plain queue fails whenever it is tried.
const POISON: u64 = 11;

/// Whether nobody can consume a message.
pub(crate) const fn is_poison(number: Number) -> bool {
    (number & 0xffff_ffff).is_multiple_of(POISON)
}

/// Sends until the storm is over.
pub(crate) async fn produce(run: Arc<Run>, me: u64, mut caller: Caller) {
    let mut count = 0;
    while !run.is_calm() {
        let line = if caller.dice.random_range(0..2) == 0 { Line::Plain } else { Line::Orders };
        let group = (line == Line::Orders).then(|| me << 8 | caller.dice.random_range(0..2));
        let mut numbers = Vec::new();
        let mut messages = Vec::new();
        for _ in 0..caller.dice.random_range(1..=3) {
            count += 1;
            let number = me << 32 | count;
            numbers.push(number);
            messages.push(message(&mut caller, number, group));
        }
        let delays: Vec<u64> = messages.iter().map(|message| message.delay_ms).collect();
        let command = Command::Send { queue: run.queue(line), messages };
        let mut answered = caller.call(&run, &command).await;
        if answered.is_none() && line == Line::Plain {
            // What may have been sent is sent once more under another request: its deduplication id makes it one message.
            answered = caller.call(&run, &command).await;
        }
        match answered.map(|answered| (answered.at, answered.reply)) {
            None => {}
            Some((at, Reply::Sent { ids, duplicates, .. })) if ids.len() == numbers.len() => {
                let sent = numbers.into_iter().zip(ids).zip(delays).zip(0..);
                let sent = sent.map(|(((number, id), delay_ms), which)| {
                    // A duplicate's place and delay are those of the send that it repeats: nobody knows when that was.
                    let is_known = !duplicates.contains(&which);
                    let (at, delay_ms) = if is_known { (at, delay_ms) } else { (Span { from: 0, ..at }, 0) };
                    Sent { number, id, at, delay_ms, group }
                });
                run.history.lock().sent.extend(sent);
            }
            Some((_, other)) => run.broke(format!("a send was answered with {other:?}")),
        }
        let pause = caller.dice.random_range(1..60);
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
}

fn message(caller: &mut Caller, number: Number, group: Option<u64>) -> NewMessage {
    let mut body = number.to_be_bytes().to_vec();
    body.resize(8 + caller.dice.random_range(0..300), 0);
    let is_delayed = group.is_none() && caller.dice.random_range(0..3) == 0;
    NewMessage {
        body: Bytes::from(body),
        delay_ms: if is_delayed { caller.dice.random_range(200..3_000) } else { 0 },
        group: group.map(|group| group.to_string()).unwrap_or_default(),
        dedup_id: if group.is_none() { number.to_string() } else { String::new() },
        ..NewMessage::default()
    }
}

/// Receives and settles until the storm is over.
pub(crate) async fn consume(run: Arc<Run>, mut caller: Caller) {
    while !run.is_calm() {
        let line = [Line::Plain, Line::Orders][caller.dice.random_range(0..2)];
        let lease_ms = caller.dice.random_range(300..3_000);
        let count = caller.dice.random_range(1..5);
        for delivery in receive(&run, &mut caller, line, count, lease_ms).await {
            let pause = caller.dice.random_range(0..40);
            tokio::time::sleep(Duration::from_millis(pause)).await;
            settle(&run, &mut caller, line, &delivery, lease_ms).await;
        }
        let pause = caller.dice.random_range(1..80);
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
}

/// Takes leases, and notes what came.
pub(crate) async fn receive(run: &Run, caller: &mut Caller, line: Line, count: u32, lease_ms: u64) -> Vec<Delivered> {
    let queue = run.queue(line);
    // A receive that would find nothing is not proposed: it would fill the log.
    if !run.has_ready(queue) {
        return Vec::new();
    }
    let command = Command::Receive { queue, count, lease_ms: Some(lease_ms) };
    let Some(answered) = caller.call(run, &command).await else { return Vec::new() };
    match answered.reply {
        Reply::Received { deliveries } => {
            let note = |delivery| noted(run, line, answered.at, lease_ms, delivery);
            let came: Vec<Delivered> = deliveries.into_iter().map(note).collect();
            let mut history = run.history.lock();
            history.stamps.extend(came.first().map(|first| (first.at.to, first.stamp)));
            history.delivered.extend(came.iter().cloned());
            came
        }
        Reply::Empty => Vec::new(),
        other => {
            run.broke(format!("a receive was answered with {other:?}"));
            Vec::new()
        }
    }
}

fn noted(run: &Run, line: Line, at: Span, lease_ms: u64, delivery: Delivery) -> Delivered {
    let Delivery { id, receipt, deadline, .. } = delivery;
    let stamp = deadline.minus(lease_ms);
    run.check_time(stamp);
    Delivered { line, id, number: run.number_of(id, at.to), receipt, at, stamp, deadline }
}

async fn settle(run: &Run, caller: &mut Caller, line: Line, delivery: &Delivered, lease_ms: u64) {
    let queue = run.queue(line);
    let is_poison = line == Line::Plain && delivery.number.is_some_and(is_poison);
    let choice = if is_poison { caller.dice.random_range(6..8) } else { caller.dice.random_range(0..12) };
    match choice {
        6 => release(run, caller, queue, delivery).await,
        // The lease runs out; nobody says anything.
        7 => {}
        8 => {
            tokio::time::sleep(Duration::from_millis(lease_ms)).await;
            acknowledge(run, caller, queue, &[(delivery.id, delivery.receipt)]).await;
        }
        9 => {
            let lease_ms = lease_ms + caller.dice.random_range(0..2_000);
            extend(run, caller, queue, delivery.receipt, lease_ms).await;
            acknowledge(run, caller, queue, &[(delivery.id, delivery.receipt)]).await;
        }
        _ => acknowledge(run, caller, queue, &[(delivery.id, delivery.receipt)]).await,
    }
}

async fn release(run: &Run, caller: &mut Caller, queue: QueueId, delivery: &Delivered) {
    let (id, receipt) = (delivery.id, delivery.receipt);
    let delay_ms = caller.dice.random_range(0..800);
    let command = Command::Release { queue, receipts: vec![receipt], delay_ms, failed: true };
    let answered = caller.call(run, &command).await;
    note_ends(run, &[(id, receipt)], End::Release { delay_ms }, answered.map(|answered| (answered.at, answered.reply)));
}

/// Acks, and notes what became of it.
pub(crate) async fn acknowledge(run: &Run, caller: &mut Caller, queue: QueueId, held: &[(MessageId, DeliveryNumber)]) {
    let receipts = held.iter().map(|(_, receipt)| *receipt).collect();
    let answered = caller.call(run, &Command::Ack { queue, receipts }).await;
    note_ends(run, held, End::Ack, answered.map(|answered| (answered.at, answered.reply)));
}

fn note_ends(run: &Run, held: &[(MessageId, DeliveryNumber)], end: End, answered: Option<(Span, Reply)>) {
    let ended = |(id, receipt): &(MessageId, DeliveryNumber), at| Ended { id: *id, receipt: *receipt, end, at };
    match answered {
        None => run.history.lock().ended.extend(held.iter().map(|held| ended(held, None))),
        Some((at, Reply::Settled { results })) if results.len() == held.len() => {
            let done = held.iter().zip(results).filter(|(_, refusal)| refusal.is_none());
            run.history.lock().ended.extend(done.map(|(held, _)| ended(held, Some(at))));
        }
        Some((_, other)) => run.broke(format!("a settling was answered with {other:?}")),
    }
}

async fn extend(run: &Run, caller: &mut Caller, queue: QueueId, receipt: DeliveryNumber, lease_ms: u64) {
    let command = Command::Extend { queue, receipts: vec![receipt], lease_ms };
    let at = match caller.call(run, &command).await {
        None => None,
        Some(answered) => match answered.reply {
            Reply::Extended { deadline, results } if results == [None] => {
                run.history.lock().stamps.push((answered.at.to, TimestampMs(deadline.0 - lease_ms)));
                Some((answered.at, deadline))
            }
            // The lease was over already.
            _ => return,
        },
    };
    run.history.lock().extended.push(Extended { receipt, at });
}
