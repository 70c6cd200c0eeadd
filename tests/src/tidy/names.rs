//! Names: files and items are called by the field's nouns, never by words that say nothing.
//!
//! Must never: hold a word that has a meaning in the glossary.

use super::house::{House, Page};
use super::tokens::Kind;
use super::verdict::Breach;

/// Words that say nothing of what a thing is.
const EMPTY_WORDS: [&str; 9] =
    ["common", "helper", "helpers", "manager", "managers", "misc", "util", "utils", "utilities"];
/// How a function's name may not begin: every function handles or processes something.
const EMPTY_BEGINNINGS: [&str; 2] = ["handle_", "process_"];
/// Words of the language behind which an item's name stands.
const ITEMS: [&str; 8] = ["const", "enum", "fn", "mod", "static", "struct", "trait", "type"];

/// No file and no folder has an empty word in its name.
#[must_use]
pub fn files_bear_nouns(house: &House) -> Vec<Breach> {
    let empty = house.paths.iter().filter_map(|path| {
        let name = path.rsplit('/').next()?;
        empty_word(name).map(|word| Breach::new(path, 0, format!("is named by the empty word {word}")))
    });
    empty.collect()
}

/// No item has an empty word in its name, and no function begins with an empty verb.
#[must_use]
pub fn items_bear_nouns(pages: &[Page]) -> Vec<Breach> {
    pages.iter().flat_map(empty_items).collect()
}

fn empty_items(page: &Page) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for pair in page.tokens().windows(2) {
        let [item, name] = pair else { continue };
        if item.kind != Kind::Word || name.kind != Kind::Word || !ITEMS.contains(&item.text.as_str()) {
            continue;
        }
        let beginning = EMPTY_BEGINNINGS.iter().find(|beginning| item.is("fn") && name.text.starts_with(*beginning));
        if let Some(word) = empty_word(&name.text).or_else(|| beginning.map(|beginning| (*beginning).to_owned())) {
            let what = format!("{} {} is named by the empty word {word}", item.text, name.text);
            breaches.push(Breach::new(&page.path, name.line, what));
        }
    }
    breaches
}

/// The first empty word among a name's parts, in whatever case they are joined.
fn empty_word(name: &str) -> Option<String> {
    let mut parts = vec![String::new()];
    let mut follows_small = false;
    for character in name.chars() {
        if !character.is_alphanumeric() || (character.is_uppercase() && follows_small) {
            parts.push(String::new());
        }
        if let Some(part) = parts.last_mut()
            && character.is_alphanumeric()
        {
            part.extend(character.to_lowercase());
        }
        follows_small = character.is_lowercase();
    }
    parts.into_iter().find(|part| EMPTY_WORDS.contains(&part.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_named_by_an_empty_word_is_found() {
        let paths =
            ["replica/src/log", "a/utils.rs", "a/common/mod.rs", "a/common", "a/lease_manager.rs", "a/commons.rs"];
        let house = House { paths: paths.iter().map(|path| (*path).to_owned()).collect(), ..House::default() };
        let found: Vec<String> = files_bear_nouns(&house).into_iter().map(|breach| breach.path).collect();
        assert_eq!(found, ["a/common", "a/lease_manager.rs", "a/utils.rs"]);
    }

    #[test]
    fn an_item_named_by_an_empty_word_is_found() {
        let table = [
            ("struct Lease; fn handle() {} mod process {} fn process() {}", 0),
            ("fn a(manager: u8) { let util = manager; }", 0),
            ("struct LeaseManager;", 1),
            ("enum SomeHelper { A }", 1),
            ("fn lease_util() {}", 1),
            ("const MISC: u8 = 0;", 1),
            ("impl A { fn handle_send(&self) {} fn process_send(&self) {} }", 2),
            ("struct handle_of;", 0),
        ];
        for (source, count) in table {
            let page = Page::new("a.rs", source).expect("the sample lexes");
            assert_eq!(items_bear_nouns(&[page]).len(), count, "{source}");
        }
    }
}
