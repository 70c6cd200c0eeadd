//! The doors: each validates what comes in, hands it to the node, and translates what goes out.

mod convert;
mod grpc;
mod http;
mod overview;

pub(crate) use grpc::serve_grpc;
pub(crate) use http::http_router;
