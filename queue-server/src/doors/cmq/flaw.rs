//! CMQ's errors: code, module code and text.
//!
//! Why a table: applications compare `code` and `message` literally, so each is written once, as Tencent prints it.
//! Code 6000 means that the outcome is unknown; every other code means that nothing was applied.
//!
//! Source: CMQ documentation 406/5903; 4460's module number is not printed anywhere, see `docs/decisions/0013`.
//!
//! Must never: say 6000 of what was surely not applied, or anything else of what may have been.

use std::borrow::Cow;

/// A row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct No {
    pub(crate) code: u32,
    pub(crate) module: u32,
    text: &'static str,
}

/// An error on its way to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Flaw {
    pub(crate) code: u32,
    pub(crate) module: u32,
    text: Cow<'static, str>,
}

impl No {
    /// The row, its `%s` filled in.
    pub(crate) fn about(self, what: &str) -> Flaw {
        Flaw { code: self.code, module: self.module, text: Cow::Owned(self.text.replacen("%s", what, 1)) }
    }

    /// The row, and the cause behind its text.
    pub(crate) fn because(self, cause: &str) -> Flaw {
        Flaw { code: self.code, module: self.module, text: Cow::Owned(format!("{}: {cause}", self.text)) }
    }
}

impl From<No> for Flaw {
    fn from(no: No) -> Self {
        Self { code: no.code, module: no.module, text: Cow::Borrowed(no.text) }
    }
}

impl Flaw {
    /// An error unless `is_good`.
    pub(crate) fn unless(is_good: bool, no: impl Into<Self>) -> Result<(), Self> {
        if is_good { Ok(()) } else { Err(no.into()) }
    }

    /// The text as it travels: `(module)text`.
    pub(crate) fn message(&self) -> String {
        format!("({}){}", self.module, self.text)
    }
}

/// The rows that this server gives, in the order of Tencent's page.
pub(crate) mod no {
    use super::No;

    const fn row(code: u32, module: u32, text: &'static str) -> No {
        No { code, module, text }
    }

    pub(crate) const QUEUE_NAME: No = row(4000, 10020, "queue name format error");
    pub(crate) const REQUEST: No = row(4000, 10110, "request parameters error");
    pub(crate) const BODY_EMPTY: No = row(4000, 10120, "message body can't be empty");
    pub(crate) const NO_ACTION: No = row(4000, 10280, "action is not existed");
    pub(crate) const KEY_FORMAT: No = row(4000, 10310, "error: parameter %s key format error");
    pub(crate) const NOT_REPEATABLE: No = row(4000, 10330, "parameter %s is NOT a repeatable parameter");
    pub(crate) const OUT_OF_RANGE: No = row(4000, 10350, "parameter %s value or length is out of range");
    pub(crate) const WRONG_TYPE: No = row(4000, 10360, "parameter %s error type");
    pub(crate) const BATCH_SIZE: No = row(4000, 10370, "%s parameter batch size is out of range");
    pub(crate) const NOT_CONSEQUENT: No = row(4000, 10380, "%s parameter is not consequent");
    pub(crate) const LACKS: No = row(4000, 10390, "lacked of required parameter %s");
    pub(crate) const METHOD: No = row(4000, 10410, "unexpected http %s only GET or POST is supported");
    pub(crate) const UNREADABLE: No = row(4000, 10420, "cannot parse %s, or request size is more than 1MB");
    pub(crate) const ACTION: No = row(4000, 10430, "action name %s is not existed");
    pub(crate) const SECRET_ID: No = row(4000, 10450, "secret id dosen't begin with AKID");
    pub(crate) const NO_RIGHT: No = row(4000, 10461, "no cam authentication");
    pub(crate) const HANDLE: No = row(4000, 10470, "receiptHandle error");
    pub(crate) const FILTER_TAGS: No = row(4000, 10490, "number of filterTag exceed limit");
    pub(crate) const ENDPOINT: No = row(4000, 10500, "endpoint format error");
    pub(crate) const PROTOCOL: No = row(4000, 10510, "undefined protocol");
    pub(crate) const STRATEGY: No = row(4000, 10520, "undefined notify retry stragety");
    pub(crate) const CONTENT_FORMAT: No = row(4000, 10530, "undefined notify content format");
    pub(crate) const HAS_SUBSCRIPTIONS: No = row(
        4000,
        10540,
        "there exists subscriptions under this topic, please unsubscribe all of them before DeleteTopic",
    );
    pub(crate) const SUBSCRIPTION_NAME: No = row(4000, 10580, "subscription name format error");
    pub(crate) const TOPIC_NAME: No = row(4000, 10620, "topic name format error");
    pub(crate) const BINDING_KEYS: No = row(4000, 10680, "too many bindingKey");
    pub(crate) const DOTS: No = row(4000, 10691, "too many delimeters");
    pub(crate) const DELAY: No = row(4000, 10692, "delay seconds is out of range");
    pub(crate) const MESSAGE_TAGS: No = row(4000, 10720, "too many msgTag");
    pub(crate) const SIGNATURE: No = row(4100, 10030, "authentication failed");
    pub(crate) const NOT_LOGGED_IN: No = row(4100, 10031, "connection is not authenticated");
    pub(crate) const NO_SECRET_ID: No = row(4100, 10270, "secret id is not existed");
    pub(crate) const MESSAGE_SIZE: No = row(4400, 10230, "exceed maximum message size");
    pub(crate) const HEAP: No = row(4410, 10240, "reach maximum retention number of message");
    pub(crate) const THROTTLED: No = row(4420, 10250, "qps throttling");
    pub(crate) const STALE_HANDLE: No = row(4430, 10260, "receipt handle is invalid");
    pub(crate) const QUEUE_MISSING: No = row(4440, 10100, "queue is not existed, or deleted");
    pub(crate) const TOPIC_MISSING: No = row(4440, 10600, "topic is not existed, or deleted");
    pub(crate) const TOO_MANY_QUEUES: No = row(4450, 10220, "number of queues has reached the limit");
    pub(crate) const TOO_MANY_TOPICS: No = row(4450, 10610, "number of topics has reached the limit");
    pub(crate) const QUEUE_EXISTS: No = row(4460, 4460, "queue is already existed, case insensitive");
    pub(crate) const TOPIC_EXISTS: No = row(4460, 4460, "topic is already existed, case insensitive");
    pub(crate) const BATCH_BYTES: No = row(4470, 10300, "total message size exceed 1MB");
    pub(crate) const SUBSCRIPTION_EXISTS: No = row(4490, 10470, "subscribtion is already existed");
    pub(crate) const MESSAGE_ID: No = row(4490, 10770, "message id is invalid");
    pub(crate) const NOT_ALLOWED: No = row(4490, 10780, "message operation is not allowed");
    pub(crate) const NOT_TRANSACTIONAL: No = row(4490, 10790, "transaction message is not supported");
    pub(crate) const TOO_MANY_SUBSCRIPTIONS: No = row(4500, 10480, "number of subscription has reached the limit");
    pub(crate) const BLANK_URL: No = row(4510, 10570, "url connot contain any blank characters");
    pub(crate) const UNKNOWN: No = row(6000, 10050, "server internal error");
    pub(crate) const SOME_NOT_DELETED: No = row(6010, 10150, "delete message partially failed");
    pub(crate) const NONE_DELETED: No = row(6020, 10290, "batch delete message failed");
    pub(crate) const NO_SUBSCRIPTION: No =
        row(6030, 10650, "topic has no subscription, please create a subscription before publishing message");
    pub(crate) const NOTHING_MATCHES: No =
        row(6030, 10730, "no bindingKey or filterTag matches the routingKey or msgTag");
    pub(crate) const NOT_CONFIRMED: No = row(6040, 10750, "transaction confirmation failed");
    pub(crate) const SOME_NOT_CONFIRMED: No = row(6040, 10760, "transaction confirmation partially failed");
    pub(crate) const NOT_REWINDABLE: No = row(6050, 10670, "your queue cannot be rewinded");
    pub(crate) const TOO_MANY_UNACKED: No = row(6070, 10690, "too many unacked(inactive) messages or delayed messages");
    pub(crate) const NO_MESSAGE: No = row(7000, 10200, "no message");
}

#[cfg(test)]
mod tests {
    use super::{Flaw, no};

    #[test]
    fn a_message_is_the_module_in_brackets_and_the_text() {
        let table = [
            (Flaw::from(no::NO_MESSAGE), 7000, "(10200)no message"),
            (Flaw::from(no::QUEUE_MISSING), 4440, "(10100)queue is not existed, or deleted"),
            (no::LACKS.about("queueName"), 4000, "(10390)lacked of required parameter queueName"),
            (no::UNKNOWN.because("no answer in time"), 6000, "(10050)server internal error: no answer in time"),
            (Flaw::from(no::QUEUE_EXISTS), 4460, "(4460)queue is already existed, case insensitive"),
        ];
        for (flaw, code, message) in table {
            assert_eq!((flaw.code, flaw.message().as_str()), (code, message));
        }
    }
}
