//! Filters: which subscriptions a published message matches.
//!
//! ```text
//!  tags      no tags on the subscription: every message; else one in common. Letters' case counts.
//!  routing   words between dots; in a binding key `*` is one word, `#` none or more. No keys: every message.
//! ```
//!
//! Source: CMQ documentation 406/7405, 406/7411; that `#` may be no word is RabbitMQ's rule, see decision 0018.
//!
//! Must never: take longer than words times words for one key, whatever stands in it.

use machine::{DecodeError, Layout, Reader, Writer};

use crate::limits::{ROUTING_KEY_BYTES_MAX, ROUTING_KEY_DOTS_MAX, TAG_CHARS_MAX, TAGS_MAX};
use crate::refusal::Refusal;

/// By what a topic's subscriptions choose messages. Fixed when the topic is created.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FilterKind {
    /// By tags.
    #[default]
    Tags,
    /// By routing keys.
    Routing,
}

impl FilterKind {
    /// Holds a subscription's tags or binding keys against their limits.
    ///
    /// Refuses: `TagsOutOfRange`, or `BindingKeysOutOfRange`.
    pub fn check(self, filters: &[String]) -> Result<(), Refusal> {
        let is_short = filters.len() <= TAGS_MAX;
        match self {
            Self::Tags => check_tags(filters),
            Self::Routing => Refusal::BindingKeysOutOfRange
                .unless(is_short && filters.iter().all(|key| !key.is_empty() && is_routing_key(key))),
        }
    }

    /// Whether a message with these tags and this routing key matches a subscription with these filters.
    #[must_use]
    pub fn matches(self, filters: &[String], tags: &[String], routing_key: &str) -> bool {
        filters.is_empty()
            || match self {
                Self::Tags => filters.iter().any(|filter| tags.contains(filter)),
                Self::Routing => filters.iter().any(|key| key_matches(key, routing_key)),
            }
    }
}

/// Refuses: `TagsOutOfRange`.
pub(crate) fn check_tags(tags: &[String]) -> Result<(), Refusal> {
    let fits = |tag: &String| (1..=TAG_CHARS_MAX).contains(&tag.chars().count());
    Refusal::TagsOutOfRange.unless(tags.len() <= TAGS_MAX && tags.iter().all(fits))
}

/// Whether `key` may be a routing key; an empty one has no words.
pub(crate) fn is_routing_key(key: &str) -> bool {
    key.len() <= ROUTING_KEY_BYTES_MAX && key.matches('.').count() <= ROUTING_KEY_DOTS_MAX
}

fn words(key: &str) -> Vec<&str> {
    if key.is_empty() { Vec::new() } else { key.split('.').collect() }
}

/// Walks the binding key word by word and keeps, for each count of the routing key's words, whether so many can be used up.
fn key_matches(binding: &str, routing: &str) -> bool {
    let words = words(routing);
    let mut used: Vec<bool> = core::iter::once(true).chain(words.iter().map(|_| false)).collect();
    for part in binding.split('.') {
        if part == "#" {
            let mut any = false;
            for can in &mut used {
                any |= *can;
                *can = any;
            }
        } else {
            let steps = used.iter().zip(&words).map(|(can, word)| *can && (part == "*" || part == *word));
            used = core::iter::once(false).chain(steps).collect();
        }
    }
    used.last() == Some(&true)
}

impl Layout for FilterKind {
    fn encode(&self, out: &mut Writer) {
        out.u8(match self {
            Self::Tags => 1,
            Self::Routing => 2,
        });
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        match input.u8()? {
            1 => Ok(Self::Tags),
            2 => Ok(Self::Routing),
            tag => Err(DecodeError::Unknown { what: "filter kind", tag }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::FilterKind;
    use crate::refusal::Refusal;

    fn texts(list: &str) -> Vec<String> {
        list.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn tags_match_when_there_is_no_filter_or_one_is_shared() {
        let table = [
            ("", "", true),
            ("", "a b", true),
            ("a", "", false),
            ("a", "a", true),
            ("a", "b", false),
            ("a b c", "x c", true),
            ("a b c", "x y", false),
            ("A", "a", false),
        ];
        for (filters, tags, expected) in table {
            assert_eq!(FilterKind::Tags.matches(&texts(filters), &texts(tags), ""), expected, "{filters:?} {tags:?}");
        }
    }

    #[test]
    fn a_star_is_one_word_and_a_hash_none_or_more() {
        let table = [
            ("1.*.0", "1.x.0", true),
            ("1.*.0", "1.0", false),
            ("1.*.0", "1.x.y.0", false),
            ("1.#.0", "1.2.3.4.4.2.2.0", true),
            ("1.#.0", "1.0", true),
            ("1.#.0", "1.0.1", false),
            ("1.#.0", "1", false),
            ("#", "a.b.c", true),
            ("#", "", true),
            ("*", "", false),
            ("*", "a", true),
            ("*", "a.b", false),
            ("a", "a", true),
            ("a", "A", false),
            ("a", "a.b", false),
            ("a.b", "a", false),
            ("#.b", "a.a.b", true),
            ("#.b.#", "a.b.c", true),
            ("#.#", "a", true),
            ("#.*", "", false),
            ("*.#", "a", true),
            ("a*", "ab", false),
            ("a..b", "a..b", true),
            ("a.*.b", "a..b", true),
            ("b a.#", "a.c", true),
            ("", "anything", true),
        ];
        for (keys, routing, expected) in table {
            let matches = FilterKind::Routing.matches(&texts(keys), &texts("a b"), routing);
            assert_eq!(matches, expected, "{keys:?} {routing:?}");
        }
    }

    #[test]
    fn a_binding_key_of_nothing_but_hashes_is_matched_as_quickly_as_any() {
        let keys = vec![["#"; 8].join(".a."); 5];
        assert!(!FilterKind::Routing.matches(&keys, &[], &["a"; 16].join(".").replace('a', "b")));
    }

    #[test]
    fn filters_have_their_limits() {
        let (tags, keys) = (FilterKind::Tags, FilterKind::Routing);
        let long = "é".repeat(16);
        let table = [
            (tags, vec!["a".to_owned(); 5], Ok(())),
            (tags, vec!["a".to_owned(); 6], Err(Refusal::TagsOutOfRange)),
            (tags, vec![String::new()], Err(Refusal::TagsOutOfRange)),
            (tags, vec![long.clone()], Ok(())),
            (tags, vec![long + "x"], Err(Refusal::TagsOutOfRange)),
            (keys, vec!["a".repeat(64)], Ok(())),
            (keys, vec!["a".repeat(65)], Err(Refusal::BindingKeysOutOfRange)),
            (keys, vec![".".repeat(15)], Ok(())),
            (keys, vec![".".repeat(16)], Err(Refusal::BindingKeysOutOfRange)),
            (keys, vec![String::new()], Err(Refusal::BindingKeysOutOfRange)),
            (keys, vec!["a".to_owned(); 6], Err(Refusal::BindingKeysOutOfRange)),
        ];
        for (kind, filters, expected) in table {
            assert_eq!(kind.check(&filters), expected, "{filters:?}");
        }
    }
}
