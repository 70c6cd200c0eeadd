//! Traces cost nothing where they are off, and a collector that is not there disturbs nobody.
//!
//! Must never: run two of these in one process; traces begin once.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use proto::traces::{self, Given, Kind, Settings};

thread_local! {
    static TAKEN: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, with a count of what each thread took.
struct Counting;

#[expect(unsafe_code, reason = "an allocator is unsafe by its trait; this one only counts")]
// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        TAKEN.with(|taken| taken.set(taken.get() + 1));
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[tokio::test]
async fn a_call_allocates_nothing_where_traces_are_off() {
    let mut headers = BTreeMap::new();
    let before = TAKEN.with(Cell::get);
    let began = Instant::now();
    for _ in 0..10_000 {
        let mut span = traces::arrive(Given::Nothing, "send", Kind::Server);
        span.text("messaging.destination.name", "orders");
        let within = span.within(async {
            traces::mark(&mut headers);
            let part = traces::child("propose", Kind::Within);
            part.around(async { Ok::<_, ()>(traces::line().len()) }).await
        });
        assert_eq!(within.await, Ok(0));
    }
    let (taken, took) = (TAKEN.with(Cell::get) - before, began.elapsed());
    assert_eq!(taken, 0, "ten thousand calls, and what they took");
    assert!(headers.is_empty());
    eprintln!("10000 calls without traces: {took:?}");
}

#[tokio::test]
async fn a_collector_that_is_not_there_costs_spans_and_nothing_else() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").and_then(|port| port.local_addr());
    let endpoint = format!("http://{}", nobody.expect("a port can be found"));
    let wall = Arc::new(|| 1);
    let settings = Settings { endpoint, share: 1.0, service: "test", node: "1".to_owned(), wall };
    traces::start(settings.clone()).expect("nothing is connected yet");
    assert!(traces::start(settings).is_err(), "traces begin once");
    let began = Instant::now();
    for _ in 0..20_000 {
        drop(traces::arrive(Given::Nothing, "send", Kind::Server));
    }
    assert!(began.elapsed() < Duration::from_secs(5), "nobody waits");
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        let counts = traces::counts().expect("traces are on");
        assert_eq!((counts.ended, counts.exported), (20_000, 0));
        // More than there was no room for: what was tried is given up, too.
        if counts.dropped > 20_000 - 8_192 {
            return;
        }
        assert!(Instant::now() < until, "{counts:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
