//! Papers: links that lead somewhere, and an ARCHITECTURE page that names every room.
//!
//! Must never: ask the network. Links to other houses are theirs to keep.

use std::collections::BTreeSet;

use super::house::{House, Page, Room};
use super::verdict::Breach;

/// The page that shows the house.
const ARCHITECTURE: &str = "ARCHITECTURE.md";

/// Every link from a paper to a file, a folder or a heading of the repository leads to one.
#[must_use]
pub fn links_lead_somewhere(house: &House) -> Vec<Breach> {
    let papers = house.pages.iter().filter(|page| page.is_paper());
    let dead = |page: &Page| {
        let links = links(&page.text).into_iter();
        let dead = links.filter(|(_, target)| !leads_somewhere(house, page, target));
        dead.map(|(line, target)| Breach::new(&page.path, line, format!("dead link {target}"))).collect::<Vec<_>>()
    };
    papers.flat_map(dead).collect()
}

/// The ARCHITECTURE page names every room by its folder.
#[must_use]
pub fn architecture_names_rooms(page: Option<&Page>, rooms: &[Room]) -> Vec<Breach> {
    let text = page.map_or("", |page| page.text.as_str());
    let unnamed = rooms.iter().filter(|room| !text.contains(&format!("`{}`", room.folder)));
    unnamed.map(|room| Breach::new(ARCHITECTURE, 0, format!("does not name the room `{}`", room.folder))).collect()
}

/// The prose of a paper, line by line: what stands in fences is left out.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut is_fenced = false;
    (1..).zip(text.lines()).filter(move |(_, line)| {
        let is_fence = line.trim_start().starts_with("```") || line.trim_start().starts_with("~~~");
        is_fenced ^= is_fence;
        !is_fenced && !is_fence
    })
}

/// Targets of links, with their lines: `[text](target)` and `[name]: target`, but none inside code.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut links = Vec::new();
    for (line, text) in prose(text) {
        // Every second piece between backticks is code.
        let plain = text.split('`').step_by(2).collect::<Vec<_>>().join("``");
        let inline = plain.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
        let defined =
            plain.trim_start().strip_prefix('[').and_then(|rest| rest.split_once("]: ")).map(|(_, target)| target);
        let targets = inline.chain(defined).filter_map(|target| target.split_whitespace().next());
        links.extend(targets.map(|target| (line, target.trim_matches(['<', '>']).to_owned())));
    }
    links
}

fn leads_somewhere(house: &House, page: &Page, target: &str) -> bool {
    if target.contains("://") || target.starts_with("mailto:") {
        return true;
    }
    let (file, anchor) = target.split_once('#').map_or((target, None), |(file, anchor)| (file, Some(anchor)));
    let Some(path) = resolve(&page.path, file) else { return false };
    let is_there = path.is_empty() || house.paths.contains(&path);
    is_there && anchor.is_none_or(|anchor| house.page(&path).is_some_and(|page| anchors(&page.text).contains(anchor)))
}

/// The path that `file` means on the page at `from`; `None` if it leads out of the repository.
fn resolve(from: &str, file: &str) -> Option<String> {
    if file.is_empty() {
        return Some(from.to_owned());
    }
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    if file.starts_with('/') {
        parts.clear();
    }
    for part in file.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The anchors of a paper's headings: small letters, blanks as hyphens, other marks gone, repeats numbered.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    for (_, line) in prose(text) {
        let title = line.trim_start_matches('#');
        if title.len() == line.len() || !title.starts_with(' ') {
            continue;
        }
        let kept = |character: &char| character.is_alphanumeric() || matches!(character, ' ' | '-' | '_');
        let slug: String = title.trim().to_lowercase().chars().filter(kept).collect();
        let slug = slug.replace(' ', "-");
        let repeats = (1..).map(|repeat: u32| format!("{slug}-{repeat}"));
        if let Some(free) = std::iter::once(slug.clone()).chain(repeats).find(|anchor| !anchors.contains(anchor)) {
            anchors.insert(free);
        }
    }
    anchors
}

#[cfg(test)]
mod tests {
    use super::*;

    fn house() -> House {
        let guide =
            Page::new("docs/guide.md", "# How to add a `command`\n```\n# not a heading\n```\n## Twice\n## Twice\n");
        let paths = ["README.md", "docs", "docs/guide.md", "replica/src/clock.rs"];
        let paths = paths.iter().map(|path| (*path).to_owned()).collect();
        House { pages: vec![guide.expect("papers are not lexed")], paths, ..House::default() }
    }

    fn check(path: &str, text: &str, expected: &[&str]) {
        let mut house = house();
        house.pages.insert(0, Page::new(path, text).expect("papers are not lexed"));
        let found: Vec<String> = links_lead_somewhere(&house).iter().map(ToString::to_string).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn a_link_to_what_is_there_leads_somewhere() {
        let text = "[a](docs/guide.md), [b](docs), [c](docs/) and [d](./docs/../replica/src/clock.rs \"title\")\n\
                    [e](https://example.org/x) [f](mailto:a@example.org) `[g](gone.md)`\n\
                    [h](docs/guide.md#how-to-add-a-command) [i](docs/guide.md#twice-1)\n\
                    ```\n[j](gone.md)\n```\n[k]: <docs/guide.md>\n# Here\n[l](#here)\n";
        check("README.md", text, &[]);
        check("docs/more.md", "[up](../README.md) [root](/docs/guide.md)", &[]);
    }

    #[test]
    fn a_dead_link_is_found() {
        check("README.md", "fine\n[a](gone.md) [b](docs/guide.md)", &["README.md:2: dead link gone.md"]);
        check("README.md", "[a]: gone.md", &["README.md:1: dead link gone.md"]);
        check("README.md", "[a](../README.md)", &["README.md:1: dead link ../README.md"]);
        check("README.md", "[a](#nowhere)", &["README.md:1: dead link #nowhere"]);
        check("README.md", "[a](docs/guide.md#not-a-heading)", &["README.md:1: dead link docs/guide.md#not-a-heading"]);
        check("docs/more.md", "[a](docs/guide.md)", &["docs/more.md:1: dead link docs/guide.md"]);
    }

    #[test]
    fn a_room_that_the_architecture_page_forgets_is_found() {
        let room = |folder: &str| Room { folder: folder.to_owned(), ..Room::default() };
        let page = Page::new(ARCHITECTURE, "**`replica`** runs `replica/machine`.").expect("papers are not lexed");
        let rooms = [room("replica"), room("replica/machine"), room("cluster")];
        let found = architecture_names_rooms(Some(&page), &rooms);
        assert_eq!(found, [Breach::new(ARCHITECTURE, 0, "does not name the room `cluster`")]);
        assert_eq!(architecture_names_rooms(None, &rooms).len(), 3);
    }
}
