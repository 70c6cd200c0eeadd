//! Verifiers: what a door checks an account's payment password against. A row beside the payer.
//!
//! ```text
//!  row 0x1b account u128 -> version u8=1 | verifier bytes
//! ```
//!
//! Why here: every door must check against the same one, and a password that was changed must not open anything
//! afterwards. What the bytes mean is the doors' affair; the slow work is done there, never in an entry.
//!
//! Must never: hold a password, or be replaced by somebody who did not know which one stood here.

use bytes::Bytes;
use machine::{DecodeError, Layout, Reader, Writer};

use crate::account::{AccountKey, Customer};
use crate::book::Book;
use crate::ids::AccountId;
use crate::limits::VERIFIER_BYTES_MAX;
use crate::refusal::Refusal;
use crate::reply::{Answer, Done};
use crate::rows;
use crate::transfer::Fingerprint;

const VERSION: u8 = 1;

/// A verifier as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verifier(pub Bytes);

impl Verifier {
    /// By which a change says which verifier it replaces.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of_record(&self.0)
    }
}

impl Layout for Verifier {
    fn encode(&self, out: &mut Writer) {
        out.u8(VERSION);
        out.bytes(&self.0);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        match input.u8()? {
            VERSION => input.bytes().map(Self),
            tag => Err(DecodeError::Unknown { what: "verifier version", tag }),
        }
    }
}

/// Sets an account's verifier. A repeat is fine.
///
/// Refuses: `DetailsTooLarge`, `AccountUnknown`, `AccountClosed`, `VerifierDiffers`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetVerifier {
    /// The account.
    pub account: AccountId,
    /// The fingerprint of the one it replaces; zeros: there is none yet.
    pub former: Fingerprint,
    /// The new one.
    pub verifier: Bytes,
}

impl Layout for SetVerifier {
    fn encode(&self, out: &mut Writer) {
        self.account.encode(out);
        out.raw(&self.former.0);
        out.bytes(&self.verifier);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        let account = AccountId::decode(input)?;
        let raw = input.raw(16)?;
        let former = Fingerprint(<[u8; 16]>::try_from(raw.as_ref()).map_err(|_| DecodeError::Short)?);
        Ok(Self { account, former, verifier: input.bytes()? })
    }
}

impl Book<'_> {
    /// Refuses: `DetailsTooLarge`, `AccountUnknown`, `AccountClosed`, `VerifierDiffers`.
    pub(crate) fn set_verifier(&mut self, set: &SetVerifier) -> Answer {
        if set.verifier.is_empty() || set.verifier.len() > VERIFIER_BYTES_MAX {
            return Err(Refusal::DetailsTooLarge);
        }
        let row = self.account(AccountKey::Customer(set.account)).ok_or(Refusal::AccountUnknown)?;
        if !row.customer().is_some_and(Customer::is_open) {
            return Err(Refusal::AccountClosed);
        }
        let key = rows::verifier(set.account);
        let known: Option<Verifier> = self.get(key);
        if known.as_ref().is_some_and(|known| known.0 == set.verifier) {
            return Ok(Done::Restricted);
        }
        if known.map_or_else(Fingerprint::default, |known| known.fingerprint()) != set.former {
            return Err(Refusal::VerifierDiffers);
        }
        self.put(key, Verifier(set.verifier.clone()).to_bytes());
        Ok(Done::Restricted)
    }
}
