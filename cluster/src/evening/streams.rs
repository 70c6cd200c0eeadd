//! Streams: a sample of the phones that hold their news open all evening.
//!
//! Must never: hold up an action. A stream that ends is opened again, as a phone does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http_body_util::BodyExt as _;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::crowd::Crowd;

/// A stream that broke is opened again after this.
const COME_BACK: Duration = Duration::from_secs(1);
/// What begins an event.
const EVENT: &[u8] = b"event: news";

/// What the sample has seen.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    open: AtomicU64,
    events: AtomicU64,
    broken: AtomicU64,
}

impl Heard {
    /// Streams that are open now, events so far, streams that ended or were refused so far.
    pub(crate) fn counts(&self) -> (u64, u64, u64) {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (read(&self.open), read(&self.events), read(&self.broken))
    }
}

/// Opens so many streams; they are closed when the set is dropped.
pub(crate) fn listen(crowd: &Arc<Crowd>, count: usize) -> (JoinSet<()>, Arc<Heard>) {
    let heard = Arc::new(Heard::default());
    let (mut tasks, count) = (JoinSet::new(), count.min(crowd.count()));
    for number in 0..count {
        let (crowd, heard, phone) = (Arc::clone(crowd), Arc::clone(&heard), number * crowd.count() / count);
        tasks.spawn(async move {
            loop {
                if let Ok(mut news) = crowd.listen(phone).await {
                    heard.open.fetch_add(1, Ordering::Relaxed);
                    while let Some(Ok(frame)) = news.frame().await {
                        let events = frame.data_ref().map_or(0, |bytes| events(bytes));
                        heard.events.fetch_add(events, Ordering::Relaxed);
                    }
                    heard.open.fetch_sub(1, Ordering::Relaxed);
                }
                heard.broken.fetch_add(1, Ordering::Relaxed);
                sleep(COME_BACK).await;
            }
        });
    }
    (tasks, heard)
}

/// Events that begin in these bytes. The server writes an event in one piece.
fn events(bytes: &[u8]) -> u64 {
    let found = bytes.windows(EVENT.len()).filter(|window| *window == EVENT).count();
    u64::try_from(found).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_counted_where_it_begins_and_a_beat_is_none() {
        for (text, expected) in
            [("id: 1\nevent: news\ndata: {}\n\n", 1), (":\n\n", 0), ("event: news\n\nevent: news", 2)]
        {
            assert_eq!(events(text.as_bytes()), expected, "{text:?}");
        }
    }
}
