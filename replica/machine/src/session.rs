//! Sessions: a request that is repeated gets its former reply and is not applied again.
//!
//! State per session is bounded: a low-water mark and a window of former replies. What lies below the mark, and what
//! belongs to a forgotten session, is refused and never applied. Replies are rows; memory holds where they lie.
//!
//! ```text
//!  0x01 session        -> low u64 | last_used_ms u64
//!  0x02 session entry  -> count x { sequence u64 | reply (u32 length, bytes) }
//! ```
//!
//! What a session was answered in one entry is one row: a busy session has many commands in each. A row goes with the last
//! of its replies that is in the window.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::contract::LoadError;
use crate::entry::RequestId;
use crate::ids::{LogIndex, TimestampMs};
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
    /// Of each reply in the window: the entry whose row holds it.
    replies: BTreeMap<u64, LogIndex>,
    /// Of each row: what it counts for.
    rows: BTreeMap<LogIndex, Row>,
    /// What they count for together.
    bytes: usize,
}

/// A row of replies.
#[derive(Debug, Default, PartialEq, Eq)]
struct Row {
    /// Replies that are in the window still.
    live: usize,
    /// Bytes that it counts for, until it goes.
    bytes: usize,
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
    /// Replies of the entry that is being applied, by session: rows once it is sealed.
    fresh: BTreeMap<u64, Vec<(u64, Bytes)>>,
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
            match read_reply_key(key).and_then(|name| Ok((name, read_replies(&Bytes::copy_from_slice(value))?))) {
                Ok(((id, index), replies)) => {
                    if let Some(session) = table.sessions.get_mut(&id) {
                        let bytes = bytes_of(value.len(), replies.len());
                        table.reply_bytes = table.reply_bytes.saturating_add(bytes);
                        let mut row = Row { live: 0, bytes };
                        for (sequence, _) in replies.iter().filter(|(sequence, _)| *sequence >= session.low) {
                            session.replies.insert(*sequence, index);
                            row.live = row.live.saturating_add(1);
                        }
                        session.bytes = session.bytes.saturating_add(bytes);
                        session.rows.insert(index, row);
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
        let session = Session { low: 1, last_used: now, ..Session::default() };
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
        if let Some(index) = session.replies.get(&request.sequence) {
            return Seen::Repeat(reply_key(request.session, *index));
        }
        if request.sequence < session.low { Seen::Refused(SessionRefusal::RequestTooOld) } else { Seen::Fresh }
    }

    /// The reply that a request got before; `row` reads what lies under the key that [`Self::seen`] named. It lies there
    /// once its entry is sealed.
    pub(crate) fn former<'rows>(
        &self,
        request: RequestId,
        row: impl FnOnce() -> Option<&'rows Bytes>,
    ) -> Option<Bytes> {
        let mut fresh = self.fresh.get(&request.session).into_iter().flatten();
        if let Some((_, reply)) = fresh.find(|(sequence, _)| *sequence == request.sequence) {
            return Some(reply.clone());
        }
        let replies = row().and_then(|row| read_replies(row).ok())?;
        replies.into_iter().find_map(|(sequence, reply)| (sequence == request.sequence).then_some(reply))
    }

    /// Remembers the reply of a request that was just applied, in entry `index`.
    pub(crate) fn remember(&mut self, request: RequestId, reply: Bytes, index: LogIndex, now: TimestampMs) {
        let Some(session) = self.sessions.get_mut(&request.session) else { return };
        self.by_use.remove(&(session.last_used, request.session));
        self.by_use.insert((now, request.session));
        session.last_used = now;
        session.replies.insert(request.sequence, index);
        self.fresh.entry(request.session).or_default().push((request.sequence, reply));
    }

    /// Ends entry `index`: writes what was remembered in it, and lets go what has left the windows.
    pub(crate) fn seal(&mut self, index: LogIndex, rows: &mut Rows) {
        let fresh = std::mem::take(&mut self.fresh);
        for (id, replies) in &fresh {
            let Some(session) = self.sessions.get_mut(id) else { continue };
            let value = write_replies(replies);
            let row = Row { live: replies.len(), bytes: bytes_of(value.len(), replies.len()) };
            self.reply_bytes = self.reply_bytes.saturating_add(row.bytes);
            session.bytes = session.bytes.saturating_add(row.bytes);
            session.rows.insert(index, row);
            rows.put(reply_key(*id, index), value);
            // Rows are kept whole: what few replies keep alive must not take the other sessions' room.
            while session.replies.len() > SESSION_WINDOW
                || (session.bytes > SESSION_REPLY_BYTES_MAX / 2 && session.replies.len() > 1)
            {
                let freed = session.drop_oldest(*id, rows);
                self.reply_bytes = self.reply_bytes.saturating_sub(freed);
            }
            write_header(*id, session, rows);
        }
        while self.reply_bytes > SESSION_REPLY_BYTES_MAX {
            match self.by_use.first().copied() {
                Some((_, oldest)) if !fresh.contains_key(&oldest) => self.forget(oldest, rows),
                _ => break,
            }
        }
    }

    fn forget(&mut self, id: u64, rows: &mut Rows) {
        let Some(session) = self.sessions.remove(&id) else { return };
        self.by_use.remove(&(session.last_used, id));
        self.fresh.remove(&id);
        for (index, row) in session.rows {
            self.reply_bytes = self.reply_bytes.saturating_sub(row.bytes);
            rows.delete(reply_key(id, index));
        }
        rows.delete(header_key(id));
    }
}

impl Session {
    /// Lets the oldest reply leave the window. Returns the bytes that go with it.
    fn drop_oldest(&mut self, id: u64, rows: &mut Rows) -> usize {
        let Some((oldest, index)) = self.replies.pop_first() else { return 0 };
        self.low = oldest.saturating_add(1);
        let Some(row) = self.rows.get_mut(&index) else { return 0 };
        row.live = row.live.saturating_sub(1);
        if row.live > 0 {
            return 0;
        }
        rows.delete(reply_key(id, index));
        let freed = self.rows.remove(&index).map_or(0, |row| row.bytes);
        self.bytes = self.bytes.saturating_sub(freed);
        freed
    }
}

/// What a row counts for.
const fn bytes_of(value_bytes: usize, replies: usize) -> usize {
    value_bytes.saturating_add(replies.saturating_mul(SESSION_REPLY_BYTES_MORE))
}

fn write_replies(replies: &[(u64, Bytes)]) -> Bytes {
    let bytes = replies.iter().map(|(_, reply)| reply.len().saturating_add(12)).fold(0, usize::saturating_add);
    let mut out = Writer::with_capacity(bytes);
    for (sequence, reply) in replies {
        out.u64(*sequence);
        out.bytes(reply);
    }
    out.finish()
}

fn read_replies(row: &Bytes) -> Result<Vec<(u64, Bytes)>, DecodeError> {
    let (mut input, mut replies) = (Reader::new(row.clone()), Vec::new());
    while input.left() > 0 {
        replies.push((input.u64()?, input.bytes()?));
    }
    Ok(replies)
}

fn header_key(id: u64) -> Key {
    let mut key = Writer::with_capacity(9);
    key.u8(HEADER);
    key.u64(id);
    key.finish()
}

fn reply_key(id: u64, index: LogIndex) -> Key {
    let mut key = Writer::with_capacity(17);
    key.u8(REPLY);
    key.u64(id);
    key.u64(index.0);
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
    let session = Session { low: input.u64()?, last_used: TimestampMs::decode(&mut input)?, ..Session::default() };
    input.end()?;
    Ok((id, session))
}

fn read_reply_key(key: &[u8]) -> Result<(u64, LogIndex), DecodeError> {
    let mut input = Reader::new(Bytes::copy_from_slice(key));
    input.u8()?;
    let name = (input.u64()?, LogIndex(input.u64()?));
    input.end()?;
    Ok(name)
}
