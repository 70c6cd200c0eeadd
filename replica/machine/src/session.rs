//! Sessions: a request that is repeated gets its former reply and is not applied again.
//!
//! State per session is bounded: a low-water mark and a window of former replies. What lies below the mark, and what
//! belongs to a forgotten session, is refused and never applied. Replies are rows; memory holds their sequences and sizes.
//!
//! ```text
//!  0x01 session          -> low u64 | last_used_ms u64
//!  0x02 session sequence -> reply
//! ```

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::contract::LoadError;
use crate::entry::RequestId;
use crate::ids::TimestampMs;
use crate::layout::{DecodeError, Layout, Reader, Writer};
use crate::limits::{SESSION_IDLE_MS, SESSION_REPLY_BYTES_MAX, SESSION_REPLY_BYTES_MORE, SESSION_WINDOW, SESSIONS_MAX};
use crate::rows::{Key, RowSource, Rows, prefix_end};

const HEADER: u8 = 0x01;
const REPLY: u8 = 0x02;

/// Why a request was not applied. Numbered; never renumbered. Precedence: as listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum SessionRefusal {
    /// The session is not known (any more), or the sequence lies below its window. It is not known whether the request
    /// was applied earlier; it certainly was not applied now and never will be.
    RequestTooOld = 1,
    /// No session can be opened: all are in use.
    TooManySessions = 2,
}

impl core::fmt::Display for SessionRefusal {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::RequestTooOld => "the request id is too old: its session or its place in the window is gone",
            Self::TooManySessions => "too many sessions are open in this group",
        })
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Session {
    low: u64,
    last_used: TimestampMs,
    /// Of each reply in the window: the bytes that it counts for.
    replies: BTreeMap<u64, u32>,
}

/// What the table knows of a request before it is applied.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Never: apply it.
    Fresh,
    /// Applied before: the reply is the row under this key.
    Repeat(Key),
    /// Refused, for good.
    Refused(SessionRefusal),
}

/// All sessions of a group. Memory is bounded by `limits`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct SessionTable {
    sessions: BTreeMap<u64, Session>,
    by_use: BTreeSet<(TimestampMs, u64)>,
    reply_bytes: usize,
}

impl SessionTable {
    pub(crate) fn load(rows: &dyn RowSource) -> Result<Self, LoadError> {
        let mut table = Self::default();
        let mut broken: Option<LoadError> = None;
        rows.scan(&[HEADER], &prefix_end(&[HEADER]), &mut |key, value| {
            match read_header(key, value) {
                Ok((id, session)) => {
                    table.by_use.insert((session.last_used, id));
                    table.sessions.insert(id, session);
                }
                Err(error) => broken = Some(LoadError::row(key, error)),
            }
            broken.is_none()
        })?;
        rows.scan(&[REPLY], &prefix_end(&[REPLY]), &mut |key, value| {
            match read_reply_key(key) {
                Ok((id, sequence)) => {
                    if let Some(session) = table.sessions.get_mut(&id) {
                        let size = size(value);
                        table.reply_bytes = table.reply_bytes.saturating_add(bytes_of(size));
                        session.replies.insert(sequence, size);
                    }
                }
                Err(error) => broken = Some(LoadError::row(key, error)),
            }
            broken.is_none()
        })?;
        broken.map_or(Ok(table), Err)
    }

    /// Number of open sessions.
    #[must_use]
    pub fn count(&self) -> usize {
        self.sessions.len()
    }

    /// Opens session `id` (unique in the group's log). Refuses: `TooManySessions`.
    pub(crate) fn open(&mut self, id: u64, now: TimestampMs, rows: &mut Rows) -> Result<u64, SessionRefusal> {
        if self.sessions.len() >= SESSIONS_MAX {
            let idle = self.by_use.first().copied().filter(|(used, _)| now.since(*used) >= SESSION_IDLE_MS);
            let Some((_, oldest)) = idle else { return Err(SessionRefusal::TooManySessions) };
            self.forget(oldest, rows);
        }
        let session = Session { low: 1, last_used: now, replies: BTreeMap::new() };
        write_header(id, &session, rows);
        self.by_use.insert((now, id));
        self.sessions.insert(id, session);
        Ok(id)
    }

    pub(crate) fn seen(&self, request: RequestId) -> Seen {
        if request.session == 0 {
            return Seen::Fresh;
        }
        let Some(session) = self.sessions.get(&request.session) else {
            return Seen::Refused(SessionRefusal::RequestTooOld);
        };
        if session.replies.contains_key(&request.sequence) {
            return Seen::Repeat(reply_key(request.session, request.sequence));
        }
        if request.sequence < session.low { Seen::Refused(SessionRefusal::RequestTooOld) } else { Seen::Fresh }
    }

    /// Remembers the reply of a request that was just applied.
    pub(crate) fn remember(&mut self, request: RequestId, reply: Bytes, now: TimestampMs, rows: &mut Rows) {
        let Some(session) = self.sessions.get_mut(&request.session) else { return };
        self.by_use.remove(&(session.last_used, request.session));
        self.by_use.insert((now, request.session));
        session.last_used = now;
        let size = size(&reply);
        self.reply_bytes = self.reply_bytes.saturating_add(bytes_of(size));
        session.replies.insert(request.sequence, size);
        rows.put(reply_key(request.session, request.sequence), reply);
        while session.replies.len() > SESSION_WINDOW {
            if let Some((oldest, gone)) = session.replies.pop_first() {
                session.low = oldest.saturating_add(1);
                self.reply_bytes = self.reply_bytes.saturating_sub(bytes_of(gone));
                rows.delete(reply_key(request.session, oldest));
            }
        }
        write_header(request.session, session, rows);
        while self.reply_bytes > SESSION_REPLY_BYTES_MAX {
            let Some((_, oldest)) = self.by_use.first().copied() else { break };
            if oldest == request.session {
                break;
            }
            self.forget(oldest, rows);
        }
    }

    fn forget(&mut self, id: u64, rows: &mut Rows) {
        let Some(session) = self.sessions.remove(&id) else { return };
        self.by_use.remove(&(session.last_used, id));
        for (sequence, reply) in session.replies {
            self.reply_bytes = self.reply_bytes.saturating_sub(bytes_of(reply));
            rows.delete(reply_key(id, sequence));
        }
        rows.delete(header_key(id));
    }
}

/// What a reply counts for.
fn size(reply: &[u8]) -> u32 {
    u32::try_from(reply.len().saturating_add(SESSION_REPLY_BYTES_MORE)).unwrap_or(u32::MAX)
}

fn bytes_of(size: u32) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX)
}

fn header_key(id: u64) -> Key {
    let mut key = Writer::with_capacity(9);
    key.u8(HEADER);
    key.u64(id);
    key.finish()
}

fn reply_key(id: u64, sequence: u64) -> Key {
    let mut key = Writer::with_capacity(17);
    key.u8(REPLY);
    key.u64(id);
    key.u64(sequence);
    key.finish()
}

fn write_header(id: u64, session: &Session, rows: &mut Rows) {
    let mut value = Writer::with_capacity(16);
    value.u64(session.low);
    session.last_used.encode(&mut value);
    rows.put(header_key(id), value.finish());
}

fn read_header(key: &[u8], value: &[u8]) -> Result<(u64, Session), DecodeError> {
    let mut input = Reader::new(Bytes::copy_from_slice(key));
    input.u8()?;
    let id = input.u64()?;
    input.end()?;
    let mut input = Reader::new(Bytes::copy_from_slice(value));
    let session = Session { low: input.u64()?, last_used: TimestampMs::decode(&mut input)?, replies: BTreeMap::new() };
    input.end()?;
    Ok((id, session))
}

fn read_reply_key(key: &[u8]) -> Result<(u64, u64), DecodeError> {
    let mut input = Reader::new(Bytes::copy_from_slice(key));
    input.u8()?;
    let name = (input.u64()?, input.u64()?);
    input.end()?;
    Ok(name)
}
