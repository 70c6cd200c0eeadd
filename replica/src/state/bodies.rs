//! Where bodies lie: in the log that brought them, or in the store of those that outlived their place there.
//!
//! ```text
//!  column family places   body u64 -> index u64 | offset u32 | bytes u32 | crc32 u32     in the log: the entry, and where in it
//!  column family bodies   body u64 -> bytes                                              moved here, or small from the start
//!
//!  snapshot's file bodies.log   { body u64 | bytes u32 | crc32 u32 | bytes } …           what its places named, in order
//! ```
//! A place is this replica's own affair: no hash covers it, and no other replica is sent it.
//!
//! Must never: hand out bytes whose checksum is wrong.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write as _};
use std::path::Path;

use bytes::Bytes;
use machine::{BodyRef, DecodeError, Layout, LogIndex, Reader, StoreFailure, Writer};

use crate::limits::BODY_BYTES_MAX;
use crate::log::BodyPlace;

/// The file of a snapshot that holds the bodies its places named.
pub(super) const BODIES_FILE: &str = "bodies.log";

/// A place, and what the bytes there must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub place: BodyPlace,
    pub checksum: u32,
}

impl Kept {
    /// Whether these are the bytes.
    pub(super) fn is(&self, bytes: &[u8]) -> bool {
        crc32fast::hash(bytes) == self.checksum
    }
}

impl Layout for Kept {
    fn encode(&self, out: &mut Writer) {
        out.u64(self.place.index);
        out.u32(self.place.offset);
        out.u32(self.place.bytes);
        out.u32(self.checksum);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        let place = BodyPlace { index: input.u64()?, offset: input.u32()?, bytes: input.u32()? };
        Ok(Self { place, checksum: input.u32()? })
    }
}

/// Reads a place's row. Errors: damage.
pub(super) fn read_kept(value: Vec<u8>) -> Result<Kept, StoreFailure> {
    Kept::from_bytes(&Bytes::from(value)).map_err(|error| StoreFailure(format!("place of a body: {error}")))
}

/// The payloads of a batch by where they lie in memory: a body that is a slice of one is found in it.
pub(super) struct Payloads(Vec<(usize, usize, u64)>);

impl Payloads {
    pub(super) fn new(entries: &[(LogIndex, Bytes)]) -> Self {
        let span = |(index, bytes): &(LogIndex, Bytes)| {
            let from = bytes.as_ptr().addr();
            (from, from + bytes.len(), index.0)
        };
        let mut spans: Vec<_> = entries.iter().map(span).collect();
        spans.sort_unstable();
        Self(spans)
    }

    /// Where the log holds `body`. `None`: a machine made these bytes itself.
    pub(super) fn find(&self, body: &Bytes) -> Option<BodyPlace> {
        let from = body.as_ptr().addr();
        let before = self.0.partition_point(|span| span.0 <= from);
        let (start, end, index) = *self.0.get(before.checked_sub(1)?)?;
        if from + body.len() > end {
            return None;
        }
        Some(BodyPlace { index, offset: u32::try_from(from - start).ok()?, bytes: u32::try_from(body.len()).ok()? })
    }
}

/// Writes the bodies of a snapshot.
pub(super) struct BodiesWriter(BufWriter<File>);

impl BodiesWriter {
    pub(super) fn create(folder: &Path) -> io::Result<Self> {
        Ok(Self(BufWriter::with_capacity(1024 * 1024, File::create(folder.join(BODIES_FILE))?)))
    }

    pub(super) fn add(&mut self, body: BodyRef, bytes: &[u8]) -> io::Result<()> {
        let mut head = Writer::with_capacity(16);
        head.u64(body.0);
        head.len(bytes.len());
        head.u32(crc32fast::hash(bytes));
        self.0.write_all(&head.finish())?;
        self.0.write_all(bytes)
    }

    pub(super) fn finish(self) -> io::Result<()> {
        self.0.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
    }
}

/// Visits the bodies of a snapshot. Errors: the file is cut off, or a checksum is wrong; `visit` failed.
pub(super) fn read_bodies(folder: &Path, visit: &mut dyn FnMut(u64, &[u8]) -> io::Result<()>) -> io::Result<()> {
    let file = File::open(folder.join(BODIES_FILE))?;
    let left = file.metadata()?.len();
    read_records(BufReader::with_capacity(1024 * 1024, file), left, visit)
}

/// The records in the next `left` bytes of `input`. Errors: as [`read_bodies`].
pub(super) fn read_records(
    mut input: impl Read,
    mut left: u64,
    visit: &mut dyn FnMut(u64, &[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let damaged = |what: &str| io::Error::new(io::ErrorKind::InvalidData, format!("bodies of a snapshot: {what}"));
    let mut bytes = Vec::new();
    while left > 0 {
        let mut head = [0; 16];
        input.read_exact(&mut head)?;
        let mut fields = Reader::new(Bytes::copy_from_slice(&head));
        let short = |_: DecodeError| damaged("a record is cut off");
        let body = fields.u64().map_err(short)?;
        let count = fields.count(BODY_BYTES_MAX).map_err(|_| damaged("a body is too large"))?;
        let checksum = fields.u32().map_err(short)?;
        bytes.resize(count, 0);
        input.read_exact(&mut bytes)?;
        if crc32fast::hash(&bytes) != checksum {
            return Err(damaged("a checksum is wrong"));
        }
        visit(body, &bytes)?;
        left = left.saturating_sub((head.len() + count) as u64);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_row_of_a_place_is_pinned() {
        let kept = Kept { place: BodyPlace { index: 9, offset: 40, bytes: 3 }, checksum: 0x0102_0304 };
        let bytes = kept.to_bytes();
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "0000000000000009000000280000000301020304");
        assert_eq!(read_kept(bytes.to_vec()), Ok(kept));
    }

    #[test]
    fn a_body_is_found_in_the_entry_it_is_a_slice_of() {
        let (first, second) = (Bytes::from(vec![1; 100]), Bytes::from(vec![2; 50]));
        let payloads = Payloads::new(&[(LogIndex(4), first.clone()), (LogIndex(5), second.clone())]);
        let place = |index, offset, bytes| Some(BodyPlace { index, offset, bytes });
        assert_eq!(payloads.find(&first.slice(10..30)), place(4, 10, 20));
        assert_eq!(payloads.find(&second), place(5, 0, 50));
        assert_eq!(payloads.find(&second.slice(49..)), place(5, 49, 1));
        assert_eq!(payloads.find(&Bytes::from(vec![1; 10])), None, "equal bytes elsewhere are not in the log");
    }

    #[test]
    fn bodies_of_a_snapshot_are_pinned_and_damage_is_seen() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut writer = BodiesWriter::create(folder.path()).expect("made");
        writer.add(BodyRef(7), b"hi").expect("written");
        writer.add(BodyRef(8), b"").expect("written");
        writer.finish().expect("synced");
        let path = folder.path().join(BODIES_FILE);
        let bytes = std::fs::read(&path).expect("read");
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            concat!("000000000000000700000002", "d8932aac", "6869", "0000000000000008", "0000000000000000")
        );
        let read = || {
            let mut found = Vec::new();
            read_bodies(folder.path(), &mut |body, bytes| {
                found.push((body, bytes.to_vec()));
                Ok(())
            })
            .map(|()| found)
        };
        assert_eq!(read().expect("whole"), [(7, b"hi".to_vec()), (8, Vec::new())]);
        std::fs::write(&path, &bytes[..bytes.len() - 1]).expect("cut");
        assert!(read().is_err(), "cut off");
        let mut flipped = bytes;
        flipped[17] ^= 1;
        std::fs::write(&path, flipped).expect("flipped");
        assert!(read().is_err(), "flipped");
    }
}
