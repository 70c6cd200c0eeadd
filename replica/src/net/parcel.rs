//! A message in parts: what is large lies where it was, and is not copied to stand behind its head.
//!
//! ```text
//!  heads of entries (copied) | payload | heads | payload | ...        on the wire as if it were one piece
//! ```
//!
//! Must never: be more than one message.

use bytes::{Bytes, BytesMut};
use machine::Writer;

/// A part of its own costs a frame of its own; what is smaller is copied.
const PART_BYTES_MIN: usize = 4 * 1024;

/// One message.
#[derive(Clone, Debug, Default)]
pub struct Parcel(Vec<Bytes>);

impl Parcel {
    /// Bytes of all parts.
    pub(super) fn len(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    /// The parts, in their order.
    pub(super) fn parts(self) -> impl Iterator<Item = Bytes> {
        self.0.into_iter()
    }

    /// The message in one piece.
    pub(crate) fn join(mut self) -> Bytes {
        if self.0.len() == 1 {
            return self.0.pop().unwrap_or_default();
        }
        let mut whole = BytesMut::with_capacity(self.len());
        self.0.iter().for_each(|part| whole.extend_from_slice(part));
        whole.freeze()
    }
}

/// Makes a parcel.
#[derive(Debug, Default)]
pub(super) struct Packer {
    parts: Vec<Bytes>,
    /// The part that small things are written to.
    pub out: Writer,
}

impl Packer {
    /// With room for `bytes` of small things.
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self { parts: Vec::new(), out: Writer::with_capacity(bytes) }
    }

    /// Bytes that `add` copies of such a piece.
    pub(super) const fn copied(bytes: usize) -> usize {
        if bytes < PART_BYTES_MIN { bytes } else { 0 }
    }

    /// The bytes, with no length.
    pub(super) fn add(&mut self, bytes: &Bytes) {
        if Self::copied(bytes.len()) == bytes.len() {
            self.out.raw(bytes);
        } else {
            self.parts.push(std::mem::take(&mut self.out).finish());
            self.parts.push(bytes.clone());
        }
    }

    pub(super) fn finish(mut self) -> Parcel {
        let last = self.out.finish();
        if !last.is_empty() {
            self.parts.push(last);
        }
        Parcel(self.parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_large_is_not_copied_and_the_whole_is_in_order() {
        let (small, large) = (Bytes::from_static(b"small"), Bytes::from(vec![7; PART_BYTES_MIN]));
        let mut packer = Packer::default();
        packer.out.u8(1);
        packer.add(&small);
        packer.add(&large);
        packer.add(&small);
        let parcel = packer.finish();
        let parts: Vec<Bytes> = parcel.clone().parts().collect();
        assert_eq!(parts.len(), 3);
        assert!(parts.iter().any(|part| part.as_ptr() == large.as_ptr()), "it lies where it was");
        let whole = [&[1][..], &small, &large, &small].concat();
        assert_eq!((parcel.len(), parcel.join()), (whole.len(), Bytes::from(whole)));
        assert_eq!(Packer::default().finish().join(), Bytes::new());
    }
}
