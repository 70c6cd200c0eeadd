//! Small types for what must not be mixed: positions, instants, groups.

use crate::layout::{DecodeError, Layout, Reader, Writer};

/// A point of machine time. Units: milliseconds since the Unix epoch. Never goes back within a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimestampMs(pub u64);

impl TimestampMs {
    /// This instant plus `ms`, held at the end of time instead of wrapping.
    #[must_use]
    pub const fn plus(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// This instant minus `ms`, held at the epoch.
    #[must_use]
    pub const fn minus(self, ms: u64) -> Self {
        Self(self.0.saturating_sub(ms))
    }

    /// Milliseconds from `earlier` to this instant; 0 if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// What a release knows, as one number: the commands, rows, records and messages that came up to it. A group has a format
/// too, the one that all its members know; it only goes up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Format(pub u32);

impl Format {
    /// What a new group begins with.
    pub const FIRST: Self = Self(1);
    /// What this release knows.
    pub const LATEST: Self = Self(1);
}

const _: () = assert!(Format::FIRST.0 <= Format::LATEST.0);

/// The place of an entry in a group's log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogIndex(pub u64);

/// One Raft group of a cluster: 0 is the meta group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub u32);

impl GroupId {
    /// The group that holds the directory.
    pub const META: Self = Self(0);
    /// Courier target "outside this cluster": its records are carried by the process that hosts the group.
    pub const OUTSIDE: Self = Self(u32::MAX);
}

/// A line of courier records within a target group. Each counts by itself, so a record that its receiver cannot take holds
/// up its own track and no other; which receiver has which track is the source machine's affair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Track(pub u16);

/// Where courier records go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Destination {
    /// The group that takes them.
    pub group: GroupId,
    /// Their track there.
    pub track: Track,
}

impl From<GroupId> for Destination {
    /// For machines that keep all records for a group in one order.
    fn from(group: GroupId) -> Self {
        Self { group, track: Track::default() }
    }
}

impl Layout for Destination {
    fn encode(&self, out: &mut Writer) {
        out.u32(self.group.0);
        out.u16(self.track.0);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self { group: GroupId(input.u32()?), track: Track(input.u16()?) })
    }
}

/// Names a body within its group for ever: the machine chooses the number and never uses it twice. Where the bytes lie on
/// a disk is the affair of the replica that holds them, and outside the state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BodyRef(pub u64);

impl Layout for BodyRef {
    fn encode(&self, out: &mut Writer) {
        out.u64(self.0);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self(input.u64()?))
    }
}

impl Layout for TimestampMs {
    fn encode(&self, out: &mut Writer) {
        out.u64(self.0);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self(input.u64()?))
    }
}
