//! Payment passwords: six digits that a wallet's owner types to spend, kept as a salted slow hash beside the account.
//!
//! ```text
//!  verifier: version u8=1 | salt 16 bytes | Argon2id(password, salt) 32 bytes
//! ```
//!
//! Why slow: six digits are few. Whoever steals the rows pays 19 MiB and some tens of milliseconds for every guess; who
//! guesses at the doors is locked out after a few.
//!
//! Must never: write a password anywhere, or check one that would be a guess too many.

use std::sync::Arc;

use argon2::{Algorithm, Argon2, Params, Version};
use bytes::Bytes;
use ledger::{AccountId, Done, Fingerprint, LedgerView, SetVerifier, Verb, Verifier};
use packets::UserId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use crate::access::rates::Lockouts;
use crate::failure::{DoorRefusal, Failure, unexpected};
use crate::homes::Homes;
use crate::limits::{
    COMMAND_DEADLINE, PASSWORD_CHECKS_MAX, PASSWORD_COST, PASSWORD_WAIT_MAX, PASSWORDS_WAITING_MAX, VERIFIER_AGE_MAX,
};
use crate::tenpay::accounts::wallet;
use crate::tenpay::booking::Booking;

const VERSION: u8 = 1;
const SALT_BYTES: usize = 16;
const HASH_BYTES: usize = 32;
const DIGITS: usize = 6;

/// Sets and checks payment passwords.
#[derive(Clone)]
pub(crate) struct Passwords {
    homes: Arc<Homes>,
    booking: Booking,
    guesses: Arc<Lockouts<UserId>>,
    /// Hashes at work: they would take the node's memory otherwise.
    places: Arc<Semaphore>,
    /// Who waits for such a place: a rush of payments would take the places of all requests otherwise.
    line: Arc<Semaphore>,
}

impl Passwords {
    pub(crate) fn new(homes: Arc<Homes>, booking: Booking) -> Self {
        let (places, line) = (Semaphore::new(PASSWORD_CHECKS_MAX), Semaphore::new(PASSWORDS_WAITING_MAX));
        Self { homes, booking, guesses: Arc::default(), places: Arc::new(places), line: Arc::new(line) }
    }

    /// Whether `user` has one.
    pub(crate) async fn is_set(&self, user: UserId) -> Result<bool, Failure> {
        Ok(self.verifier(wallet(user)).await?.is_some())
    }

    /// Sets the password. Refuses: `PasswordWeak`; if there was one as [`Self::check`]; as the ledger's `SetVerifier`.
    pub(crate) async fn set(&self, user: UserId, former: &str, password: &str) -> Result<(), Failure> {
        if password.len() != DIGITS || !password.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(DoorRefusal::PasswordWeak.into());
        }
        let known = self.verifier(wallet(user)).await?;
        if let Some(known) = &known {
            match self.judge(user, known, former).await {
                // A repeat of a change that was not answered finds the new one there.
                Err(wrong) if wrong == DoorRefusal::PasswordWrong.into() => {
                    return self.judge(user, known, password).await;
                }
                judged => judged?,
            }
        }
        let salt: [u8; SALT_BYTES] = rand::random();
        let hash = hash(self.place().await?, password, salt).await?;
        let verifier = Bytes::from([&[VERSION][..], &salt, &hash].concat());
        let former = known.map_or_else(Fingerprint::default, |known| known.fingerprint());
        let set = SetVerifier { account: wallet(user), former, verifier };
        match self.booking.step(wallet(user), Verb::SetVerifier(set), COMMAND_DEADLINE).await? {
            Done::Restricted => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    /// Whether `password` lets `user` spend. Refuses: `PasswordMissing`, `LockedOut`, `PasswordWrong`. Errors: `Busy`.
    pub(crate) async fn check(&self, user: UserId, password: &str) -> Result<(), Failure> {
        let known = self.verifier(wallet(user)).await?.ok_or(DoorRefusal::PasswordMissing)?;
        self.judge(user, &known, password).await
    }

    /// Whether `user` may send with what was given as `password`: it is asked of who has one. Refuses: `PasswordNeeded`,
    /// `LockedOut`, `PasswordWrong`. Errors: `Busy`.
    ///
    /// Why not the newest row: sends are many, and one that comes within a second of a change may be judged by the one before.
    pub(crate) async fn allow(&self, user: UserId, password: &str) -> Result<(), Failure> {
        let account = wallet(user);
        let read = self.homes.ledger(account);
        let known = read.within(VERIFIER_AGE_MAX, |seen| LedgerView::over(seen.rows).verifier(account)).await??;
        match known {
            None => Ok(()),
            Some(_) if password.is_empty() => Err(DoorRefusal::PasswordNeeded.into()),
            Some(known) => self.judge(user, &known, password).await,
        }
    }

    async fn judge(&self, user: UserId, known: &Verifier, password: &str) -> Result<(), Failure> {
        if self.guesses.is_locked(&user, Instant::now()) {
            return Err(DoorRefusal::LockedOut.into());
        }
        // Who finds no place has not guessed. Others may have guessed for this user meanwhile.
        let place = self.place().await?;
        if self.guesses.is_locked(&user, Instant::now()) {
            return Err(DoorRefusal::LockedOut.into());
        }
        // Counted before it is looked at: who guesses many at once gets no more than who guesses one by one.
        self.guesses.wrong(user, Instant::now());
        let unreadable = || Failure::NotApplied("a newer release has set the password".to_owned());
        let salt = known.0.get(1..1 + SALT_BYTES).and_then(|salt| <[u8; SALT_BYTES]>::try_from(salt).ok());
        let (Some(&VERSION), Some(salt), Some(known_hash)) = (known.0.first(), salt, known.0.get(1 + SALT_BYTES..))
        else {
            return Err(unreadable());
        };
        if !is_equal(&hash(place, password, salt).await?, known_hash) {
            return Err(DoorRefusal::PasswordWrong.into());
        }
        self.guesses.right(&user);
        Ok(())
    }

    async fn verifier(&self, account: AccountId) -> Result<Option<Verifier>, Failure> {
        Ok(self.homes.ledger(account).fresh(|seen| LedgerView::over(seen.rows).verifier(account)).await??)
    }

    /// A place for one hash. Errors: `Busy`, if the line is long or does not move.
    async fn place(&self) -> Result<OwnedSemaphorePermit, Failure> {
        let busy = || Failure::Busy { after_ms: 1000 };
        let _in_line = self.line.try_acquire().map_err(|_| busy())?;
        match timeout(PASSWORD_WAIT_MAX, Arc::clone(&self.places).acquire_owned()).await {
            Ok(Ok(place)) => Ok(place),
            _ => Err(busy()),
        }
    }
}

async fn hash(
    place: OwnedSemaphorePermit,
    password: &str,
    salt: [u8; SALT_BYTES],
) -> Result<[u8; HASH_BYTES], Failure> {
    let password = password.to_owned();
    let hashed = tokio::task::spawn_blocking(move || {
        let hash = slow_hash(&password, salt);
        drop(place);
        hash
    });
    let failed = |reason: String| Failure::NotApplied(format!("the password cannot be checked: {reason}"));
    hashed.await.map_err(|error| failed(error.to_string()))?.map_err(failed)
}

fn slow_hash(password: &str, salt: [u8; SALT_BYTES]) -> Result<[u8; HASH_BYTES], String> {
    let (memory, rounds, lanes) = PASSWORD_COST;
    let params = Params::new(memory, rounds, lanes, Some(HASH_BYTES)).map_err(|error| error.to_string())?;
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let mut hash = [0; HASH_BYTES];
    argon.hash_password_into(password.as_bytes(), &salt, &mut hash).map_err(|error| error.to_string())?;
    Ok(hash)
}

/// In a time that does not depend on where they differ.
fn is_equal(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |sum, (one, other)| sum | (one ^ other)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_follows_from_password_and_salt() {
        let hash = |password, salt| slow_hash(password, [salt; SALT_BYTES]).expect("the cost is one that it takes");
        let one = hash("123456", 1);
        assert!(is_equal(&one, &hash("123456", 1)));
        for other in [hash("123457", 1), hash("123456", 2), hash("", 1)] {
            assert!(!is_equal(&one, &other));
        }
        assert!(!is_equal(&one, &one[1..]));
    }
}
