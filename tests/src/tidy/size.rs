//! Sizes: what a reader can hold at once.
//!
//! Must never: be met by cutting in the middle. A file is split by verb or by type.

use super::house::Page;
use super::tokens::{Kind, closing, functions};
use super::verdict::Breach;

/// Lines of a file. Aim at 150, think at 300.
const FILE_LINES_MAX: usize = 500;
/// Lines of a file of tests: tables are long and read by row.
const TEST_FILE_LINES_MAX: usize = 800;
/// Lines of a function, from the word `fn` to its closing brace. Think at 40.
const FUNCTION_LINES_MAX: usize = 70;
/// Lines that a file's imports take.
const IMPORT_LINES_MAX: usize = 30;

const _: () = assert!(FUNCTION_LINES_MAX < FILE_LINES_MAX && IMPORT_LINES_MAX < FILE_LINES_MAX);
const _: () = assert!(FILE_LINES_MAX <= TEST_FILE_LINES_MAX);

/// No source is longer than 500 lines, none of tests longer than 800.
#[must_use]
pub fn files_stay_short(pages: &[Page]) -> Vec<Breach> {
    let sources = pages.iter().filter(|page| page.is_source());
    sources
        .filter_map(|page| {
            let (lines, most) =
                (page.text.lines().count(), if page.is_test() { TEST_FILE_LINES_MAX } else { FILE_LINES_MAX });
            (lines > most).then(|| Breach::new(&page.path, 0, format!("{lines} lines, at most {most}")))
        })
        .collect()
}

/// No function is longer than 70 lines, in macros and in tests neither.
#[must_use]
pub fn functions_stay_short(pages: &[Page]) -> Vec<Breach> {
    let long = |page: &Page| {
        let long = functions(page.tokens()).into_iter().filter(|function| function.lines > FUNCTION_LINES_MAX);
        let breach = |function: super::tokens::Function| {
            let what = format!("fn {} has {} lines, at most {FUNCTION_LINES_MAX}", function.name, function.lines);
            Breach::new(&page.path, function.line, what)
        };
        long.map(breach).collect::<Vec<_>>()
    };
    pages.iter().flat_map(long).collect()
}

/// The imports at the head of a file take at most 30 lines.
#[must_use]
pub fn imports_stay_short(pages: &[Page]) -> Vec<Breach> {
    let many = |page: &Page| {
        let lines = import_lines(page);
        let what = || format!("{lines} lines of imports, at most {IMPORT_LINES_MAX}");
        (lines > IMPORT_LINES_MAX).then(|| Breach::new(&page.path, 0, what()))
    };
    pages.iter().filter_map(many).collect()
}

/// Lines of all `use` items outside any bracket.
fn import_lines(page: &Page) -> usize {
    let list = page.tokens();
    let (mut at, mut lines, mut begun) = (0, 0, None);
    while let Some(token) = list.get(at) {
        match (token.kind, begun) {
            (Kind::Word, None) if token.text == "use" => begun = Some(token.line),
            (Kind::Mark, Some(line)) if token.text == ";" => {
                lines += token.line.saturating_sub(line) + 1;
                begun = None;
            }
            (Kind::Open, _) => at = closing(list, at),
            _ => {}
        }
        at += 1;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(path: &str, text: &str) -> Page {
        Page::new(path, text).expect("the sample lexes")
    }

    fn check(law: fn(&[Page]) -> Vec<Breach>, page: Page, expected: &[&str]) {
        let found: Vec<String> = law(&[page]).iter().map(ToString::to_string).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_file_of_501_lines_is_found_and_one_of_tests_may_have_800() {
        let lines = |count: usize| "//\n".repeat(count);
        check(files_stay_short, page("a.rs", &lines(500)), &[]);
        check(files_stay_short, page("a.rs", &lines(501)), &["a.rs: 501 lines, at most 500"]);
        check(files_stay_short, page("a.md", &lines(501)), &[]);
        check(files_stay_short, page("run", &format!("#!/bin/sh\n{}", lines(500))), &["run: 501 lines, at most 500"]);
        check(files_stay_short, page("tests/a.rs", &lines(800)), &[]);
        check(files_stay_short, page("tests/a.rs", &lines(801)), &["tests/a.rs: 801 lines, at most 800"]);
    }

    #[test]
    fn a_function_of_71_lines_is_found_in_a_macro_too() {
        let function = |count: usize| format!("fn f() {{\n{}}}", "    g();\n".repeat(count - 2));
        check(functions_stay_short, page("a.rs", &function(70)), &[]);
        check(functions_stay_short, page("a.rs", &function(71)), &["a.rs:1: fn f has 71 lines, at most 70"]);
        let in_macro = format!("m! {{\n{}\n}}", function(71));
        check(functions_stay_short, page("a.rs", &in_macro), &["a.rs:2: fn f has 71 lines, at most 70"]);
    }

    #[test]
    fn imports_of_31_lines_are_found_and_those_of_an_inner_module_do_not_count() {
        let imports = |count: usize| "use a::{\n    b,\n};\n".repeat(count / 3) + &"use c;\n".repeat(count % 3);
        check(imports_stay_short, page("a.rs", &imports(30)), &[]);
        check(imports_stay_short, page("a.rs", &imports(31)), &["a.rs: 31 lines of imports, at most 30"]);
        check(imports_stay_short, page("a.rs", &format!("mod m {{\n{}}}", imports(31))), &[]);
    }
}
