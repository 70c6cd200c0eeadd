//! Names of queues: what one may look like, and when two are the same.
//!
//! Must never: compare names by their letters' case. CMQ's code 4460 says "already existed, case insensitive".

use crate::limits::NAME_CHARS_MAX;

/// Whether `name` may name a queue.
///
/// Shape: 1 to 64 characters, first an ASCII letter, then ASCII letters, digits, `-` and `_`.
/// Source: CMQ documentation 406/5832 (letters, digits, `-`); Tencent's Go SDK also lets `_` pass.
#[must_use]
pub fn is_queue_name(name: &str) -> bool {
    let starts_well = name.as_bytes().first().is_some_and(u8::is_ascii_alphabetic);
    let follows = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    starts_well && name.len() <= NAME_CHARS_MAX && name.bytes().all(follows)
}

/// The form in which names are compared.
pub(crate) fn folded(name: &str) -> String {
    name.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::is_queue_name;

    #[test]
    fn a_name_begins_with_a_letter_and_holds_letters_digits_dash_and_underscore() {
        let longest = "a".repeat(64);
        let too_long = "a".repeat(65);
        let rows = [
            ("q", true),
            ("Orders-2_b", true),
            (longest.as_str(), true),
            ("", false),
            (too_long.as_str(), false),
            ("1q", false),
            ("-q", false),
            ("_q", false),
            ("a b", false),
            ("a.b", false),
            ("aé", false),
        ];
        for (name, good) in rows {
            assert_eq!(is_queue_name(name), good, "{name:?}");
        }
    }
}
