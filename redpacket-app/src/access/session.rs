//! Sessions: signed tokens, so that no node keeps or asks for them.
//!
//! ```text
//!  token = base64url( user u128 | ends_ms u64 | HMAC-SHA256 over both, 32 bytes )
//! ```
//!
//! A merchant's key is HMAC-SHA256 over its name, too; it has no end, and is as good as the cluster's key.
//!
//! Must never: compare a signature in a time that depends on it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use ledger::AccountId;
use machine::{Reader, TimestampMs, Writer};
use packets::UserId;
use sha2::Sha256;

use crate::failure::DoorRefusal;
use crate::limits::SESSION_MS;

/// Signs and reads tokens.
#[derive(Clone)]
pub(crate) struct Sessions {
    key: Vec<u8>,
    /// Whether calls need no token.
    pub(crate) is_open: bool,
}

impl Sessions {
    /// Tokens under `key`, the same on every node.
    pub(crate) fn new(key: &str, is_open: bool) -> Self {
        Self { key: key.as_bytes().to_vec(), is_open }
    }

    /// A token for `user`, good from `now` on.
    pub(crate) fn issue(&self, user: UserId, now: TimestampMs) -> String {
        let mut body = Writer::with_capacity(56);
        body.u128(user.0);
        body.u64(now.plus(SESSION_MS).0);
        let body = body.finish();
        let signature = self.signer(&body).map(|signer| signer.finalize().into_bytes());
        let signature = signature.map_or_else(Vec::new, |bytes| bytes.to_vec());
        URL_SAFE_NO_PAD.encode([body.as_ref(), &signature].concat())
    }

    /// Whether `token` lets its bearer speak for `user`. Where calls need none, one that is shown must be good all the
    /// same. Refuses: `BadToken`.
    pub(crate) fn check(&self, token: Option<&str>, user: UserId, now: TimestampMs) -> Result<(), DoorRefusal> {
        if token.map_or(self.is_open, |token| self.is_good(token, user, now)) {
            Ok(())
        } else {
            Err(DoorRefusal::BadToken)
        }
    }

    /// Whether a program that shows `token` is trusted with the ledger: it must be the key itself. Refuses: `BadToken`.
    pub(crate) fn check_program(&self, token: Option<&str>) -> Result<(), DoorRefusal> {
        let is_key = |token: &str| {
            let own = self.signer(&self.key).map(|signer| signer.finalize().into_bytes());
            let shown = self.signer(token.as_bytes());
            // Signatures are compared in a time that does not depend on them.
            shown.zip(own).is_some_and(|(shown, own)| shown.verify_slice(&own).is_ok())
        };
        if self.is_open || token.is_some_and(is_key) { Ok(()) } else { Err(DoorRefusal::BadToken) }
    }

    /// What `merchant` shows with its calls. Follows from the cluster's key, so that no node keeps it.
    pub(crate) fn merchant_key(&self, merchant: AccountId) -> String {
        URL_SAFE_NO_PAD.encode(self.sealed(b"merchant", merchant))
    }

    /// What signs notices to `merchant`; it never travels but to him, once.
    pub(crate) fn notice_key(&self, merchant: AccountId) -> String {
        URL_SAFE_NO_PAD.encode(self.sealed(b"notice key", merchant))
    }

    /// The signature of `notice` for `merchant`: HMAC-SHA256 under the notice key as it is written.
    pub(crate) fn sign_notice(&self, merchant: AccountId, notice: &str) -> Vec<u8> {
        let key = self.notice_key(merchant);
        let signer = Hmac::<Sha256>::new_from_slice(key.as_bytes()).ok();
        signer.map_or_else(Vec::new, |signer| signer.chain_update(notice).finalize().into_bytes().to_vec())
    }

    /// Whether `key` lets its bearer speak for `merchant`. Refuses: `BadToken`.
    pub(crate) fn check_merchant(&self, key: Option<&str>, merchant: AccountId) -> Result<(), DoorRefusal> {
        let shown = key.and_then(|key| URL_SAFE_NO_PAD.decode(key).ok()).unwrap_or_default();
        let body = sealed_body(b"merchant", merchant);
        let is_good = self.signer(&body).is_some_and(|signer| signer.verify_slice(&shown).is_ok());
        if is_good { Ok(()) } else { Err(DoorRefusal::BadToken) }
    }

    fn sealed(&self, word: &[u8], merchant: AccountId) -> Vec<u8> {
        let signer = self.signer(&sealed_body(word, merchant));
        signer.map_or_else(Vec::new, |signer| signer.finalize().into_bytes().to_vec())
    }

    fn is_good(&self, token: &str, user: UserId, now: TimestampMs) -> bool {
        let Ok(bytes) = URL_SAFE_NO_PAD.decode(token) else { return false };
        let Some((body, signature)) = bytes.split_at_checked(24) else { return false };
        let is_signed = self.signer(body).is_some_and(|signer| signer.verify_slice(signature).is_ok());
        let mut fields = Reader::new(bytes::Bytes::copy_from_slice(body));
        let (Ok(bearer), Ok(ends)) = (fields.u128(), fields.u64()) else { return false };
        is_signed && bearer == user.0 && now.0 < ends
    }

    fn signer(&self, body: &[u8]) -> Option<Hmac<Sha256>> {
        // HMAC takes a key of any length; there is no other error.
        let mut signer = Hmac::<Sha256>::new_from_slice(&self.key).ok()?;
        signer.update(body);
        Some(signer)
    }
}

/// What a merchant's key is the signature of: no session token's body has its length.
fn sealed_body(word: &[u8], merchant: AccountId) -> Vec<u8> {
    [word, b" ", &merchant.0.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_of_a_merchant_is_a_session_s_signature() {
        for word in [&b"merchant"[..], b"notice key"] {
            assert_ne!(sealed_body(word, AccountId(1)).len(), 24, "a token's body has 24 bytes");
        }
    }

    #[test]
    fn a_merchants_key_speaks_for_that_merchant_alone() {
        let sessions = Sessions::new("key", true);
        let (one, two) = (AccountId(1), AccountId(2));
        let key = sessions.merchant_key(one);
        assert_eq!(sessions.check_merchant(Some(&key), one), Ok(()));
        let of_others = [Sessions::new("other", true).merchant_key(one), sessions.notice_key(one)];
        for wrong in [Some(of_others[0].as_str()), Some(of_others[1].as_str()), Some(""), Some("key"), None] {
            assert_eq!(sessions.check_merchant(wrong, one), Err(DoorRefusal::BadToken), "{wrong:?}");
        }
        assert_eq!(sessions.check_merchant(Some(&key), two), Err(DoorRefusal::BadToken));
        assert_ne!(sessions.sign_notice(one, "paid"), sessions.sign_notice(two, "paid"));
        assert_eq!(sessions.sign_notice(one, "paid").len(), 32);
    }

    #[test]
    fn a_token_speaks_for_its_user_until_it_ends() {
        let sessions = Sessions::new("key", false);
        let token = sessions.issue(UserId(7), TimestampMs(1000));
        let other = Sessions::new("other", false).issue(UserId(7), TimestampMs(1000));
        let ends = 1000 + SESSION_MS;
        let table = [
            (Some(token.as_str()), 7, 1000, Ok(())),
            (Some(token.as_str()), 7, ends - 1, Ok(())),
            (Some(token.as_str()), 7, ends, Err(DoorRefusal::BadToken)),
            (Some(token.as_str()), 8, 1000, Err(DoorRefusal::BadToken)),
            (Some(other.as_str()), 7, 1000, Err(DoorRefusal::BadToken)),
            (Some(&token[1..]), 7, 1000, Err(DoorRefusal::BadToken)),
            (Some("no token"), 7, 1000, Err(DoorRefusal::BadToken)),
            (None, 7, 1000, Err(DoorRefusal::BadToken)),
        ];
        for (token, user, now, expected) in table {
            assert_eq!(sessions.check(token, UserId(user), TimestampMs(now)), expected, "{token:?} {user} {now}");
        }
        assert_eq!(sessions.check_program(Some("key")), Ok(()));
        for token in [Some(token.as_str()), Some("kez"), Some(""), None] {
            assert_eq!(sessions.check_program(token), Err(DoorRefusal::BadToken), "{token:?}");
        }
        let open = Sessions::new("key", true);
        assert_eq!(open.check(None, UserId(1), TimestampMs(0)), Ok(()), "an open cluster asks for none");
        assert_eq!(open.check(Some(&token), UserId(7), TimestampMs(1000)), Ok(()));
        let forged = open.check(Some("no token"), UserId(1), TimestampMs(0));
        assert_eq!(forged, Err(DoorRefusal::BadToken), "and takes no forged one");
    }
}
