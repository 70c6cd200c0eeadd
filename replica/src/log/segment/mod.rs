//! The log in segment files of our own: append only, one writer, one sync for all groups. Decision 0010 draws the format.
//!
//! ```text
//!  jobs ─> writer ─ Batch ─> the newest segment        index: group, entry ─> segment, place
//!                     │                                   ^ reads, starts
//!                     └ full: footer, the next segment    └ a sealed segment's footer, the newest one's records
//! ```
//! A segment goes when no group needs an entry of it. Every segment begins with what is known of all groups (votes, what is
//! committed and purged), so that nothing else is lost with those before it.
//!
//! Must never: rewrite a byte that was synced.

mod batch;
mod disk;
mod engine;
mod footer;
mod index;
mod record;
mod scan;
mod scrub;
#[cfg(test)]
mod tests;
mod writer;

pub(crate) use engine::SegmentLog;
