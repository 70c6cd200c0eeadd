//! The log's decoders: heads, records and footers of segments.
//!
//! Must never: open a file.

#[path = "../../replica/src/log/cache.rs"]
mod cache;
#[path = "../../replica/src/log/engine.rs"]
pub(crate) mod engine;
mod segment;

pub(crate) use engine::BodyPlace;
pub(crate) use segment::play;
