//! The decoders of CMQ's doors: what strangers send over HTTP and over TCP.
//!
//! Must never: leave out what stands before the login; that is what everybody reaches.

pub(crate) mod cmq;
mod cmq_http;
mod cmq_tcp;
#[path = "../../queue-server/src/doors/convert/mod.rs"]
pub(crate) mod convert;

pub(crate) use cmq_http::play as http;
pub(crate) use cmq_tcp::play as tcp;
