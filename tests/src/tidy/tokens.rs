//! Rust source as a flat list of tokens with their lines.
//!
//! Why tokens and not a syntax tree: a tree ends at a macro's brackets, and a law must hold inside them too. Comments
//! are not tokens and doc comments are literals, so prose may name what code may not.
//!
//! Must never: guess. A file that does not lex is an error, not an empty list.

use std::str::FromStr as _;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An identifier or a keyword.
    Word,
    /// A character of punctuation.
    Mark,
    /// A literal; a doc comment is one too.
    Literal,
    /// An opening bracket.
    Open,
    /// A closing bracket.
    Close,
}

/// One token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) text: String,
    /// From 1.
    pub(crate) line: usize,
}

impl Token {
    pub(crate) fn is(&self, text: &str) -> bool {
        self.kind != Kind::Literal && self.text == text
    }
}

/// A function: where it begins and how long it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) line: usize,
    /// From the word `fn` to the closing brace, both included.
    pub(crate) lines: usize,
}

/// The tokens of a source. Errors: what does not lex, with its line.
pub(crate) fn tokens(source: &str) -> Result<Vec<Token>, String> {
    let stream = TokenStream::from_str(source)
        .map_err(|error| format!("line {}: does not lex: {error}", error.span().start().line))?;
    let mut list = Vec::new();
    flatten(stream, &mut list);
    Ok(list)
}

fn flatten(stream: TokenStream, list: &mut Vec<Token>) {
    for tree in stream {
        let line = tree.span().start().line;
        match tree {
            TokenTree::Ident(word) => list.push(Token { kind: Kind::Word, text: word.to_string(), line }),
            TokenTree::Punct(mark) => list.push(Token { kind: Kind::Mark, text: mark.as_char().to_string(), line }),
            TokenTree::Literal(literal) => list.push(Token { kind: Kind::Literal, text: literal.to_string(), line }),
            TokenTree::Group(group) => {
                let (open, close) = brackets(group.delimiter());
                list.push(Token { kind: Kind::Open, text: open.to_owned(), line });
                flatten(group.stream(), list);
                let line = group.span_close().end().line;
                list.push(Token { kind: Kind::Close, text: close.to_owned(), line });
            }
        }
    }
}

const fn brackets(delimiter: Delimiter) -> (&'static str, &'static str) {
    match delimiter {
        Delimiter::Parenthesis => ("(", ")"),
        Delimiter::Brace => ("{", "}"),
        Delimiter::Bracket => ("[", "]"),
        Delimiter::None => ("", ""),
    }
}

/// Where the bracket that opens at `open` closes; the list's end if `open` opens none.
pub(crate) fn closing(list: &[Token], open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in list.iter().enumerate().skip(open) {
        match token.kind {
            Kind::Open => depth += 1,
            Kind::Close => depth = depth.saturating_sub(1),
            Kind::Word | Kind::Mark | Kind::Literal => {}
        }
        if depth == 0 {
            return at;
        }
    }
    list.len()
}

/// All functions with a body, those inside macros and other functions included.
pub(crate) fn functions(list: &[Token]) -> Vec<Function> {
    let named = list.windows(2).enumerate().filter(|(_, pair)| {
        matches!(pair, [first, second] if first.is("fn") && first.kind == Kind::Word && second.kind == Kind::Word)
    });
    named
        .filter_map(|(at, pair)| {
            let (first, name) = (pair.first()?, pair.last()?);
            let end = body_end(list, at + 2)?;
            Some(Function { name: name.text.clone(), line: first.line, lines: end.saturating_sub(first.line) + 1 })
        })
        .collect()
}

/// The line on which the body ends, looking on from behind a function's name.
fn body_end(list: &[Token], from: usize) -> Option<usize> {
    let mut at = from;
    while let Some(token) = list.get(at) {
        if token.is(";") {
            return None;
        }
        if token.kind == Kind::Open {
            let close = closing(list, at);
            // A const argument, as in `-> Ring<{ SIZE }>`, stands in braces too, but is followed by `>` or a comma.
            let is_argument = list.get(close + 1).is_some_and(|next| next.is(">") || next.is(","));
            if token.is("{") && !is_argument {
                return list.get(close).map(|brace| brace.line);
            }
            at = close;
        }
        at += 1;
    }
    None
}

/// Whether the token at `at` begins a path, and is not a later part of one.
pub(crate) fn begins_path(list: &[Token], at: usize) -> bool {
    let before = |steps: usize| at.checked_sub(steps).and_then(|place| list.get(place));
    let follows_colons = before(1).is_some_and(|token| token.is(":")) && before(2).is_some_and(|token| token.is(":"));
    // `::name` without a word before it begins a path at its crate.
    !follows_colons || before(3).is_none_or(|token| token.kind != Kind::Word && !token.is(">") || token.is("use"))
}

/// Whether `::` follows the token at `at`.
pub(crate) fn leads_path(list: &[Token], at: usize) -> bool {
    let follows = |steps: usize| list.get(at + steps).is_some_and(|token| token.is(":"));
    follows(1) && follows(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Name, first line, lines.
    type Measured<'a> = (&'a str, usize, usize);

    #[test]
    fn a_function_is_measured_from_its_word_to_its_closing_brace() {
        let table: [(&str, &[Measured]); 7] = [
            ("fn one() {}", &[("one", 1, 1)]),
            ("/// doc\n#[must_use]\npub const fn two(\n    a: u8,\n) -> u8 {\n    a\n}\n", &[("two", 3, 5)]),
            ("trait T {\n    fn declared(&self);\n    fn given(&self) {\n    }\n}", &[("given", 3, 2)]),
            ("fn ring() -> Ring<{ SIZE }> {\n    make()\n}", &[("ring", 1, 3)]),
            ("fn outer() {\n    fn inner() {\n    }\n}", &[("outer", 1, 4), ("inner", 2, 2)]),
            ("proptest! {\n    fn law(x in 0..9_u8) {\n        check(x);\n    }\n}", &[("law", 2, 3)]),
            ("type Call = fn(u8) -> u8;", &[]),
        ];
        for (source, expected) in table {
            let found = functions(&tokens(source).expect("the sample lexes"));
            let found: Vec<Measured> = found.iter().map(|one| (one.name.as_str(), one.line, one.lines)).collect();
            assert_eq!(found, expected, "{source}");
        }
    }

    #[test]
    fn prose_is_not_code_and_what_does_not_lex_is_an_error() {
        let list =
            tokens("//! rocksdb\n/// rocksdb\nconst A: &str = \"rocksdb\"; // rocksdb").expect("the sample lexes");
        assert!(!list.iter().any(|token| token.is("rocksdb")));
        assert!(tokens("fn broken( {").is_err());
    }

    #[test]
    fn only_the_first_word_of_a_path_begins_it() {
        let table =
            [("proto::A", true), ("use ::proto::A;", true), ("a(::proto::A)", true), ("crate::proto::A", false)];
        for (source, expected) in table {
            let list = tokens(source).expect("the sample lexes");
            let at = list.iter().position(|token| token.is("proto")).expect("the sample names proto");
            assert_eq!(begins_path(&list, at), expected, "{source}");
            assert!(leads_path(&list, at), "{source}");
        }
    }
}
