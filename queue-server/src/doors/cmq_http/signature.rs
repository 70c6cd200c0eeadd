//! Signatures, version 1: who signed a request, told by its pairs, its host and its path.
//!
//! Source: CMQ documentation 406/5906, and what Tencent's SDKs do (`docs/decisions/0013`).
//!
//! Must never: compare signatures but in constant time, or keep a text that was signed.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use queue_core::Secret;
use sha1::Sha1;
use sha2::Sha256;

use super::form::Pair;

const SIGNATURE: &str = "Signature";

/// What is signed.
pub(super) struct Signed<'a> {
    pub(super) method: &'a str,
    /// As the Host header says it, with the port.
    pub(super) host: &'a str,
    pub(super) path: &'a str,
    pub(super) pairs: &'a [Pair],
}

impl Signed<'_> {
    /// Whether one of `secrets` has signed this.
    pub(super) fn is_signed_by<'s>(&self, secrets: impl Iterator<Item = &'s Secret>) -> bool {
        let value = |name: &str| self.pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        // A plus sign that a client forgot to encode arrives as a blank, which base64 knows not.
        let Some(signature) = value(SIGNATURE).and_then(|text| STANDARD.decode(text.replace(' ', "+")).ok()) else {
            return false;
        };
        let is_sha256 = value("SignatureMethod") == Some("HmacSHA256");
        // Old rules of file uploads: the Python and PHP SDKs leave values out that begin with '@' when they post.
        let has_at = self.method == "POST" && self.pairs.iter().any(|(_, value)| value.starts_with('@'));
        let texts = [Some(self.text(true)), has_at.then(|| self.text(false))];
        let mut is_good = false;
        for secret in secrets {
            for text in texts.iter().flatten() {
                is_good |= is_mac(secret, text, &signature, is_sha256);
            }
        }
        is_good
    }

    fn text(&self, with_at: bool) -> String {
        let is_part = |(name, value): &&Pair| name != SIGNATURE && (with_at || !value.starts_with('@'));
        let mut pairs: Vec<&Pair> = self.pairs.iter().filter(is_part).collect();
        pairs.sort_by(|left, right| left.0.as_bytes().cmp(right.0.as_bytes()));
        let mut text = format!("{}{}{}?", self.method, self.host, self.path);
        for (at, (name, value)) in pairs.into_iter().enumerate() {
            let mark = if at == 0 { "" } else { "&" };
            // Writing to a String cannot fail.
            let _ = write!(text, "{mark}{}={value}", name.replace('_', "."));
        }
        text
    }
}

/// Whether `signature` is the code of `text` under `secret`: by SHA-256, or by SHA-1.
pub(crate) fn is_mac(secret: &Secret, text: &str, signature: &[u8], is_sha256: bool) -> bool {
    let (key, text) = (secret.expose().as_bytes(), text.as_bytes());
    // A code takes keys of any length.
    if is_sha256 {
        Hmac::<Sha256>::new_from_slice(key).is_ok_and(|mac| mac.chain_update(text).verify_slice(signature).is_ok())
    } else {
        Hmac::<Sha1>::new_from_slice(key).is_ok_and(|mac| mac.chain_update(text).verify_slice(signature).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENT: &str = "Action=SendMessage&Nonce=2889712707386595659&RequestClient=SDK_Python_1.3&SecretId=AKIDx\
                        &Timestamp=1534154812&delaySeconds=0&msgBody=hello world&queueName=q1";

    fn check(method: &str, path: &str, query: &str, signature: &str, key: &str) -> bool {
        let mut pairs = super::super::form::parse(query.as_bytes(), b"").expect("the sample is well formed");
        pairs.push((SIGNATURE.to_owned(), signature.to_owned()));
        let signed = Signed { method, host: "127.0.0.1:8080", path, pairs: &pairs };
        signed.is_signed_by([Secret::new("other".to_owned()), Secret::new(key.to_owned())].iter())
    }

    /// The signature of a text, by SHA-1.
    fn sign(text: &str) -> String {
        let mac = Hmac::<Sha1>::new_from_slice(b"key").expect("a key of any length").chain_update(text.as_bytes());
        STANDARD.encode(mac.finalize().into_bytes())
    }

    #[test]
    fn the_vectors_of_the_sdks_hold_and_any_change_breaks_them() {
        let sha1 = format!("{SENT}&SignatureMethod=HmacSHA1");
        let sha256 = format!("{SENT}&SignatureMethod=HmacSHA256");
        let (short, long) = ("FrZwOhIr9A1sqMVzTMHSrbr+LKc=", "ZjOYrxQiIKcyVU47bzOiiiSnBkzcF+8DoQwJtvOdQyM=");
        let path = "/v2/index.php";
        let table = [
            ("POST", path, sha1.as_str(), short, "key", true),
            ("POST", path, &sha1, "FrZwOhIr9A1sqMVzTMHSrbr LKc=", "key", true),
            ("POST", path, &sha256, long, "key", true),
            ("GET", path, &sha1, short, "key", false),
            ("POST", "/", &sha1, short, "key", false),
            ("POST", path, &sha1, short, "keys", false),
            ("POST", path, &sha1, long, "key", false),
            ("POST", path, &sha1, "", "key", false),
            ("POST", path, &sha1, "?", "key", false),
            ("POST", path, &sha1.replace("q1", "q2"), short, "key", false),
        ];
        for (method, path, query, signature, key, expected) in table {
            assert_eq!(check(method, path, query, signature, key), expected, "{method} {path} {signature} {key}");
        }
    }

    #[test]
    fn names_are_sorted_as_sent_then_underscores_become_dots_and_a_value_with_at_may_be_left_out_of_a_post() {
        let post = "POST127.0.0.1:8080/?Action=S&a.b=1&m.1=x&m.10=y&m.2=z";
        let full = "POST127.0.0.1:8080/?Action=S&body=@home";
        let cut = "POST127.0.0.1:8080/?Action=S";
        let get = "GET127.0.0.1:8080/?Action=S";
        let table = [
            ("POST", "m.10=y&a_b=1&m.2=z&Action=S&m.1=x", post, true),
            ("POST", "Action=S&body=@home", full, true),
            ("POST", "Action=S&body=@home", cut, true),
            ("GET", "Action=S&body=@home", get, false),
            ("POST", "Action=S&body=home", cut, false),
        ];
        for (method, query, text, expected) in table {
            assert_eq!(check(method, "/", query, &sign(text), "key"), expected, "{method} {query}");
        }
    }
}
