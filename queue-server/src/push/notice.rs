//! A notice: what a subscriber gets by POST, headers and body, as CMQ lays it out.
//!
//! Source: the CMQ contract's HTTP endpoints: a bare body (SIMPLIFIED), or a JSON object around it.
//!
//! Must never: put what a publisher chose into a header unchecked.

use bytes::Bytes;
use serde::Serialize;

/// The account that CMQ would name; a cluster has one owner.
const TOPIC_OWNER: u64 = 0;

/// One message for one subscriber.
#[derive(Clone, Debug)]
pub(super) struct Notice {
    pub(super) topic: String,
    pub(super) subscription: String,
    /// The id that publishing answered with.
    pub(super) message: u64,
    pub(super) tags: Vec<String>,
    /// Units: milliseconds since the Unix epoch.
    pub(super) published_ms: u64,
    pub(super) body: Bytes,
    /// The body alone.
    pub(super) is_simplified: bool,
}

#[derive(Serialize)]
struct Envelope<'a> {
    #[serde(rename = "TopicOwner")]
    topic_owner: u64,
    #[serde(rename = "topicName")]
    topic: &'a str,
    #[serde(rename = "subscriptionName")]
    subscription: &'a str,
    #[serde(rename = "msgId")]
    message: String,
    #[serde(rename = "msgBody")]
    body: std::borrow::Cow<'a, str>,
    /// Units: seconds.
    #[serde(rename = "publishTime")]
    published_s: u64,
}

impl Notice {
    /// The content that is posted. A body that is not UTF-8 keeps its readable parts in JSON; SIMPLIFIED is exact.
    pub(super) fn content(&self) -> Bytes {
        if self.is_simplified {
            return self.body.clone();
        }
        let envelope = Envelope {
            topic_owner: TOPIC_OWNER,
            topic: &self.topic,
            subscription: &self.subscription,
            message: self.message.to_string(),
            body: String::from_utf8_lossy(&self.body),
            published_s: self.published_ms / 1_000,
        };
        // Strings and numbers always have a JSON form.
        serde_json::to_vec(&envelope).map(Bytes::from).unwrap_or_default()
    }

    /// The tags as one header value; `None`: there are none, or one cannot stand in a header.
    pub(super) fn tag_header(&self) -> Option<http::HeaderValue> {
        if self.tags.is_empty() {
            return None;
        }
        http::HeaderValue::from_bytes(self.tags.join(", ").as_bytes()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::Notice;
    use bytes::Bytes;

    fn notice(body: &'static [u8]) -> Notice {
        Notice {
            topic: "MyTopic".to_owned(),
            subscription: "mysubscription".to_owned(),
            message: 6_942_316_962,
            tags: vec!["a".to_owned(), "b".to_owned()],
            published_ms: 11_203_432_999,
            body: Bytes::from_static(body),
            is_simplified: false,
        }
    }

    #[test]
    fn a_json_notice_has_the_fields_of_the_contract() {
        let expected = r#"{"TopicOwner":0,"topicName":"MyTopic","subscriptionName":"mysubscription","msgId":"6942316962","msgBody":"test \"message\"","publishTime":11203432}"#;
        assert_eq!(notice(b"test \"message\"").content(), expected);
    }

    #[test]
    fn a_simplified_notice_is_the_body_bit_for_bit() {
        let body = b"\xff\x00bytes";
        assert_eq!(Notice { is_simplified: true, ..notice(body) }.content(), &body[..]);
    }

    #[test]
    fn tags_stand_in_one_header_or_in_none() {
        let with = |tags: &[&str]| Notice { tags: tags.iter().map(|tag| (*tag).to_owned()).collect(), ..notice(b"x") };
        assert_eq!(with(&["a", "b"]).tag_header().expect("a header"), "a, b");
        assert_eq!(with(&[]).tag_header(), None);
        assert_eq!(with(&["a\r\nx-evil: 1"]).tag_header(), None);
    }
}
