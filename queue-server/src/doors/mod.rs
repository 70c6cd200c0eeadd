//! The doors: each validates what comes in, hands it to the node, and translates what goes out.

mod budget;
mod cmq;
mod cmq_http;
mod cmq_tcp;
mod console;
mod convert;
mod grpc;
mod http;
mod keys;
mod limits;
mod overview;
mod pages;
mod traced;

pub(crate) use cmq::NodeBroker;
pub(crate) use cmq_http::CmqHttp;
pub(crate) use cmq_tcp::serve_tcp;
pub(crate) use console::Console;
pub(crate) use grpc::{Entrance, serve_grpc};
pub(crate) use http::{http_router, serve_http};
pub(crate) use keys::{KeyRing, read_operator};
