//! Assets: the phone's page and all its parts, within the binary.
//!
//! Why revalidated and not kept: the parts have no build step that could name them by content, so a browser asks each
//! time by digest and is mostly answered "not modified".
//!
//! Must never: allow a script, a style or an image from elsewhere, or one that stands in the page itself.

use axum::Router;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sha2::{Digest as _, Sha256};

use super::convert_json::digits;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";
const JSON: &str = "application/json";

/// Where a part is served, what it is, and its text.
const ASSETS: [(&str, &str, &str); 18] = [
    ("/", HTML, include_str!("../../../web/phone.html")),
    ("/phone.css", CSS, include_str!("../../../web/phone.css")),
    ("/envelope.css", CSS, include_str!("../../../web/envelope.css")),
    ("/icon.svg", SVG, include_str!("../../../web/icon.svg")),
    ("/openapi.json", JSON, include_str!("../../../web/openapi.json")),
    ("/js/api.js", SCRIPT, include_str!("../../../web/js/api.js")),
    ("/js/chats.js", SCRIPT, include_str!("../../../web/js/chats.js")),
    ("/js/dom.js", SCRIPT, include_str!("../../../web/js/dom.js")),
    ("/js/envelope.js", SCRIPT, include_str!("../../../web/js/envelope.js")),
    ("/js/lists.js", SCRIPT, include_str!("../../../web/js/lists.js")),
    ("/js/main.js", SCRIPT, include_str!("../../../web/js/main.js")),
    ("/js/news.js", SCRIPT, include_str!("../../../web/js/news.js")),
    ("/js/packet.js", SCRIPT, include_str!("../../../web/js/packet.js")),
    ("/js/pay.js", SCRIPT, include_str!("../../../web/js/pay.js")),
    ("/js/send.js", SCRIPT, include_str!("../../../web/js/send.js")),
    ("/js/state.js", SCRIPT, include_str!("../../../web/js/state.js")),
    ("/js/wallet.js", SCRIPT, include_str!("../../../web/js/wallet.js")),
    ("/js/words.js", SCRIPT, include_str!("../../../web/js/words.js")),
];

/// What the page may do: nothing but load its own parts and ask its own server.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Headers of every part.
const fn headers() -> [(HeaderName, HeaderValue); 4] {
    [
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ]
}

/// Serves all parts.
pub(super) fn router() -> Router {
    ASSETS.into_iter().fold(Router::new(), |router, (path, kind, text)| {
        let tag = format!("\"{}\"", digits(&Sha256::digest(text.as_bytes())));
        router.route(path, get(async move |headers: HeaderMap| serve(&headers, kind, text, &tag)))
    })
}

fn serve(asked: &HeaderMap, kind: &'static str, text: &'static str, tag: &str) -> Response {
    let is_known = asked.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let mut response = if is_known { StatusCode::NOT_MODIFIED.into_response() } else { text.into_response() };
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().extend(headers());
    // A digest is made of digits.
    response.headers_mut().extend(HeaderValue::from_str(tag).ok().map(|tag| (header::ETAG, tag)));
    response
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    /// Files below `folder`, as they are served.
    fn files(folder: &Path, prefix: &str) -> BTreeSet<String> {
        let entries = std::fs::read_dir(folder).expect("the folder is there");
        let name = |entry: std::fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
        let named = entries.map(|entry| name(entry.expect("an entry is read")));
        named.filter(|name| name.contains('.')).map(|name| format!("{prefix}{name}")).collect()
    }

    #[test]
    fn every_file_of_the_page_is_served_and_nothing_else() {
        let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("web");
        let mut expected = files(&web, "/");
        expected.extend(files(&web.join("js"), "/js/"));
        assert!(expected.remove("/phone.html") && expected.insert("/".to_owned()));
        assert_eq!(ASSETS.iter().map(|(path, ..)| (*path).to_owned()).collect::<BTreeSet<_>>(), expected);
    }

    #[test]
    fn the_page_holds_no_script_no_style_and_nothing_from_elsewhere() {
        for (path, kind, text) in ASSETS {
            if kind == HTML {
                assert!(!text.contains("<style") && !text.contains(" style="), "{path}");
                assert!(
                    text.split("<script").skip(1).all(|script| script.starts_with(" type=\"module\" src=\"/")),
                    "{path}"
                );
                assert!(!["onclick=", "onload=", "javascript:"].iter().any(|inline| text.contains(inline)), "{path}");
            }
            // A namespace is a name and no address.
            let plain = text.replace("http://www.w3.org/2000/svg", "");
            assert!(!plain.contains("http://") && !plain.contains("https://"), "{path} names another house");
        }
    }

    #[test]
    fn a_part_that_is_known_is_not_sent_again() {
        let known = |tag: &'static str| HeaderMap::from_iter([(header::IF_NONE_MATCH, HeaderValue::from_static(tag))]);
        let table = [(HeaderMap::new(), 200), (known("\"a\""), 304), (known("\"b\""), 200)];
        for (headers, status) in table {
            let response = serve(&headers, CSS, "x", "\"a\"");
            assert_eq!(response.status(), status, "{headers:?}");
            assert_eq!(response.headers()[header::CONTENT_TYPE], CSS);
            assert_eq!(response.headers()[header::CONTENT_SECURITY_POLICY], POLICY);
        }
    }
}
