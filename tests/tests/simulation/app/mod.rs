//! The payment app under the same weather: two ledger shards and a packet group, the courier between them, people who pay and
//! play, workers that keep promises; and the laws of the money.
//!
//! ```text
//!  machines  ledger and packets as they ship, and the same with one flaw planted
//!  world     three clusters of three nodes and a spare one each, and the mail between the shards
//!  ask       one request: repeated as it is until its outcome is known, or given up as unknown
//!  payers    transfers, holds, chains, payments to the other shard        book    what they asked and were told
//!  evening   packets sent, opened, credited                               finals  what is there at the end, read linearizably
//!  workers   the outbox, late credits, refunds                            laws    what must be true of both
//!  play      a storm over all three clusters, then everything is healed and every promise must be kept
//! ```
//!
//! Why apart from the queue: what is kept here are balances and ids for ever, not leases; but the clusters, the weather and the
//! road are the same. The queue between door and worker is left out: its promise ("comes at least once") is all that workers
//! rely on, and they look again and again here.
//!
//! Must never: judge a balance by a sum that a shard keeps of itself.

mod ask;
mod book;
mod evening;
mod finals;
mod laws;
mod machines;
mod payers;
mod planted;
pub(crate) mod play;
mod workers;
mod world;
