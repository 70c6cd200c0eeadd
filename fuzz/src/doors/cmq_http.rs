//! A request over HTTP: its pairs out of the query or the form, its signature, and every way to read a parameter.
//!
//! Must never: know the secret that would let a request in.

#[path = "../../../queue-server/src/doors/cmq_http/form.rs"]
mod form;
#[path = "../../../queue-server/src/doors/cmq_http/params.rs"]
mod params;
#[path = "../../../queue-server/src/doors/cmq_http/signature.rs"]
mod signature;

use bytes::Bytes;
use queue_core::Secret;

use params::Params;
use signature::Signed;

/// One request; a zero byte parts query and body.
pub(crate) fn play(bytes: Bytes) {
    let at = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let (query, body) = bytes.split_at(at);
    let Ok(pairs) = form::parse(query, body) else { return };
    let secret = Secret::new("a secret".to_owned());
    for method in ["GET", "POST"] {
        let signed = Signed { method, host: "127.0.0.1:80", path: "/", pairs: &pairs };
        assert!(!signed.is_signed_by([&secret].into_iter()), "nobody signs with a secret he does not have");
    }
    let params = Params::new(&pairs);
    let _ = params.page();
    for (name, _) in &pairs {
        let _ = (params.number(name, &(0..=9)), params.small(name, &(1..=u64::MAX)), params.signed(name));
        let _ = (params.flag(name), params.required(name).is_ok());
        let list = name.split('.').next().unwrap_or_default();
        let listed = params.list(list).map_or(0, |list| list.len());
        assert!(listed <= super::cmq::BATCH_MAX);
    }
}
