//! The steps that random histories are made of.
//!
//! Must never: name what is not there yet. A pick is of what was sent or delivered last.

use bytes::Bytes;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::sample::select;
use queue_core::NewMessage;

/// Named queues, then those of subscriptions to the topic `news`.
pub(crate) const NAMES: [&str; 8] = ["orders", "letters", "mails", "olds", "deals", "news/all", "news/web", "news/red"];
/// How many of them have a name.
pub(crate) const NAMED: usize = 5;
/// The dead-letter queue.
pub(crate) const LETTERS: usize = 1;
/// The queue of transactions.
pub(crate) const DEALS: usize = 4;
/// Tags of what is published.
pub(crate) const TAGS: [&[&str]; 3] = [&[], &["red"], &["blue", "red"]];

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Create(usize),
    Delete(usize),
    Retain(usize, u32),
    Keep(usize, u32),
    Window(usize, u32),
    Send(usize, Vec<NewMessage>),
    Publish(Vec<usize>),
    Receive(usize, u32, u64),
    Ack(usize, Vec<usize>),
    Extend(usize, usize, u64),
    Release(usize, usize, u64, bool),
    Purge(usize),
    Confirm(usize, Vec<usize>, bool),
    Query(usize, u32),
    /// Rewinds to a while ago.
    Rewind(usize, u64),
    /// Looks a rewind up, and keeps it.
    ProposeRewind(usize, u64),
    /// Applies the rewind that was kept, however late.
    LandRewind,
    Redrive {
        to_orders: bool,
        is_dry: bool,
        rate: Option<u32>,
    },
    StopRedrive,
    Tick,
    /// Makes the tick that will be due in a while, and keeps it.
    Propose(u64),
    /// Applies the tick that was kept, however late.
    Land,
    Pass(u64),
}

fn delays() -> impl Strategy<Value = u64> + Clone {
    prop_oneof![4 => Just(0_u64), 2 => 1_u64..5_000, 1 => Just(70_000_u64)]
}

/// Some of them plain; the others of few orders and ids, so that these meet.
fn messages() -> impl Strategy<Value = NewMessage> + Clone {
    let orders = vec![(4_u8, "", "g"), (4, "a", "g"), (9, "a", "g"), (4, "b", ""), (0, "a", "")];
    let order = prop_oneof![1 => Just((4_u8, "", "")), 2 => select(orders)];
    let dedup_id = prop_oneof![3 => Just(""), 1 => select(vec!["1", "2", "3"])];
    (delays(), order, dedup_id).prop_map(|(delay_ms, (priority, tenant, group), dedup_id)| NewMessage {
        body: Bytes::from_static(b"x"),
        delay_ms,
        headers: Vec::new(),
        priority,
        tenant: tenant.to_owned(),
        group: group.to_owned(),
        dedup_id: dedup_id.to_owned(),
        is_half: false,
    })
}

/// What a queue of transactions takes, and now and then something that it does not.
fn deals() -> impl Strategy<Value = Vec<NewMessage>> {
    let delay = prop_oneof![30 => Just(0_u64), 1 => Just(1_u64)];
    let deal = (messages(), delay, prop_oneof![3 => Just(true), 1 => Just(false)])
        .prop_map(|(message, delay_ms, is_half)| NewMessage { delay_ms, is_half, ..message });
    proptest::collection::vec(deal, 1..5)
}

/// What acts on messages that are there.
fn settling() -> impl Strategy<Value = Step> {
    let queue = 0..NAMES.len();
    let lease = prop_oneof![Just(1_000_u64), 1_u64..20_000, Just(90_000_u64)];
    prop_oneof![
        16 => (queue.clone(), 1_u32..5, lease.clone()).prop_map(|(q, count, lease)| Step::Receive(q, count, lease)),
        10 => (queue.clone(), proptest::collection::vec(0_usize..12, 1..4)).prop_map(|(q, picks)| Step::Ack(q, picks)),
        2 => (queue.clone(), 0_usize..12, lease).prop_map(|(q, pick, lease)| Step::Extend(q, pick, lease)),
        8 => (queue.clone(), 0_usize..12, delays(), any::<bool>()).prop_map(|(q, p, d, f)| Step::Release(q, p, d, f)),
        1 => queue.prop_map(Step::Purge),
    ]
}

/// Half messages, rewinds and redrives.
fn moving() -> impl Strategy<Value = Step> {
    let queue = 0..NAMED;
    let picks = proptest::collection::vec(0_usize..8, 1..4);
    let ago = prop_oneof![Just(0_u64), 1_u64..5_000, 1_u64..70_000, Just(u64::MAX)];
    let rate = prop_oneof![Just(None), Just(Some(1_u32)), Just(Some(100))];
    let redrive = (any::<bool>(), select(vec![false, false, true]), rate);
    prop_oneof![
        4 => (picks.clone(), any::<bool>()).prop_map(|(picks, commit)| Step::Confirm(DEALS, picks, commit)),
        1 => (queue.clone(), picks).prop_map(|(q, picks)| Step::Confirm(q, picks, true)),
        4 => (1_u32..4).prop_map(|count| Step::Query(DEALS, count)),
        1 => queue.clone().prop_map(|queue| Step::Query(queue, 1)),
        5 => (queue.clone(), ago.clone()).prop_map(|(queue, ago)| Step::Rewind(queue, ago)),
        1 => (queue, ago).prop_map(|(queue, ago)| Step::ProposeRewind(queue, ago)),
        2 => Just(Step::LandRewind),
        4 => redrive.prop_map(|(to_orders, is_dry, rate)| Step::Redrive { to_orders, is_dry, rate }),
        1 => Just(Step::StopRedrive),
    ]
}

/// Time, and what it brings.
fn passing() -> impl Strategy<Value = Step> {
    let ms = prop_oneof![4 => 1_u64..3_000, 2 => Just(30_000_u64), 2 => Just(65_000_u64), 1 => Just(301_000_u64)];
    prop_oneof![
        10 => Just(Step::Tick),
        3 => prop_oneof![Just(0_u64), Just(2_000_u64), Just(60_000_u64)].prop_map(Step::Propose),
        3 => Just(Step::Land),
        6 => ms.prop_map(Step::Pass),
    ]
}

/// What owners and producers do.
fn sending() -> impl Strategy<Value = Step> {
    let queue = 0..NAMED;
    let keep = prop_oneof![Just(0_u32), Just(20_u32), Just(60_u32)];
    prop_oneof![
        2 => queue.clone().prop_map(Step::Create),
        1 => queue.clone().prop_map(Step::Delete),
        1 => (queue.clone(), 60_u32..120).prop_map(|(queue, retention_s)| Step::Retain(queue, retention_s)),
        1 => (queue.clone(), keep).prop_map(|(queue, rewind_s)| Step::Keep(queue, rewind_s)),
        1 => (queue.clone(), 0_u32..60).prop_map(|(queue, window_s)| Step::Window(queue, window_s)),
        14 => (queue.clone(), proptest::collection::vec(messages(), 1..5)).prop_map(|(q, sent)| Step::Send(q, sent)),
        5 => deals().prop_map(|sent| Step::Send(DEALS, sent)),
        1 => (queue, deals()).prop_map(|(queue, sent)| Step::Send(queue, sent)),
        6 => proptest::collection::vec(0..TAGS.len(), 1..4).prop_map(Step::Publish),
    ]
}

pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![32 => sending(), 37 => settling(), 22 => moving(), 22 => passing()];
    proptest::collection::vec(step, 1..90)
}
