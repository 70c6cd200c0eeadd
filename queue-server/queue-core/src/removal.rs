//! Removal: a queue has moved, and its new group tells the directory.
//!
//! Why the epoch is a time: two moves of a queue are told by two groups, and the second may be heard first. A target takes
//! a time behind that of its source, so the later move has the greater epoch, and what was overtaken is known.
//!
//! Must never: let an older move undo a newer one.

use machine::{DecodeError, GroupId, Layout, Reader, Rows, Writer};

use crate::directory::{DirectoryMachine, Place, PlaceKind};

/// A record of the courier for the directory.
///
/// Shape: `1 | name | group u32 | epoch u64`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Removal {
    pub(crate) name: String,
    pub(crate) place: Place,
}

impl DirectoryMachine {
    /// Writes where a queue is now, unless that is known to be past.
    pub(crate) fn note_removal(&mut self, removal: &Removal, rows: &mut Rows) {
        if self.place(&removal.name).is_some_and(|place| place.epoch < removal.place.epoch) {
            self.put_place(PlaceKind::Queue, &removal.name, removal.place, rows);
        }
    }
}

impl Layout for Removal {
    fn encode(&self, out: &mut Writer) {
        out.u8(1);
        out.str(&self.name);
        out.u32(self.place.group.0);
        out.u64(self.place.epoch);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        match input.u8()? {
            1 => Ok(Self { name: input.str()?, place: Place { group: GroupId(input.u32()?), epoch: input.u64()? } }),
            tag => Err(DecodeError::Unknown { what: "record for the directory", tag }),
        }
    }
}
