//! How many bytes of memory the queue machine holds, counted by the allocator; fails above its bounds.
//!
//! A run makes a tenth of the size by default; `-- full` makes it all: a million ready and a million delayed messages,
//! `-- huge` ten million ready ones.
//!
//! Must never: count the rows and bodies of the store. The machine is rebuilt from them, and what that adds is counted.
#![expect(unsafe_code, reason = "an allocator that counts is an unsafe trait")]

use std::alloc::{GlobalAlloc, Layout as Shape, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use machine::{GroupId, Host, LogIndex, MemoryStore, TimestampMs};
use queue_core::limits::BATCH_MAX;
use queue_core::{Attributes, Command, NewMessage, QueueId, QueueMachine};

struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call is handed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, shape: Shape) -> *mut u8 {
        HELD.fetch_add(shape.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise is handed on.
        unsafe { System.alloc(shape) }
    }

    unsafe fn dealloc(&self, at: *mut u8, shape: Shape) {
        HELD.fetch_sub(shape.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise is handed on.
        unsafe { System.dealloc(at, shape) }
    }
}

const QUEUE: QueueId = QueueId(1);
const YEAR_MS: u64 = 365 * 86_400_000;
/// Bytes of a machine that holds a tenth of the ready messages.
const READY_BYTES_MAX: usize = 64 * 1024;
/// Of a backlog, the machine holds one count for each page of 4096 places and nothing more.
const MESSAGES_PER_BYTE: usize = 128;
/// Bytes of a machine that holds a million delayed messages.
const DELAYED_BYTES_MAX: usize = 64 * 1024 * 1024;
const MILLION: usize = 1_000_000;

/// Fills a queue with `count` messages. Answers: the bytes that a machine over its rows holds.
fn bytes_of(count: usize, mut delay_ms: impl FnMut() -> u64) -> usize {
    let mut store = MemoryStore::default();
    let mut host: Host<QueueMachine> = store.host(GroupId(7)).expect("an empty store loads");
    let mut index = 0;
    let mut run = |command: &Command| {
        index += 1;
        store.run(&mut host, LogIndex(index), TimestampMs(1_700_000_000_000), command).expect("it is applied");
    };
    run(&Command::CreateQueue { name: "q".to_owned(), attributes: Attributes::default() });
    let mut left = count;
    while left > 0 {
        let batch = left.min(BATCH_MAX);
        let body = Bytes::from_static(b"x");
        let new = |_| NewMessage { body: body.clone(), delay_ms: delay_ms(), ..NewMessage::default() };
        run(&Command::Send { queue: QUEUE, messages: (0..batch).map(new).collect() });
        left -= batch;
    }
    drop(host);
    let before = HELD.load(Ordering::Relaxed);
    let host: Host<QueueMachine> = store.host(GroupId(7)).expect("its own rows load");
    let bytes = HELD.load(Ordering::Relaxed) - before;
    let counts = host.machine().status(QUEUE).expect("the queue is there").counts;
    assert_eq!(counts.visible + counts.delayed, count as u64, "all are counted");
    bytes
}

fn check(what: &str, count: usize, bytes: usize, most: usize) {
    eprintln!("{count} {what} messages: the machine holds {bytes} bytes, at most {most} are allowed");
    assert!(bytes <= most, "the machine holds too much");
}

fn main() {
    let is_asked = |word: &str| std::env::args().any(|argument| argument == word);
    let size = if is_asked("full") || is_asked("huge") { MILLION } else { MILLION / 10 };
    let ready = if is_asked("huge") { 10 * MILLION } else { size };
    let few = bytes_of(ready / 10, || 0);
    let many = bytes_of(ready, || 0);
    check("ready", ready / 10, few, READY_BYTES_MAX);
    check("ready", ready, many, few + ready / MESSAGES_PER_BYTE);
    // A linear congruence: any spread of due times will do, but the same in each run.
    let mut seed = 1_u64;
    let bytes = bytes_of(size, || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        1 + (seed >> 20) % YEAR_MS
    });
    check("delayed", size, bytes, DELAYED_BYTES_MAX / (MILLION / size));
}
