//! Walls between crates: who may depend on whom.
//!
//! ```text
//!  redpacket-app ──> ledger, packets (pure)          tests ──> everything        cluster ──> queue-client, proto
//!       ├────────> replica <──────── queue-server ──> queue-core (pure)
//!       └────────> queue-client ──> proto <───────┘  (the doors of both servers use proto too)
//!
//!  replica, queue-client, both servers, cluster ──> tls
//! ```
//!
//! Must never: learn an arrow from the code. A new arrow is a dated decision first, then a line here.

use super::house::Room;
use super::verdict::Breach;

/// The engines, and the one room that names them.
const ENGINES: [&str; 3] = ["openraft", "rocksdb", "librocksdb"];
pub(crate) const ENGINE_ROOM: &str = "replica";
/// The room that may name every other.
const TEST_ROOM: &str = "tests";

/// The arrows as drawn: a room, and the rooms of ours it may name.
const ARROWS: [(&str, &[&str]); 13] = [
    ("proto", &[]),
    ("machine", &[]),
    // Stands in for a crate that openraft names.
    ("base2histogram", &[]),
    ("tls", &[]),
    ("replica", &["machine", "tls"]),
    ("queue-core", &["machine"]),
    ("queue-server", &["machine", "replica", "queue-core", "proto", "tls"]),
    ("queue-client", &["proto", "tls"]),
    ("ledger", &["machine"]),
    ("packets", &["machine"]),
    ("redpacket-app", &["machine", "replica", "queue-client", "ledger", "packets", "proto", "tls"]),
    ("app-client", &["queue-client", "proto"]),
    ("cluster", &["queue-client", "app-client", "proto", "tls"]),
];

/// No room but `replica` has an engine in its `Cargo.toml`, not even for its tests.
#[must_use]
pub fn engines_are_named_by_replica(rooms: &[Room]) -> Vec<Breach> {
    let others = rooms.iter().filter(|room| room.name != ENGINE_ROOM);
    others
        .flat_map(|room| {
            let engines = room.needs.iter().chain(&room.test_needs).filter(|need| is_engine(need));
            engines.map(|need| {
                Breach::new(&room.folder, 0, format!("depends on {need}, which lives in {ENGINE_ROOM} alone"))
            })
        })
        .collect()
}

/// Whether a crate's name, or its word in a path, is that of an engine or of one of its parts.
pub(crate) fn is_engine(name: &str) -> bool {
    ENGINES.iter().any(|engine| {
        name.strip_prefix(engine).is_some_and(|rest| rest.is_empty() || rest.starts_with('-') || rest.starts_with('_'))
    })
}

/// The arrows between our rooms are those that are drawn, for tests too; only the test house may name every room.
#[must_use]
pub fn arrows_run_as_drawn(rooms: &[Room]) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for room in rooms.iter().filter(|room| room.name != TEST_ROOM) {
        let Some((_, drawn)) = ARROWS.iter().find(|(name, _)| *name == room.name) else {
            breaches.push(Breach::new(&room.folder, 0, format!("the room {} is not in the picture", room.name)));
            continue;
        };
        let ours = |need: &&String| rooms.iter().any(|other| other.name == **need);
        let wild = room.needs.union(&room.test_needs).filter(ours).filter(|need| !drawn.contains(&need.as_str()));
        breaches.extend(wild.map(|need| {
            Breach::new(&room.folder, 0, format!("the arrow {} -> {need} is not in the picture", room.name))
        }));
    }
    breaches
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(name: &str, needs: &[&str], test_needs: &[&str]) -> Room {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Room { name: name.to_owned(), folder: name.to_owned(), needs: set(needs), test_needs: set(test_needs) }
    }

    fn check(law: fn(&[Room]) -> Vec<Breach>, rooms: &[Room], expected: &[&str]) {
        let found: Vec<String> = law(rooms).iter().map(ToString::to_string).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn an_engine_outside_replica_is_found() {
        let law = engines_are_named_by_replica;
        check(law, &[room("replica", &["openraft", "openraft-rt-tokio", "rocksdb"], &[])], &[]);
        check(
            law,
            &[room("cluster", &["openraft-macros"], &["rocksdb"]), room("tests", &["librocksdb-sys"], &[])],
            &[
                "cluster: depends on openraft-macros, which lives in replica alone",
                "cluster: depends on rocksdb, which lives in replica alone",
                "tests: depends on librocksdb-sys, which lives in replica alone",
            ],
        );
        assert!(!is_engine("rocksdbish"));
    }

    #[test]
    fn an_arrow_that_nobody_drew_is_found() {
        let law = arrows_run_as_drawn;
        let (core, client) = (room("queue-core", &[], &[]), room("queue-client", &["tonic"], &[]));
        let server = room("queue-server", &["queue-core", "tonic"], &[]);
        check(law, &[core.clone(), client.clone(), server, room("tests", &["queue-core"], &[])], &[]);
        check(
            law,
            &[core, client, room("queue-server", &["queue-core"], &["queue-client"]), room("attic", &[], &[])],
            &[
                "queue-server: the arrow queue-server -> queue-client is not in the picture",
                "attic: the room attic is not in the picture",
            ],
        );
    }

    #[test]
    fn the_picture_holds_no_circle() {
        // Every arrow leads to a room that is reached by fewer steps from the bottom.
        let mut below: Vec<&str> = Vec::new();
        while below.len() < ARROWS.len() {
            let next: Vec<&str> = ARROWS
                .iter()
                .filter(|(name, drawn)| !below.contains(name) && drawn.iter().all(|need| below.contains(need)))
                .map(|(name, _)| *name)
                .collect();
            assert!(!next.is_empty(), "a circle among the rooms above {below:?}");
            below.extend(next);
        }
    }
}
