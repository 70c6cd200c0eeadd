//! The directory: which group holds a queue or a topic, and who may use it. The machine of the meta group.
//!
//! Queues and topics have names of their own: a queue and a topic may be called the same and stand in different groups.
//!
//! A name is placed once and stays placed, whether a queue of that name exists or not (its group alone knows): so a create
//! that was interrupted, and a delete that races a create, can never leave one name in two groups.
//!
//! ```text
//!  command  1 | kind u8 (1 queue, 2 topic) | name | count u32 | groups u32… | beside (empty = none)
//!           2 to 5: key pairs, see `access`
//!  record   see `removal`
//!  reply    0 | refusal u8      1 | group u32 | epoch u64      2 (a key command is done)
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

use crate::access::{KeyCommand, KeyPair, KeyPairs, KeyRefusal};
use crate::names::{folded, is_queue_name};
use crate::removal::Removal;

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

/// What the directory is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DirectoryCommand {
    /// For a place. Answers `Placed`.
    Place(PlaceQueue),
    /// To change a key pair. Answers `KeyDone`.
    Key(KeyCommand),
}

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

/// What the directory answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DirectoryReply {
    /// A place, or why there is none.
    Placed(Result<Place, PlaceRefusal>),
    /// The key command is done, or why it is not.
    KeyDone(Result<(), KeyRefusal>),
}

impl Layout for DirectoryCommand {
    fn encode(&self, out: &mut Writer) {
        let place = match self {
            Self::Place(place) => place,
            Self::Key(command) => return command.encode(out),
        };
        out.u8(1);
        place.kind.encode(out);
        out.str(&place.name);
        out.len(place.groups.len());
        for group in &place.groups {
            out.u32(group.0);
        }
        out.str(&place.beside);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        match input.u8()? {
            1 => {
                let (kind, name) = (PlaceKind::decode(input)?, input.str()?);
                let mut groups = Vec::new();
                for _ in 0..input.count(GROUPS_MAX)? {
                    groups.push(GroupId(input.u32()?));
                }
                Ok(Self::Place(PlaceQueue { kind, name, groups, beside: input.str()? }))
            }
            tag => KeyCommand::decode_tagged(tag, input).map(Self::Key),
        }
    }
}

impl Layout for DirectoryReply {
    fn encode(&self, out: &mut Writer) {
        match *self {
            Self::Placed(Err(refusal)) => {
                out.u8(0);
                out.u8(refusal as u8);
            }
            Self::KeyDone(Err(refusal)) => {
                out.u8(0);
                out.u8(refusal as u8);
            }
            Self::Placed(Ok(place)) => {
                out.u8(1);
                write_place(out, place);
            }
            Self::KeyDone(Ok(())) => out.u8(2),
        }
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        match input.u8()? {
            0 => Ok(match input.u8()? {
                1 => Self::Placed(Err(PlaceRefusal::NameInvalid)),
                2 => Self::Placed(Err(PlaceRefusal::NoGroup)),
                3 => Self::Placed(Err(PlaceRefusal::DirectoryFull)),
                tag => {
                    let unknown = DecodeError::Unknown { what: "refusal of the directory", tag };
                    Self::KeyDone(Err(KeyRefusal::numbered(tag).ok_or(unknown)?))
                }
            }),
            1 => Ok(Self::Placed(Ok(read_place(input)?))),
            2 => Ok(Self::KeyDone(Ok(()))),
            tag => Err(DecodeError::Unknown { what: "directory reply", tag }),
        }
    }
}

/// All names and their places, and all key pairs, in memory and as rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DirectoryMachine {
    places: BTreeMap<(PlaceKind, String), Place>,
    keys: KeyPairs,
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

    /// The key pair of this id.
    #[must_use]
    pub fn key_pair(&self, id: &str) -> Option<&KeyPair> {
        self.keys.get(id)
    }

    /// Every key pair, in the order of their ids.
    pub fn key_pairs(&self) -> impl Iterator<Item = &KeyPair> {
        self.keys.all()
    }

    fn emptiest(&self, groups: &[GroupId]) -> Option<GroupId> {
        let names = |group: &GroupId| self.places.values().filter(|place| place.group == *group).count();
        groups.iter().min_by_key(|group| (names(group), group.0)).copied()
    }
}

impl Machine for DirectoryMachine {
    type Command = DirectoryCommand;
    type Reply = DirectoryReply;

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
        broken.map_or(Ok(()), Err)?;
        Ok(Self { places, keys: KeyPairs::load(rows)? })
    }

    fn keys(_command: &DirectoryCommand, _keys: &mut Vec<Key>) {}

    fn apply(&mut self, context: &Context, command: DirectoryCommand, rows: &mut Rows) -> DirectoryReply {
        match command {
            DirectoryCommand::Place(place) => DirectoryReply::Placed(self.place_new(&place, rows)),
            DirectoryCommand::Key(command) => DirectoryReply::KeyDone(self.keys.apply(context.now, command, rows)),
        }
    }

    fn seal(&mut self, _rows: &mut Rows) {}

    fn deliver(&mut self, _context: &Context, _source: GroupId, record: &Bytes, rows: &mut Rows) -> Result<(), String> {
        let removal = Removal::from_bytes(record).map_err(|error| error.to_string())?;
        self.note_removal(&removal, rows);
        Ok(())
    }
}

impl DirectoryMachine {
    fn place_new(&mut self, command: &PlaceQueue, rows: &mut Rows) -> Result<Place, PlaceRefusal> {
        if !is_queue_name(&command.name) {
            return Err(PlaceRefusal::NameInvalid);
        }
        if let Some(place) = self.place_of(command.kind, &command.name) {
            return Ok(place);
        }
        let beside = self.place(&command.beside).map(|place| place.group);
        let group = beside.or_else(|| self.emptiest(&command.groups)).ok_or(PlaceRefusal::NoGroup)?;
        if self.places.len() >= PLACED_MAX {
            return Err(PlaceRefusal::DirectoryFull);
        }
        let place = Place { group, epoch: 1 };
        self.put_place(command.kind, &command.name, place, rows);
        Ok(place)
    }

    /// Writes the place of a name.
    pub(crate) fn put_place(&mut self, kind: PlaceKind, name: &str, place: Place, rows: &mut Rows) {
        let name = folded(name);
        let mut key = Writer::default();
        key.u8(kind.row());
        key.raw(name.as_bytes());
        let mut value = Writer::default();
        write_place(&mut value, place);
        rows.put(key.finish(), value.finish());
        self.places.insert((kind, name), place);
    }
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

    use crate::access::{Grant, Right, Secret};

    fn ask(name: &str, groups: &[u32], beside: &str) -> DirectoryCommand {
        place_command(PlaceKind::Queue, name, groups, beside)
    }

    fn ask_topic(name: &str, groups: &[u32], beside: &str) -> DirectoryCommand {
        place_command(PlaceKind::Topic, name, groups, beside)
    }

    fn place_command(kind: PlaceKind, name: &str, groups: &[u32], beside: &str) -> DirectoryCommand {
        let groups = groups.iter().copied().map(GroupId).collect();
        DirectoryCommand::Place(PlaceQueue { kind, name: name.to_owned(), groups, beside: beside.to_owned() })
    }

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    fn grant(pattern: &str, rights: u8) -> Vec<Grant> {
        vec![Grant { pattern: pattern.to_owned(), rights }]
    }

    fn create(id: &str, text: &str, grants: Vec<Grant>) -> DirectoryCommand {
        DirectoryCommand::Key(KeyCommand::Create { id: id.to_owned(), secret: secret(text), grants })
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
            let DirectoryReply::Placed(placed) = reply else { panic!("{command:?} answers with a place") };
            assert_eq!(placed.map(|place| place.group.0), expected, "{command:?}");
            let reloaded = store.host::<DirectoryMachine>(GroupId::META).expect("its rows load");
            assert_eq!(reloaded.machine(), host.machine(), "after {command:?}");
        }
    }

    #[test]
    fn keys_are_made_changed_and_revoked_and_survive_a_load() {
        let id = "AKIDa".to_owned();
        let rotate = KeyCommand::Rotate { id: id.clone(), secret: secret("new"), overlap_ms: 10 };
        let change = KeyCommand::Grant { id: id.clone(), grants: grant("*", 7) };
        let revoke = KeyCommand::Revoke { id: id.clone() };
        let missing = KeyCommand::Revoke { id: "AKIDb".to_owned() };
        let table = [
            (create("AKIDa", "old", grant("or*", 1)), Ok(())),
            (create("AKIDa", "other", vec![]), Err(KeyRefusal::KeyExists)),
            (create("a", "s", vec![]), Err(KeyRefusal::KeyInvalid)),
            (create("AKID", "s", vec![]), Err(KeyRefusal::KeyInvalid)),
            (create("AKIDb", "", vec![]), Err(KeyRefusal::KeyInvalid)),
            (create("AKIDb", "s", grant("", 1)), Err(KeyRefusal::KeyInvalid)),
            (create("AKIDb", "s", grant("a*b", 1)), Err(KeyRefusal::KeyInvalid)),
            (create("AKIDb", "s", grant("a", 8)), Err(KeyRefusal::KeyInvalid)),
            (DirectoryCommand::Key(missing), Err(KeyRefusal::KeyMissing)),
            (DirectoryCommand::Key(rotate), Ok(())),
            (DirectoryCommand::Key(change), Ok(())),
            (DirectoryCommand::Key(revoke), Ok(())),
        ];
        let mut store = MemoryStore::default();
        let mut host = store.host::<DirectoryMachine>(GroupId::META).expect("an empty store loads");
        for (index, (command, expected)) in (1..).zip(table) {
            let reply = store.run(&mut host, LogIndex(index), TimestampMs(index), &command).expect("it is applied");
            assert_eq!(reply, DirectoryReply::KeyDone(expected), "{command:?}");
            let reloaded = store.host::<DirectoryMachine>(GroupId::META).expect("its rows load");
            assert_eq!(reloaded.machine(), host.machine(), "after {command:?}");
            if index == 10 {
                let pair = host.machine().key_pair("AKIDa").expect("it is there");
                let good = |now| pair.secrets(TimestampMs(now)).map(Secret::expose).collect::<Vec<_>>();
                assert_eq!((good(19), good(20)), (vec!["new", "old"], vec!["new"]));
            }
        }
        assert_eq!(host.machine().key_pairs().count(), 0);
    }

    #[test]
    fn a_grant_gives_its_rights_on_the_names_that_fit_and_a_secret_is_not_printed() {
        let table = [
            ("orders", 1, Right::Send, "Orders", true),
            ("orders", 1, Right::Send, "orders2", false),
            ("orders", 1, Right::Receive, "orders", false),
            ("or*", 6, Right::Manage, "ORDERS", true),
            ("*", 7, Right::Manage, "", true),
            ("or*", 7, Right::Manage, "", false),
        ];
        for (pattern, rights, right, queue, expected) in table {
            let now = TimestampMs(1);
            let grants = grant(pattern, rights);
            let pair = KeyPair {
                id: "AKIDa".to_owned(),
                secret: secret("hush"),
                former: None,
                grants,
                created: now,
                rotated: now,
            };
            assert_eq!(pair.allows(right, queue), expected, "{pattern} {rights} {right:?} {queue:?}");
            assert!(!format!("{pair:?}").contains("hush"));
        }
    }

    #[test]
    fn layouts_are_pinned() {
        let hex = |bytes: &Bytes| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let id = || "AKIDa".to_owned();
        let commands = [
            (ask("ab", &[1, 258], "c"), "01010000000261620000000200000001000001020000000163"),
            (create("AKIDa", "s", grant("q*", 3)), "0200000005414b4944610000000173000000010000000271 2a03"),
            (
                DirectoryCommand::Key(KeyCommand::Rotate { id: id(), secret: secret("t"), overlap_ms: 5 }),
                "0300000005414b49446100000001740000000000000005",
            ),
            (
                DirectoryCommand::Key(KeyCommand::Grant { id: id(), grants: grant("q", 1) }),
                "0400000005414b49446100000001000000017101",
            ),
            (DirectoryCommand::Key(KeyCommand::Revoke { id: id() }), "0500000005414b494461"),
        ];
        for (command, golden) in commands {
            assert_eq!(hex(&command.to_bytes()), golden.replace(' ', ""), "{command:?}");
            assert_eq!(DirectoryCommand::from_bytes(&command.to_bytes()), Ok(command));
        }
        let replies = [
            (DirectoryReply::Placed(Ok(Place { group: GroupId(3), epoch: 1 })), "01000000030000000000000001"),
            (DirectoryReply::Placed(Err(PlaceRefusal::NoGroup)), "0002"),
            (DirectoryReply::KeyDone(Err(KeyRefusal::KeyMissing)), "0006"),
            (DirectoryReply::KeyDone(Ok(())), "02"),
        ];
        for (reply, golden) in replies {
            assert_eq!(hex(&reply.to_bytes()), golden, "{reply:?}");
            assert_eq!(DirectoryReply::from_bytes(&reply.to_bytes()), Ok(reply));
        }
        let mut store = MemoryStore::default();
        let mut host = store.host::<DirectoryMachine>(GroupId::META).expect("an empty store loads");
        let rotate = DirectoryCommand::Key(KeyCommand::Rotate { id: id(), secret: secret("t"), overlap_ms: 5 });
        for (index, command) in (1..).zip([create("AKIDa", "s", grant("q*", 3)), rotate]) {
            store.run(&mut host, LogIndex(index), TimestampMs(index), &command).expect("it is applied");
        }
        let row = store.rows().find(|(key, _)| key.first() == Some(&0x22)).map(|(key, value)| (hex(key), hex(value)));
        let golden =
            "01 0000000174 01 0000000173 0000000000000007 00000001 00000002712a03 0000000000000001 0000000000000002";
        assert_eq!(row, Some(("22414b494461".to_owned(), golden.replace(' ', ""))));
    }
}
