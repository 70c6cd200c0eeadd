//! Hand-made layouts: how commands, replies and rows become bytes.
//!
//! Why: log and row formats are pinned by golden tests and must not change when a library does.
//! Integers are big-endian, so that keys sort as their numbers do; byte strings carry a u32 length.
//!
//! Must never: panic on any input. A length is checked against what is left before anything is allocated.

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Why bytes are not a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// The bytes end before the value does.
    Short,
    /// A tag or version byte is not one this build knows.
    Unknown {
        /// What was being read.
        what: &'static str,
        /// The tag that was found.
        tag: u8,
    },
    /// A value breaks a rule of its type.
    Invalid(&'static str),
    /// Bytes are left over behind the value.
    Trailing,
    /// The value came with a later format than this process knows.
    Newer {
        /// What was being read.
        what: &'static str,
        /// Its format.
        format: u32,
        /// The format that is known here.
        known: u32,
    },
}

impl core::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Short => f.write_str("the bytes end before the value does"),
            Self::Unknown { what, tag } => write!(f, "unknown {what} {tag}"),
            Self::Invalid(what) => write!(f, "invalid {what}"),
            Self::Trailing => f.write_str("bytes are left over behind the value"),
            Self::Newer { what, format, known } => {
                write!(f, "a {what} of format {format}, and this release knows formats up to {known}")
            }
        }
    }
}

impl core::error::Error for DecodeError {}

/// A value with a fixed byte layout.
pub trait Layout: Sized {
    /// Appends the value.
    fn encode(&self, out: &mut Writer);

    /// Reads one value. Errors: [`DecodeError`], never a panic.
    fn decode(input: &mut Reader) -> Result<Self, DecodeError>;

    /// About how many bytes the value takes: what a buffer is made for. Worth saying of what may be large, since a buffer
    /// that grows copies what it holds.
    fn size_hint(&self) -> usize {
        64
    }

    /// The value as bytes of its own.
    fn to_bytes(&self) -> Bytes {
        let mut out = Writer::with_capacity(self.size_hint());
        self.encode(&mut out);
        out.finish()
    }

    /// Reads a value that must fill `bytes` exactly.
    fn from_bytes(bytes: &Bytes) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes.clone());
        let value = Self::decode(&mut input)?;
        input.end()?;
        Ok(value)
    }
}

/// Appends values to a growing buffer.
#[derive(Debug, Default)]
pub struct Writer(BytesMut);

impl Writer {
    /// An empty writer with room for `bytes`.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self(BytesMut::with_capacity(bytes))
    }

    /// Appends one byte.
    pub fn u8(&mut self, value: u8) {
        self.0.put_u8(value);
    }

    /// Appends a bool as 0 or 1.
    pub fn bool(&mut self, value: bool) {
        self.0.put_u8(u8::from(value));
    }

    /// Appends big-endian.
    pub fn u16(&mut self, value: u16) {
        self.0.put_u16(value);
    }

    /// Appends big-endian.
    pub fn u32(&mut self, value: u32) {
        self.0.put_u32(value);
    }

    /// Appends big-endian.
    pub fn u64(&mut self, value: u64) {
        self.0.put_u64(value);
    }

    /// Appends big-endian.
    pub fn u128(&mut self, value: u128) {
        self.0.put_u128(value);
    }

    /// Appends big-endian two's complement.
    pub fn i64(&mut self, value: i64) {
        self.0.put_i64(value);
    }

    /// Appends the bytes with no length.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.0.put_slice(bytes);
    }

    /// Appends a u32 length and the bytes. Callers keep byte strings below 4 GiB (`limits`).
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.len(bytes.len());
        self.0.put_slice(bytes);
    }

    /// Appends a u32 length and the UTF-8 bytes.
    pub fn str(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    /// Appends a count as u32. Callers keep counts below 2^32 (`limits`).
    pub fn len(&mut self, count: usize) {
        let count = u32::try_from(count);
        assert!(count.is_ok(), "a length in a layout fits 32 bits by the limits");
        self.0.put_u32(count.unwrap_or(u32::MAX));
    }

    /// Appends 0, or 1 and the value.
    pub fn option<T: Layout>(&mut self, value: Option<&T>) {
        self.bool(value.is_some());
        if let Some(value) = value {
            value.encode(self);
        }
    }

    /// Appends a count and the values.
    pub fn list<T: Layout>(&mut self, values: &[T]) {
        self.len(values.len());
        for value in values {
            value.encode(self);
        }
    }

    /// Overwrites the first bytes with `bytes`, which are no more than were written.
    pub(crate) fn fill_in(&mut self, bytes: &[u8]) {
        let reserved = self.0.get_mut(..bytes.len());
        assert!(reserved.is_some(), "what is filled in was reserved");
        if let Some(reserved) = reserved {
            reserved.copy_from_slice(bytes);
        }
    }

    /// Bytes written so far.
    #[must_use]
    pub fn written(&self) -> usize {
        self.0.len()
    }

    /// The buffer as immutable bytes.
    #[must_use]
    pub fn finish(self) -> Bytes {
        self.0.freeze()
    }
}

/// Reads values from shared bytes; byte strings are slices of them, not copies.
#[derive(Debug)]
pub struct Reader(Bytes);

impl Reader {
    /// Reads from the start of `bytes`.
    #[must_use]
    pub const fn new(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// The next `count` bytes.
    pub fn raw(&mut self, count: usize) -> Result<Bytes, DecodeError> {
        if count > self.0.len() {
            return Err(DecodeError::Short);
        }
        Ok(self.0.split_to(count))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        // Copied, not sliced: a slice of shared bytes counts its owners, and most of a log entry is small numbers.
        let array = *self.0.first_chunk::<N>().ok_or(DecodeError::Short)?;
        self.0.advance(N);
        Ok(array)
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    /// A bool; any byte but 0 and 1 is invalid.
    pub fn bool(&mut self) -> Result<bool, DecodeError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(DecodeError::Invalid("bool")),
        }
    }

    /// Big-endian.
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    /// Big-endian.
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    /// Big-endian.
    pub fn u64(&mut self) -> Result<u64, DecodeError> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    /// Big-endian.
    pub fn u128(&mut self) -> Result<u128, DecodeError> {
        Ok(u128::from_be_bytes(self.array()?))
    }

    /// Big-endian two's complement.
    pub fn i64(&mut self) -> Result<i64, DecodeError> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    /// A byte string with a u32 length.
    pub fn bytes(&mut self) -> Result<Bytes, DecodeError> {
        let count = usize::try_from(self.u32()?).map_err(|_| DecodeError::Short)?;
        self.raw(count)
    }

    /// A UTF-8 string with a u32 length.
    pub fn str(&mut self) -> Result<String, DecodeError> {
        let raw = self.bytes()?;
        core::str::from_utf8(&raw).map(str::to_owned).map_err(|_| DecodeError::Invalid("UTF-8"))
    }

    /// 0, or 1 and a value.
    pub fn option<T: Layout>(&mut self) -> Result<Option<T>, DecodeError> {
        if self.bool()? { T::decode(self).map(Some) } else { Ok(None) }
    }

    /// A count of at most `max` and the values. `max` bounds what a hostile length can make us allocate.
    pub fn list<T: Layout>(&mut self, max: usize) -> Result<Vec<T>, DecodeError> {
        let count = self.count(max)?;
        let mut values = Vec::with_capacity(count.min(self.0.len()));
        for _ in 0..count {
            values.push(T::decode(self)?);
        }
        Ok(values)
    }

    /// A u32 count of at most `max`.
    pub fn count(&mut self, max: usize) -> Result<usize, DecodeError> {
        let count = usize::try_from(self.u32()?).map_err(|_| DecodeError::Short)?;
        if count > max { Err(DecodeError::Invalid("count")) } else { Ok(count) }
    }

    /// Bytes not yet read.
    #[must_use]
    pub const fn left(&self) -> usize {
        self.0.len()
    }

    /// Errors: [`DecodeError::Trailing`] if bytes are left.
    pub const fn end(&self) -> Result<(), DecodeError> {
        if self.0.is_empty() { Ok(()) } else { Err(DecodeError::Trailing) }
    }
}
