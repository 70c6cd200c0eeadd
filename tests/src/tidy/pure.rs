//! Pure rooms: what decides may know nothing that differs between replicas.
//!
//! Why: three replicas that apply the same commands must reach the same bytes. The compiler keeps types apart, the lints
//! keep some of them out; these laws keep out the rest.
//!
//! Must never: be loosened for a test's sake; tests of pure rooms stand in files of their own and are free.

use super::house::{House, Page, Room};
use super::tokens::{Kind, Token, closing};
use super::verdict::Breach;

/// The rooms that decide.
const PURE_ROOMS: [&str; 4] = ["machine", "queue-core", "ledger", "packets"];
/// All that a pure room may depend on: neither clock, chance, IO nor task is in them.
const PURE_NEEDS: [&str; 3] = ["bytes", "machine", "sha2"];
/// Words that stand for a clock, a task, a float or the order of a hash table.
const IMPURE_WORDS: [&str; 9] =
    ["async", "await", "SystemTime", "Instant", "HashMap", "HashSet", "RandomState", "f32", "f64"];
/// Parts of the standard library that reach out of the room.
const IMPURE_PARTS: [&str; 8] = ["env", "fs", "io", "net", "process", "thread", "time", "mpsc"];
/// Lints that the root of a pure room denies.
const LINTS_DENIED: [&str; 4] =
    ["arithmetic_side_effects", "float_arithmetic", "indexing_slicing", "iter_over_hash_type"];
/// The one text of a pure room's lint configuration: the first room's.
const LINT_CONFIGURATION: &str = "clippy.toml";

fn pure_rooms(rooms: &[Room]) -> impl Iterator<Item = &Room> {
    rooms.iter().filter(|room| PURE_ROOMS.contains(&room.name.as_str()))
}

/// Pure rooms depend on pure crates only; what their tests need is free.
#[must_use]
pub fn pure_rooms_depend_on_pure(rooms: &[Room]) -> Vec<Breach> {
    let foreign = |room: &Room| {
        let foreign = room.needs.iter().filter(|need| !PURE_NEEDS.contains(&need.as_str()));
        let breach = |need| Breach::new(&room.folder, 0, format!("a pure room depends on {need}"));
        foreign.map(breach).collect::<Vec<_>>()
    };
    pure_rooms(rooms).flat_map(foreign).collect()
}

/// No source of a pure room names a clock, chance, IO, a task, a float or a hash table.
#[must_use]
pub fn pure_sources_stay_pure(house: &House) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for room in pure_rooms(&house.rooms) {
        for page in house.pages.iter().filter(|page| page.is_under(&room.folder) && !page.is_test()) {
            let impure = impure_words(page.tokens()).into_iter().chain(impure_parts(page.tokens()));
            breaches.extend(
                impure.map(|token| Breach::new(&page.path, token.line, format!("a pure room names {}", token.text))),
            );
        }
    }
    breaches
}

fn impure_words(list: &[Token]) -> Vec<&Token> {
    list.iter().filter(|token| token.kind == Kind::Word && IMPURE_WORDS.contains(&token.text.as_str())).collect()
}

/// The impure parts that are named behind `std::`, alone or in braces.
fn impure_parts(list: &[Token]) -> Vec<&Token> {
    let mut parts = Vec::new();
    for (at, window) in list.windows(4).enumerate() {
        let [library, first, second, part] = window else { continue };
        if !(library.is("std") && first.is(":") && second.is(":")) {
            continue;
        }
        let end = if part.is("{") { closing(list, at + 3) } else { at + 4 };
        let named = list.get(at + 3..end).unwrap_or_default();
        parts.extend(named.iter().filter(|token| IMPURE_PARTS.contains(&token.text.as_str())));
    }
    parts
}

/// Each pure room denies, at its root, what may wrap, round, panic or differ, and all share one lint configuration.
#[must_use]
pub fn pure_roots_deny(house: &House) -> Vec<Breach> {
    let file = |room: &Room, name: &str| house.page(&format!("{}/{name}", room.folder)).map(|page| page.text.as_str());
    let shared = pure_rooms(&house.rooms).find_map(|room| file(room, LINT_CONFIGURATION));
    let mut breaches = Vec::new();
    for room in pure_rooms(&house.rooms) {
        let root = format!("{}/src/lib.rs", room.folder);
        let denied = house.page(&root).map(denied_lints).unwrap_or_default();
        let missing = LINTS_DENIED.iter().filter(|lint| !denied.contains(*lint));
        breaches.extend(missing.map(|lint| Breach::new(&root, 0, format!("does not deny clippy::{lint}"))));
        if shared.is_none() || file(room, LINT_CONFIGURATION) != shared {
            let what = format!("has no {LINT_CONFIGURATION}, or not that of the other pure rooms");
            breaches.push(Breach::new(&room.folder, 0, what));
        }
    }
    breaches
}

/// The words inside `#![deny(…)]`.
fn denied_lints(page: &Page) -> Vec<&str> {
    let list = page.tokens();
    let mut lints = Vec::new();
    for (at, window) in list.windows(5).enumerate() {
        if let [hash, bang, bracket, deny, open] = window
            && (hash.is("#") && bang.is("!") && bracket.is("[") && deny.is("deny") && open.is("("))
        {
            let inside = list.get(at + 5..closing(list, at + 4)).unwrap_or_default();
            lints.extend(inside.iter().map(|token| token.text.as_str()));
        }
    }
    lints
}

#[cfg(test)]
mod tests {
    use super::*;

    const DENY: &str = "#![deny(clippy::arithmetic_side_effects, clippy::float_arithmetic, clippy::indexing_slicing, \
                        clippy::iter_over_hash_type)]";

    fn room(name: &str, needs: &[&str], test_needs: &[&str]) -> Room {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Room { name: name.to_owned(), folder: name.to_owned(), needs: set(needs), test_needs: set(test_needs) }
    }

    fn house(files: &[(&str, &str)]) -> House {
        let pages = files.iter().map(|(path, text)| Page::new(path, text).expect("the sample lexes")).collect();
        House { pages, rooms: vec![room("ledger", &[], &[]), room("packets", &[], &[])], ..House::default() }
    }

    fn check(breaches: &[Breach], expected: &[&str]) {
        let found: Vec<String> = breaches.iter().map(ToString::to_string).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_pure_room_that_names_a_runtime_is_found() {
        let pure = room("ledger", &["machine", "bytes", "sha2"], &["proptest"]);
        check(&pure_rooms_depend_on_pure(&[pure, room("replica", &["tokio"], &[])]), &[]);
        let impure = room("ledger", &["machine", "tokio"], &[]);
        check(&pure_rooms_depend_on_pure(&[impure]), &["ledger: a pure room depends on tokio"]);
    }

    #[test]
    fn a_pure_source_that_reaches_out_is_found() {
        let planted =
            "use std::collections::BTreeMap;\nuse std::{cmp, fs};\nfn a() { std::time::now() }\nasync fn b(x: f64) {}";
        check(
            &pure_sources_stay_pure(&house(&[
                ("ledger/src/hold.rs", planted),
                ("ledger/src/time.rs", "/// No `SystemTime` here.\nfn time(io: u8) -> u8 { io }"),
                ("ledger/tests/laws.rs", "use std::fs;"),
                ("replica/src/disk.rs", "use std::fs;"),
            ])),
            &[
                "ledger/src/hold.rs:4: a pure room names async",
                "ledger/src/hold.rs:4: a pure room names f64",
                "ledger/src/hold.rs:2: a pure room names fs",
                "ledger/src/hold.rs:3: a pure room names time",
            ],
        );
    }

    #[test]
    fn a_pure_root_that_lost_a_lint_or_its_configuration_is_found() {
        let whole = [
            ("ledger/src/lib.rs", DENY),
            ("ledger/clippy.toml", "a"),
            ("packets/src/lib.rs", DENY),
            ("packets/clippy.toml", "a"),
        ];
        check(&pure_roots_deny(&house(&whole)), &[]);
        let broken = [
            ("ledger/src/lib.rs", DENY),
            ("ledger/clippy.toml", "a"),
            (
                "packets/src/lib.rs",
                "#![deny(clippy::arithmetic_side_effects, clippy::float_arithmetic, clippy::indexing_slicing)]",
            ),
            ("packets/clippy.toml", "b"),
        ];
        check(
            &pure_roots_deny(&house(&broken)),
            &[
                "packets/src/lib.rs: does not deny clippy::iter_over_hash_type",
                "packets: has no clippy.toml, or not that of the other pure rooms",
            ],
        );
    }
}
