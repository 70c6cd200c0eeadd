//! Walls inside the sources: which file may name an engine, a type of the wire, the wall clock.
//!
//! Why: a dependency that a crate rightly has can still be named in the wrong one of its files.
//!
//! Must never: look at comments. Prose may name what code may not.

use super::house::Page;
use super::tokens::{Kind, Token, begins_path, leads_path};
use super::verdict::Breach;
use super::walls::{ENGINE_ROOM, is_engine};

/// The servers: rooms in which the wire ends at the doors.
const SERVERS: [&str; 2] = ["queue-server", "redpacket-app"];
/// Folder, or file, of the doors.
const DOORS: &str = "doors";
/// How a file begins that translates between the wire and a core.
const CONVERT: &str = "convert";
/// The crate of generated types.
const WIRE: &str = "proto";
/// The one file that reads the wall clock for all servers.
const CLOCK: &str = "replica/src/clock.rs";
/// What of the wire's room is no type of the wire: the context of a trace.
const TRACES: &str = "traces";
/// Names of the wall clock.
const WALL_TIME: [&str; 2] = ["SystemTime", "UNIX_EPOCH"];
/// Rooms that serve nobody and may look at the wall: the operators', the client's and the tests'.
const OUTSIDE_THE_SERVERS: [&str; 3] = ["cluster", "queue-client", "tests"];

/// Code outside `replica` names no engine.
#[must_use]
pub fn engines_stay_in_replica(pages: &[Page]) -> Vec<Breach> {
    let outside = pages.iter().filter(|page| !page.is_under(ENGINE_ROOM));
    let is_named = |_: &[Token], _, token: &Token| is_engine(&token.text);
    let what = |token: &Token| format!("names {}, which lives in {ENGINE_ROOM} alone", token.text);
    outside.flat_map(|page| find(page, is_named, what)).collect()
}

/// Inside a server only the doors and the files that convert for them name generated types.
#[must_use]
pub fn doors_alone_name_wire_types(pages: &[Page]) -> Vec<Breach> {
    let inside = pages.iter().filter(|page| {
        SERVERS.iter().any(|server| page.is_under(server))
            && !(page.is_within(DOORS) || page.stem() == DOORS || page.stem().starts_with(CONVERT) || page.is_test())
    });
    let is_named = |list: &[Token], at: usize, token: &Token| {
        let is_imported = at.checked_sub(1).and_then(|before| list.get(before)).is_some_and(|before| before.is("use"));
        let next = list.iter().skip(at).skip(1).find(|token| token.kind == Kind::Word);
        let is_trace = leads_path(list, at) && next.is_some_and(|next| next.is(TRACES));
        token.text == WIRE && begins_path(list, at) && (leads_path(list, at) || is_imported) && !is_trace
    };
    let what = |_: &Token| format!("names types of the wire; only {DOORS} and {CONVERT} files do");
    inside.flat_map(|page| find(page, is_named, what)).collect()
}

/// One file of the servers names the wall clock.
#[must_use]
pub fn one_file_names_wall_time(pages: &[Page]) -> Vec<Breach> {
    let others = pages.iter().filter(|page| {
        page.path != CLOCK && !page.is_test() && !OUTSIDE_THE_SERVERS.iter().any(|room| page.is_under(room))
    });
    let is_named = |_: &[Token], _, token: &Token| WALL_TIME.contains(&token.text.as_str());
    let what = |token: &Token| format!("names {}; only {CLOCK} does", token.text);
    others.flat_map(|page| find(page, is_named, what)).collect()
}

/// A breach for each line of the page on which a word is one that it may not name.
fn find(
    page: &Page,
    is_named: impl Fn(&[Token], usize, &Token) -> bool,
    what: impl Fn(&Token) -> String,
) -> Vec<Breach> {
    let list = page.tokens();
    let words = list.iter().enumerate().filter(|(_, token)| token.kind == Kind::Word);
    let named = words.filter(|(at, token)| is_named(list, *at, token));
    let mut breaches: Vec<Breach> = named.map(|(_, token)| Breach::new(&page.path, token.line, what(token))).collect();
    breaches.dedup();
    breaches
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(law: fn(&[Page]) -> Vec<Breach>, path: &str, text: &str, lines: &[usize]) {
        let page = Page::new(path, text).expect("the sample lexes");
        let found: Vec<usize> = law(&[page]).iter().map(|breach| breach.line).collect();
        assert_eq!(found, lines, "{path}: {text}");
    }

    #[test]
    fn an_engine_named_outside_replica_is_found_in_a_macro_too() {
        let law = engines_stay_in_replica;
        check(law, "replica/src/log/rocks.rs", "use rocksdb::DB;", &[]);
        check(
            law,
            "queue-server/src/main.rs",
            "//! Not rocksdb.\nuse replica::Node;\nconst A: &str = \"rocksdb\";",
            &[],
        );
        check(law, "queue-server/src/main.rs", "fn a() {\n    openraft::run();\n}", &[2]);
        check(law, "queue-server/src/main.rs", "select! { _ = openraft_rt_tokio::run() => {} }", &[1]);
        check(law, "tests/tests/store.rs", "use replica::rocksdb;", &[1]);
    }

    #[test]
    fn a_wire_type_named_behind_the_doors_is_found() {
        let law = doors_alone_name_wire_types;
        check(law, "queue-server/src/doors/grpc/send.rs", "use proto::queue::v1::Queue;", &[]);
        check(law, "queue-server/src/doors.rs", "use proto::queue::v1::Queue;", &[]);
        check(law, "redpacket-app/src/packet/convert_claim.rs", "use proto::packet::v1::Claim;", &[]);
        check(law, "queue-client/src/lib.rs", "use proto::queue::v1::Queue;", &[]);
        check(
            law,
            "queue-server/src/node.rs",
            "//! proto::A\nuse crate::proto::A;\nfn a(proto: u8) -> u8 { proto }",
            &[],
        );
        check(law, "queue-server/src/node.rs", "use proto::A;\nuse proto as wire;\nfn a(b: ::proto::B) {}", &[1, 2, 3]);
        check(law, "redpacket-app/src/main.rs", "m! { proto::A }", &[1]);
        check(law, "redpacket-app/src/main.rs", "use proto::traces;\nuse proto::{A, traces};", &[2]);
    }

    #[test]
    fn wall_time_named_beside_the_clock_is_found() {
        let law = one_file_names_wall_time;
        let planted = "use std::time::Instant;\nfn a() -> SystemTime {\n    std::time::UNIX_EPOCH\n}";
        check(law, "replica/src/clock.rs", planted, &[]);
        check(law, "cluster/src/demo.rs", planted, &[]);
        check(law, "tests/src/simulation.rs", planted, &[]);
        check(law, "replica/src/road.rs", planted, &[2, 3]);
    }
}
