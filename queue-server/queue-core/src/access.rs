//! Key pairs: who may send to, receive from and manage which queues.
//!
//! Why in the directory's machine: every node must know every pair, whichever node a client comes to.
//!
//! ```text
//!  grant  pattern | rights u8 (1 send, 2 receive, 4 manage)
//!  row    0x22 id -> 1 | secret | former: option | former until u64 | grants | created u64 | rotated u64
//! ```
//!
//! Must never: show a secret. It is written into rows, and read by who checks a signature; nothing prints it.

use core::fmt::{self, Debug, Formatter};
use std::collections::BTreeMap;

use bytes::Bytes;
use machine::{DecodeError, Key, Layout, LoadError, Reader, RowSource, Rows, TimestampMs, Writer, prefix_end};

use crate::limits::{GRANTS_MAX, KEY_ID_BYTES_MAX, KEY_PAIRS_MAX, NAME_CHARS_MAX, SECRET_BYTES_MAX};
use crate::names::folded;

const ROW: u8 = 0x22;
const VERSION: u8 = 1;
/// How every key's id begins. Source: CMQ's error 10450.
const ID_BEGINNING: &str = "AKID";

/// The secret half of a pair. It can be used, but not printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// What a key may do with a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Right {
    /// Put messages in; publish.
    Send = 1,
    /// Take messages out and settle them.
    Receive = 2,
    /// Create, change, delete, list, clear, rewind.
    Manage = 4,
}

/// Rights on the queues whose names fit a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// A name, or the beginning of names and `*`; letters' case does not count.
    pub pattern: String,
    /// Sum of [`Right`]s.
    pub rights: u8,
}

/// A pair of keys and what its holder may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPair {
    /// The public half.
    pub id: String,
    /// The secret half.
    pub secret: Secret,
    /// The secret before the last rotation, and until when it is still good.
    pub former: Option<(Secret, TimestampMs)>,
    /// What its holder may do.
    pub grants: Vec<Grant>,
    /// When the pair was made.
    pub created: TimestampMs,
    /// When its secret was last changed.
    pub rotated: TimestampMs,
}

impl Secret {
    /// Takes a secret in.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The secret itself, for the one who computes with it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Debug for Secret {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Grant {
    /// All rights on all queues.
    #[must_use]
    pub fn everything() -> Self {
        Self { pattern: "*".to_owned(), rights: 7 }
    }

    fn is_good(&self) -> bool {
        let stem = self.pattern.strip_suffix('*').unwrap_or(&self.pattern);
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let is_named = !self.pattern.is_empty() && stem.len() <= NAME_CHARS_MAX && stem.bytes().all(fits);
        is_named && (1..=7).contains(&self.rights)
    }

    fn gives(&self, right: Right, queue: &str) -> bool {
        let fits = match self.pattern.strip_suffix('*') {
            Some(beginning) => folded(queue).starts_with(&folded(beginning)),
            None => folded(queue) == folded(&self.pattern),
        };
        fits && self.rights & right as u8 != 0
    }
}

impl KeyPair {
    /// Whether its holder may do this with `queue`. What concerns all queues at once has the name "".
    #[must_use]
    pub fn allows(&self, right: Right, queue: &str) -> bool {
        self.grants.iter().any(|grant| grant.gives(right, queue))
    }

    /// The secrets that are good at `now`: the present one, and the former one for a while.
    pub fn secrets(&self, now: TimestampMs) -> impl Iterator<Item = &Secret> {
        let former = self.former.as_ref().filter(move |(_, until)| now < *until).map(|(secret, _)| secret);
        core::iter::once(&self.secret).chain(former)
    }
}

/// What the directory is asked to do with a pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyCommand {
    /// Makes a pair. Refuses: `KeyInvalid`, `KeyExists`, `TooManyKeys`.
    Create {
        /// The public half: `AKID` and letters or digits.
        id: String,
        /// The secret half.
        secret: Secret,
        /// What its holder may do.
        grants: Vec<Grant>,
    },
    /// Changes the secret. Refuses: `KeyInvalid`, `KeyMissing`.
    Rotate {
        /// The public half.
        id: String,
        /// The new secret.
        secret: Secret,
        /// How long the former secret stays good. Units: milliseconds.
        overlap_ms: u64,
    },
    /// Changes what its holder may do. Refuses: `KeyInvalid`, `KeyMissing`.
    Grant {
        /// The public half.
        id: String,
        /// What its holder may do from now on.
        grants: Vec<Grant>,
    },
    /// Takes a pair away. Refuses: `KeyMissing`.
    Revoke {
        /// The public half.
        id: String,
    },
}

/// Why a key command changed nothing. The numbers go on where those of places end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum KeyRefusal {
    /// An id, a secret or a grant breaks its rule.
    KeyInvalid = 4,
    /// A pair of this id is there.
    KeyExists = 5,
    /// No pair has this id.
    KeyMissing = 6,
    /// There are as many pairs as may be.
    TooManyKeys = 7,
}

impl KeyRefusal {
    /// The refusal of this number.
    #[must_use]
    pub const fn numbered(number: u8) -> Option<Self> {
        match number {
            4 => Some(Self::KeyInvalid),
            5 => Some(Self::KeyExists),
            6 => Some(Self::KeyMissing),
            7 => Some(Self::TooManyKeys),
            _ => None,
        }
    }
}

impl fmt::Display for KeyRefusal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KeyInvalid => "a key's id, its secret or a grant breaks its rule",
            Self::KeyExists => "a key of this id is there",
            Self::KeyMissing => "no key has this id",
            Self::TooManyKeys => "there are as many keys as may be",
        })
    }
}

/// All pairs, in memory and as rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct KeyPairs(BTreeMap<String, KeyPair>);

impl KeyPairs {
    pub(crate) fn get(&self, id: &str) -> Option<&KeyPair> {
        self.0.get(id)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &KeyPair> {
        self.0.values()
    }

    pub(crate) fn load(rows: &dyn RowSource) -> Result<Self, LoadError> {
        let (mut pairs, mut broken) = (BTreeMap::new(), None);
        rows.scan(&[ROW], &prefix_end(&[ROW]), &mut |key, value| {
            match read_row(key, value) {
                Ok(pair) => drop(pairs.insert(pair.id.clone(), pair)),
                Err(error) => broken = Some(LoadError::row(key, error)),
            }
            broken.is_none()
        })?;
        broken.map_or(Ok(Self(pairs)), Err)
    }

    /// Decides. Refuses: see [`KeyCommand`].
    pub(crate) fn apply(&mut self, now: TimestampMs, command: KeyCommand, rows: &mut Rows) -> Result<(), KeyRefusal> {
        match command {
            KeyCommand::Create { id, secret, grants } => {
                if !is_key_id(&id) || !is_secret(&secret) || !are_good(&grants) {
                    return Err(KeyRefusal::KeyInvalid);
                }
                if self.0.contains_key(&id) {
                    return Err(KeyRefusal::KeyExists);
                }
                if self.0.len() >= KEY_PAIRS_MAX {
                    return Err(KeyRefusal::TooManyKeys);
                }
                let pair = KeyPair { id: id.clone(), secret, former: None, grants, created: now, rotated: now };
                self.0.insert(id.clone(), pair);
                self.write(&id, rows);
            }
            KeyCommand::Rotate { id, secret, overlap_ms } => {
                if !is_secret(&secret) {
                    return Err(KeyRefusal::KeyInvalid);
                }
                let pair = self.0.get_mut(&id).ok_or(KeyRefusal::KeyMissing)?;
                let former = core::mem::replace(&mut pair.secret, secret);
                pair.former = (overlap_ms > 0).then(|| (former, now.plus(overlap_ms)));
                pair.rotated = now;
                self.write(&id, rows);
            }
            KeyCommand::Grant { id, grants } => {
                if !are_good(&grants) {
                    return Err(KeyRefusal::KeyInvalid);
                }
                self.0.get_mut(&id).ok_or(KeyRefusal::KeyMissing)?.grants = grants;
                self.write(&id, rows);
            }
            KeyCommand::Revoke { id } => {
                self.0.remove(&id).ok_or(KeyRefusal::KeyMissing)?;
                rows.delete(row_key(&id));
            }
        }
        Ok(())
    }

    fn write(&self, id: &str, rows: &mut Rows) {
        let Some(pair) = self.0.get(id) else { return };
        let mut out = Writer::default();
        out.u8(VERSION);
        out.str(pair.secret.expose());
        out.bool(pair.former.is_some());
        if let Some((secret, until)) = &pair.former {
            out.str(secret.expose());
            until.encode(&mut out);
        }
        out.list(&pair.grants);
        pair.created.encode(&mut out);
        pair.rotated.encode(&mut out);
        rows.put(row_key(id), out.finish());
    }
}

fn row_key(id: &str) -> Key {
    let mut key = Writer::default();
    key.u8(ROW);
    key.raw(id.as_bytes());
    key.finish()
}

fn read_row(key: &[u8], value: &[u8]) -> Result<KeyPair, DecodeError> {
    let id = key.get(1..).and_then(|id| core::str::from_utf8(id).ok()).ok_or(DecodeError::Invalid("UTF-8"))?;
    let mut input = Reader::new(Bytes::copy_from_slice(value));
    match input.u8()? {
        VERSION => {}
        tag => return Err(DecodeError::Unknown { what: "version of a key pair", tag }),
    }
    let secret = Secret(input.str()?);
    let former = if input.bool()? { Some((Secret(input.str()?), TimestampMs::decode(&mut input)?)) } else { None };
    let grants = input.list(GRANTS_MAX)?;
    let (created, rotated) = (TimestampMs::decode(&mut input)?, TimestampMs::decode(&mut input)?);
    input.end()?;
    Ok(KeyPair { id: id.to_owned(), secret, former, grants, created, rotated })
}

/// Whether `id` may name a pair: `AKID`, then letters and digits.
#[must_use]
pub fn is_key_id(id: &str) -> bool {
    let rest = id.strip_prefix(ID_BEGINNING);
    let is_worded = |rest: &str| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_alphanumeric());
    id.len() <= KEY_ID_BYTES_MAX && rest.is_some_and(is_worded)
}

fn is_secret(secret: &Secret) -> bool {
    (1..=SECRET_BYTES_MAX).contains(&secret.0.len())
}

fn are_good(grants: &[Grant]) -> bool {
    grants.len() <= GRANTS_MAX && grants.iter().all(Grant::is_good)
}

impl Layout for Grant {
    fn encode(&self, out: &mut Writer) {
        out.str(&self.pattern);
        out.u8(self.rights);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self { pattern: input.str()?, rights: input.u8()? })
    }
}

impl Layout for KeyCommand {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Create { id, secret, grants } => {
                out.u8(2);
                out.str(id);
                out.str(secret.expose());
                out.list(grants);
            }
            Self::Rotate { id, secret, overlap_ms } => {
                out.u8(3);
                out.str(id);
                out.str(secret.expose());
                out.u64(*overlap_ms);
            }
            Self::Grant { id, grants } => {
                out.u8(4);
                out.str(id);
                out.list(grants);
            }
            Self::Revoke { id } => {
                out.u8(5);
                out.str(id);
            }
        }
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        let tag = input.u8()?;
        Self::decode_tagged(tag, input)
    }
}

impl KeyCommand {
    /// Reads the fields behind a tag that the directory has read.
    pub(crate) fn decode_tagged(tag: u8, input: &mut Reader) -> Result<Self, DecodeError> {
        // The list's bound is generous: what lies above the limit of grants is refused, not unreadable.
        const LIST_MAX: usize = crate::limits::LIST_MAX;
        match tag {
            2 => Ok(Self::Create { id: input.str()?, secret: Secret(input.str()?), grants: input.list(LIST_MAX)? }),
            3 => Ok(Self::Rotate { id: input.str()?, secret: Secret(input.str()?), overlap_ms: input.u64()? }),
            4 => Ok(Self::Grant { id: input.str()?, grants: input.list(LIST_MAX)? }),
            5 => Ok(Self::Revoke { id: input.str()? }),
            tag => Err(DecodeError::Unknown { what: "directory command", tag }),
        }
    }
}
