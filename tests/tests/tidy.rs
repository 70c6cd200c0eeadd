//! Tidy: the repository is held against the written walls of the house, one test a law.
//!
//! Why: a rule without a check is a wish. The laws stand in `tests::tidy`, each with the breach that it finds.
//!
//! Must never: judge by what a build left behind; only what stands in the repository counts.

use std::path::Path;
use std::sync::LazyLock;

use tests::tidy::{self, Breach, EXEMPTIONS, House, judge};

/// Read once for all laws that run in this process.
static HOUSE: LazyLock<Result<House, String>> =
    LazyLock::new(|| House::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..")));

fn check(law: &str, breaches: fn(&House) -> Vec<Breach>) {
    let verdict = HOUSE.as_ref().map_err(Clone::clone).and_then(|house| judge(law, &breaches(house), EXEMPTIONS));
    if let Err(broken) = verdict {
        panic!("{broken}");
    }
}

macro_rules! laws {
    ($($law:ident: $breaches:expr;)*) => {
        $(#[test]
        fn $law() {
            check(stringify!($law), $breaches);
        })*

        const LAWS: &[&str] = &[$(stringify!($law)),*];
    };
}

laws! {
    pure_rooms_depend_on_pure_crates_only: |house| tidy::pure_rooms_depend_on_pure(&house.rooms);
    pure_sources_name_no_clock_no_task_no_io_and_no_float: tidy::pure_sources_stay_pure;
    pure_roots_deny_what_may_wrap_round_panic_or_differ: tidy::pure_roots_deny;
    engines_are_dependencies_of_replica_alone: |house| tidy::engines_are_named_by_replica(&house.rooms);
    engines_are_named_in_the_code_of_replica_alone: |house| tidy::engines_stay_in_replica(&house.pages);
    arrows_between_rooms_run_as_drawn: |house| tidy::arrows_run_as_drawn(&house.rooms);
    wire_types_end_at_the_doors: |house| tidy::doors_alone_name_wire_types(&house.pages);
    one_file_names_the_wall_clock: |house| tidy::one_file_names_wall_time(&house.pages);
    no_file_outgrows_its_reader: |house| tidy::files_stay_short(&house.pages);
    no_function_outgrows_its_reader: |house| tidy::functions_stay_short(&house.pages);
    no_import_block_outgrows_its_reader: |house| tidy::imports_stay_short(&house.pages);
    every_source_opens_with_what_it_is: |house| tidy::sources_say_what_they_are(&house.pages);
    nothing_is_ignored_or_left_for_later: |house| tidy::nothing_is_unfinished(&house.pages);
    no_file_is_named_by_an_empty_word: tidy::files_bear_nouns;
    no_item_is_named_by_an_empty_word: |house| tidy::items_bear_nouns(&house.pages);
    every_link_leads_somewhere: tidy::links_lead_somewhere;
    the_architecture_page_names_every_room: |house| {
        tidy::architecture_names_rooms(house.page("ARCHITECTURE.md"), &house.rooms)
    };
}

#[test]
fn every_exemption_names_a_law_and_a_reason() {
    for exemption in EXEMPTIONS {
        assert!(LAWS.contains(&exemption.law), "there is no law {}", exemption.law);
        assert!(!exemption.reason.is_empty(), "{} is exempt from {} without a reason", exemption.path, exemption.law);
    }
}

#[test]
fn the_house_is_read_whole() {
    let house = HOUSE.as_ref().expect("the repository can be read");
    assert!(house.rooms.iter().any(|room| room.folder == "tests"), "this very crate is one of the rooms");
    for room in &house.rooms {
        let manifest = format!("{}/Cargo.toml", room.folder);
        assert!(house.page(&manifest).is_some(), "{manifest} was not read");
    }
    let this = house.page("tests/tests/tidy.rs").map(|page| page.text.as_str());
    assert_eq!(this, Some(include_str!("tidy.rs")), "this very file is one of the pages");
}
