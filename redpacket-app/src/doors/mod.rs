//! The doors: gRPC for programs and phones, HTTP for the phone page, health and metrics.
//!
//! Must never: hold a rule of money or packets. They check form, translate, call a role, translate back.

pub(crate) mod grpc;
pub(crate) mod http;
