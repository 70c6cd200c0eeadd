//! The directory: which group holds a queue or a topic. The machine of the meta group.
//!
//! Queues and topics have names of their own: a queue and a topic may be called the same and stand in different groups.
//!
//! A name is placed once and stays placed, whether a queue of that name exists or not (its group alone knows): so a create
//! that was interrupted, and a delete that races a create, can never leave one name in two groups.
//!
//! ```text
//!  command  1 | kind u8 (1 queue, 2 topic) | name | count u32 | groups u32… | beside (empty = none)
//!  reply    0 | refusal u8      1 | group u32 | epoch u64
//!  row      0x20 folded name of a queue -> group u32 | epoch u64
//!           0x21 folded name of a topic -> the same
//! ```
//!
//! Must never: place one name in two groups under one epoch.

use std::collections::BTreeMap;

use bytes::Bytes;
use machine::{
    Context, DecodeError, GroupId, Key, Layout, LoadError, Machine, Reader, RowSource, Rows, Writer, prefix_end,
};

use crate::names::{folded, is_queue_name};

const QUEUE_ROW: u8 = 0x20;
const TOPIC_ROW: u8 = 0x21;
/// Names a directory holds.
const PLACED_MAX: usize = 100_000;
/// Groups a place may choose from.
const GROUPS_MAX: usize = 64;

/// What a name names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PlaceKind {
    /// A queue.
    Queue,
    /// A topic, with its subscriptions.
    Topic,
}

/// Where a name is placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The group that holds, or would hold, the queue or topic.
    pub group: GroupId,
    /// Grows when it moves to another group; what was routed by an older one is turned away.
    pub epoch: u64,
}

/// Asks for the place of a name; places it if it has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaceQueue {
    /// What it names.
    pub kind: PlaceKind,
    /// The queue's or topic's name.
    pub name: String,
    /// The groups to choose from: the one with the fewest names is taken.
    pub groups: Vec<GroupId>,
    /// A queue to stand beside (its dead-letter queue), or empty.
    pub beside: String,
}

/// Why a name is not placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum PlaceRefusal {
    /// The name breaks the rule of names.
    NameInvalid = 1,
    /// No group was given to choose from.
    NoGroup = 2,
    /// The directory is full.
    DirectoryFull = 3,
}

/// The answer: a place, or why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed(pub Result<Place, PlaceRefusal>);

impl PlaceKind {
    const fn row(self) -> u8 {
        match self {
            Self::Queue => QUEUE_ROW,
            Self::Topic => TOPIC_ROW,
        }
    }
}

impl Layout for PlaceKind {
    fn encode(&self, out: &mut Writer) {
        out.u8(match self {
            Self::Queue => 1,
            Self::Topic => 2,
        });
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        match input.u8()? {
            1 => Ok(Self::Queue),
            2 => Ok(Self::Topic),
            tag => Err(DecodeError::Unknown { what: "kind of a place", tag }),
        }
    }
}

impl Layout for PlaceQueue {
    fn encode(&self, out: &mut Writer) {
        out.u8(1);
        self.kind.encode(out);
        out.str(&self.name);
        out.len(self.groups.len());
        for group in &self.groups {
            out.u32(group.0);
        }
        out.str(&self.beside);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        match input.u8()? {
            1 => {
                let (kind, name) = (PlaceKind::decode(input)?, input.str()?);
                let mut groups = Vec::new();
                for _ in 0..input.count(GROUPS_MAX)? {
                    groups.push(GroupId(input.u32()?));
                }
                Ok(Self { kind, name, groups, beside: input.str()? })
            }
            tag => Err(DecodeError::Unknown { what: "directory command", tag }),
        }
    }
}

impl Layout for Placed {
    fn encode(&self, out: &mut Writer) {
        match self.0 {
            Err(refusal) => {
                out.u8(0);
                out.u8(refusal as u8);
            }
            Ok(place) => {
                out.u8(1);
                write_place(out, place);
            }
        }
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        match input.u8()? {
            0 => Ok(Self(Err(match input.u8()? {
                1 => PlaceRefusal::NameInvalid,
                2 => PlaceRefusal::NoGroup,
                3 => PlaceRefusal::DirectoryFull,
                tag => return Err(DecodeError::Unknown { what: "refusal of the directory", tag }),
            }))),
            1 => Ok(Self(Ok(read_place(input)?))),
            tag => Err(DecodeError::Unknown { what: "directory reply", tag }),
        }
    }
}

/// All names and their places, in memory and as rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DirectoryMachine {
    places: BTreeMap<(PlaceKind, String), Place>,
}

impl DirectoryMachine {
    /// The place of a queue's name, if it has one.
    #[must_use]
    pub fn place(&self, name: &str) -> Option<Place> {
        self.place_of(PlaceKind::Queue, name)
    }

    /// The place of a queue's or a topic's name, if it has one.
    #[must_use]
    pub fn place_of(&self, kind: PlaceKind, name: &str) -> Option<Place> {
        self.places.get(&(kind, folded(name))).copied()
    }

    fn emptiest(&self, groups: &[GroupId]) -> Option<GroupId> {
        let names = |group: &GroupId| self.places.values().filter(|place| place.group == *group).count();
        groups.iter().min_by_key(|group| (names(group), group.0)).copied()
    }
}

impl Machine for DirectoryMachine {
    type Command = PlaceQueue;
    type Reply = Placed;

    fn load(rows: &dyn RowSource) -> Result<Self, LoadError> {
        let mut places = BTreeMap::new();
        let mut broken = None;
        rows.scan(&[QUEUE_ROW], &prefix_end(&[TOPIC_ROW]), &mut |key, value| {
            let kind = if key.first() == Some(&TOPIC_ROW) { PlaceKind::Topic } else { PlaceKind::Queue };
            let name = key.get(1..).and_then(|name| core::str::from_utf8(name).ok());
            let place = read_place(&mut Reader::new(Bytes::copy_from_slice(value)));
            match (name, place) {
                (Some(name), Ok(place)) => drop(places.insert((kind, name.to_owned()), place)),
                (None, _) => broken = Some(LoadError::row(key, DecodeError::Invalid("UTF-8"))),
                (_, Err(error)) => broken = Some(LoadError::row(key, error)),
            }
            broken.is_none()
        })?;
        broken.map_or(Ok(Self { places }), Err)
    }

    fn keys(_command: &PlaceQueue, _keys: &mut Vec<Key>) {}

    fn apply(&mut self, _context: &Context, command: PlaceQueue, rows: &mut Rows) -> Placed {
        if !is_queue_name(&command.name) {
            return Placed(Err(PlaceRefusal::NameInvalid));
        }
        if let Some(place) = self.place_of(command.kind, &command.name) {
            return Placed(Ok(place));
        }
        let beside = self.place(&command.beside).map(|place| place.group);
        let Some(group) = beside.or_else(|| self.emptiest(&command.groups)) else {
            return Placed(Err(PlaceRefusal::NoGroup));
        };
        if self.places.len() >= PLACED_MAX {
            return Placed(Err(PlaceRefusal::DirectoryFull));
        }
        let (name, place) = (folded(&command.name), Place { group, epoch: 1 });
        let mut key = Writer::default();
        key.u8(command.kind.row());
        key.raw(name.as_bytes());
        let mut value = Writer::default();
        write_place(&mut value, place);
        rows.put(key.finish(), value.finish());
        self.places.insert((command.kind, name), place);
        Placed(Ok(place))
    }

    fn seal(&mut self, _rows: &mut Rows) {}
}

fn write_place(out: &mut Writer, place: Place) {
    out.u32(place.group.0);
    out.u64(place.epoch);
}

fn read_place(input: &mut Reader) -> Result<Place, DecodeError> {
    Ok(Place { group: GroupId(input.u32()?), epoch: input.u64()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use machine::{LogIndex, MemoryStore, TimestampMs};

    fn ask(name: &str, groups: &[u32], beside: &str) -> PlaceQueue {
        let groups = groups.iter().map(|group| GroupId(*group)).collect();
        PlaceQueue { kind: PlaceKind::Queue, name: name.to_owned(), groups, beside: beside.to_owned() }
    }

    fn ask_topic(name: &str, groups: &[u32], beside: &str) -> PlaceQueue {
        PlaceQueue { kind: PlaceKind::Topic, ..ask(name, groups, beside) }
    }

    #[test]
    fn a_name_is_placed_once_beside_its_neighbour_or_in_the_emptiest_group() {
        let table = [
            (ask("a", &[1, 2], ""), Ok(1)),
            (ask("b", &[1, 2], ""), Ok(2)),
            (ask("c", &[1, 2], "B"), Ok(2)),
            (ask("A", &[2], ""), Ok(1)),
            (ask("d", &[1, 2], ""), Ok(1)),
            (ask_topic("a", &[2], ""), Ok(2)),
            (ask_topic("A", &[1], ""), Ok(2)),
            (ask_topic("t", &[2], "a"), Ok(1)),
            (ask("e", &[], ""), Err(PlaceRefusal::NoGroup)),
            (ask("1e", &[1], ""), Err(PlaceRefusal::NameInvalid)),
        ];
        let mut store = MemoryStore::default();
        let mut host = store.host::<DirectoryMachine>(GroupId::META).expect("an empty store loads");
        for (index, (command, expected)) in (1..).zip(table) {
            let reply = store.run(&mut host, LogIndex(index), TimestampMs(index), &command).expect("it is applied");
            let group = reply.0.map(|place| place.group.0);
            assert_eq!(group, expected, "{command:?}");
            let reloaded = store.host::<DirectoryMachine>(GroupId::META).expect("its rows load");
            assert_eq!(reloaded.machine(), host.machine(), "after {command:?}");
        }
    }

    #[test]
    fn layouts_are_pinned() {
        let hex = |bytes: Bytes| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let command = ask("ab", &[1, 258], "c");
        assert_eq!(hex(command.to_bytes()), "010100000002616200000002000000010000010200000001".to_owned() + "63");
        let placed = Placed(Ok(Place { group: GroupId(3), epoch: 1 }));
        assert_eq!(hex(placed.to_bytes()), "01000000030000000000000001");
        assert_eq!(hex(Placed(Err(PlaceRefusal::NoGroup)).to_bytes()), "0002");
        assert_eq!(PlaceQueue::from_bytes(&command.to_bytes()), Ok(command));
        assert_eq!(Placed::from_bytes(&placed.to_bytes()), Ok(placed));
    }
}
