//! The login of a connection: the client signs its own id and the key's, and may use the connection from then on.
//!
//! Must never: keep the pair of a connection; it is looked up for each request, for it may be revoked.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use queue_core::{KeyPair, Right};

use super::wire::Auth;
use crate::doors::cmq::{Flaw, Said, no};
use crate::doors::cmq_http::is_mac;
use crate::doors::keys::KeyRing;

/// Bytes of a client's id: an address and a name.
const CLIENT_ID_BYTES_MAX: usize = 256;

/// Who has logged in.
#[derive(Clone)]
pub(super) struct Login {
    secret_id: String,
    client_id: String,
    signature: Vec<u8>,
    is_sha256: bool,
}

impl Login {
    /// Flaws: no key of this id; not signed with it.
    pub(super) fn new(auth: Auth, keys: &KeyRing) -> Said<Self> {
        Flaw::unless(auth.secret_id.starts_with("AKID"), no::SECRET_ID)?;
        Flaw::unless(auth.client_id.len() <= CLIENT_ID_BYTES_MAX, no::SIGNATURE)?;
        let signature = STANDARD.decode(&auth.signature).map_err(|_| no::SIGNATURE)?;
        let is_sha256 = auth.signature_method == "HmacSHA256";
        let login = Self { secret_id: auth.secret_id, client_id: auth.client_id, signature, is_sha256 };
        login.pair(keys).map(|_| login)
    }

    /// The pair that signed the login, if it is still good.
    fn pair(&self, keys: &KeyRing) -> Said<KeyPair> {
        let (pair, now) = keys.find(&self.secret_id).ok_or(no::NO_SECRET_ID)?;
        let text = format!("{}{}", self.client_id, self.secret_id);
        let is_good = pair.secrets(now).any(|secret| is_mac(secret, &text, &self.signature, self.is_sha256));
        Flaw::unless(is_good, no::SIGNATURE)?;
        Ok(pair)
    }

    /// Whether the connection may do this. Flaws: the login is not good any more ([`no::NOT_LOGGED_IN`]); no right.
    pub(super) fn allow(&self, keys: &KeyRing, right: Right, on: &str) -> Said<()> {
        let pair = self.pair(keys).map_err(|_| no::NOT_LOGGED_IN)?;
        Flaw::unless(pair.allows(right, on), no::NO_RIGHT)
    }
}
