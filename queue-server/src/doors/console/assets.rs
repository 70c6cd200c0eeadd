//! The page: files of `queue-server/web`, inside the binary.
//!
//! Must never: read a file at run time, or name one that is not here.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

const PAGE: &str = include_str!("../../../web/console.html");

macro_rules! web {
    ($($kind:ident $name:literal),* $(,)?) => {
        /// Name, type, text.
        const FILES: &[(&str, &str, &str)] = &[$(($name, $kind, include_str!(concat!("../../../web/", $name)))),*];
    };
}

web! {
    CSS "console.css", CSS "parts.css", SVG "mark.svg",
    SCRIPT "main.js", SCRIPT "api.js", SCRIPT "dom.js", SCRIPT "words.js", SCRIPT "history.js", SCRIPT "picture.js",
    SCRIPT "cluster.js", SCRIPT "queues.js", SCRIPT "queue.js", SCRIPT "messages.js", SCRIPT "message.js",
    SCRIPT "acts.js", SCRIPT "topics.js", SCRIPT "audit.js",
}

pub(super) fn page() -> Response {
    ([(header::CONTENT_TYPE, HTML)], PAGE).into_response()
}

pub(super) fn asset(name: &str) -> Response {
    match FILES.iter().find(|(known, _, _)| *known == name) {
        Some((_, kind, text)) => ([(header::CONTENT_TYPE, *kind)], *text).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What stands between two marks, each time.
    fn between<'a>(text: &'a str, from: &str, to: &str) -> Vec<&'a str> {
        text.split(from).skip(1).filter_map(|rest| rest.split_once(to)).map(|(inner, _)| inner).collect()
    }

    #[test]
    fn every_file_that_a_file_names_is_there_and_every_file_is_named() {
        let mut named: Vec<&str> = between(PAGE, "\"/console/", "\"");
        for (_, _, text) in FILES {
            named.extend(between(text, "from \"./", "\""));
        }
        for name in &named {
            assert!(FILES.iter().any(|(known, _, _)| known == name), "{name} is not in the binary");
        }
        for (known, _, _) in FILES {
            assert!(named.contains(known), "{known} is named nowhere");
        }
    }

    #[test]
    fn nothing_is_inline_and_nothing_comes_from_elsewhere() {
        for text in std::iter::once(PAGE).chain(FILES.iter().map(|(_, _, text)| *text)) {
            for forbidden in ["<script>", "<style", " style=", " onclick=", "innerHTML", "eval(", "https://"] {
                assert!(!text.contains(forbidden), "{forbidden} in {}", text.lines().next().unwrap_or_default());
            }
        }
    }

    #[test]
    fn every_script_says_what_it_is_and_is_short() {
        for (name, kind, text) in FILES.iter().filter(|(_, kind, _)| *kind == SCRIPT) {
            assert!(text.starts_with("/**\n * "), "{name} ({kind}) opens with what it is");
            assert!(text.lines().count() < 300, "{name} is long");
        }
    }
}
