//! The pairs of a request: percent-decoded, from the query and from the body, whatever the Content-Type says.
//!
//! Why both, whatever the method: Tencent's Python SDK repeats a GET on a new connection with its pairs in the body.
//!
//! Must never: guess at bytes that are not UTF-8, or let a request name more than the limits allow.

use std::borrow::Cow;
use std::collections::BTreeSet;

use percent_encoding::percent_decode;

use crate::doors::cmq::{Flaw, PARAM_NAME_BYTES_MAX, PARAMS_MAX, REQUEST_BYTES_MAX, Said, no};

/// A name and its value, decoded.
pub(super) type Pair = (String, String);

/// Decodes a request. Flaws: what is not UTF-8, too large or too long; a name that comes twice.
pub(super) fn parse(query: &[u8], body: &[u8]) -> Said<Vec<Pair>> {
    let mut pairs = Vec::new();
    let mut bytes = 0_usize;
    let parts = query.split(|byte| *byte == b'&').chain(body.split(|byte| *byte == b'&'));
    for part in parts.filter(|part| !part.is_empty()) {
        let at = part.iter().position(|byte| *byte == b'=').unwrap_or(part.len());
        let (name, value) = part.split_at(at);
        let name = decode(name).ok_or_else(|| no::UNREADABLE.about("request"))?;
        Flaw::unless(name.len() <= PARAM_NAME_BYTES_MAX, no::UNREADABLE.about("request"))?;
        let value = decode(value.strip_prefix(b"=").unwrap_or(value)).ok_or_else(|| no::UNREADABLE.about(&name))?;
        bytes = bytes.saturating_add(name.len()).saturating_add(value.len());
        Flaw::unless(bytes <= REQUEST_BYTES_MAX, no::UNREADABLE.about(&name))?;
        pairs.push((name, value));
        Flaw::unless(pairs.len() <= PARAMS_MAX, no::UNREADABLE.about("request"))?;
    }
    let mut names = BTreeSet::new();
    match pairs.iter().find(|(name, _)| !names.insert(name.as_str())) {
        Some((name, _)) => Err(no::NOT_REPEATABLE.about(name)),
        None => Ok(pairs),
    }
}

/// `None`: not UTF-8.
fn decode(bytes: &[u8]) -> Option<String> {
    let spaced: Cow<'_, [u8]> = if bytes.contains(&b'+') {
        Cow::Owned(bytes.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect())
    } else {
        Cow::Borrowed(bytes)
    };
    percent_decode(&spaced).decode_utf8().ok().map(Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Query, body, pairs.
    type Row<'a> = (&'a [u8], &'a [u8], &'a [(&'a str, &'a str)]);

    fn pairs(list: &[(&str, &str)]) -> Vec<Pair> {
        list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn pairs_come_from_the_query_and_the_body_and_blanks_stay() {
        let table: [Row<'_>; 6] = [
            (b"", b"", &[]),
            (b"a=1", b"b=2&&c", &[("a", "1"), ("b", "2"), ("c", "")]),
            (b"routingKey=", b"", &[("routingKey", "")]),
            (b"", b"msgBody.1=a+b%20c%2B&x=%E4%B8%AD", &[("msgBody.1", "a b c+"), ("x", "中")]),
            (b"a=b=c", b"", &[("a", "b=c")]),
            (b"a=100%", b"b=%zz", &[("a", "100%"), ("b", "%zz")]),
        ];
        for (query, body, expected) in table {
            assert_eq!(parse(query, body), Ok(pairs(expected)));
        }
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let long_name = format!("{}=1", "n".repeat(PARAM_NAME_BYTES_MAX + 1));
        let many = (0..=PARAMS_MAX).map(|number| format!("p{number}=&")).collect::<String>();
        let large = format!("msgBody={}", "x".repeat(REQUEST_BYTES_MAX));
        let table: [(&[u8], Flaw); 7] = [
            (b"msgBody=%ff", no::UNREADABLE.about("msgBody")),
            (b"msgBody=\xff", no::UNREADABLE.about("msgBody")),
            (b"%ff=1", no::UNREADABLE.about("request")),
            (long_name.as_bytes(), no::UNREADABLE.about("request")),
            (many.as_bytes(), no::UNREADABLE.about("request")),
            (large.as_bytes(), no::UNREADABLE.about("msgBody")),
            (b"a=1&a=1", no::NOT_REPEATABLE.about("a")),
        ];
        for (body, flaw) in table {
            assert_eq!(parse(b"", body), Err(flaw));
        }
    }
}
