//! The manual: one page in the form that `man` reads, made from what the command itself understands.
//!
//! Why made: a page by hand says what the command once was. Exit codes and examples are those that the help ends with.
//!
//! Must never: say of a verb what its help does not.

use clap::{Arg, Command};

/// The page, in roff.
pub(crate) fn page(mut command: Command) -> String {
    command.build();
    let version = command.get_version().unwrap_or_default();
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let mut page = format!(".TH CLUSTER 1 \"\" \"tercet {version}\" \"Tercet\"\n.SH NAME\n");
    page += &format!("cluster \\- {}\n", plain(about.trim_end_matches('.')));
    page += ".SH SYNOPSIS\n.B cluster\n[OPTIONS] VERB \\&...\n.SH OPTIONS\n";
    command.get_arguments().filter(|arg| is_told(arg)).for_each(|arg| page += &argument(arg));
    page += ".SH VERBS\n";
    verbs(&mut command.clone(), &mut page);
    page += &sections(&command);
    page += ".SH SEE ALSO\n/usr/share/doc/tercet/operations.md: what nodes are told, what to look at, what to do when something breaks.\n";
    page
}

/// Each verb below a command, with what it takes.
fn verbs(command: &mut Command, page: &mut String) {
    for verb in command.get_subcommands_mut().filter(|verb| verb.get_name() != "help" && !verb.is_hide_set()) {
        let usage = verb.render_usage().to_string();
        let about = verb.get_long_about().or_else(|| verb.get_about()).map(ToString::to_string).unwrap_or_default();
        if verb.has_subcommands() {
            *page += &format!(".SS {}\n{}\n", plain(verb.get_bin_name().unwrap_or_default()), plain(&about));
            verbs(verb, page);
            continue;
        }
        let usage = usage.trim_start_matches("Usage:").split_whitespace().collect::<Vec<_>>().join(" ");
        *page += &format!(".SS {}\n{}\n", plain(&usage), plain(&about));
        verb.get_arguments().filter(|arg| is_told(arg) && !arg.is_global_set()).for_each(|arg| *page += &argument(arg));
        if let Some(examples) = verb.get_after_help() {
            *page += &format!(".PP\n.nf\n{}\n.fi\n", plain(&examples.to_string()));
        }
    }
}

fn is_told(arg: &Arg) -> bool {
    !arg.is_hide_set() && !["help", "version"].contains(&arg.get_id().as_str())
}

fn argument(arg: &Arg) -> String {
    let names = arg.get_value_names().unwrap_or_default().join(" ");
    let takes = arg.get_action().takes_values();
    let short = arg.get_short().map(|short| format!("-{short}"));
    let long = arg.get_long().map(|long| format!("--{long}"));
    let flags = short.into_iter().chain(long).collect::<Vec<_>>().join(", ");
    let head = match (flags.is_empty(), takes) {
        (true, _) => names,
        (false, true) => format!("{flags} {names}"),
        (false, false) => flags,
    };
    let mut text = arg.get_long_help().or_else(|| arg.get_help()).map(ToString::to_string).unwrap_or_default();
    let mut add = |word: &str, values: Vec<String>| {
        if takes && !values.is_empty() {
            text += &format!(" [{word}: {}]", values.join(", "));
        }
    };
    add("default", arg.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect());
    let told = arg.get_possible_values().into_iter().filter(|value| !value.is_hide_set());
    add("one of", told.map(|value| value.get_name().to_owned()).collect());
    add("environment", arg.get_env().iter().map(|name| name.to_string_lossy().into_owned()).collect());
    format!(".TP\n.B {}\n{}\n", plain(&head), plain(&text))
}

/// What the help ends with: headings, and lines that stand as they are.
fn sections(command: &Command) -> String {
    let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let section = |part: &str| {
        let (head, lines) = part.split_once('\n').unwrap_or((part, ""));
        format!(".SH {}\n.nf\n{}\n.fi\n", head.trim_end_matches(':').to_uppercase(), plain(lines.trim_end()))
    };
    after.split("\n\n").filter(|part| !part.is_empty()).map(section).collect()
}

/// Text that roff takes for text, whatever its lines begin with.
fn plain(text: &str) -> String {
    let escaped = text.replace('\\', "\\e").replace('-', "\\-");
    let line = |line: &str| if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line.to_owned() };
    escaped.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::args::Args;
    use crate::examples::with_examples;

    /// The names of all verbs that do something.
    fn leaves(command: &Command, path: &str) -> Vec<String> {
        let verbs = command.get_subcommands();
        verbs
            .flat_map(|verb| {
                let path = format!("{path} {}", verb.get_name());
                if verb.has_subcommands() { leaves(verb, &path) } else { vec![path] }
            })
            .collect()
    }

    #[test]
    fn the_page_tells_every_verb_flag_and_exit_code() {
        let command = with_examples(Args::command());
        let page = page(command.clone());
        for verb in leaves(&command, "cluster") {
            assert!(page.contains(&format!(".SS {}", plain(&verb))), "{verb} is not in the page");
        }
        for must in [".SH EXIT CODES\n.nf\n  0  done", "  3  it could not be done", ".SH EXAMPLES"] {
            assert!(page.contains(must), "the page lacks {must}");
        }
        let up = page.split(".SS cluster up").nth(1).and_then(|rest| rest.split(".SS").next()).expect("a verb");
        for must in ["\\-\\-base\\-port", "[default: ./tercet\\-local]", "[environment: TERCET_DIR]", "Examples:"] {
            assert!(up.contains(must), "cluster up lacks {must}: {up}");
        }
        assert!(!page.contains("cluster help"), "the help of the help is no verb");
    }

    #[test]
    fn no_line_of_text_is_taken_for_a_request() {
        assert_eq!(plain("a\n.SH b\n'c\\d-e"), "a\n\\&.SH b\n\\&'c\\ed\\-e");
    }
}
