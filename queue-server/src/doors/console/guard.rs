//! The guard of the console: who may look, and who may act.
//!
//! ```text
//!  on loopback, keyless   who names this machine in `Host`      (a foreign page that points its own name here does not)
//!  on loopback, keys on   a key pair that may manage everything (the console itself acts with the operator's)
//!  any other listener     the same, and only over TLS: the node's own, or a proxy's in front
//!  POST, on both          from the page itself: same origin, and JSON, which no foreign form can send
//! ```
//!
//! Must never: ask for a secret over a connection that others can read, or say which half of a key pair was wrong.

use std::net::IpAddr;
use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use queue_core::Right;

use super::fault::Fault;
use crate::doors::cmq_http::is_mac;
use crate::doors::keys::KeyRing;

/// Admits callers.
pub(super) struct Guard {
    is_local: bool,
    /// Whether nobody else can read what is sent: the listener speaks TLS by itself, or stays on this machine.
    is_sealed: bool,
    keys: Arc<KeyRing>,
}

/// Why a caller is not admitted. Order = precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Denied {
    /// Another host's name, at a listener on loopback.
    Foreign,
    /// No TLS in front, at a listener that others reach.
    InTheClear,
    /// No key pair, or one that is not good.
    Key,
    /// The key pair may not manage everything.
    Right,
    /// An act that does not come from the page itself.
    Origin,
    /// An act that is not JSON.
    Content,
}

impl Guard {
    pub(super) const fn new(is_local: bool, is_sealed: bool, keys: Arc<KeyRing>) -> Self {
        Self { is_local, is_sealed, keys }
    }

    /// Whether the caller may. Errors: [`Denied`].
    pub(super) fn admit(&self, method: &Method, headers: &HeaderMap) -> Result<(), Denied> {
        if self.is_local { is_own_name(headers) } else { self.has_key(headers) }?;
        if matches!(*method, Method::GET | Method::HEAD) { Ok(()) } else { is_from_the_page(headers) }
    }

    fn has_key(&self, headers: &HeaderMap) -> Result<(), Denied> {
        // Who lies about the proxy in front sends only its own secret in the clear.
        if !self.is_sealed && text(headers, "x-forwarded-proto") != "https" {
            return Err(Denied::InTheClear);
        }
        let given = text(headers, header::AUTHORIZATION.as_str()).strip_prefix("Basic ").ok_or(Denied::Key)?;
        let given = base64::engine::general_purpose::STANDARD.decode(given).map_err(|_| Denied::Key)?;
        let given = String::from_utf8(given).map_err(|_| Denied::Key)?;
        let (id, secret) = given.split_once(':').ok_or(Denied::Key)?;
        let (pair, now) = self.keys.find(id).ok_or(Denied::Key)?;
        // Codes are compared, not secrets: how long that takes says nothing about the letters.
        let code = mac(secret);
        let is_good = pair.secrets(now).any(|held| is_mac(held, id, &code(id), true));
        if !is_good {
            return Err(Denied::Key);
        }
        if pair.allows(Right::Manage, "") { Ok(()) } else { Err(Denied::Right) }
    }
}

/// HMAC-SHA256 under `secret`.
fn mac(secret: &str) -> impl Fn(&str) -> Vec<u8> + use<'_> {
    use hmac::{Hmac, Mac as _};
    move |text| {
        let mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes());
        mac.map(|mac| mac.chain_update(text).finalize().into_bytes().to_vec()).unwrap_or_default()
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// The host's name without its port.
fn is_own_name(headers: &HeaderMap) -> Result<(), Denied> {
    let authority = text(headers, "host").parse::<axum::http::uri::Authority>().map_err(|_| Denied::Foreign)?;
    let host = authority.host().trim_matches(['[', ']']);
    let is_own = host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback());
    if is_own { Ok(()) } else { Err(Denied::Foreign) }
}

/// A browser names the origin of every POST. One that does not, or names another, does not come from the page.
fn is_from_the_page(headers: &HeaderMap) -> Result<(), Denied> {
    let site = text(headers, "sec-fetch-site");
    let origin = text(headers, "origin").parse::<Uri>().map_err(|_| Denied::Origin)?;
    let is_same = origin.authority().is_some_and(|origin| origin.as_str() == text(headers, "host"));
    if !is_same || !matches!(site, "" | "same-origin") {
        return Err(Denied::Origin);
    }
    let content = text(headers, "content-type").split(';').next().unwrap_or_default().trim();
    if content == "application/json" { Ok(()) } else { Err(Denied::Content) }
}

impl IntoResponse for Denied {
    fn into_response(self) -> Response {
        let (status, text) = match self {
            Self::Foreign => (StatusCode::FORBIDDEN, "this console is called localhost, or by its loopback address"),
            Self::InTheClear => (
                StatusCode::FORBIDDEN,
                "the console asks for a key here, and only over TLS: give the node certificates with --tls, or put a proxy \
                 in front that ends TLS and says X-Forwarded-Proto, or listen on loopback and come through a tunnel",
            ),
            Self::Key => (StatusCode::UNAUTHORIZED, "a key pair is needed"),
            Self::Right => (StatusCode::FORBIDDEN, "the key pair may not manage every queue"),
            Self::Origin => (StatusCode::FORBIDDEN, "acts come from the console's own page"),
            Self::Content => (StatusCode::FORBIDDEN, "acts are JSON"),
        };
        let mut response = Fault::denied(status, text).into_response();
        if self == Self::Key {
            let challenge = HeaderValue::from_static("Basic realm=\"Tercet console: key id and secret\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doors::keys::pair;
    use queue_core::Grant;

    fn keys() -> Arc<KeyRing> {
        let some = vec![Grant { pattern: "or*".to_owned(), rights: Right::Manage as u8 }];
        Arc::new(KeyRing::of(vec![pair("AKIDall", "s1", vec![Grant::everything()]), pair("AKIDsome", "s2", some)]))
    }

    fn check(is_local: bool, method: &Method, lines: &[(&'static str, &str)], expected: Result<(), Denied>) {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.insert(*name, HeaderValue::from_str(value).expect("the sample is a header"));
        }
        assert_eq!(Guard::new(is_local, false, keys()).admit(method, &headers), expected, "{lines:?}");
    }

    #[test]
    fn on_loopback_only_this_machine_s_own_names_are_answered() {
        for own in ["127.0.0.1:7201", "localhost:7201", "LOCALHOST", "[::1]:7201", "127.8.0.1"] {
            check(true, &Method::GET, &[("host", own)], Ok(()));
        }
        for foreign in ["example.org", "127.0.0.1.example.org:7201", "10.0.0.1", "", "local host"] {
            check(true, &Method::GET, &[("host", foreign)], Err(Denied::Foreign));
        }
        check(true, &Method::GET, &[], Err(Denied::Foreign));
    }

    #[test]
    fn elsewhere_a_key_is_needed_and_never_in_the_clear() {
        let basic = |text: &str| format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(text));
        let table = [
            ("http", basic("AKIDall:s1"), Err(Denied::InTheClear)),
            ("https", String::new(), Err(Denied::Key)),
            ("https", "Basic !".to_owned(), Err(Denied::Key)),
            ("https", basic("AKIDall"), Err(Denied::Key)),
            ("https", basic("AKIDnone:s1"), Err(Denied::Key)),
            ("https", basic("AKIDall:s2"), Err(Denied::Key)),
            ("https", basic("AKIDsome:s2"), Err(Denied::Right)),
            ("https", basic("AKIDall:s1"), Ok(())),
        ];
        for (scheme, given, expected) in table {
            let lines = [("host", "queue.example.org"), ("x-forwarded-proto", scheme), ("authorization", &given)];
            check(false, &Method::GET, &lines, expected);
        }
    }

    #[test]
    fn an_act_comes_from_the_page_itself() {
        let table = [
            ("http://127.0.0.1:7201", "", "application/json", Ok(())),
            ("http://127.0.0.1:7201", "same-origin", "application/json; charset=utf-8", Ok(())),
            ("", "", "application/json", Err(Denied::Origin)),
            ("null", "", "application/json", Err(Denied::Origin)),
            ("http://127.0.0.1:9999", "", "application/json", Err(Denied::Origin)),
            ("https://evil.example", "cross-site", "application/json", Err(Denied::Origin)),
            ("http://127.0.0.1:7201", "same-site", "application/json", Err(Denied::Origin)),
            ("http://127.0.0.1:7201", "", "text/plain", Err(Denied::Content)),
            ("http://127.0.0.1:7201", "", "application/x-www-form-urlencoded", Err(Denied::Content)),
        ];
        for (origin, site, content, expected) in table {
            let mut lines = vec![("host", "127.0.0.1:7201"), ("origin", origin), ("content-type", content)];
            if !site.is_empty() {
                lines.push(("sec-fetch-site", site));
            }
            check(true, &Method::POST, &lines, expected);
        }
    }
}
