//! Finish: what every source says of itself, and what none may leave undone.
//!
//! Must never: spell the marks it looks for in one piece, or it would find itself.

use super::house::Page;
use super::tokens::{Kind, Token, closing};
use super::verdict::Breach;

/// How a source opens.
const OPENING: &str = "//!";
/// Marks of what is left for later.
const LATER: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
/// Macros that stand where code is missing.
const MISSING: [&str; 2] = ["todo", "unimplemented"];

/// Every Rust file opens with what it is.
#[must_use]
pub fn sources_say_what_they_are(pages: &[Page]) -> Vec<Breach> {
    let silent = pages.iter().filter(|page| page.is_rust() && !says_what_it_is(&page.text));
    silent.map(|page| Breach::new(&page.path, 1, format!("does not open with {OPENING} and a sentence"))).collect()
}

fn says_what_it_is(text: &str) -> bool {
    text.lines().next().and_then(|line| line.strip_prefix(OPENING)).is_some_and(|rest| rest.trim().contains(' '))
}

/// No test is ignored, no code is missing, and no mark says "later".
#[must_use]
pub fn nothing_is_unfinished(pages: &[Page]) -> Vec<Breach> {
    let unfinished = |page: &Page| {
        let mut breaches = marks(page);
        breaches.extend(missing_code(page));
        breaches.extend(ignored_tests(page));
        breaches
    };
    pages.iter().flat_map(unfinished).collect()
}

fn marks(page: &Page) -> Vec<Breach> {
    let is_word = |character: char| character.is_alphanumeric() || character == '_';
    let mut breaches = Vec::new();
    for (line, text) in (1..).zip(page.text.lines()) {
        let found = text.split(|character| !is_word(character)).filter(|word| LATER.contains(word));
        breaches.extend(found.map(|word| Breach::new(&page.path, line, format!("says {word}"))));
    }
    breaches
}

fn missing_code(page: &Page) -> Vec<Breach> {
    let calls = page.tokens().windows(2).filter_map(|pair| match pair {
        [name, bang] if bang.is("!") && MISSING.contains(&name.text.as_str()) => Some(name),
        _ => None,
    });
    calls.map(|name| Breach::new(&page.path, name.line, format!("{}! stands for code", name.text))).collect()
}

fn ignored_tests(page: &Page) -> Vec<Breach> {
    let list = page.tokens();
    let mut breaches = Vec::new();
    for (at, pair) in list.windows(2).enumerate() {
        let [hash, bracket] = pair else { continue };
        let attribute = list.get(at + 2..closing(list, at + 1)).unwrap_or_default();
        if hash.is("#") && bracket.is("[") && ignores(attribute) {
            breaches.push(Breach::new(&page.path, hash.line, "a test is ignored"));
        }
    }
    breaches
}

/// Whether an attribute is `ignore`, or brings it under a condition.
fn ignores(attribute: &[Token]) -> bool {
    let is_ignore = |token: &Token| token.kind == Kind::Word && token.text == "ignore";
    match attribute {
        [first, rest @ ..] if first.is("cfg_attr") => rest.iter().any(is_ignore),
        [first, ..] => is_ignore(first),
        [] => false,
    }
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
    fn a_source_that_does_not_say_what_it_is_is_found() {
        let law = sources_say_what_they_are;
        check(law, "a.rs", "//! The lease: a message on loan.\n", &[]);
        check(law, "a.md", "A lease.\n", &[]);
        check(law, "a.rs", "", &[1]);
        check(law, "a.rs", "//!\nuse b;", &[1]);
        check(law, "a.rs", "//! queue-core\n", &[1]);
        check(law, "a.rs", "/// The lease.\nstruct Lease;", &[1]);
        check(law, "a.rs", "use b;\n//! Too late to say.\n", &[1]);
    }

    #[test]
    fn what_is_left_for_later_is_found() {
        let law = nothing_is_unfinished;
        check(law, "a.rs", "// A to-do list is a word of the field.\nfn todo_list() {}", &[]);
        for mark in LATER {
            check(law, "a.rs", &format!("\n// {mark}: later\n"), &[2]);
            check(law, "a.md", &format!("{mark}\n"), &[1]);
            check(law, "run", &format!("mktemp {mark}{mark}\n"), &[]);
        }
        for name in MISSING {
            check(law, "a.rs", &format!("fn a() {{\n    {name}!()\n}}"), &[2]);
        }
    }

    #[test]
    fn an_ignored_test_is_found() {
        let law = nothing_is_unfinished;
        check(law, "a.rs", "#[test]\nfn ignore() { ignore(a[ignore]); }", &[]);
        check(law, "a.rs", "#[test]\n#[ignore]\nfn a() {}", &[2]);
        check(law, "a.rs", "#[test]\n#[ignore = \"slow\"]\nfn a() {}", &[2]);
        check(law, "a.rs", "#[cfg_attr(miri, ignore)]\nfn a() {}", &[1]);
        check(law, "a.rs", "proptest! {\n    #[ignore]\n    fn a(b in 0..1) {}\n}", &[2]);
    }
}
